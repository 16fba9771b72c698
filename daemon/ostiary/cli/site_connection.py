"""The operator's side of a site: hears what the broker keeps of it, and lets it keep more."""

import queue
import secrets
import time
from collections.abc import Iterable
from typing import Self

from ostiary.errors import BrokerUnavailable
from ostiary.mqtt.broker import Login, Loss, ProtocolRefused
from ostiary.mqtt.connection import Connection, Incoming
from ostiary.mqtt.paho_client import MQTT5, MQTT311
from ostiary.site.topics import SHARDS, SiteTopics

WINDOW = 256
QUIET_S = 2.0
ACKNOWLEDGED_WITHIN_S = 30.0


class SiteConnection:
    """One connection. Use it as a context manager, from one thread."""

    def __init__(self, login: Login, topics: SiteTopics) -> None:
        self.topics = topics
        self._login = login
        self._own = secrets.token_hex(8)
        self._incoming: queue.SimpleQueue[Incoming | Loss] = queue.SimpleQueue()
        self._connection: Connection | None = None

    def __enter__(self) -> Self:
        """Connect. Raises BrokerUnavailable."""
        try:
            self._connection = self._opened(Connection(self._login, MQTT5, WINDOW, self))
        except ProtocolRefused:
            self._connection = self._opened(Connection(self._login, MQTT311, WINDOW, self))
        return self

    def __exit__(self, *_: object) -> None:
        if self._connection is not None:
            self._connection.close()

    def kept(self, topic: str) -> bytes | None:
        """What the broker keeps under one topic; None: nothing."""
        return self._heard([topic])[0].get(topic) or None

    def doors(self) -> dict[str, bytes]:
        """What every door said of itself last, by topic."""
        return self._heard([self.topics.doors])[0]

    def people(self) -> dict[str, bytes]:
        """What is kept of everybody, by topic; in parts where the broker has no room for all."""
        found, is_whole = self._heard([self.topics.people])
        if not is_whole:
            for shard in SHARDS:
                found.update(self._heard([self.topics.shard(shard)])[0])
        return {topic: payload for topic, payload in found.items() if payload}

    def publish(self, messages: Iterable[tuple[str, bytes]]) -> None:
        """Let the broker keep these, and wait until it has them all. Raises BrokerUnavailable, or
        RequestTooLarge for one that is larger than the broker takes."""
        told: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        under_way = 0
        for topic, payload in messages:
            self.check_fits(topic, payload)
            if not self._connected().publish(topic, payload, retain=True, acknowledged=told.put):
                raise BrokerUnavailable("The broker ended the connection.")
            under_way += 1
        for _ in range(under_way):
            try:
                refused = told.get(timeout=ACKNOWLEDGED_WITHIN_S)
            except queue.Empty:
                raise BrokerUnavailable("The broker does not acknowledge; try again.") from None
            if refused is not None:
                raise BrokerUnavailable(
                    f"The broker refuses that ({refused}). Does its ACL let you write "
                    f"{self.topics.everything}?"
                )

    def check_fits(self, topic: str, payload: bytes) -> None:
        """Raises RequestTooLarge for a message that is larger than the broker takes."""
        self._connected().check_fits(topic, payload)

    def listen(self, topic: str) -> None:
        """Hear what is said there from now on. Raises BrokerUnavailable."""
        self._connected().subscribe(topic)

    def say(self, topic: str, payload: bytes) -> None:
        """Nothing is kept of it."""
        self._connected().publish(topic, payload)

    def next(self, topic: str, timeout_s: float) -> bytes | None:
        """What is said there next; None: nothing in that time."""
        until = time.monotonic() + timeout_s
        while (left := until - time.monotonic()) > 0:
            incoming = self._get(left)
            if incoming is not None and incoming.topic == topic and incoming.payload:
                return incoming.payload
        return None

    # what Connection tells, on its network thread

    def message(self, incoming: Incoming) -> None:
        self._incoming.put(incoming)

    def lost(self, _connection: Connection, loss: Loss) -> None:
        self._incoming.put(loss)

    def _opened(self, connection: Connection) -> Connection:
        connection.open()
        connection.subscribe(self.topics.mark(self._own))
        return connection

    def _heard(self, filters: list[str]) -> tuple[dict[str, bytes], bool]:
        """What is kept under these, and whether the broker had room for all of it."""
        connection = self._connected()
        for each in filters:
            connection.subscribe(each)
        mark = secrets.token_hex(8).encode()
        connection.publish(self.topics.mark(self._own), mark)
        found: dict[str, bytes] = {}
        is_whole = False
        while not is_whole:
            incoming = self._get(QUIET_S)
            if incoming is None:
                break
            if incoming.topic != self.topics.mark(self._own):
                found[incoming.topic] = incoming.payload
            is_whole = incoming.payload == mark
        for each in filters:
            connection.unsubscribe(each)
        return found, is_whole

    def _get(self, timeout_s: float) -> Incoming | None:
        try:
            incoming = self._incoming.get(timeout=timeout_s)
        except queue.Empty:
            return None
        if isinstance(incoming, Loss):
            raise BrokerUnavailable(f"The connection ended: {incoming.words}.")
        self._connected().acknowledge(incoming)
        return incoming

    def _connected(self) -> Connection:
        if self._connection is None or not self._connection.alive:
            raise BrokerUnavailable("The connection to the broker has ended.")
        return self._connection
