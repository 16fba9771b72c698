"""`ostiary calibrate`: a last layer for one camera, from a sitting before it or a recorded one."""

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ostiary.cli.options import ConfigOption, open_database, read_settings
from ostiary.errors import CameraUnknown, NoFace, NotAllowed, SittingIncomplete
from ostiary.settings import CameraSettings, Settings

if TYPE_CHECKING:
    from ostiary.decision.calibration import Presentation
    from ostiary.messages.calibration import MadeFor
    from ostiary.service.sitting import Advance
    from ostiary.vision.engine import VisionEngine

LIVE = "live"
NAME = re.compile(r"\w{1,40}")
"""The form of a person's or a kind's name: a folder begins with it, up to the first hyphen."""
ADVICE = {
    LIVE: "walk up as people do and look at the camera; come nearer, step back, turn the head.",
    "print": "hold a printed photo of {person} before the camera; move, tilt and bend it.",
    "phone": "show a photo and a film of {person} on a phone; move and tilt it.",
    "tablet": "show a photo and a film of {person} on a tablet; move and tilt it.",
}
OTHER_ADVICE = "show {person} by the attack: {kind}; move it."

# Each function imports what it needs: the other commands must not wait for vision.


def calibrate(
    config: ConfigOption = None,
    camera: Annotated[str | None, typer.Option(help="Which; unset: the only one.")] = None,
    recorded: Annotated[
        Path | None,
        typer.Option(
            "--from",
            help="A sitting that was recorded: live/PERSON-…/ and attack/KIND/PERSON-…/.",
        ),
    ] = None,
    people: Annotated[
        str | None, typer.Option(help="Their names, with commas, the same in every sitting.")
    ] = None,
    attacks: Annotated[str, typer.Option(help="Their kinds, with commas.")] = "print,phone,tablet",
    seconds: Annotated[float, typer.Option(min=1, help="For each person and attack.")] = 30.0,
    keep: Annotated[
        Path | None, typer.Option(help="Keep the pictures in this folder; unset: none.")
    ] = None,
    yes: Annotated[bool, typer.Option(help="Everybody in the picture has agreed.")] = False,
    anew: Annotated[bool, typer.Option(help="Leave out all earlier sittings.")] = False,
    forget: Annotated[
        bool, typer.Option(help="Judge by the networks themselves again; forget all sittings.")
    ] = False,
) -> None:
    """Fit this camera's own last layer of the liveness networks, from ten minutes of people,
    prints, phones and tablets before it. It is used if it proves better on people who were left
    out. For a sitting the daemon must be stopped; several, in other light, are joined."""
    from ostiary.clock import utc_now
    from ostiary.commands.calibration import Calibrations
    from ostiary.settings.overrides import with_overrides
    from ostiary.store.events import Events
    from ostiary.vision.engine import VisionEngine

    settings = with_overrides(read_settings(config))
    chosen = _chosen(settings, camera)
    with open_database(settings) as database:
        database.seal.check()
        calibrations = Calibrations(database, Events(database))
        if forget:
            calibrations.forget(chosen.name, utc_now())
            typer.echo(f"{chosen.name}: forgotten. The door judges by the networks themselves.")
            return
        engine = VisionEngine.load(settings.vision)
        rates = {engine.recognizer.name: engine.recognizer.rates}
        now = utc_now()
        if recorded is not None:
            presentations, made_for = _recorded(recorded, engine, chosen)
            state = calibrations.sat_together(
                chosen.name, made_for, presentations, rates, settings.access, now, anew=anew
            )
        else:
            sitting = Sitting(_names(people), _kinds(attacks), seconds, keep)
            _agreed(sitting, chosen, yes)
            for presentation, made_for in _sat(sitting, engine, chosen, wait=not yes):
                calibrations.sat(chosen.name, made_for, now, presentation, anew=anew)
                anew = False
            state = calibrations.calibrate(chosen.name, rates, settings.access, utc_now())
    typer.echo(json.dumps({"camera": chosen.name, **state.model_dump(mode="json")}))
    _say(f"{chosen.name} is calibrated: in force from the daemon's next start or reload on.")


@dataclass(frozen=True, slots=True)
class Sitting:
    """People, kinds of attack, and the seconds for each."""

    people: tuple[str, ...]
    kinds: tuple[str, ...]
    seconds: float
    keep: Path | None

    @property
    def minutes(self) -> float:
        """Minutes of all of it, with half as much again to change places."""
        return 1.5 * len(self.people) * (1 + len(self.kinds)) * self.seconds / 60


def _chosen(settings: Settings, camera: str | None) -> CameraSettings:
    named = {each.name: each for each in settings.cameras}
    if (camera is None and len(named) > 1) or (camera is not None and camera not in named):
        raise CameraUnknown(f"Name one of these cameras (--camera): {', '.join(named)}.")
    return named[camera or next(iter(named))]


def _names(people: str | None) -> tuple[str, ...]:
    return _listed(people or typer.prompt("Who sits? Names or letters, with commas", err=True))


def _kinds(attacks: str) -> tuple[str, ...]:
    kinds = _listed(attacks)
    if LIVE in kinds:
        raise SittingIncomplete(f"An attack cannot be called {LIVE}.")
    return kinds


def _listed(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(each.strip() for each in text.split(",") if each.strip()))
    if wrong := [each for each in names if not NAME.fullmatch(each)]:
        raise SittingIncomplete(f"Names are of letters, digits and _, not {', '.join(wrong)}.")
    return names


def _agreed(sitting: Sitting, camera: CameraSettings, yes: bool) -> None:
    kept = f"The pictures are kept in {sitting.keep}." if sitting.keep else "No picture is kept."
    _say(
        f"Before {camera.name}, in the light that people come in: {', '.join(sitting.people)}; "
        f"then each of them by {', '.join(sitting.kinds)}. About {sitting.minutes:.0f} minutes. "
        f"{kept} Sit again in any other light of this place (day, lamp, night): sittings are "
        "joined."
    )
    if not yes and not typer.confirm("Has everybody in the picture agreed?", err=True):
        raise NotAllowed("Nothing was judged without everybody's consent.")


def _sat(
    sitting: Sitting, engine: "VisionEngine", camera: CameraSettings, *, wait: bool
) -> "Iterator[tuple[Presentation, MadeFor]]":
    """People first, then each kind of attack. With `wait` it asks before each, and again where no
    face was seen. Presentations before an interruption are kept for another day."""
    from ostiary.camera.reader import CameraReader
    from ostiary.service.sitting import watched

    with CameraReader(camera) as reader:
        for kind, person in product((LIVE, *sitting.kinds), sitting.people):
            advice = ADVICE.get(kind, OTHER_ADVICE).format(person=person, kind=kind)
            _say(f"{person}, {kind}, {sitting.seconds:g} s: {advice}")
            while not wait or typer.confirm("Ready? (no: leave it out)", default=True, err=True):
                try:
                    with _progress(sitting.seconds) as advance:
                        found = watched(
                            reader, engine, kind, person, sitting.seconds, sitting.keep, advance
                        )
                except NoFace as error:
                    if not wait:
                        raise
                    _say(error.message)
                    continue
                yield found
                break


def _recorded(
    folder: Path, engine: "VisionEngine", camera: CameraSettings
) -> "tuple[Sequence[Presentation], MadeFor]":
    from ostiary.camera.clips import clips_in
    from ostiary.service.sitting import recorded

    clips = clips_in(folder)
    with _progress(len(clips)) as advance:
        return recorded(clips, engine, camera.source, lambda done: advance(done, 0))


@contextmanager
def _progress(total: float) -> "Iterator[Advance]":
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (BarColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=total)

        def advance(done: float, frames: int) -> None:
            said = f"{frames} good frames" if frames else ""
            progress.update(task, completed=done, description=said)

        yield advance


def _say(text: str) -> None:
    typer.echo(text, err=True)
