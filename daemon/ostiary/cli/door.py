"""How a command reaches a running door; and the doors themselves, asked and set."""

import inspect
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import BaseModel, ValidationError
from rich.console import Console
from rich.table import Table

from ostiary.cli.options import AsJson, DoorOption
from ostiary.cli.remote import RemoteDoor, new_client_id
from ostiary.errors import RequestMalformed
from ostiary.local.client import LocalDoor, is_served
from ostiary.local.running_door import RunningDoor
from ostiary.messages.commands.device import ReloadAnswer, ReloadRequest
from ostiary.messages.commands.doors import (
    Action,
    DoorAnswer,
    DoorRequest,
    DoorsAnswer,
    DoorsRequest,
)
from ostiary.messages.state import EntranceState
from ostiary.mqtt.broker import login_of
from ostiary.mqtt.security import command_signer
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


def on_a_door(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that choose a door, and call it with that door."""
    own = inspect.signature(command)

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
            try:
                command(door, **given)
            except ValidationError as error:
                raise RequestMalformed(describe_validation(error)) from None

    _, *asked = own.parameters.values()
    *which, _ = inspect.signature(run, follow_wrapped=False).parameters.values()
    own = own.replace(parameters=[*(p.replace(kind=p.KEYWORD_ONLY) for p in asked), *which])
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
