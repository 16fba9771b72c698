"""What lasts from one connection to the next: back-off, subscriptions, unacknowledged commands, and
what the broker keeps of this door."""

import queue
import random
import threading
from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from types import MappingProxyType

import structlog

from ostiary.errors import BrokerUnavailable, OstiaryError
from ostiary.mqtt.connection import Connection, Incoming
from ostiary.store.announced import Announced

log = structlog.get_logger(__name__)

_NOTHING: Mapping[str, Sequence[str]] = MappingProxyType({})
_TRIES = 2
"""A broker may hang up on a topic that this door may not write any more."""


class Backoff:
    """How long to wait before trying again: doubles from `first_s` to `at_most_s`, with jitter, so
    that many doors do not come back to a restarted broker in the same moment."""

    def __init__(self, first_s: float, at_most_s: float) -> None:
        self._first_s = first_s
        self._at_most_s = at_most_s
        self._next_s = first_s

    def wait_s(self) -> float:
        """Seconds to wait this time: half to all of the next step."""
        step = min(self._next_s, self._at_most_s)
        self._next_s = min(step * 2, self._at_most_s)
        return step * random.uniform(0.5, 1.0)

    def reset(self) -> None:
        """Begin again with the shortest wait."""
        self._next_s = self._first_s


class AckOrder:
    """Acknowledges commands in the order in which they came, as MQTT 5 (4.6) demands. A command is
    acknowledged once it and all before it are done. Until then the broker keeps it, and delivers it
    again to a daemon that died."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._connection: Connection | None = None
        self._under_way: deque[Incoming] = deque()
        self._done: set[int] = set()

    def arrived(self, incoming: Incoming) -> None:
        """Note a message. Call it in the order of arrival."""
        if not incoming.qos:
            return
        with self._lock:
            if incoming.connection is not self._connection:  # the old ones will come again
                self._connection = incoming.connection
                self._under_way.clear()
                self._done.clear()
            self._under_way.append(replace(incoming, payload=b"", correlation=None))

    def done(self, incoming: Incoming) -> None:
        """Note that its effect is on disk, and its answer with the broker (or none is needed)."""
        with self._lock:
            if not incoming.qos or incoming.connection is not self._connection:
                return
            self._done.add(incoming.mid)
            while self._under_way and self._under_way[0].mid in self._done:
                first = self._under_way.popleft()
                self._done.discard(first.mid)
                incoming.connection.acknowledge(first)


class Subscriptions:
    """Asks for the topics that are to be heard, until the broker grants them: an ACL may be mended,
    and a cluster may have elected its leader. All on the client's thread, except `refused`."""

    def __init__(
        self,
        *topics: str,
        instead: Mapping[str, Sequence[str]] = _NOTHING,
        optional: frozenset[str] = frozenset(),
    ) -> None:
        """`instead`: the topics to ask for in place of a filter, at a broker without wildcards.
        `optional`: topics that the broker may refuse without this being a fault."""
        self._topics = topics
        self._optional = optional
        self._instead = instead
        self._refused: dict[str, str] = {}

    @property
    def refused(self) -> tuple[str, ...]:
        """The topics that this client needs and that the broker refused."""
        return tuple(topic for topic in self._refused if topic not in self._optional)

    def ask(self, connection: Connection) -> None:
        """Ask for all topics, on a new connection."""
        instead = {} if connection.limits.wildcards else self._instead
        wanted = [each for topic in self._topics for each in instead.get(topic, (topic,))]
        self._refused = {each: why for each, why in self._refused.items() if each in wanted}
        for topic in wanted:
            self._ask(connection, topic)

    def tend(self, connection: Connection) -> tuple[str, ...]:
        """Ask again for those that were refused. Returns those that are granted now."""
        refused = tuple(self._refused)
        for topic in refused:
            self._ask(connection, topic)
        return tuple(topic for topic in refused if topic not in self._refused)

    def _ask(self, connection: Connection, topic: str) -> None:
        before = self._refused.get(topic)
        try:
            connection.subscribe(topic)
        except BrokerUnavailable as error:
            if not connection.alive:
                return
            self._refused[topic] = error.message
            if error.message != before:
                tell = log.info if topic in self._optional else log.error
                tell("subscription_refused", topic=topic, reason=error.message)
        else:
            self._refused.pop(topic, None)
            if before is not None:
                log.info("subscription_granted", topic=topic)


class TakingBack:
    """Takes back what the broker keeps of a door whose cameras, names or settings have changed.

    A retained topic is remembered in the database before it is published, and forgotten once the
    broker has taken its removal. `former`: topics of versions that remembered nothing. `begin` and
    `tend` are called on the client's own thread."""

    def __init__(self, memory: Announced, former: Iterable[str] = ()) -> None:
        self._memory = memory
        self._former = frozenset(former)
        self._tried: Counter[str] = Counter()
        self._taken: queue.SimpleQueue[str] = queue.SimpleQueue()

    def begin(self, connection: Connection, now: Iterable[str]) -> None:
        """Take back all but the topics of `now`. Call it on a new connection, before these are
        published."""
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
            answered = partial(self._answered, topic)
            connection.publish(topic, b"", retain=True, acknowledged=answered)

    def tend(self) -> None:
        """Forget the topics whose removal the broker has taken."""
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

    def _answered(self, topic: str, refused: str | None) -> None:
        if refused is None:
            self._taken.put(topic)
        else:
            log.warning("not_taken_back", topic=topic, reason=refused)
