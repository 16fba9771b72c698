"""Tells systemd how the daemon is: the protocol of sd_notify(3), one datagram a message."""

import os
import socket
import time
from collections.abc import Mapping

import structlog

log = structlog.get_logger(__name__)


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
