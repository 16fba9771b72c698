"""What is told of a camera's own last layer: what it was made for, and how it was proven."""

from typing import Literal

from pydantic import Field

from ostiary.messages.events import Message, Timestamp
from ostiary.messages.words import RecognizerName

WhyDropped = Literal["camera", "size", "networks", "damaged"]
"""Why a camera's last layer is used no more: another camera, pictures of another size, other
networks before it; or it does not open."""


class MadeFor(Message):
    """Whose pictures, judged by which network, a last layer was fitted on."""

    source: str = Field(description="A digest of where the pictures come from.")
    device: str | None = Field(description="What the device calls itself; null: not known.")
    width: int = Field(ge=1, description="Of the pictures, pixels.")
    height: int = Field(ge=1)
    network: str = Field(description="SHA-256 of the published weights.")

    def changed(self, now: "MadeFor") -> WhyDropped | None:
        """Why it is not for `now`; None: it is."""
        if self.network != now.network:
            return "networks"
        if self.source != now.source or (self.device or now.device) != (now.device or self.device):
            return "camera"
        return None if (self.width, self.height) == (now.width, now.height) else "size"


class CalibrationFigure(Message):
    """Of one kind, on people who were left out, one by one."""

    kind: str = Field(description="`live`, or the attack's: print, phone, tablet …")
    presentations: int = Field(ge=1, description="How often somebody or an attack was shown.")
    wrong: int = Field(ge=0, description="People turned away, or attacks let through.")
    wrong_by_default: int = Field(ge=0, description="The same without it.")


class CalibrationState(Message):
    """A camera's last layer, which is in force."""

    made_at: Timestamp
    sittings: int = Field(ge=1, description="On how many occasions people sat for it.")
    people: int = Field(ge=1)
    figures: tuple[CalibrationFigure, ...]


class CalibrationRecord(Message):
    """What is stored beside the layer."""

    made_for: MadeFor
    state: CalibrationState


class PresentationRecord(Message):
    """What is stored beside the features of one presentation."""

    sitting: Timestamp = Field(description="When that sitting began.")
    made_for: MadeFor
    kind: str
    person: str
    recognizer: RecognizerName | None = Field(
        description="Of the look that is stored with it, of people."
    )
