"""`ostiary users rename` and `picture`: what changes of somebody who is registered."""

from typing import Annotated

import typer

from ostiary.cli.door import (
    AsJson,
    Camera,
    Name,
    NotLive,
    PhotoOrCamera,
    Twin,
    on_a_door,
    picture_of,
    show,
    users,
)
from ostiary.local.running_door import RunningDoor
from ostiary.messages.commands.people import (
    AddTemplateAnswer,
    AddTemplateRequest,
    RenameAnswer,
    RenameRequest,
)


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
    if as_json:
        show(answer, as_json)
    else:
        typer.echo(f"{answer.previous_username} is {answer.username} now.")


@users.command("picture")
@on_a_door
def picture(
    door: RunningDoor,
    name: Name,
    photo: PhotoOrCamera = None,
    camera: Camera = None,
    from_photo: NotLive = False,
    allow_twin: Twin = False,
    as_json: AsJson = False,
) -> None:
    """Give a registered person a further picture: with glasses, without a beard, in other light."""
    asked = picture_of(door, name, photo, camera, from_photo=from_photo, allow_twin=allow_twin)
    show(
        door.ask("add_template", AddTemplateRequest.model_validate(asked), AddTemplateAnswer),
        as_json,
    )
