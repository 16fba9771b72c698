"""Keeps pictures of decisions for the console, in a thread of lower priority."""

import queue
import threading
from collections.abc import Callable, Mapping
from datetime import timedelta

import structlog

from ostiary.clock import always, utc_now
from ostiary.errors import OstiaryError
from ostiary.http.parts import Watched
from ostiary.priority import step_back
from ostiary.settings import Settings
from ostiary.store.database import Database
from ostiary.store.snapshots import Snapshots
from ostiary.vision.arrays import BGRImage
from ostiary.vision.image import at_most_wide, encode_jpeg

log = structlog.get_logger(__name__)

WIDTH = 640
QUALITY = 80
WAITING = 8
"""Pictures that may wait to be stored; further ones are left out."""
PRUNE_EVERY_S = 3600.0


class SnapshotKeeper:
    """Stores a picture of each noted decision, and removes old ones. By a clock that is not trusted
    it removes nothing for its age; where the settings keep no pictures it removes all."""

    def __init__(
        self,
        database: Database,
        cameras: Mapping[str, Watched],
        settings: Settings,
        clock_trusted: Callable[[], bool] = always,
    ) -> None:
        self._clock_trusted = clock_trusted
        self._keep_for = timedelta(days=settings.store.keep_snapshots_days)
        self._snapshots = Snapshots(database)
        self._cameras = cameras
        self._waiting: queue.Queue[tuple[int, BGRImage] | None] = queue.Queue(WAITING)
        self._thread = threading.Thread(target=self._run, name="console-keeping", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def note(self, seq: int, camera: str) -> None:
        """Note that the event `seq` was just decided before this camera. Returns at once."""
        view = self._cameras[camera].view if self._keep_for else None
        if view is None:
            return
        try:
            self._waiting.put_nowait((seq, view.frame.image))
        except queue.Full:
            log.warning("thumbnail_left_out", seq=seq)

    def stop(self) -> None:
        """Store what waits."""
        if self._thread.is_alive():
            self._waiting.put(None)
            self._thread.join()

    def _run(self) -> None:
        step_back()
        while True:
            self._prune()
            try:
                item = self._waiting.get(timeout=PRUNE_EVERY_S)
            except queue.Empty:
                continue
            if item is None:
                return
            seq, image = item
            try:
                self._snapshots.keep(
                    seq, encode_jpeg(at_most_wide(image, WIDTH), QUALITY), utc_now()
                )
            except OstiaryError as error:
                log.warning("thumbnail_not_kept", seq=seq, code=error.code)

    def _prune(self) -> None:
        try:
            if self._clock_trusted() or not self._keep_for:
                self._snapshots.prune(utc_now(), keep_for=self._keep_for)
        except OstiaryError as error:
            log.warning("console_not_pruned", code=error.code)
