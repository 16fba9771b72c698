"""The device: is it there, what does it see, begin anew."""

from pydantic import Field

from ostiary.messages.commands.base import Answer, Base64Image, Request
from ostiary.messages.events import Timestamp


class PingRequest(Request):
    """Is somebody there?"""


class PingAnswer(Answer):
    version: str = Field(description="Of Ostiary.")
    timestamp: Timestamp = Field(description="The door's own clock: RFC 3339, UTC.")


class SnapshotRequest(Request):
    """What does a camera see now?"""

    camera: str | None = Field(
        default=None, description="Which camera, where the door has several."
    )
    width: int | None = Field(
        default=None, ge=16, le=10_000, description="Pixels; a wider picture is shrunk to this."
    )
    show: bool = Field(
        default=False,
        description="Show it on `…/picture/<camera>`, too; only with `mqtt.event_pictures`.",
    )


class SnapshotAnswer(Answer):
    image: Base64Image
    camera: str = Field(description="Whose picture it is.")
    width: int = Field(description="Pixels.")
    height: int = Field(description="Pixels.")
    timestamp: Timestamp


class ReloadRequest(Request):
    """Read the settings again and start anew with them."""


class ReloadAnswer(Answer):
    message: str
