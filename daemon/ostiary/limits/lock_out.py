"""Limits guessing: locks a key after too many failures. It forgets, and never touches the disk."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from ostiary.errors import TooManyAttempts

FIRST_LOCK_S = 60.0
LONGEST_LOCK_S = 900.0
FORGIVE_ONE_S = 900.0
"""After each so many seconds without a failure one of them is forgiven."""
REMEMBERED = 10_000
MOST_LOCKED = 10 * REMEMBERED


class Wait(TooManyAttempts):
    """Too many attempts; says how long to wait, in seconds."""

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, slots=True)
class _Tries:
    failures: int
    locked_until: float
    last: float

    def left(self, now: float) -> int:
        """How many failures are not forgiven yet."""
        return max(0, self.failures - int((now - self.last) // FORGIVE_ONE_S))


class LockOut:
    """Locks a key (an account at an address, an address) after `tries` failures in a row: for a
    minute, and for twice as long after each further failure, up to a quarter of an hour. Where
    there are too many keys, it forgets those that failed least, and no locked one."""

    def __init__(self, tries: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._tries = tries
        self._clock = clock
        self._lock = threading.Lock()
        self._known: dict[str, _Tries] = {}

    def attempt(self, *keys: str) -> None:
        """Count a try as failed before its outcome is known: so no more are let through at the same
        time than one after the other. Raises TooManyAttempts while a key is locked."""
        now = self._clock()
        with self._lock:
            self._check(keys, now)
            self._forget(now)
            for key in keys:
                before = self._known.get(key)
                failures = 1 if before is None else before.left(now) + 1
                beyond = failures - self._tries
                locked = (
                    0.0
                    if beyond < 0
                    else min(FIRST_LOCK_S * 2.0 ** min(beyond, 10), LONGEST_LOCK_S)
                )
                self._known[key] = _Tries(failures, now + locked, now)

    def check(self, *keys: str) -> None:
        """Raise TooManyAttempts while a key is locked; count nothing."""
        with self._lock:
            self._check(keys, self._clock())

    def _check(self, keys: tuple[str, ...], now: float) -> None:
        until = max(
            (self._known[key].locked_until for key in keys if key in self._known), default=0.0
        )
        if until > now:
            raise Wait(f"Too many wrong tries. Wait {_in_words(until - now)}.", until - now)

    def take_back(self, *keys: str) -> None:
        """Take back a try that was just counted: it was no failure."""
        with self._lock:
            for key in keys:
                each = self._known.get(key)
                if each is None:
                    continue
                if each.failures > 1:  # where this one locked, none came after it
                    self._known[key] = _Tries(each.failures - 1, 0.0, each.last)
                else:
                    del self._known[key]

    def succeeded(self, *keys: str) -> None:
        with self._lock:
            for key in keys:
                self._known.pop(key, None)

    def _forget(self, now: float) -> None:
        if len(self._known) < REMEMBERED:
            return
        locked = {key: each for key, each in self._known.items() if each.locked_until > now}
        if len(locked) >= MOST_LOCKED:
            locked = dict(sorted(locked.items(), key=lambda item: item[1].locked_until)[1:])
        others = [
            (key, each)
            for key, each in self._known.items()
            if each.locked_until <= now and each.left(now) > 0
        ]
        others.sort(key=lambda item: (item[1].left(now), item[1].last))
        services = max(0, REMEMBERED - len(locked)) * 9 // 10  # not anew for each of a flood
        self._known = locked | dict(others[max(0, len(others) - services) :])


def _in_words(seconds: float) -> str:
    return (
        f"{max(1, round(seconds))} seconds" if seconds < 100 else f"{round(seconds / 60)} minutes"
    )
