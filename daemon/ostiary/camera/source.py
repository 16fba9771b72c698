"""The one thing a reader needs of a camera, whatever kind it is."""

import os
from dataclasses import dataclass
from typing import Protocol

import cv2

from ostiary.camera.address import SourceKind, kind_of
from ostiary.config import CameraSettings
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


def open_source(settings: CameraSettings) -> Source:
    """Open what `settings.source` names. Raises CameraUnavailable, saying what to do."""
    # Imported here: each pulls in what only its kind of camera needs.
    match kind_of(settings.source):
        case SourceKind.FOLDER:
            from ostiary.camera.folder import FolderSource

            return FolderSource(settings)
        case SourceKind.HTTP:
            from ostiary.camera.mjpeg import MjpegSource

            return MjpegSource(settings)
        case SourceKind.FILE:
            from ostiary.camera.video import FileSource

            return FileSource(settings)
        case SourceKind.RTSP:
            from ostiary.camera.video import RtspSource

            return RtspSource(settings)
        case SourceKind.V4L2:
            from ostiary.camera.v4l2 import DeviceSource

            return DeviceSource(settings)
