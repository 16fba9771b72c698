"""Recorded pictures as a camera: a folder of images, or a video file."""

import time
from pathlib import Path

import cv2
import numpy as np
import structlog

from ostiary.camera.frame import Picture, hush_opencv
from ostiary.errors import CameraUnavailable
from ostiary.settings import CameraSettings
from ostiary.vision.arrays import BGRImage

log = structlog.get_logger(__name__)

SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".webp"})


class FolderSource:
    """A folder's images in the order of their names, `fps` a second; with `loop` it repeats."""

    def __init__(self, settings: CameraSettings) -> None:
        """Raises CameraUnavailable where there is no image."""
        self._folder = folder = Path(settings.source)
        self.pace: float | None = 1.0 / settings.fps
        self.device: str | None = None
        self._paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
        if not self._paths:
            raise CameraUnavailable(f"{folder}: no image in it. Put .jpg or .png files there.")
        self._loop = settings.loop
        self._next = 0

    def read(self) -> Picture | None:
        for _ in self._paths:
            if self._next == len(self._paths):
                if not self._loop:
                    return None
                self._next = 0
            path = self._paths[self._next]
            self._next += 1
            if (image := _load(path)) is not None:
                return Picture(image, time.monotonic())
            log.warning("camera_image_skipped", path=str(path), why="not an image")
        if self._loop:
            raise CameraUnavailable(f"{self._folder}: none of its images can be read.")
        return None

    def close(self) -> None:
        pass


class FileSource:
    """A video file at its own rate; with `loop` it repeats."""

    def __init__(self, settings: CameraSettings) -> None:
        """Raises CameraUnavailable when it is not a video."""
        hush_opencv()
        self._capture = cv2.VideoCapture(
            settings.source, cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1]
        )
        if not self._capture.isOpened():
            raise CameraUnavailable(f"{settings.source}: not a video that FFmpeg can read.")
        own_rate = self._capture.get(cv2.CAP_PROP_FPS)
        self.pace: float | None = 1.0 / (own_rate if 0 < own_rate <= 240 else settings.fps)
        self.device: str | None = None
        self._settings = settings

    def read(self) -> Picture | None:
        there, image = self._capture.read()
        if not there and self._settings.loop:
            self._capture.set(cv2.CAP_PROP_POS_FRAMES, 0)
            there, image = self._capture.read()
        return Picture(np.asarray(image, np.uint8), time.monotonic()) if there else None

    def close(self) -> None:
        self._capture.release()


def _load(path: Path) -> BGRImage | None:
    try:
        data = np.frombuffer(path.read_bytes(), np.uint8)
        image = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    except (OSError, cv2.error):
        return None
    return None if image is None else image.astype(np.uint8, copy=False)
