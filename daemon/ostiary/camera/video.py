"""Video files and RTSP, through OpenCV's FFmpeg.

Why not PyAV: its wheel brings a second FFmpeg, 103 MB on disk and 12 MB of memory; with the options
below both show a picture 70 ms after it was made (15 fps, of which 67 ms are the H.264 parser's
wait for the next picture), and OpenCV has time-outs for opening and reading too.
"""

import os
import time

import cv2

from ostiary.camera.address import redact
from ostiary.camera.picture import Picture, hush_opencv
from ostiary.config import CameraSettings
from ostiary.errors import CameraUnavailable
from ostiary.vision.arrays import BGRImage

OPEN_TIMEOUT_S = 3.0
LATE_S = 0.2
"""A picture that waited longer than this on its way is passed over undecoded."""
LATE_FOR_S = 3.0
"""A stream that is late for so long will not catch up; only a new connection starts at its edge."""


class FileSource:
    """A video file in its own time; again and again with `loop`."""

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
        return Picture(_bgr(image), time.monotonic()) if there else None

    def close(self) -> None:
        self._capture.release()


class StreamClock:
    """Tells when a picture was captured, from the time in the stream and the time of arrival.

    The quickest journey ever seen counts as no journey at all; a picture that took longer is that
    much older than its arrival. So a backlog (FFmpeg's probing at the start, a network that hung)
    is known for what it is although its pictures all arrive now.
    """

    SETTLED = 2
    """After the start, pictures in a row that came no quicker than those before them: the edge."""
    DRIFT = 0.001
    """The camera's clock may run this much slower than ours."""

    def __init__(self) -> None:
        self._offset: float | None = None
        self._settled = 0
        self._before = (0.0, 0.0)

    def captured_at(self, arrived: float, stream_time: float) -> float | None:
        """Seconds on the clock of `arrived`; None while the stream is still catching up."""
        offset = arrived - stream_time
        before, self._before = self._before, (arrived, stream_time)
        if self._offset is None:
            self._offset = offset
            return None
        if stream_time <= before[1]:  # the stream has no times, or began them anew
            self._offset = offset
        else:
            self._offset += self.DRIFT * (arrived - before[0])
        quicker = self._offset - offset
        self._offset = min(self._offset, offset)
        self._settled = 0 if quicker > 0.02 else self._settled + 1
        return arrived - (offset - self._offset) if self._settled >= self.SETTLED else None


class RtspSource:
    """An rtsp:// address, over TCP."""

    pace: float | None = None
    device: str | None = None

    def __init__(self, settings: CameraSettings) -> None:
        """Raises CameraUnavailable when nothing answers within three seconds."""
        self._shown = redact(settings.source)
        self._clock = StreamClock()
        self._late_since: float | None = None
        hush_opencv()
        # FFmpeg's options go through the process's environment only; what the operator set there
        # wins. Half a second of probing and none for the frame rate: opening takes 0.6 s, not 3.4.
        os.environ.setdefault(
            "OPENCV_FFMPEG_CAPTURE_OPTIONS",
            "rtsp_transport;tcp|fpsprobesize;0|analyzeduration;500000",
        )
        # Several decoder threads would hold back a picture each.
        self._capture = cv2.VideoCapture(
            settings.source,
            cv2.CAP_FFMPEG,
            [
                *(cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, int(1000 * OPEN_TIMEOUT_S)),
                *(cv2.CAP_PROP_READ_TIMEOUT_MSEC, int(1000 * (settings.stall_after_s + 0.5))),
                *(cv2.CAP_PROP_N_THREADS, 1),
            ],
        )
        if not self._capture.isOpened():
            raise CameraUnavailable(
                f"{self._shown}: no stream. Check that the camera is on, its address and path, "
                "user and password (special characters percent-encoded), and that it serves RTSP "
                "over TCP."
            )

    def read(self) -> Picture | None:
        while True:
            if not self._capture.grab():
                raise CameraUnavailable(f"{self._shown}: the stream broke or fell silent.")
            arrived = time.monotonic()
            stream_time = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000.0
            captured_at = self._clock.captured_at(arrived, stream_time)
            if captured_at is not None and arrived - captured_at <= LATE_S:
                break
            self._late_since = self._late_since or arrived
            if arrived - self._late_since > LATE_FOR_S:
                raise CameraUnavailable(
                    f"{self._shown}: its pictures come late. Lower its size, rate or bit rate."
                )
        self._late_since = None
        there, image = self._capture.retrieve()
        if not there:
            raise CameraUnavailable(f"{self._shown}: a picture cannot be decoded.")
        return Picture(_bgr(image), captured_at)

    def close(self) -> None:
        self._capture.release()


def _bgr(image: "cv2.typing.MatLike") -> BGRImage:
    return image.astype("uint8", copy=False)
