"""A camera on this machine: USB or CSI, through V4L2."""

import os
import time
from pathlib import Path

import cv2
import structlog

from ostiary.camera.picture import Picture, hush_opencv
from ostiary.config import CameraSettings
from ostiary.errors import CameraUnavailable

log = structlog.get_logger(__name__)


class DeviceSource:
    """`0`, `/dev/video0` or, best, `/dev/v4l/by-id/…`, which stays the same in another socket."""

    pace: float | None = None

    def __init__(self, settings: CameraSettings) -> None:
        """Raises CameraUnavailable when it is not there, not a camera, or in use."""
        named = settings.source
        path = Path(f"/dev/video{named}" if named.isdecimal() else named)
        self._path = path
        if not path.exists():
            there = sorted(str(found) for found in Path("/dev/v4l/by-id").glob("*"))
            raise CameraUnavailable(
                f"{path}: no such device. Is the camera plugged in? "
                + (f"There are: {', '.join(there)}" if there else "No camera is seen here.")
            )
        if not os.access(path, os.R_OK | os.W_OK):
            raise CameraUnavailable(f"{path}: no permission. Add the user to the group `video`.")
        hush_opencv()
        self._capture = cv2.VideoCapture(str(path.resolve()), cv2.CAP_V4L2)
        if not self._capture.isOpened():
            raise CameraUnavailable(
                f"{path}: not a camera, or another program has it (`fuser {path}` shows which)."
            )
        # Motion JPEG first: uncompressed pictures of this size seldom fit through USB 2 at the
        # rate. A device that lacks a format, size or rate takes its nearest; the log says which.
        self._capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
        self._capture.set(cv2.CAP_PROP_FRAME_WIDTH, settings.width)
        self._capture.set(cv2.CAP_PROP_FRAME_HEIGHT, settings.height)
        self._capture.set(cv2.CAP_PROP_FPS, settings.fps)
        log.info(
            "camera_format",
            camera=settings.name,
            requested=f"{settings.width}x{settings.height}@{settings.fps:g} MJPG",
            given=self._given(),
        )

    def read(self) -> Picture | None:
        there, image = self._capture.read()
        now = time.monotonic()
        if not there:
            raise CameraUnavailable(f"{self._path}: no picture. Was it unplugged?")
        # The driver's own time of capture, on the monotonic clock where the driver is UVC.
        stamped = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000.0
        captured_at = stamped if now - 1.0 < stamped <= now else now
        return Picture(image.astype("uint8", copy=False), captured_at)

    def close(self) -> None:
        self._capture.release()

    def _given(self) -> str:
        width, height, fps, fourcc = (
            self._capture.get(what)
            for what in (
                cv2.CAP_PROP_FRAME_WIDTH,
                cv2.CAP_PROP_FRAME_HEIGHT,
                cv2.CAP_PROP_FPS,
                cv2.CAP_PROP_FOURCC,
            )
        )
        name = int(fourcc).to_bytes(4, "little").decode("ascii", "replace")
        return f"{width:.0f}x{height:.0f}@{fps:g} {name}"
