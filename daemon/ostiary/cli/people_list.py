"""`ostiary enroll`, `users import` and `users export`: everybody at once, as pictures or as CSV."""

import json
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path, PureWindowsPath
from typing import Annotated

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.progress import Progress

from ostiary.cli.door import on_a_door, users
from ostiary.cli.options import AsJson, NotLive
from ostiary.cli.people import PictureOptions, everybody
from ostiary.errors import (
    ImageInvalid,
    OstiaryError,
    PeopleListInvalid,
    PhotoMissing,
    RequestMalformed,
    UserExists,
)
from ostiary.local.client import RunningDoor
from ostiary.messages.commands.people import (
    AddTemplateAnswer,
    AddTemplateRequest,
    RegisterAnswer,
    RegisterRequest,
)
from ostiary.messages.commands.rules import PutPersonAnswer, PutPersonRequest
from ostiary.messages.people_list import MOST_BYTES, Line, line_of, read_list, write_list
from ostiary.settings import describe_validation

IMAGES = {".jpg", ".jpeg", ".png", ".webp"}


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
            asked = PictureOptions(name, photo, from_photo=from_photo).asked(door)
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
    """What became of one picture of a folder; `code` is None where it was taken."""

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
    """Names and their photos: `Ann.jpg` is Ann, and so are all images in `Ann/`, sorted as people
    count (2 before 10). A folder that cannot be read stands for its photos, to be refused.

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
    """The entries of a folder without hidden ones (`.DS_Store`, `._ann.jpg`)."""
    try:
        found = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    except OSError as error:
        raise ImageInvalid(f"{folder}: {error.strerror}.") from error
    return sorted(found, key=_counted)


def _counted(path: Path) -> list[tuple[int, str]]:
    parts = re.split("([0-9]+)", path.name.casefold())
    return [(int(part or 0) if at % 2 else 0, part) for at, part in enumerate(parts)]


def _is_image(path: Path) -> bool:
    return path.is_file() and path.suffix.lower() in IMAGES


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of one line; `code` is None where it was taken."""

    line: int
    username: str
    outcome: str
    code: str | None = None
    message: str = ""

    def as_text(self) -> str:
        said = f": {self.code}: {self.message}" if self.code else ""
        return f"line {self.line:<5} {self.outcome:<10} {self.username}{said}"


@users.command("import")
@on_a_door
def import_list(
    door: RunningDoor,
    file: Annotated[Path, typer.Argument(help="CSV: name, groups, from, until, photo.")],
    from_photo: NotLive = False,
    encoding: Annotated[
        str | None, typer.Option(help="Of a list that is no Unicode, such as windows-1252.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Register everybody new in a list, and set what each may; exit status 1 where a line was not
    taken. A column that is not there changes nothing, an empty cell clears. Photos lie beside the
    list or below it."""
    lines = read_list(_data(file), encoding)
    report: list[Taken] = []
    try:
        with Progress(console=Console(stderr=True), disable=as_json) as progress:
            for line in progress.track(lines, description="Taking the list"):
                report.append(_take(door, line, file.resolve().parent, from_photo))
    finally:  # whatever happened: those who were taken are
        for taken in report:
            record = json.dumps(asdict(taken), ensure_ascii=False)
            typer.echo(record if as_json else taken.as_text())
    refused = sum(taken.code is not None for taken in report)
    if not as_json:
        typer.echo(f"{len(report) - refused} taken, {refused} not")
    if refused:
        raise typer.Exit(1)


@users.command("export")
@on_a_door
def export_list(
    door: RunningDoor,
    file: Annotated[Path | None, typer.Argument(help="Where to; without it, here.")] = None,
) -> None:
    """Everybody with their groups and their first and last moment, as CSV."""
    answer = everybody(door)
    text = write_list(map(line_of, answer.users))
    if file is None:
        typer.echo(text, nl=False)
        return
    try:
        file.write_bytes(text.encode("utf-8-sig"))
    except OSError as error:
        raise PeopleListInvalid(f"{file}: {error.strerror}.") from error
    typer.echo(f"{len(answer.users)} people in {file}")


def _take(door: RunningDoor, line: Line, folder: Path, from_photo: bool) -> Taken:
    try:
        if line.problem is not None:
            raise PeopleListInvalid(line.problem)
        image = None if line.photo is None else photo_of(line.photo, folder, door.packet_limit)
        request = PutPersonRequest.model_validate(
            {
                "username": line.name,
                "image": image,
                "require_live": not from_photo,
                **line.access,
            }
        )
        answer = door.ask("put_person", request, PutPersonAnswer)
    except ValidationError as error:
        wrong = RequestMalformed(describe_validation(error))
        return Taken(line.number, line.name, "not taken", wrong.code, wrong.message)
    except OstiaryError as error:
        return Taken(line.number, line.name, "not taken", error.code, error.message)
    return Taken(line.number, answer.username, "registered" if answer.registered else "changed")


def photo_of(name: str, folder: Path, packet_limit: int | None = None) -> str:
    r"""The photo in base64. Its name may have `\` for `/`, other capitals and another normal form
    than the file's, where that is one file only. Raises PhotoMissing for one that is not in
    `folder` or below it, else as `read_photo`."""
    try:
        path = _found(name, folder).resolve(strict=True)
        if not path.is_relative_to(folder) or not path.is_file():
            raise PhotoMissing(f"{name}: photos lie beside the list, or in folders below it.")
    except (OSError, ValueError, RuntimeError) as error:
        said = error.strerror if isinstance(error, OSError) else "no such file"
        raise PhotoMissing(f"{name}: {said}.") from error
    from ostiary.cli.photos import read_photo  # with OpenCV, a third of a short command's start

    return read_photo(path, packet_limit)


def _found(name: str, folder: Path) -> Path:
    """The path of a photo, or where it would be. Raises PhotoMissing where several files fit."""
    path = folder
    for part in Path(name).parts if (folder / name).exists() else PureWindowsPath(name).parts:
        alike = [path / part]
        if not alike[0].exists() and path.is_dir():
            alike = [each for each in path.iterdir() if _folded(each.name) == _folded(part)]
        if len(alike) > 1:
            files = ", ".join(sorted(each.name for each in alike))
            raise PhotoMissing(f"{name}: that may be one of {files}.")
        path = alike[0] if alike else path / part
    return path


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _data(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            return opened.read(MOST_BYTES + 1)
    except OSError as error:
        raise PeopleListInvalid(f"{file}: {error.strerror}.") from error
