"""How a command reaches a running door, by its socket or a broker; and the doors, asked and set."""

import inspect
import queue
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import is_dataclass
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, Self

import typer
from paho.mqtt.enums import MQTTProtocolVersion
from pydantic import BaseModel, TypeAdapter, ValidationError
from rich.console import Console
from rich.table import Table

from ostiary.cli.options import AsJson, DoorOption
from ostiary.errors import BrokerUnavailable, RequestMalformed, TimedOut
from ostiary.local.client import A, LocalDoor, Response, RunningDoor, is_served
from ostiary.messages.commands.base import Request
from ostiary.messages.commands.decisions import EventsAnswer, EventsRequest
from ostiary.messages.commands.device import ReloadAnswer, ReloadRequest
from ostiary.messages.commands.doors import (
    Action,
    DoorAnswer,
    DoorRequest,
    DoorsAnswer,
    DoorsRequest,
)
from ostiary.messages.events import AnyEvent
from ostiary.messages.state import EntranceState
from ostiary.mqtt.broker import Login, Loss, ProtocolRefused, login_of
from ostiary.mqtt.connection import Connection, Incoming
from ostiary.mqtt.paho_client import MQTT5, MQTT311
from ostiary.mqtt.security import command_signer
from ostiary.mqtt.signing import Signer
from ostiary.mqtt.topics import Topics
from ostiary.settings import MqttSettings, Settings, describe_validation, load_settings

users = typer.Typer(help="People, on a running door.", no_args_is_help=True)
doors = typer.Typer(help="The doors themselves, on a running door.", no_args_is_help=True)

Config = Annotated[
    Path | None,
    typer.Option(
        "--config", "-c", envvar="OSTIARY_CONFIG", help="Where broker and device are set."
    ),
]
Host = Annotated[
    str | None, typer.Option(help="Ask over this broker, and not the door of this machine.")
]
Port = Annotated[int | None, typer.Option(help="Likewise, the broker's port.")]
Device = Annotated[str | None, typer.Option(help="Likewise, which door of that broker.")]
WINDOW = 16
Heard = queue.SimpleQueue[Incoming | Loss | str]


def on_a_door(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that choose a door, and call it with that door. A parameter of a
    dataclass stands for its fields: options that several commands have."""
    own = inspect.signature(command)
    _, *asked = own.parameters.values()
    groups: dict[str, Any] = {p.name: p.annotation for p in asked if is_dataclass(p.annotation)}
    fields_of = {name: inspect.signature(made).parameters for name, made in groups.items()}
    options = [each for p in asked for each in fields_of.get(p.name, {p.name: p}).values()]

    @wraps(command, assigned=("__module__", "__name__", "__qualname__", "__doc__"))
    def run(
        *,
        config: Config = None,
        host: Host = None,
        port: Port = None,
        device: Device = None,
        **given: Any,
    ) -> None:
        with _door(load_settings(config), host, port, device) as door:
            for name, made in groups.items():
                given[name] = made(**{each: given.pop(each) for each in fields_of[name]})
            try:
                command(door, **given)
            except ValidationError as error:
                raise RequestMalformed(describe_validation(error)) from None

    *which, _ = inspect.signature(run, follow_wrapped=False).parameters.values()
    own = own.replace(parameters=[*(p.replace(kind=p.KEYWORD_ONLY) for p in options), *which])
    run.__signature__ = own  # type: ignore[attr-defined]
    run.__annotations__ = {each.name: each.annotation for each in own.parameters.values()}
    return run


def _door(
    settings: Settings, host: str | None, port: int | None, device: str | None
) -> RunningDoor:
    """The door of this machine by its socket, or, where another is named or none runs here, a door
    at a broker."""
    socket = settings.commands.socket
    if (host, port, device) == (None, None, None):
        if is_served(socket):
            return LocalDoor(socket)
        typer.echo(
            f"ostiary: no door runs on this machine ({socket} is not there): asking for "
            f"{settings.device.id} at the broker {settings.mqtt.host}.",
            err=True,
        )
    settings = _overridden(settings, host, port, device)
    signer = command_signer(settings.commands)
    return RemoteDoor(login_of(settings, new_client_id()), Topics.of(settings), signer)


def _overridden(
    settings: Settings, host: str | None, port: int | None, device: str | None
) -> Settings:
    given = {"host": host, "port": port}
    mqtt = settings.mqtt.model_dump() | {k: v for k, v in given.items() if v is not None}
    door = settings.device if device is None else settings.device.model_copy(update={"id": device})
    return settings.model_copy(update={"mqtt": MqttSettings(**mqtt), "device": door})


def show(answer: BaseModel, as_json: bool, text: str | None = None) -> None:
    """Print an answer as JSON, as `text`, or without one as a table of its fields."""
    if as_json or text is not None:
        typer.echo(answer.model_dump_json() if as_json else text)
        return
    table = Table(show_header=False)
    for name, value in answer.model_dump(mode="json").items():
        if value is not None:
            table.add_row(name, f"{value:.4f}" if isinstance(value, float) else str(value))
    Console().print(table)


@on_a_door
def reload(door: RunningDoor) -> None:
    """Let the door read its settings again. Where they are refused, it says so and goes on with
    what it had."""
    typer.echo(door.ask("reload", ReloadRequest(), ReloadAnswer).message)


@doors.command("list")
@on_a_door
def list_doors(door: RunningDoor, as_json: AsJson = False) -> None:
    """How each door is."""
    answer = door.ask("doors", DoorsRequest(), DoorsAnswer)
    for each in answer.doors:
        typer.echo(each.model_dump_json() if as_json else line_of(each))


@doors.command("set")
@on_a_door
def set_door(
    door: RunningDoor,
    action: Annotated[
        Action, typer.Argument(help="lock, relock, unlock, lockdown, open or silence.")
    ],
    name: DoorOption = None,
) -> None:
    """Run a door otherwise, open it once, or silence its alarm."""
    answer = door.ask("door", DoorRequest(door=name, action=action), DoorAnswer)
    typer.echo(line_of(answer.door))


def line_of(state: EntranceState) -> str:
    """A door in one line."""
    more = [*(["ALARM"] if state.alarm else []), *(f"{each} unreadable" for each in state.faults)]
    return f"{state.door}: {', '.join([state.state, f'mode {state.mode}', *more])}"


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
