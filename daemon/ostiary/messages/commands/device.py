"""The device: ping, snapshot and reload."""

from pydantic import Field

from ostiary.messages.commands.base import Answer, Base64Image, Request
from ostiary.messages.events import Timestamp


class PingRequest(Request):
    """Ask whether the door is there."""


class PingAnswer(Answer):
    version: str = Field(description="Version of Ostiary.")
    timestamp: Timestamp = Field(description="Time of the door's own clock: RFC 3339, UTC.")


class SnapshotRequest(Request):
    """Give what a camera sees now."""

    camera: str | None = Field(
        default=None, description="Name of the camera, where the door has several."
    )
    width: int | None = Field(
        default=None,
        ge=16,
        le=10_000,
        description="Width in pixels; a wider picture is shrunk to it.",
    )
    show: bool = Field(
        default=False,
        description="Show it on `…/picture/<camera>`, too; only with `mqtt.event_pictures`.",
    )


class SnapshotAnswer(Answer):
    image: Base64Image
    camera: str = Field(description="Name of the camera.")
    width: int = Field(description="Width in pixels.")
    height: int = Field(description="Height in pixels.")
    timestamp: Timestamp


class ReloadRequest(Request):
    """Read the settings again and start anew with them."""


class ReloadAnswer(Answer):
    message: str
