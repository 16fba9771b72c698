"""Which sessions said their password a moment ago. Forgotten at a restart: then it is asked for."""

import threading
from collections.abc import Callable
from datetime import datetime, timedelta

from ostiary.store.sessions import Session


class Confirmations:
    """A cookie that was stolen says no password: it does not do what needs a confirmation."""

    def __init__(self, lasting: timedelta, clock: Callable[[], datetime]) -> None:
        self._lasting = lasting
        self._clock = clock
        self._lock = threading.Lock()
        self._said: dict[tuple[str, str], datetime] = {}

    def confirm(self, session: Session, address: str) -> None:
        """The password of this session's account was said just now, from there."""
        with self._lock:
            self._said = {key: at for key, at in self._said.items() if self._is_fresh(at)}
            self._said[session.csrf, address] = self._clock()

    def holds(self, session: Session, address: str) -> bool:
        """Only there: the cookie may be in use elsewhere, too."""
        with self._lock:
            at = self._said.get((session.csrf, address))
        return at is not None and self._is_fresh(at)

    def _is_fresh(self, at: datetime) -> bool:
        return timedelta(0) <= self._clock() - at <= self._lasting
