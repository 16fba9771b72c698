"""Are the threads that make the door a door still at work?"""

import threading
import time
from collections.abc import Callable
from functools import partial

import structlog

from ostiary.service.notify import Notifier

log = structlog.get_logger(__name__)

Beat = Callable[[], None]


class Heartbeats:
    """Each thread that must never hang gives a sign of life again and again.

    A thread that legitimately waits (no camera, no event to send) wakes up to beat.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._due: dict[str, float] = {}

    def expect(self, name: str, within_s: float) -> Beat:
        """From now on `name` must call what is returned at least every `within_s` seconds."""
        beat = partial(self._beat, name, within_s)
        beat()
        return beat

    def stale(self) -> tuple[str, ...]:
        """Names of those whose beat is overdue, in alphabetical order."""
        now = self._clock()
        with self._lock:
            return tuple(sorted(name for name, due in self._due.items() if now > due))

    def _beat(self, name: str, within_s: float) -> None:
        with self._lock:
            self._due[name] = self._clock() + within_s


class Watchdog:
    """Feeds systemd's watchdog only while nobody is overdue; then systemd kills and restarts."""

    def __init__(self, notifier: Notifier, heartbeats: Heartbeats) -> None:
        self._notifier = notifier
        self._heartbeats = heartbeats
        self._told: tuple[str, ...] = ()

    @property
    def every_s(self) -> float | None:
        """How often to call `feed`: a third of systemd's patience; None where nobody waits."""
        patience = self._notifier.watchdog_s
        return None if patience is None else patience / 3

    def feed(self) -> tuple[str, ...]:
        """Tell systemd that all is well if it is; the names of those that are overdue."""
        stale = self._heartbeats.stale()
        if not stale:
            self._notifier.watchdog()
        if stale != self._told:
            self._told = stale
            if stale:
                log.critical("threads_hang", threads=stale)
            else:
                log.warning("threads_back")
        return stale
