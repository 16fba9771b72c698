"""A folder of images as a camera."""

import time
from pathlib import Path

import cv2
import numpy as np
import structlog

from ostiary.camera.picture import Picture
from ostiary.errors import CameraUnavailable
from ostiary.settings import CameraSettings
from ostiary.vision.arrays import BGRImage

log = structlog.get_logger(__name__)

SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".webp"})


class FolderSource:
    """Its images in the order of their names, `fps` a second; again and again with `loop`."""

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


def _load(path: Path) -> BGRImage | None:
    try:
        data = np.frombuffer(path.read_bytes(), np.uint8)
        image = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    except (OSError, cv2.error):
        return None
    return None if image is None else image.astype(np.uint8, copy=False)
