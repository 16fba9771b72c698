"""What is to be heard, asked for until the broker grants it."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import structlog

from ostiary.errors import BrokerUnavailable
from ostiary.mqtt.connection import Connection

log = structlog.get_logger(__name__)

NOTHING: Mapping[str, Sequence[str]] = MappingProxyType({})


class Subscriptions:
    """A refusal may be an ACL's, and then somebody mends that; or that of a cluster which is
    electing a leader, and the next try succeeds. On the client's thread, but for `refused`."""

    def __init__(
        self,
        *topics: str,
        instead: Mapping[str, Sequence[str]] = NOTHING,
        optional: frozenset[str] = frozenset(),
    ) -> None:
        """`instead`: the topics that a filter stands for, at a broker without wildcards.
        `optional`: it is no fault where the broker refuses these."""
        self._topics = topics
        self._optional = optional
        self._instead = instead
        self._refused: dict[str, str] = {}

    @property
    def refused(self) -> tuple[str, ...]:
        """The topics that the broker did not let this client hear, though it has to."""
        return tuple(topic for topic in self._refused if topic not in self._optional)

    def ask(self, connection: Connection) -> None:
        """On a new connection: for all."""
        instead = {} if connection.limits.wildcards else self._instead
        wanted = [each for topic in self._topics for each in instead.get(topic, (topic,))]
        self._refused = {each: why for each, why in self._refused.items() if each in wanted}
        for topic in wanted:
            self._ask(connection, topic)

    def tend(self, connection: Connection) -> tuple[str, ...]:
        """For those that were refused; which were granted now."""
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
