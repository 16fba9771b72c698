"""Takes back what the broker keeps of a door that has other cameras, names or settings since.

What is published to be kept is remembered in the database before it is sent, and forgotten once the
broker has taken its removal.
"""

import queue
from collections import Counter
from collections.abc import Iterable
from functools import partial

import structlog

from ostiary.errors import OstiaryError
from ostiary.mqtt.connection import Connection
from ostiary.store.announced import Announced

log = structlog.get_logger(__name__)

_TRIES = 2
"""A broker may hang up on a topic that this door may not write any more."""


class TakingBack:
    """`former`: what versions that remembered nothing may have published. `begin` and `tend` are
    called on the client's own thread."""

    def __init__(self, memory: Announced, former: Iterable[str] = ()) -> None:
        self._memory = memory
        self._former = frozenset(former)
        self._tried: Counter[str] = Counter()
        self._taken: queue.SimpleQueue[str] = queue.SimpleQueue()

    def begin(self, connection: Connection, now: Iterable[str]) -> None:
        """On a new connection, before the topics of `now` are published."""
        kept = frozenset(now)
        try:
            known = self._memory.topics()
            before = known or self._former
            self._memory.add((before | kept) - known)
        except OstiaryError as error:
            log.warning("announced_not_remembered", code=error.code)
            return
        gone = sorted(topic for topic in before - kept if self._tried[topic] < _TRIES)
        for topic in gone if connection.limits.retain else ():
            self._tried[topic] += 1
            told = partial(self._told, topic)
            connection.publish(topic, b"", retain=True, acknowledged=told)

    def tend(self) -> None:
        """Forget what was taken back."""
        taken = []
        while not self._taken.empty():
            taken.append(self._taken.get())
        if not taken:
            return
        try:
            self._memory.remove(taken)
        except OstiaryError:  # the database says so itself, once
            for topic in taken:
                self._taken.put(topic)

    def _told(self, topic: str, refused: str | None) -> None:
        if refused is None:
            self._taken.put(topic)
        else:
            log.warning("not_taken_back", topic=topic, reason=refused)
