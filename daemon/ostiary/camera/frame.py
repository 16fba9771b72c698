"""What a camera gives: pictures, what it says of itself, and whether a picture shows anything."""

import os
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import cv2
import numpy as np

from ostiary.vision.arrays import BGRImage

STEP = 8
"""Every eighth pixel each way says enough: 4800 of a 640×480 picture, 0.1 ms."""
DARK = 40
DARK_SHARE = 0.99
"""Covered when so many pixels are darker. Even a dim room has a lamp or a window in view."""
FLAT = 5.0
"""Covered when the grey levels' standard deviation is less: one tone, whatever its brightness."""
WHITE = 245
WHITE_SHARE = 0.6
"""Over-exposed when more of the picture than this is clipped to white."""


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


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """(height, width, 3) uint8 BGR, and when it was captured (`time.monotonic()`, seconds)."""

    image: BGRImage
    captured_at: float


class Source(Protocol):
    """An open camera."""

    pace: float | None
    """Seconds between pictures that the reader keeps; None for a camera with its own clock."""
    device: str | None
    """What the device calls itself; None where it does not say."""

    def read(self) -> Picture | None:
        """Wait for the next picture and return it; None at the end of a file or folder.

        Raises CameraUnavailable when the connection is lost or silent for too long.
        """

    def close(self) -> None: ...


def hush_opencv() -> None:
    """Keep OpenCV and its FFmpeg from writing three lines to stderr at each failed attempt.

    The errors raised here say the same. What the operator set in the environment wins.
    """
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    if "OPENCV_LOG_LEVEL" not in os.environ:
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)


def view_condition(image: BGRImage) -> ViewCondition:
    """CLEAR, COVERED or OVEREXPOSED, from one picture ((height, width, 3) uint8 BGR)."""
    colours = image[::STEP, ::STEP].astype(np.uint16)
    gray = colours[..., 0] + colours[..., 1] + colours[..., 2]  # three times the grey level
    if np.count_nonzero(gray >= 3 * WHITE) > WHITE_SHARE * gray.size:
        return ViewCondition.OVEREXPOSED
    is_dark = np.count_nonzero(gray >= 3 * DARK) <= (1 - DARK_SHARE) * gray.size
    if is_dark or gray.std() < 3 * FLAT:
        return ViewCondition.COVERED
    return ViewCondition.CLEAR


def turned(image: BGRImage, degrees: int) -> BGRImage:
    """`image` turned clockwise by 0, 90, 180 or 270 degrees."""
    turns = {
        90: cv2.ROTATE_90_CLOCKWISE,
        180: cv2.ROTATE_180,
        270: cv2.ROTATE_90_COUNTERCLOCKWISE,
    }
    return np.asarray(cv2.rotate(image, turns[degrees]), np.uint8) if degrees else image


def same_picture(a: BGRImage | None, b: BGRImage) -> bool:
    """Whether the two are identical, bit for bit. Cheap when they are not."""
    if a is None or a.shape != b.shape:
        return False
    return np.array_equal(a[::64, ::16], b[::64, ::16]) and np.array_equal(a, b)
