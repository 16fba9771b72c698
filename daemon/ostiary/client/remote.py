"""A running door, asked over MQTT: what the command line and other programs use."""

import queue
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Self, TypeVar

from pydantic import BaseModel, TypeAdapter

from ostiary.errors import BrokerUnavailable, TimedOut, error_of
from ostiary.messages.commands import Answer, ErrorDetail, Request
from ostiary.messages.events import AnyEvent
from ostiary.mqtt.connection import MQTT5, MQTT311, Connection, Incoming, Login, ProtocolRefused
from ostiary.mqtt.signing import Signer
from ostiary.mqtt.topics import Topics

A = TypeVar("A", bound=Answer)

WINDOW = 16


class _Response(BaseModel):
    """Either kind of response, before it is known what its data should be."""

    transaction: str | int | None = None
    data: dict[str, object] | None = None
    error: ErrorDetail | None = None


class RemoteDoor:
    """One connection to one door. Use it as a context manager, from one thread."""

    def __init__(
        self, login: Login, topics: Topics, signer: Signer | None = None, timeout_s: float = 40.0
    ) -> None:
        """`signer` signs each command, where the door demands that."""
        self._topics = topics
        self._signer = signer
        self._timeout_s = timeout_s
        self._incoming: queue.SimpleQueue[Incoming | None] = queue.SimpleQueue()
        self._login = login
        self._connection: Connection | None = None

    def __enter__(self) -> Self:
        """Connect. Raises BrokerUnavailable."""
        try:
            self._connection = self._open(Connection(self._login, MQTT5, WINDOW, self))
        except ProtocolRefused:
            self._connection = self._open(Connection(self._login, MQTT311, WINDOW, self))
        return self

    def __exit__(self, *_: object) -> None:
        if self._connection is not None:
            self._connection.close()

    def ask(self, command: str, request: Request, answer: type[A]) -> A:
        """Send one command and wait for its answer.

        Raises the door's own error (any OstiaryError, with its code), TimedOut where no answer
        comes, BrokerUnavailable where the connection ends.
        """
        connection = self._connected()
        transaction = uuid.uuid4().hex
        asked = request.model_copy(update={"transaction": transaction})
        topic = self._topics.request(command)
        payload = asked.model_dump_json(exclude_unset=True)  # null clears
        if self._signer is not None:
            payload = self._signer.sign(topic, payload, datetime.now(UTC)).model_dump_json()
        connection.publish(topic, payload.encode())
        until = time.monotonic() + self._timeout_s
        for incoming in self._messages(until):
            if incoming.topic != self._topics.response(command):
                continue
            response = _Response.model_validate_json(incoming.payload)
            if response.transaction != transaction:
                continue
            if response.error is not None:
                raise error_of(response.error.code)(response.error.message)
            return answer.model_validate(response.data)
        raise TimedOut(
            f"No answer in {self._timeout_s:g} s. Is the door {self._topics.base} running, and "
            "may you send it commands?"
        )

    def follow(self) -> Iterator[AnyEvent]:
        """Events as they arrive, each once, until the connection ends."""
        connection = self._connected()
        connection.subscribe(self._topics.event_login)
        connection.subscribe(self._topics.event_user)
        connection.subscribe(self._topics.event_door)
        newest = 0
        for incoming in self._messages(until=None):
            if incoming.topic not in (
                self._topics.event_login,
                self._topics.event_user,
                self._topics.event_door,
            ):
                continue
            event = TypeAdapter[AnyEvent](AnyEvent).validate_json(incoming.payload)
            if event.seq > newest:
                newest = event.seq
                yield event

    # what Connection tells, on its network thread

    def message(self, incoming: Incoming) -> None:
        self._incoming.put(incoming)

    def lost(self, _connection: Connection, _reason: str) -> None:
        self._incoming.put(None)

    def _open(self, connection: Connection) -> Connection:
        connection.open()
        connection.subscribe(self._topics.response("+"))
        return connection

    def _connected(self) -> Connection:
        if self._connection is None or not self._connection.alive:
            raise BrokerUnavailable("The connection to the broker has ended.")
        return self._connection

    def _messages(self, until: float | None) -> Iterator[Incoming]:
        while True:
            left = None if until is None else until - time.monotonic()
            if left is not None and left <= 0:
                return
            try:
                incoming = self._incoming.get(timeout=left)
            except queue.Empty:
                return
            if incoming is None:
                raise BrokerUnavailable("The broker ended the connection.")
            self._connected().acknowledge(incoming)
            yield incoming


def new_client_id() -> str:
    """A name that no other client of the broker has."""
    return f"ostiary-cli-{uuid.uuid4().hex[:12]}"
