"""What a camera hands over, and what it says of itself."""

from dataclasses import dataclass
from enum import StrEnum

from ostiary.vision.arrays import BGRImage


class CameraStatus(StrEnum):
    """Whether pictures are coming in."""

    OK = "ok"
    STALLED = "stalled"
    """Connected, but no new picture, or the same one again and again."""
    RECONNECTING = "reconnecting"
    """Not connected yet, or lost a moment ago."""
    ABSENT = "absent"
    """Cannot be opened, or gone for more than ten seconds."""
    ENDED = "ended"
    """A file or folder that was shown to its end."""


class ViewCondition(StrEnum):
    """Whether the pictures show anything."""

    CLEAR = "clear"
    COVERED = "covered"
    """Black or of one tone: a hand, tape, paint, or no light at all."""
    OVEREXPOSED = "overexposed"
    """Most of the picture is white: a torch or the sun in the lens."""
    FROZEN = "frozen"
    """The same picture, bit for bit. A living sensor has noise and never repeats one."""


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One picture.

    `image` is (height, width, 3) uint8 BGR and not to be written to. `number` counts up from 1 and
    never repeats within a reader. `captured_at` is in seconds of `time.monotonic()`. A frame whose
    `view` is not CLEAR must never lead to a grant.
    """

    image: BGRImage
    number: int
    captured_at: float
    camera: str
    view: ViewCondition = ViewCondition.CLEAR


@dataclass(frozen=True, slots=True)
class CameraReport:
    """A camera at one moment, to be shown to people: `source` holds no password."""

    camera: str
    source: str
    status: CameraStatus
    view: ViewCondition
    width: int | None
    """Pixels of the newest picture; None before the first."""
    height: int | None
    fps: float
    """Different pictures a second over the last two seconds."""
    age_s: float | None
    """Seconds since the newest picture was captured; None before the first."""
    reconnects: int
    detail: str | None
    """Why the status is not ok, and what to do."""
