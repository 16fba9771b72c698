"""A camera in its own thread that always has the newest picture at hand."""

import random
import threading
import time
from collections import deque
from dataclasses import replace
from typing import Self

import structlog

from ostiary.camera.address import SourceKind, digest_of, kind_of, redact
from ostiary.camera.frame import (
    CameraReport,
    CameraStatus,
    Frame,
    Picture,
    Source,
    ViewCondition,
    same_picture,
    turned,
    view_condition,
)
from ostiary.errors import CameraUnavailable
from ostiary.settings import CameraSettings

log = structlog.get_logger(__name__)

ABSENT_AFTER_S = 10.0
REOPEN_FROZEN_AFTER_S = 10.0
VIEW_AFTER_S = 1.0
"""A view must be bad for so long before the state says so; each frame says it at once."""
FRESH_S = 1.0
"""A live picture older than this is not handed over any more."""
RETRY_FIRST_S, RETRY_MOST_S = 0.25, 2.0
STOP_S = 0.8


class CameraReader:
    """Reads one camera until stopped; reconnects by itself, forever.

    There is no queue: a picture is gone when the next comes. A picture of a live camera that equals
    the one before it, bit for bit, is never handed over: a frozen camera sends nothing else.
    """

    def __init__(self, settings: CameraSettings) -> None:
        """Raises CameraUnavailable when `settings.source` can never become a camera."""
        self._settings = settings
        self._shown = redact(settings.source)
        self._live = kind_of(settings.source).live
        self._thread = threading.Thread(
            target=self._run, name=f"camera-{settings.name}", daemon=True
        )
        self._stopping = threading.Event()
        self._changed = threading.Condition()
        # All below is guarded by _changed.
        self._source: Source | None = None
        self._frame: Frame | None = None
        self._ended = False
        self._opened_at: float | None = None
        self._lost_at: float | None = None
        self._fresh_at: float | None = None
        self._arrivals: deque[float] = deque(maxlen=512)
        self._repeats = self._frozen_reopens = 0
        self._bad_view_since: float | None = None
        self._reconnects = 0
        self._detail: str | None = None
        self._device: str | None = None

    def start(self) -> Self:
        """Begin. Raises CameraUnavailable for a file or folder that cannot be shown.

        A live camera that is not there yet is no error: it is waited for, and `state` says so.
        """
        if not self._live:
            self._opened(open_source(self._settings))
        self._thread.start()
        return self

    def stop(self) -> None:
        """End within a second, even while the camera is silent. A read that still blocks then ends
        by its time-out in the daemon thread, and its picture is thrown away."""
        self._stopping.set()
        with self._changed:
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(STOP_S)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def newest(self, after: int = 0, timeout: float = 0.0) -> Frame | None:
        """The newest frame, if its number is above `after`; waits up to `timeout` seconds for one.

        None: nothing new in time, or the reader is stopped (then at once).
        """
        with self._changed:
            self._changed.wait_for(
                lambda: self._fresh(after) is not None or self._stopping.is_set(), timeout
            )
            return None if self._stopping.is_set() else self._fresh(after)

    @property
    def name(self) -> str:
        return self._settings.name

    @property
    def source_digest(self) -> str:
        """The digest of the camera's address, which tells cameras apart and nothing else."""
        return digest_of(self._settings.source)

    @property
    def device(self) -> str | None:
        """The name that the device opened last has for itself; None: it does not say."""
        return self._device

    @property
    def is_mirrored(self) -> bool:
        """Whether its pictures are mirror images."""
        return self._settings.mirrored

    @property
    def requires_movement(self) -> bool:
        """Whether a face has to move as no flat picture can."""
        return self._settings.require_movement

    @property
    def state(self) -> CameraReport:
        """The camera as it is now, also while its thread hangs in a read."""
        with self._changed:
            now, frame = time.monotonic(), self._frame
            status = self._status(now)
            return CameraReport(
                camera=self._settings.name,
                source=self._shown,
                status=status,
                view=self._view(now),
                width=frame.image.shape[1] if frame else None,
                height=frame.image.shape[0] if frame else None,
                fps=sum(arrived > now - 2.0 for arrived in self._arrivals) / 2.0,
                age_s=now - frame.captured_at if frame else None,
                reconnects=self._reconnects,
                detail=self._detail or self._waits_for(status),
            )

    # --- what the state is made of (with _changed held) ---------------------------------------

    def _fresh(self, after: int) -> Frame | None:
        frame = self._frame
        if frame is None or frame.number <= after:
            return None
        if self._live and time.monotonic() - frame.captured_at > FRESH_S:
            return None
        return frame

    def _status(self, now: float) -> CameraStatus:
        if self._ended:
            return CameraStatus.ENDED
        if self._opened_at is None:
            gone = self._lost_at is None or now - self._lost_at > ABSENT_AFTER_S
            return CameraStatus.ABSENT if gone and self._detail else CameraStatus.RECONNECTING
        news_at = self._fresh_at or self._opened_at
        if self._live and now - max(news_at, self._stall_from()) > self._settings.stall_after_s:
            return CameraStatus.STALLED
        if news_at < self._opened_at or self._fresh_at is None:
            return CameraStatus.RECONNECTING
        return CameraStatus.OK

    def _waits_for(self, status: CameraStatus) -> str | None:
        """Why a stream that is there brings nothing."""
        brought = (self._fresh_at or 0.0) >= (self._opened_at or 0.0)
        if status is not CameraStatus.STALLED or brought or not self._shown.startswith("rtsp"):
            return None
        return (
            f"{self._shown}: connected; waits for a key frame. Let the camera send one every "
            "second or two."
        )

    def _stall_from(self) -> float:
        """A new connection has its own time to bring a picture, unless it repeats the old one."""
        return 0.0 if self._repeats or self._opened_at is None else self._opened_at

    def _view(self, now: float) -> ViewCondition:
        if self._repeats and self._status(now) is CameraStatus.STALLED:
            return ViewCondition.FROZEN
        since = self._bad_view_since
        if self._frame is None or since is None or now - since < VIEW_AFTER_S:
            return ViewCondition.CLEAR
        return self._frame.view

    # --- the thread ---------------------------------------------------------------------------

    def _run(self) -> None:
        attempt = 0
        while not self._stopping.is_set():
            source = self._source
            frames_before = self._frame.number if self._frame else 0
            try:
                if source is None:
                    source = open_source(self._settings)
                    self._opened(source)
                self._pump(source)
            except CameraUnavailable as error:
                if not self._stopping.is_set():
                    self._lost(error)
            finally:
                if source is not None:
                    source.close()
            if self._ended:
                return
            worked = self._frame is not None and self._frame.number > frames_before
            attempt = 0 if worked else attempt + 1
            step = min(RETRY_FIRST_S * 2.0**attempt, RETRY_MOST_S)
            self._stopping.wait(step * random.uniform(0.5, 1.0))

    def _pump(self, source: Source) -> None:
        """Read until stopped or ended. Raises CameraUnavailable when the source is lost."""
        previous = turned(self._frame.image, -self._settings.rotate % 360) if self._frame else None
        due = connected_at = time.monotonic()
        while not self._stopping.is_set():
            picture = source.read()
            if picture is None:
                with self._changed:
                    self._ended = True
                    self._changed.notify_all()
                log.info("camera_ended", camera=self._settings.name)
                return
            if self._live and same_picture(previous, picture.image):
                self._repeated(connected_at)
                continue
            previous = picture.image
            image = turned(picture.image, self._settings.rotate)
            self._publish(replace(picture, image=image))
            if source.pace is not None:
                due = max(due + source.pace, time.monotonic() - source.pace)
                self._stopping.wait(due - time.monotonic())

    def _opened(self, source: Source) -> None:
        with self._changed:
            self._source = source
            self._device = source.device
            self._opened_at = time.monotonic()
            self._detail = None

    def _publish(self, picture: Picture) -> None:
        view = view_condition(picture.image)
        with self._changed:
            if self._stopping.is_set():
                return
            before, now = self._frame, time.monotonic()
            connected = (self._fresh_at or 0.0) < (self._opened_at or 0.0)
            self._fresh_at = now
            self._arrivals.append(now)
            self._repeats = self._frozen_reopens = 0
            if view is ViewCondition.CLEAR:
                self._bad_view_since = None
            elif self._bad_view_since is None:
                self._bad_view_since = now
            self._frame = Frame(
                image=picture.image,
                number=before.number + 1 if before else 1,
                captured_at=picture.captured_at,
                camera=self._settings.name,
                view=view,
            )
            self._changed.notify_all()
        if connected or before is None or before.image.shape != picture.image.shape:
            height, width = picture.image.shape[:2]
            log.info("camera_picture", camera=self._settings.name, width=width, height=height)

    def _repeated(self, connected_at: float) -> None:
        with self._changed:
            self._repeats += 1
            now = time.monotonic()
            frozen_s = now - max(self._fresh_at or 0.0, connected_at)
        patience = max(REOPEN_FROZEN_AFTER_S, 2 * self._settings.stall_after_s)
        if frozen_s > patience * 2 ** min(self._frozen_reopens, 6):
            self._frozen_reopens += 1
            raise CameraUnavailable(f"{self._shown}: the same picture for {frozen_s:.0f} s.")

    def _lost(self, error: CameraUnavailable) -> None:
        with self._changed:
            first = self._opened_at is not None or self._detail is None
            if self._opened_at is not None:
                self._lost_at = time.monotonic()
                self._reconnects += 1
            self._source = self._opened_at = None
            self._detail = error.message
            self._changed.notify_all()
        if first:  # once for each loss, not for each attempt
            log.warning("camera_lost", camera=self._settings.name, error=error.message)


def open_source(settings: CameraSettings) -> Source:
    """Open what `settings.source` names. Raises CameraUnavailable, saying what to do."""
    # Imported here: each kind of camera needs other libraries.
    match kind_of(settings.source):
        case SourceKind.FOLDER:
            from ostiary.camera.files import FolderSource

            return FolderSource(settings)
        case SourceKind.HTTP:
            from ostiary.camera.mjpeg import MjpegSource

            return MjpegSource(settings)
        case SourceKind.FILE:
            from ostiary.camera.files import FileSource

            return FileSource(settings)
        case SourceKind.RTSP:
            from ostiary.camera.rtsp import RtspSource

            return RtspSource(settings)
        case SourceKind.V4L2:
            from ostiary.camera.v4l2.source import DeviceSource

            return DeviceSource(settings)
