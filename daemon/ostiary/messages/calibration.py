"""Messages on a camera's own last layer: what it was made for, and its proof."""

from typing import Literal

from pydantic import Field

from ostiary.messages.events import Message, Timestamp
from ostiary.messages.words import RecognizerName

WhyDropped = Literal["camera", "size", "networks", "damaged"]
"""Reason for which a camera's last layer is dropped: it was made for another camera, for pictures
of another size or for other networks; or it does not open."""


class MadeFor(Message):
    """Camera, picture size and network that a last layer was fitted for."""

    source: str = Field(description="A digest of where the pictures come from.")
    device: str | None = Field(description="Name that the device gives itself; null: unknown.")
    width: int = Field(ge=1, description="Width of the pictures, in pixels.")
    height: int = Field(ge=1, description="Height of the pictures, in pixels.")
    network: str = Field(description="SHA-256 of the published weights.")

    def changed(self, now: "MadeFor") -> WhyDropped | None:
        """Say why the layer does not fit `now`; None: it fits."""
        if self.network != now.network:
            return "networks"
        if self.source != now.source or (self.device or now.device) != (now.device or self.device):
            return "camera"
        return None if (self.width, self.height) == (now.width, now.height) else "size"


class CalibrationFigure(Message):
    """Results for one kind of presentation, each on a person who was left out of the fit."""

    kind: str = Field(description="`live`, or the attack's: print, phone, tablet …")
    presentations: int = Field(ge=1, description="Number of presentations.")
    wrong: int = Field(ge=0, description="Number of people turned away, or of attacks let through.")
    wrong_by_default: int = Field(ge=0, description="The same number without the layer.")


class CalibrationState(Message):
    """Last layer in force at a camera."""

    made_at: Timestamp
    sittings: int = Field(ge=1, description="Number of sittings that it was made from.")
    people: int = Field(ge=1)
    figures: tuple[CalibrationFigure, ...]


class CalibrationRecord(Message):
    """Data that is stored with a layer."""

    made_for: MadeFor
    state: CalibrationState


class PresentationRecord(Message):
    """Data that is stored with the features of one presentation."""

    sitting: Timestamp = Field(description="When that sitting began.")
    made_for: MadeFor
    kind: str
    person: str
    recognizer: RecognizerName | None = Field(
        description="Recogniser of the look that is stored with it; null: no look is stored."
    )
