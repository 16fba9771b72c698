"""Tells systemd how the daemon is (sd_notify(3)), and whether its threads are still at work."""

import os
import socket
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial

import structlog

log = structlog.get_logger(__name__)
Beat = Callable[[], None]


class Notifier:
    """Sends nothing where `address` is None, as outside of systemd."""

    def __init__(self, address: str | None = None, watchdog_s: float | None = None) -> None:
        """`address` is a socket's path, or @name for an abstract one.

        `watchdog_s`: systemd restarts the daemon when `watchdog` is not called for so long.
        """
        self._address = None if address is None else address.replace("@", "\0", 1)
        self.watchdog_s = watchdog_s
        self._status = ""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> "Notifier":
        """As systemd set NOTIFY_SOCKET and WATCHDOG_USEC for this process."""
        given = os.environ if environment is None else environment
        ours = given.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        usec = given.get("WATCHDOG_USEC") if ours else None
        return cls(given.get("NOTIFY_SOCKET") or None, int(usec) / 1e6 if usec else None)

    def ready(self) -> None:
        """Started, or done with the reload."""
        self._send("READY=1")

    def reloading(self) -> None:
        """Reading the settings again; `ready` ends it."""
        self._send(
            f"RELOADING=1\nMONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}"
        )

    def stopping(self) -> None:
        self._send("STOPPING=1")

    def watchdog(self) -> None:
        """Alive and at work."""
        self._send("WATCHDOG=1")

    def status(self, text: str) -> None:
        """One line for `systemctl status`; the same line again is not sent."""
        if text != self._status:
            self._status = text
            self._send(f"STATUS={' '.join(text.split())}")

    def _send(self, message: str) -> None:
        if self._address is None:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            try:
                sender.sendto(message.encode(), self._address)
            except OSError as error:  # a supervisor that does not listen must not stop the door
                log.warning("notify_failed", error=error.strerror)


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
