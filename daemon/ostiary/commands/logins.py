"""How many pictures somebody may try with `login`."""

import threading

from ostiary.errors import TooManyAttempts
from ostiary.limits.rate import RateLimit


class DeniedLogins:
    """A denied picture of a face says how near it came. Who may send thousands finds one that
    passes, so denials are counted, by where they come from; who is let in costs nothing."""

    def __init__(self, per_minute: float) -> None:
        self._rate = RateLimit(per_minute / 60.0, per_minute)
        self._lock = threading.Lock()

    def check(self, sender: str) -> None:
        """Raises TooManyAttempts."""
        with self._lock:
            wait_s = self._rate.wait_s(sender)
        if wait_s > 0:
            raise TooManyAttempts(
                f"Too many pictures were denied; try again in {max(1, round(wait_s))} s "
                "(commands.denied_logins_per_minute)."
            )

    def denied(self, sender: str) -> None:
        """Count one."""
        with self._lock:
            self._rate.take(sender)
