"""Commands over MQTT: taken in, run one at a time by a worker, answered.

A command is acknowledged to the broker only after the broker has acknowledged its answer. So after
a crash the broker delivers it again, and the command log keeps it from running twice. Commands to a
door have a worker of their own: a lockdown does not wait for pictures.
"""

import queue
import threading
import time
from dataclasses import dataclass

import structlog

from ostiary.clock import utc_now
from ostiary.commands.commands import COMMANDS, Commands, named
from ostiary.commands.registry import MQTT, MQTT_SIGNED, Asker, Context, check_size, failed
from ostiary.errors import (
    AnswerTooLarge,
    Busy,
    NotAllowed,
    OstiaryError,
)
from ostiary.messages.commands.base import Answer, OkResponse, Transaction
from ostiary.mqtt.client import MqttClient
from ostiary.mqtt.connection import Connection, Incoming
from ostiary.mqtt.session import AckOrder
from ostiary.mqtt.signing import Verifier
from ostiary.mqtt.topics import Topics
from ostiary.settings import Settings
from ostiary.store.command_log import SIGNATURE, CommandKey

log = structlog.get_logger(__name__)


LONGEST_PROPERTY = 256
"""Bytes of a Response Topic or of Correlation Data."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    incoming: Incoming
    since: float  # monotonic seconds


class _Lane:
    """The commands that wait for one worker: `at_most` of them, and `bytes_at_most` together."""

    def __init__(self, at_most: int, bytes_at_most: int) -> None:
        self._at_most = at_most
        self._bytes_at_most = bytes_at_most
        self._lock = threading.Lock()
        self._bytes = 0
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()

    def put(self, waiting: _Waiting) -> bool:
        """Queue a command; False: there is no room."""
        size = len(waiting.incoming.payload)
        with self._lock:
            is_full = self._queue.qsize() >= self._at_most or (
                self._bytes and self._bytes + size > self._bytes_at_most
            )
            if is_full:
                return False
            self._bytes += size
            self._queue.put(waiting)
        return True

    def take(self) -> _Waiting | None:
        """Wait for the next command; None: there comes none any more."""
        waiting = self._queue.get()
        if waiting is not None:
            with self._lock:
                self._bytes -= len(waiting.incoming.payload)
        return waiting

    def end(self) -> None:
        self._queue.put(None)


class Requests:
    """Takes commands in and answers them. `arrived` is called on the network thread; everything
    else happens on the workers'."""

    def __init__(
        self,
        commands: Commands,
        client: MqttClient,
        topics: Topics,
        settings: Settings,
        verifier: Verifier | None = None,
    ) -> None:
        self._commands = commands
        self._client = client
        self._topics = topics
        self._verifier = verifier
        self._most_bytes = commands.limits.images.bytes
        self._time_limit_s = settings.commands.time_limit_s
        self._response_prefixes = (topics.response(""), *settings.mqtt.response_prefixes)
        waiting, together = commands.limits.waiting, 8 * self._most_bytes
        self._lane, self._urgent = (_Lane(waiting, together) for _ in range(2))
        self._acks = AckOrder()
        self._threads = [
            threading.Thread(target=self._run, args=(lane,), name=name, daemon=True)
            for name, lane in (("commands", self._lane), ("commands-door", self._urgent))
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self, timeout_s: float) -> None:
        """Stop. The command that runs may end within `timeout_s`; those that wait are delivered
        again later."""
        self._lane.end()
        self._urgent.end()
        until = time.monotonic() + timeout_s
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    def arrived(self, incoming: Incoming) -> None:
        """Take in one message, or answer at once that too many wait."""
        self._acks.arrived(incoming)
        name = self._topics.command_of(incoming.topic)
        try:
            command = COMMANDS.get(name or "")
            check_size(command, len(incoming.payload), self._most_bytes)
            lane = self._urgent if command is not None and command.urgent else self._lane
            if not lane.put(_Waiting(incoming, time.monotonic())):
                raise Busy("Too many commands wait.")
        except OstiaryError as error:
            self._answer(incoming, failed(incoming.payload, error))

    def seen(self, incoming: Incoming) -> None:
        """Acknowledge a message that is no command, in its turn."""
        self._acks.arrived(incoming)
        self._acks.done(incoming)

    def _run(self, lane: _Lane) -> None:
        while (waiting := lane.take()) is not None:
            incoming = waiting.incoming
            try:
                response = self._handle(incoming, waiting.since)
            except OstiaryError as error:
                log.info("command_refused", topic=incoming.topic, code=error.code)
                response = failed(incoming.payload, error)
            except Exception:  # one command must not end the worker
                log.exception("command_failed", topic=incoming.topic)
                response = failed(incoming.payload, OstiaryError("Something failed; see the log."))
            if response is None:
                self._acks.done(incoming)
            else:
                self._answer(incoming, response)

    def _handle(self, incoming: Incoming, since: float) -> bytes | None:
        """Run the command and give its response; None for a message that gets none."""
        name = self._topics.command_of(incoming.topic)
        if name is None:
            return None
        if incoming.retain:
            log.warning("retained_command_ignored", topic=incoming.topic)
            return None
        command = named(name)
        self._check_response_topic(incoming)
        payload, nonce, asker = self._verified(name, incoming)
        request = command.parse(payload)
        context = Context(
            source="mqtt",
            key=_key(name, incoming, payload, request.transaction),
            deadline=since + self._time_limit_s,
            nonce=nonce,
            redelivered=incoming.dup,
            asker=asker,
        )
        answer: Answer = self._commands.run(command, request, context)
        return OkResponse(data=answer, transaction=request.transaction).to_json()

    def _verified(self, name: str, incoming: Incoming) -> tuple[bytes, CommandKey | None, Asker]:
        """Verify the signature, where one is needed. Gives the request itself, the key of its nonce
        and who asks."""
        if self._verifier is None:
            return incoming.payload, None, Asker(None, MQTT)
        signed = self._verifier.verify(incoming.topic, incoming.payload, utc_now())
        client = self._verifier.client_of(signed)
        if client is not None:
            log.info("command_signed", command=name, client=client)
        payload = signed.payload.encode("utf-8", "surrogatepass")
        secret = COMMANDS[name].secret
        nonce = CommandKey.of(name, signed.nonce, payload, SIGNATURE, secret=secret)
        return payload, nonce, Asker(client and f"client:{client}", MQTT_SIGNED, confirmed=True)

    def _check_response_topic(self, incoming: Incoming) -> None:
        topic = incoming.response_topic
        if topic is not None and not self._permitted(incoming, topic):
            raise NotAllowed(
                f"A Response Topic has at most {LONGEST_PROPERTY} bytes, must begin with "
                f"{' or '.join(self._response_prefixes)}, and be that of no other command."
            )

    def _permitted(self, incoming: Incoming, topic: str) -> bool:
        """Whether the answer may go to `topic`: never to another command's, where it would be taken
        for that one's."""
        own = self._topics.command_of(incoming.topic)
        whose = topic.removeprefix(self._topics.response("")).split("/")[0]
        if topic.startswith(self._topics.response("")) and whose in COMMANDS and whose != own:
            return False
        levels = topic.split("/")
        return (
            len(topic.encode("utf-8", "surrogatepass")) <= LONGEST_PROPERTY
            and topic.startswith(self._response_prefixes)
            and not set(topic) & set("+#\0")
            and not {".", ".."} & set(levels)  # some brokers' bridges take topics for paths
        )

    def _answer(self, incoming: Incoming, response: bytes) -> None:
        connection = self._client.connection
        if connection is None:
            return  # the command is not acknowledged: it comes again, and is answered then
        topic = self._topics.response(self._topics.command_of(incoming.topic) or "")
        if incoming.response_topic is not None and self._permitted(
            incoming, incoming.response_topic
        ):
            topic = incoming.response_topic
        if topic == self._topics.response(""):
            self._acks.done(incoming)
            return
        fitting = self._fitting(connection, topic, incoming, response)
        if fitting is None:  # it would come again for ever
            log.error("answer_too_large", topic=topic, bytes=len(response))
            self._acks.done(incoming)
            return
        connection.publish(
            topic,
            fitting,
            correlation=incoming.correlation,
            acknowledged=lambda refused: self._answered(incoming, refused),
        )

    def _fitting(
        self, connection: Connection, topic: str, incoming: Incoming, response: bytes
    ) -> bytes | None:
        """The response, or an error that says it is larger than the broker takes, as long as the
        broker takes it; None: not even that fits."""
        limit = connection.limits.packet_bytes
        name = self._topics.command_of(incoming.topic) or ""
        error = AnswerTooLarge(too_large(name, len(response), limit or 0))
        brief = AnswerTooLarge(f"At most {limit} bytes.")
        answers = (
            response,
            failed(incoming.payload, error, limit),
            failed(incoming.payload, brief, limit),
            failed(b"", brief, limit),
        )
        for answer in answers:
            if connection.fits(topic, answer, correlation=incoming.correlation):
                return answer
        return None

    def _answered(self, incoming: Incoming, refused: str | None) -> None:
        if refused is not None:
            log.error("answer_refused", topic=incoming.topic, reason=refused)
        self._acks.done(incoming)


def too_large(command: str, size: int, limit: int) -> str:
    """Say that the answer of `command` has `size` bytes, more than `limit`, and what to do."""
    kind = COMMANDS.get(command)
    done = "The command was run, but its answer" if kind and kind.changes else "The answer"
    said = f"{done} has {size:,} bytes, and this broker takes messages of {limit:,} at most."
    if kind is not None and "limit" in kind.request.model_fields:
        return f"{said} Ask for fewer at once: a smaller `limit`, and go on with `cursor`."
    if kind is not None and "width" in kind.request.model_fields:
        return f"{said} Ask for a smaller picture by `width`."
    return f"{said} Raise the broker's limit, or ask over HTTP."


def _key(
    name: str, incoming: Incoming, payload: bytes, transaction: Transaction | None
) -> CommandKey | None:
    """The key that makes two deliveries the same command; None: nothing tells them apart."""
    requester, secret = incoming.response_topic or "", COMMANDS[name].secret
    if transaction is not None:
        return CommandKey.of(name, f"{transaction!r}", payload, requester, secret=secret)
    if incoming.correlation is not None:
        asker = f"mqtt5:{requester}"
        return CommandKey.of(name, incoming.correlation, payload, asker, secret=secret)
    return None
