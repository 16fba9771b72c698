"""What every kind of camera gives, and how it is asked."""

import os
from dataclasses import dataclass
from typing import Protocol

import cv2

from ostiary.vision.arrays import BGRImage


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

    What they would say, the errors raised here say too; what the operator set wins.
    """
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    if "OPENCV_LOG_LEVEL" not in os.environ:
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)
