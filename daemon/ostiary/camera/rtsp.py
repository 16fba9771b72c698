"""RTSP, through OpenCV's FFmpeg, and when each picture of a stream was captured.

Why not PyAV: its wheel brings a second FFmpeg, 103 MB on disk and 12 MB of memory; with the options
below both show a picture 70 ms after it was made (15 fps, of which 67 ms are the H.264 parser's
wait for the next picture), and OpenCV has time-outs for opening and reading too.
"""

import os
import resource
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

import cv2
import numpy as np

from ostiary.camera.address import redact
from ostiary.camera.frame import Picture, hush_opencv
from ostiary.errors import CameraUnavailable
from ostiary.settings import CameraSettings

KEY_FRAME_S = 60.0
"""A stream may flow for so long without a picture that can be decoded."""
LATE_S = 0.2
"""A picture that waited longer than this on its way is passed over undecoded."""
LATE_FOR_S = 4.0
"""A stream that is late for so long does not catch up; a new connection starts at the newest."""
LATE_PICTURES = 12
"""And for more pictures than this: a slow camera sends no more in that time."""


class StreamClock:
    """Tells when a picture was captured, from the time in the stream and the time of arrival.

    The quickest journey ever seen counts as no journey at all; a picture that took longer is that
    much older than its arrival. So a backlog (FFmpeg's probing at the start, a network that hung)
    is known for what it is although its pictures all arrive now.

    Many cameras stamp another rate than they send. Their journeys seem to grow or shrink along a
    straight line, while every picture is waited for: then the line is the journey, and the time of
    arrival counts. A backlog comes in a jump, or is not waited for.
    """

    SETTLED = 2
    """After the start, pictures in a row that came no quicker than those before them: the edge."""
    DRIFT = 0.001
    """The camera's clock may run this much slower than ours."""
    LEARN_S, LEARN_PICTURES = 2.0, 8
    """A line is drawn through the pictures of so many seconds, and so many at least."""
    SCATTER_S = 0.08
    """Standard deviation from a line above which it is none."""
    WAITED = 0.75
    """The least share of them that was waited for."""
    NEAR_S = 0.15
    """A line is the journey only where it passes the last quick picture as near as this."""

    def __init__(self) -> None:
        self._offset: float | None = None  # arrival less stream time of the quickest journey
        self._drift = 0.0
        self._settled = 0
        self._before = (0.0, 0.0)
        self._quick = (0.0, 0.0)  # arrival and offset where the quickest journey was last seen
        self._seen: deque[tuple[float, float, bool]] = deque()

    def captured_at(self, arrived: float, stream_time: float, waited: bool = True) -> float | None:
        """Seconds on the clock of `arrived`; None while the stream is still catching up. `waited`:
        the picture was not there yet when it was asked for."""
        offset = arrived - stream_time
        before, self._before = self._before, (arrived, stream_time)
        if self._offset is None:
            self._offset, self._quick = offset, (arrived, offset)
            return None
        if stream_time <= before[1]:  # the stream has no times, or began them anew
            self._offset, self._drift = offset, 0.0
        else:
            self._offset += (self.DRIFT + self._drift) * (arrived - before[0])
        quicker = self._offset - offset
        self._settled = 0 if quicker > 0.02 else self._settled + 1
        if quicker >= 0:
            self._offset, self._quick = offset, (arrived, offset)
        self._remember(arrived, offset, waited, before)
        if self._settled < self.SETTLED or quicker < -0.02:
            self._learn(arrived)
        if self._settled < self.SETTLED:
            return None
        return arrived - (offset - self._offset) / (1 - self._drift)

    def _remember(
        self, arrived: float, offset: float, waited: bool, before: tuple[float, float]
    ) -> None:
        change, since = offset - (before[0] - before[1]), arrived - before[0]
        jumped = not -1.0 - 10 * since < change < 1.0
        if jumped or (self._settled < self.SETTLED and not waited):
            self._seen.clear()
        self._seen.append((arrived, offset, waited))
        while len(self._seen) > self.LEARN_PICTURES and arrived - self._seen[1][0] > self.LEARN_S:
            self._seen.popleft()

    def _learn(self, arrived: float) -> None:
        """Take the line through the last pictures for the journey, where it is one."""
        if len(self._seen) < self.LEARN_PICTURES or arrived - self._seen[0][0] < self.LEARN_S:
            return
        times, offsets, waited = np.array(self._seen).T
        slope, height = np.polyfit(times - arrived, offsets, 1)
        off = offsets - (height + slope * (times - arrived))
        is_far = abs(height + slope * (self._quick[0] - arrived) - self._quick[1]) > self.NEAR_S
        if off.std() > self.SCATTER_S or waited.mean() < self.WAITED or is_far:
            return
        self._offset, self._drift = float(height + off.min()), max(0.0, float(slope))
        self._quick = arrived, self._offset
        self._settled = max(self._settled, self.SETTLED)


class _Options:
    """FFmpeg's options, which go through the process's environment only. Cameras that need the same
    ones open at the same time, others one after another. What the operator set there wins."""

    NAME = "OPENCV_FFMPEG_CAPTURE_OPTIONS"

    def __init__(self) -> None:
        self._is_ours = self.NAME not in os.environ
        self._opening = 0
        self._changed = threading.Condition()

    @contextmanager
    def set_to(self, wanted: str) -> Iterator[None]:
        """Keep `wanted` in the environment while a camera is opened in this block."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._opening == 0 or os.environ.get(self.NAME) == wanted
            )
            if self._is_ours:
                os.environ[self.NAME] = wanted
            self._opening += 1
        try:
            yield
        finally:
            with self._changed:
                self._opening -= 1
                self._changed.notify_all()


_OPTIONS = _Options()


class RtspSource:
    """An rtsp:// address, over TCP."""

    pace: float | None = None
    device: str | None = None

    def __init__(self, settings: CameraSettings) -> None:
        """Raises CameraUnavailable when nothing answers within `open_timeout_s`."""
        self._shown = redact(settings.source)
        self._clock = StreamClock()
        self._late_since: float | None = None
        self._late = 0
        self._is_running = False
        self._silence_s = settings.stall_after_s + 0.5  # so that `stalled` is seen before
        hush_opencv()
        # FFmpeg gives up where nothing comes for `open_timeout_s`. OpenCV's own time-outs are for
        # a whole picture, also while packets flow: until the first key frame that may be long.
        patience_ms = int(1000 * max(KEY_FRAME_S, settings.open_timeout_s))
        with _OPTIONS.set_to(_options(settings)):
            self._capture = cv2.VideoCapture(
                settings.source,
                cv2.CAP_FFMPEG,
                [
                    *(cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, patience_ms),
                    *(cv2.CAP_PROP_READ_TIMEOUT_MSEC, patience_ms),
                    *(cv2.CAP_PROP_N_THREADS, 1),  # several would hold back a picture each
                ],
            )
        if not self._capture.isOpened():
            verified = (
                "" if settings.tls_ca is None else " Its certificate must be in cameras.tls_ca."
            )
            raise CameraUnavailable(
                f"{self._shown}: no stream. Check that the camera is on, its address and path, "
                "user and password (special characters percent-encoded), and that it serves RTSP "
                f"over TCP.{verified}"
            )

    def read(self) -> Picture | None:
        while True:
            waits, asked_at = _waits(), time.monotonic()
            if not self._capture.grab():
                raise CameraUnavailable(f"{self._shown}: {self._why_not(asked_at)}")
            arrived = time.monotonic()
            stream_time = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000.0
            captured_at = self._clock.captured_at(arrived, stream_time, _waits() > waits)
            if captured_at is not None and arrived - captured_at <= LATE_S:
                break
            if self._is_running and arrived - asked_at > self._silence_s:
                raise CameraUnavailable(
                    f"{self._shown}: silent for {arrived - asked_at:.1f} s, and late since."
                )
            self._late_since = self._late_since or arrived
            self._late += 1
            if arrived - self._late_since > LATE_FOR_S and self._late > LATE_PICTURES:
                raise CameraUnavailable(
                    f"{self._shown}: its pictures come late. Lower its size, rate or bit rate."
                )
        self._late, self._late_since, self._is_running = 0, None, True
        there, image = self._capture.retrieve()
        if not there:
            raise CameraUnavailable(f"{self._shown}: a picture cannot be decoded.")
        return Picture(np.asarray(image, np.uint8), captured_at)

    def close(self) -> None:
        self._capture.release()

    def _why_not(self, asked_at: float) -> str:
        if time.monotonic() - asked_at < KEY_FRAME_S:
            return "the stream broke or fell silent."
        return f"no key frame in {KEY_FRAME_S:g} s. Let the camera send one every second or two."


def _options(settings: CameraSettings) -> str:
    # Half a second of probing and none for the frame rate: opening takes 0.6 s, not 3.4.
    options = {"rtsp_transport": "tcp", "fpsprobesize": 0, "analyzeduration": 500_000}
    options["timeout"] = int(1e6 * settings.open_timeout_s)
    if settings.tls_ca is not None:
        options |= {"tls_verify": 1, "ca_file": settings.tls_ca}
    return "|".join(f"{name};{value}" for name, value in options.items())


def _waits() -> int:
    """How often this thread has waited for something outside of it."""
    return resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw
