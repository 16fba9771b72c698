"""`ostiary door`, and the PINs and cards under `ostiary users`, on a running door."""

from typing import Annotated

import typer

from ostiary.cli.door import AsJson, Name, on_a_door, users
from ostiary.local.running_door import RunningDoor
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
from ostiary.messages.commands.doors import (
    Action,
    DoorAnswer,
    DoorRequest,
    DoorsAnswer,
    DoorsRequest,
)
from ostiary.messages.state import EntranceState

doors = typer.Typer(help="The doors themselves, on a running door.", no_args_is_help=True)

DoorOption = Annotated[str | None, typer.Option("--door", help="Its camera's name.")]
Duress = Annotated[bool, typer.Option("--duress", help="The one for when they are forced.")]
Remove = Annotated[bool, typer.Option("--remove", help="Take it away.")]


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
    if as_json:
        typer.echo(answer.model_dump_json())
        return
    has = [
        *(["a PIN"] if answer.pin else []),
        *(["a duress PIN"] if answer.duress else []),
        *([f"{answer.cards} card(s)"] if answer.cards else []),
    ]
    typer.echo(f"{answer.username}: {', '.join(has) or 'nothing'}")


def line_of(state: EntranceState) -> str:
    """A door in one line."""
    more = [*(["ALARM"] if state.alarm else []), *(f"{each} unreadable" for each in state.faults)]
    return f"{state.door}: {', '.join([state.state, f'mode {state.mode}', *more])}"
