"""Limits how often somebody may ask."""

import time
from collections.abc import Callable

REMEMBERED = 10_000
"""Clients that are counted at the same time."""


class RateLimit:
    """A token bucket for each client: `rate` requests a second on average, `at_once` in a row. Use
    it from one thread only, or under a lock."""

    def __init__(
        self, rate: float, at_once: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._rate = rate
        self._full = max(1.0, at_once)
        self._clock = clock
        self._buckets: dict[str, tuple[float, float]] = {}  # client: tokens, when

    def wait_s(self, client: str) -> float:
        """Seconds until there is a token; 0: there is one. Takes none."""
        tokens = self._tokens(client, self._clock())
        return 0.0 if tokens >= 1.0 else (1.0 - tokens) / self._rate

    def take(self, client: str) -> float:
        """Take a token. Returns 0, or the seconds until there is one."""
        now = self._clock()
        tokens = self._tokens(client, now)
        if tokens < 1.0:
            return (1.0 - tokens) / self._rate
        if len(self._buckets) >= REMEMBERED and client not in self._buckets:
            self._buckets = {
                each: (left, at)
                for each, (left, at) in self._buckets.items()
                if left + (now - at) * self._rate < self._full
            }
        self._buckets[client] = (tokens - 1.0, now)
        return 0.0

    def _tokens(self, client: str, now: float) -> float:
        tokens, when = self._buckets.get(client, (self._full, now))
        return min(self._full, tokens + (now - when) * self._rate)
