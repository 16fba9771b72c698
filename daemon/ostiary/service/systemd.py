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
    """Sends messages to systemd; none where `address` is None, as outside of systemd."""

    def __init__(self, address: str | None = None, watchdog_s: float | None = None) -> None:
        """`address` is a socket's path, or @name for an abstract one.

        `watchdog_s`: systemd restarts the daemon when `watchdog` is not called for so long.
        """
        self._address = None if address is None else address.replace("@", "\0", 1)
        self.watchdog_s = watchdog_s
        self._status = ""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> "Notifier":
        """The notifier by NOTIFY_SOCKET and WATCHDOG_USEC, as systemd set them."""
        given = os.environ if environment is None else environment
        ours = given.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        usec = given.get("WATCHDOG_USEC") if ours else None
        return cls(given.get("NOTIFY_SOCKET") or None, int(usec) / 1e6 if usec else None)

    def ready(self) -> None:
        """Tell that the daemon has started, or is done with a reload."""
        self._send("READY=1")

    def reloading(self) -> None:
        """Tell that the settings are read again; `ready` ends it."""
        self._send(
            f"RELOADING=1\nMONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}"
        )

    def stopping(self) -> None:
        self._send("STOPPING=1")

    def watchdog(self) -> None:
        """Feed the watchdog."""
        self._send("WATCHDOG=1")

    def status(self, text: str) -> None:
        """Show one line in `systemctl status`; the same line again is not sent."""
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
    """Heartbeats of the threads that must never hang. A thread that waits (no camera, no event to
    send) wakes up to beat."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._due: dict[str, float] = {}

    def expect(self, name: str, within_s: float) -> Beat:
        """The function that the thread `name` must call at least every `within_s` from now on."""
        beat = partial(self._beat, name, within_s)
        beat()
        return beat

    def stale(self) -> tuple[str, ...]:
        """Names of the threads whose beat is overdue, sorted."""
        now = self._clock()
        with self._lock:
            return tuple(sorted(name for name, due in self._due.items() if now > due))

    def _beat(self, name: str, within_s: float) -> None:
        with self._lock:
            self._due[name] = self._clock() + within_s


class Watchdog:
    """Feeds systemd's watchdog while no thread is overdue; otherwise systemd restarts the
    daemon."""

    def __init__(self, notifier: Notifier, heartbeats: Heartbeats) -> None:
        self._notifier = notifier
        self._heartbeats = heartbeats
        self._told: tuple[str, ...] = ()

    @property
    def every_s(self) -> float | None:
        """How often to call `feed`: a third of systemd's time; None without a watchdog."""
        patience = self._notifier.watchdog_s
        return None if patience is None else patience / 3

    def feed(self) -> tuple[str, ...]:
        """Feed the watchdog if all is well; the names of the overdue threads."""
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
