"""Limits on guessing and on haste. Both forget; neither touches the disk."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from ostiary.errors import TooManyAttempts

FIRST_LOCK_S = 60.0
LONGEST_LOCK_S = 900.0
FORGET_AFTER_S = 3600.0
REMEMBERED = 10_000


class Wait(TooManyAttempts):
    """Says for how long."""

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, slots=True)
class _Tries:
    failures: int
    locked_until: float
    last: float


class LockOut:
    """After so many failures in a row a key (an account at an address, an address) is locked for a
    minute, and for twice as long after each further one, up to a quarter of an hour."""

    def __init__(self, tries: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._tries = tries
        self._clock = clock
        self._lock = threading.Lock()
        self._known: dict[str, _Tries] = {}

    def attempt(self, *keys: str) -> None:
        """Count a try as failed, before it is known: of those that come at the same time no more
        are let through than one after the other. Raises TooManyAttempts while a key is locked."""
        now = self._clock()
        with self._lock:
            until = max(
                (self._known[key].locked_until for key in keys if key in self._known), default=0.0
            )
            if until > now:
                raise Wait(f"Too many wrong tries. Wait {_in_words(until - now)}.", until - now)
            self._forget(now)
            for key in keys:
                before = self._known.get(key)
                failures = 1 if before is None else before.failures + 1
                beyond = failures - self._tries
                locked = (
                    0.0
                    if beyond < 0
                    else min(FIRST_LOCK_S * 2.0 ** min(beyond, 10), LONGEST_LOCK_S)
                )
                self._known[key] = _Tries(failures, now + locked, now)

    def succeeded(self, *keys: str) -> None:
        with self._lock:
            for key in keys:
                self._known.pop(key, None)

    def _forget(self, now: float) -> None:
        if len(self._known) < REMEMBERED:
            return
        self._known = {
            key: each
            for key, each in self._known.items()
            if each.locked_until > now or now - each.last < FORGET_AFTER_S
        }
        while len(self._known) >= REMEMBERED:
            del self._known[next(iter(self._known))]


def _in_words(seconds: float) -> str:
    return (
        f"{max(1, round(seconds))} seconds" if seconds < 100 else f"{round(seconds / 60)} minutes"
    )
