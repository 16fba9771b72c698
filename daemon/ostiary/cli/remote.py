"""A running door, asked over MQTT: what the command line and other programs use."""

import queue
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Self

from paho.mqtt.enums import MQTTProtocolVersion
from pydantic import TypeAdapter

from ostiary.errors import BrokerUnavailable, TimedOut
from ostiary.local.running_door import A, Response, RunningDoor
from ostiary.messages.commands.base import Request
from ostiary.messages.commands.decisions import EventsAnswer, EventsRequest
from ostiary.messages.events import AnyEvent
from ostiary.mqtt.broker import Login, Loss, ProtocolRefused
from ostiary.mqtt.connection import Connection, Incoming
from ostiary.mqtt.paho_client import MQTT5, MQTT311
from ostiary.mqtt.signing import Signer
from ostiary.mqtt.topics import Topics

WINDOW = 16
Heard = queue.SimpleQueue[Incoming | Loss | str]


class RemoteDoor(RunningDoor):
    """One connection to one door. Use it as a context manager, from one thread."""

    def __init__(
        self, login: Login, topics: Topics, signer: Signer | None = None, timeout_s: float = 40.0
    ) -> None:
        """`signer` signs each command, where the door demands that."""
        self._topics = topics
        self._signer = signer
        self._timeout_s = timeout_s
        self._incoming: Heard = queue.SimpleQueue()
        self._events: Heard = queue.SimpleQueue()
        self._event_topics = (topics.event_login, topics.event_user, topics.event_door)
        self._protocol = MQTT5
        self._login = login
        self._connection: Connection | None = None

    def __enter__(self) -> Self:
        """Connect. Raises BrokerUnavailable."""
        self._connected()
        return self

    def __exit__(self, *_: object) -> None:
        if self._connection is not None:
            self._connection.close()

    def ask(self, command: str, request: Request, answer: type[A]) -> A:
        """Send one command and wait for its answer.

        Raises the door's own error (any OstiaryError, with its code), TimedOut where no answer
        comes, RequestTooLarge where the broker does not take so much, BrokerUnavailable where the
        connection ends; the next command then connects again.
        """
        connection = self._connected()
        if not connection.limits.wildcards:
            connection.subscribe(self._topics.response(command))
        self._forget_heard()
        transaction = uuid.uuid4().hex
        asked = request.model_copy(update={"transaction": transaction})
        topic = self._topics.request(command)
        payload = asked.model_dump_json(exclude_unset=True)  # null clears
        if self._signer is not None:
            payload = self._signer.sign(topic, payload, datetime.now(UTC)).model_dump_json()
        connection.check_fits(topic, payload.encode())
        if not connection.publish(topic, payload.encode(), acknowledged=self._refused):
            raise BrokerUnavailable("The connection to the broker has ended.")
        until = time.monotonic() + self._timeout_s
        for incoming in self._messages(self._incoming, until):
            if incoming.topic != self._topics.response(command):
                continue
            response = Response.model_validate_json(incoming.payload)
            if response.transaction == transaction:
                return response.answer(answer)
        raise TimedOut(
            f"No answer in {self._timeout_s:g} s. Is the door {self._topics.base} running, and "
            "may you send it commands?"
        )

    def follow(self, after: int) -> Iterator[AnyEvent]:
        """Events after `after`, until the connection ends."""
        self._events = queue.SimpleQueue()
        connection = self._connected()
        for topic in self._event_topics:
            connection.subscribe(topic)
        request = EventsRequest(cursor=after, newest_first=False)
        for page in self.pages("events", request, EventsAnswer):
            for event in page.events:
                after = event.seq
                yield event
        for incoming in self._messages(self._events, until=None):
            event = TypeAdapter[AnyEvent](AnyEvent).validate_json(incoming.payload)
            if event.seq > after:
                after = event.seq
                yield event

    # what Connection tells, on its network thread

    def message(self, incoming: Incoming) -> None:
        heard = self._events if incoming.topic in self._event_topics else self._incoming
        heard.put(incoming)

    def lost(self, connection: Connection, loss: Loss) -> None:
        if connection is self._connection:
            self._incoming.put(loss)
            self._events.put(loss)

    @property
    def packet_limit(self) -> int | None:
        """The largest message that the broker takes, in bytes; None: it does not say. Raises
        BrokerUnavailable."""
        return self._connected().limits.packet_bytes

    def _refused(self, reason: str | None) -> None:
        if reason is not None:
            self._incoming.put(reason)

    def _forget_heard(self) -> None:
        """Forget answers to earlier commands."""
        while not self._incoming.empty():
            self._incoming.get()

    def _open(self, protocol: MQTTProtocolVersion) -> Connection:
        connection = Connection(self._login, protocol, WINDOW, self)
        connection.open()
        if connection.limits.wildcards:
            connection.subscribe(self._topics.response("+"))
        return connection

    def _connected(self) -> Connection:
        """The connection; a new one where it has ended. Raises BrokerUnavailable."""
        if self._connection is None or not self._connection.alive:
            try:
                self._connection = self._open(self._protocol)
            except ProtocolRefused:
                self._protocol = MQTT311 if self._protocol == MQTT5 else MQTT5
                self._connection = self._open(self._protocol)
        return self._connection

    def _messages(self, heard: Heard, until: float | None) -> Iterator[Incoming]:
        while True:
            left = None if until is None else until - time.monotonic()
            if left is not None and left <= 0:
                return
            try:
                incoming = heard.get(timeout=left)
            except queue.Empty:
                return
            if isinstance(incoming, str):
                raise BrokerUnavailable(f"The broker refuses the command: {incoming}.")
            if isinstance(incoming, Loss):
                raise BrokerUnavailable(f"The connection ended: {incoming.words}.")
            incoming.connection.acknowledge(incoming)
            yield incoming


def new_client_id() -> str:
    """A client id that no other client of the broker has."""
    return f"ostiary-cli-{uuid.uuid4().hex[:12]}"
