"""`ostiary users`: who is registered, with which face, PIN and cards; and `ostiary login`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from ostiary.cli.door import on_a_door, show, users
from ostiary.cli.options import AsJson, DoorOption, Name, NotLive
from ostiary.errors import ConfigError
from ostiary.local.client import RunningDoor
from ostiary.messages.commands.credentials import (
    AddCardAnswer,
    AddCardRequest,
    CredentialsAnswer,
    CredentialsRequest,
    RemoveCardAnswer,
    RemoveCardRequest,
    RemovePinAnswer,
    RemovePinRequest,
    SetPinAnswer,
    SetPinRequest,
)
from ostiary.messages.commands.decisions import LoginAnswer, LoginRequest
from ostiary.messages.commands.people import (
    AddTemplateAnswer,
    AddTemplateRequest,
    DeleteAnswer,
    DeleteRequest,
    RegisterAnswer,
    RegisterRequest,
    RenameAnswer,
    RenameRequest,
    Scope,
    ShareAnswer,
    ShareRequest,
    UsersAnswer,
    UsersRequest,
)
from ostiary.messages.words import NO_PROMISE, Reason

Photo = Annotated[Path, typer.Argument(help="A JPEG, PNG or WebP image.")]
Duress = Annotated[bool, typer.Option("--duress", help="The one for when they are forced.")]
Remove = Annotated[bool, typer.Option("--remove", help="Take it away.")]


@dataclass(frozen=True, slots=True)
class PictureOptions:
    """Whose picture it is, and where it comes from: the options of a command that takes one."""

    name: Name
    photo: Annotated[
        Path | None, typer.Argument(help="A JPEG, PNG or WebP image; without it, the camera's.")
    ] = None
    camera: Annotated[
        str | None, typer.Option(help="Which camera takes the picture, where there are several.")
    ] = None
    from_photo: NotLive = False
    allow_twin: Annotated[
        bool, typer.Option("--allow-twin", help="Also a face that is somebody else's: of twins.")
    ] = False

    def asked(self, door: RunningDoor) -> dict[str, object]:
        """The fields of a request with the photo, or for a picture of the camera now. Raises as
        `read_photo` does."""
        asked: dict[str, object] = {"username": self.name, "require_live": not self.from_photo}
        if self.allow_twin:
            asked["allow_twin"] = True
        if self.camera is not None:
            asked["camera"] = self.camera
        if self.photo is None:
            return asked | {"source": "camera"}
        from ostiary.cli.photos import read_photo  # with OpenCV, a third of a short command's start

        return asked | {"image": read_photo(self.photo, door.packet_limit)}


@users.command("add")
@on_a_door
def add(
    door: RunningDoor,
    picture: PictureOptions,
    this_door: Annotated[
        bool, typer.Option("--this-door", help="Known at this door only, not at the whole site.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Register a person from one photo, or from who stands before the camera now."""
    scope: Scope | None = "door" if this_door else None
    request = RegisterRequest.model_validate({**picture.asked(door), "scope": scope})
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
    show(answer, as_json, f"{len(answer.shared)} known at the whole site now.")


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
    show(answer, as_json, f"{answer.username} is no longer registered.")


@on_a_door
def login(
    door: RunningDoor,
    name: Name,
    photo: Photo,
    as_json: AsJson = False,
) -> None:
    """Judge one photo as the door would; exit status 1 where it would be denied."""
    from ostiary.cli.photos import read_photo  # with OpenCV, a third of a short command's start

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


@users.command("rename")
@on_a_door
def rename(
    door: RunningDoor,
    name: Name,
    new_name: Annotated[str, typer.Argument(help="The name from now on.")],
    as_json: AsJson = False,
) -> None:
    """Give a person another name; face, PIN, cards and groups stay."""
    request = RenameRequest.model_validate({"username": name, "new_username": new_name})
    answer = door.ask("rename", request, RenameAnswer)
    show(answer, as_json, f"{answer.previous_username} is {answer.username} now.")


@users.command("picture")
@on_a_door
def add_picture(door: RunningDoor, picture: PictureOptions, as_json: AsJson = False) -> None:
    """Give a registered person a further picture: with glasses, without a beard, in other light."""
    request = AddTemplateRequest.model_validate(picture.asked(door))
    show(door.ask("add_template", request, AddTemplateAnswer), as_json)


@users.command("pin")
@on_a_door
def pin(door: RunningDoor, name: Name, duress: Duress = False, remove: Remove = False) -> None:
    """Give a person a PIN, which is asked for, or take it away."""
    if remove:
        door.ask("remove_pin", RemovePinRequest(username=name, duress=duress), RemovePinAnswer)
        return
    typed = typer.prompt("PIN", hide_input=True, confirmation_prompt=True)
    request = SetPinRequest.model_validate({"username": name, "pin": typed, "duress": duress})
    door.ask("set_pin", request, SetPinAnswer)


@users.command("card")
@on_a_door
def card(door: RunningDoor, name: Name, at: DoorOption = None, remove: Remove = False) -> None:
    """Give a person the card that is held to a door's reader next, or one whose number is asked
    for; or take all of theirs away."""
    if remove:
        door.ask("remove_card", RemoveCardRequest(username=name), RemoveCardAnswer)
        return
    number = None if at is not None else typer.prompt("Number of the card", hide_input=True)
    request = AddCardRequest.model_validate({"username": name, "card": number, "door": at})
    if at is not None:
        typer.echo(f"Hold the card to the reader of {at} now.", err=True)
    answer = door.ask("add_card", request, AddCardAnswer)
    typer.echo(f"{answer.username} has {answer.cards} card(s).")


@users.command("credentials")
@on_a_door
def credentials(door: RunningDoor, name: Name, as_json: AsJson = False) -> None:
    """What a person has besides a face."""
    answer = door.ask("credentials", CredentialsRequest(username=name), CredentialsAnswer)
    has = [
        *(["a PIN"] if answer.pin else []),
        *(["a duress PIN"] if answer.duress else []),
        *([f"{answer.cards} card(s)"] if answer.cards else []),
    ]
    show(answer, as_json, f"{answer.username}: {', '.join(has) or 'nothing'}")


def everybody(door: RunningDoor) -> UsersAnswer:
    """All registered people in one answer, also where the broker took several."""
    pages = list(door.pages("users", UsersRequest(), UsersAnswer))
    users = tuple(user for page in pages for user in page.users)
    return pages[-1].model_copy(update={"users": users})
