"""The commands of an operator, spoken to a running door."""

import inspect
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import BaseModel, ValidationError
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from ostiary.cli.photos import read_photo
from ostiary.cli.remote import RemoteDoor, new_client_id
from ostiary.errors import (
    ConfigError,
    ImageInvalid,
    OstiaryError,
    RequestMalformed,
    UserExists,
)
from ostiary.local.client import LocalDoor, is_served
from ostiary.local.running_door import RunningDoor
from ostiary.messages.commands.decisions import (
    LoginAnswer,
    LoginRequest,
)
from ostiary.messages.commands.device import ReloadAnswer, ReloadRequest
from ostiary.messages.commands.people import (
    AddTemplateAnswer,
    AddTemplateRequest,
    DeleteAnswer,
    DeleteRequest,
    RegisterAnswer,
    RegisterRequest,
    Scope,
    ShareAnswer,
    ShareRequest,
    UsersAnswer,
    UsersRequest,
)
from ostiary.messages.words import NO_PROMISE, Reason
from ostiary.mqtt.broker import login_of
from ostiary.mqtt.security import command_signer
from ostiary.mqtt.topics import Topics
from ostiary.settings import MqttSettings, Settings, describe_validation, load_settings

IMAGES = {".jpg", ".jpeg", ".png", ".webp"}

users = typer.Typer(help="People, on a running door.", no_args_is_help=True)

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
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document a line, for programs.")]
Name = Annotated[str, typer.Argument(help="Who.")]
Photo = Annotated[Path, typer.Argument(help="A JPEG, PNG or WebP image.")]
PhotoOrCamera = Annotated[
    Path | None, typer.Argument(help="A JPEG, PNG or WebP image; without it, the camera's.")
]
Camera = Annotated[
    str | None, typer.Option(help="Which camera takes the picture, where there are several.")
]
Twin = Annotated[
    bool, typer.Option("--allow-twin", help="Also a face that is somebody else's: of twins.")
]
NotLive = Annotated[
    bool, typer.Option("--from-photo", help="Take a photo for live; if the door permits it.")
]


def on_a_door(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that say which door, and call it with that door."""
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


@users.command("add")
@on_a_door
def add(
    door: RunningDoor,
    name: Name,
    photo: PhotoOrCamera = None,
    camera: Camera = None,
    from_photo: NotLive = False,
    allow_twin: Twin = False,
    this_door: Annotated[
        bool, typer.Option("--this-door", help="Known at this door only, not at the whole site.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Register a person from one photo, or from who stands before the camera now."""
    scope: Scope | None = "door" if this_door else None
    asked = picture_of(door, name, photo, camera, from_photo=from_photo, allow_twin=allow_twin)
    request = RegisterRequest.model_validate({**asked, "scope": scope})
    show(door.ask("register", request, RegisterAnswer), as_json)


@users.command("share")
@on_a_door
def share(
    door: RunningDoor,
    name: Annotated[str | None, typer.Argument(help="Who.")] = None,
    everybody: Annotated[bool, typer.Option("--all", help="Everybody of this door.")] = False,
    as_json: AsJson = False,
) -> None:
    """Let the whole site know somebody of this door."""
    if (name is None) != everybody:
        raise ConfigError("Name somebody, or say --all.")
    answer = door.ask("share", ShareRequest(username=name), ShareAnswer)
    if as_json:
        show(answer, as_json)
    else:
        typer.echo(f"{len(answer.shared)} known at the whole site now.")


@users.command("list")
@on_a_door
def list_users(
    door: RunningDoor,
    as_json: AsJson = False,
) -> None:
    """Who is registered."""
    answer = everybody(door)
    if as_json:
        show(answer, as_json)
        return
    table = Table("name", "since", "known at", "templates", "of", "looks like")
    for user in answer.users:
        since = "" if user.created_at is None else f"{user.created_at:%Y-%m-%d %H:%M}"
        of, alike = ", ".join(user.recognizers), ", ".join(user.look_alikes)
        count = "1: a second is wanted" if user.templates == 1 else str(user.templates)
        table.add_row(user.username, since, user.scope, count, of, alike)
    Console().print(table)
    typer.echo(
        f"{answer.recognizer}: near enough is a distance of {answer.threshold:.3f}; one stranger "
        f"in {1 / answer.false_accept:,.0f} is taken for somebody"
        f"{'' if answer.promised else f' ({NO_PROMISE})'}."
    )
    if answer.scale is not None:
        said = answer.scale.in_words(answer.threshold)
        typer.echo(f"{said[0].upper()}{said[1:]}.")
    if answer.one_template:
        typer.echo(
            f"{answer.one_template} with one template only; two are the rule: enrol them again "
            "before the camera, or add a picture."
        )
    if answer.waiting:
        typer.echo(
            f"{answer.waiting} known by the former recogniser only, until they next come in."
        )


@users.command("remove")
@on_a_door
def remove(
    door: RunningDoor,
    name: Name,
    as_json: AsJson = False,
) -> None:
    """Forget a person and all their templates."""
    answer = door.ask("delete", DeleteRequest(username=name), DeleteAnswer)
    if as_json:
        show(answer, as_json)
    else:
        typer.echo(f"{answer.username} is no longer registered.")


@on_a_door
def login(
    door: RunningDoor,
    name: Name,
    photo: Photo,
    as_json: AsJson = False,
) -> None:
    """Judge one photo as the door would; exit status 1 where it would be denied."""
    image = read_photo(photo, door.packet_limit)
    request = LoginRequest.model_validate({"username": name, "image": image})
    answer = door.ask("login", request, LoginAnswer)
    if not as_json:
        somebody_else = answer.reason == Reason.UNKNOWN_FACE
        denied = f"This is not {name}." if somebody_else else f"Denied: {answer.message}."
        typer.echo(f"This is {answer.username}." if answer.success else denied)
    show(answer, as_json)
    if not answer.success:
        raise typer.Exit(1)


@on_a_door
def enroll(
    door: RunningDoor,
    folder: Annotated[
        Path, typer.Argument(help="One image, or one sub-folder with images, a person.")
    ],
    from_photo: NotLive = False,
    as_json: AsJson = False,
) -> None:
    """Register everybody in a folder, each with all their pictures; exit status 1 where a picture
    was refused."""
    people = people_in(folder)
    outcomes: list[Outcome] = []
    progress = Progress(console=Console(stderr=True), disable=as_json)
    try:
        with progress:
            for name, photos in progress.track(people, description="Registering"):
                outcomes += _enrolled(door, name, photos, from_photo)
    finally:  # whatever happened: those who are registered are
        for outcome in outcomes:
            typer.echo(outcome.as_json() if as_json else outcome.as_text())
    refused = sum(outcome.code is not None for outcome in outcomes)
    if not as_json:
        registered = {outcome.name for outcome in outcomes if outcome.code is None}
        typer.echo(f"{len(registered)} registered, {refused} pictures refused")
    if refused:
        raise typer.Exit(1)


def _enrolled(
    door: RunningDoor, name: str, photos: Iterable[Path], from_photo: bool
) -> Iterable["Outcome"]:
    """The first picture that is taken registers the person, and the others are added to it."""
    is_registered = False
    for photo in photos:
        try:
            asked = picture_of(door, name, photo, from_photo=from_photo)
            if is_registered:
                more = AddTemplateRequest.model_validate(asked)
                door.ask("add_template", more, AddTemplateAnswer)
            else:
                door.ask("register", RegisterRequest.model_validate(asked), RegisterAnswer)
            is_registered = True
            yield Outcome(name, photo, None, "")
        except OstiaryError as error:
            yield Outcome(name, photo, error.code, error.message)
            if isinstance(error, UserExists):
                return


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one picture of a folder fared; `code` is None for one that was taken."""

    name: str
    photo: Path
    code: str | None
    message: str

    def as_text(self) -> str:
        if self.code is None:
            return f"registered  {self.name} ({self.photo.name})"
        return f"refused     {self.name} ({self.photo.name}): {self.code}: {self.message}"

    def as_json(self) -> str:
        record = {"username": self.name, "photo": str(self.photo), "success": self.code is None}
        if self.code is not None:
            record |= {"code": self.code, "message": self.message}
        return json.dumps(record, ensure_ascii=False)


def people_in(folder: Path) -> list[tuple[str, list[Path]]]:
    """Names and their photos: `Ann.jpg` is Ann, and so are all images in `Ann/`, in the order in
    which people count (2 before 10). What cannot be looked into stands there itself, to be told.

    Raises ImageInvalid where there is no folder or nobody in it.
    """
    if not folder.is_dir():
        raise ImageInvalid(f"{folder}: no such folder.")
    people: list[tuple[str, list[Path]]] = []
    for entry in _entries(folder):
        if entry.is_dir():
            try:
                photos = [photo for photo in _entries(entry) if _is_image(photo)]
            except ImageInvalid:
                photos = []
            people.append((entry.name, photos or [entry]))
        elif _is_image(entry):
            people.append((entry.stem, [entry]))
    if not people:
        raise ImageInvalid(f"{folder}: no image (JPEG, PNG, WebP) in it or one folder below.")
    return people


def _entries(folder: Path) -> list[Path]:
    """Without those that programs hide there (`.DS_Store`, `._ann.jpg`)."""
    try:
        found = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    except OSError as error:
        raise ImageInvalid(f"{folder}: {error.strerror}.") from error
    return sorted(found, key=_counted)


def _counted(path: Path) -> list[tuple[int, str]]:
    parts = re.split("([0-9]+)", path.name.casefold())
    return [(int(part or 0) if at % 2 else 0, part) for at, part in enumerate(parts)]


def everybody(door: RunningDoor) -> UsersAnswer:
    """Who is registered, in one answer, however many the broker made of it."""
    pages = list(door.pages("users", UsersRequest(), UsersAnswer))
    users = tuple(user for page in pages for user in page.users)
    return pages[-1].model_copy(update={"users": users})


@on_a_door
def reload(door: RunningDoor) -> None:
    """Let the door read its settings again. Where they are refused, that is said, and the door goes
    on with what it had."""
    typer.echo(door.ask("reload", ReloadRequest(), ReloadAnswer).message)


def _door(
    settings: Settings, host: str | None, port: int | None, device: str | None
) -> RunningDoor:
    """The door that runs on this machine, by its socket; another one, or where there is none, the
    one that a broker knows."""
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


def picture_of(
    door: RunningDoor,
    name: str,
    photo: Path | None,
    camera: str | None = None,
    *,
    from_photo: bool = False,
    allow_twin: bool = False,
) -> dict[str, object]:
    """The fields of a request with a picture, or with what the camera sees now. Raises as
    `read_photo` does."""
    asked: dict[str, object] = {"username": name, "require_live": not from_photo}
    if allow_twin:
        asked["allow_twin"] = True
    if camera is not None:
        asked["camera"] = camera
    if photo is None:
        return asked | {"source": "camera"}
    return asked | {"image": read_photo(photo, door.packet_limit)}


def _is_image(path: Path) -> bool:
    return path.is_file() and path.suffix.lower() in IMAGES


def show(answer: BaseModel, as_json: bool) -> None:
    """An answer as a table of its fields, or as JSON."""
    if as_json:
        typer.echo(answer.model_dump_json())
        return
    table = Table(show_header=False)
    for name, value in answer.model_dump(mode="json").items():
        if value is not None:
            table.add_row(name, f"{value:.4f}" if isinstance(value, float) else str(value))
    Console().print(table)
