"""`ostiary-export evaluate-liveness`."""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.progress import Progress

from ostiary.camera.clips import clips_in
from ostiary.clock import utc_now
from ostiary.commands.calibration import own_layer
from ostiary.decision.calibration import CalibratedCamera, calibrated
from ostiary.errors import ConfigError
from ostiary.service.sitting import recorded
from ostiary.settings import Settings, describe_validation
from ostiary.vision.engine import VisionEngine
from ostiary_export.evaluate.faces import collect
from ostiary_export.files import written_whole
from ostiary_export.presentation.figures import figures_of
from ostiary_export.presentation.report import markdown, write_page
from ostiary_export.presentation.visits import Door


@dataclass(frozen=True, slots=True)
class Plan:
    """The clips to play, to a door of which models and settings (`key=value` each), and where what
    was found goes. `rate`: pictures a second, where the folder does not say. `site`: a sitting
    before the same camera, on which its last layer is fitted first. Each person is known by so many
    `templates`, among so many `people`, where a folder of `others` is there."""

    folder: Path
    models: Path
    output: Path
    named: Sequence[str] = ()
    rate: float = 2.0
    site: Path | None = None
    templates: int = 1
    others: Path | None = None
    people: int = 100


def run(plan: Plan, console: Console) -> None:
    """Measure, print, and write liveness.jsonl and liveness.html. Raises ClipsInvalid,
    FacesInvalid, ConfigError, ModelMissing, and of the sitting SittingIncomplete, SittingMixed,
    CalibrationRefused."""
    clips = clips_in(plan.folder, plan.rate)
    settings = settings_of(plan.named)
    engine = VisionEngine.load(settings.vision.model_copy(update={"models": plan.models}))
    own = None if plan.site is None else calibrated_by(plan.site, engine, settings)
    door = Door(engine, settings, own, plan.templates)
    visits = door.enrol(clips)
    if plan.others is not None:
        with console.status("describing the others"):
            others = collect(plan.others, plan.models, plan.output, lambda _done, _of: None)
        door.know(others, plan.people)
    with Progress(console=console, transient=True) as progress:
        found = [door.visit(clip) for clip in progress.track(visits, description="visits")]
    figures = figures_of(found, settings)
    text = markdown(figures)
    plan.output.mkdir(parents=True, exist_ok=True)
    lines = [figure.to_json() for figure in figures]
    with written_whole(plan.output / "liveness.jsonl") as temporary:
        temporary.write_text("\n".join(lines) + "\n", "utf-8")
    page = plan.output / "liveness.html"
    write_page(page, text, found)
    if own is not None:
        console.print_json(own.record.state.model_dump_json())
    people = len({clip.person for clip in visits})
    left = sorted({clip.person for clip in clips} - {clip.person for clip in visits})
    known = f"{plan.templates} template(s) of each, at a door of {door.people}"
    console.print(
        f"{plan.folder}: {len(visits)} visits of {people} people, {known}", highlight=False
    )
    if left:
        console.print(f"Not enrolled, and left out: {', '.join(left)}", highlight=False)
    console.print(text, markup=False, highlight=False, soft_wrap=True)
    console.print(f"curves: {page}", highlight=False, soft_wrap=True)
    for line in lines:
        typer.echo(line)


def calibrated_by(site: Path, engine: VisionEngine, settings: Settings) -> CalibratedCamera:
    """What `ostiary calibrate --from` would put in force."""
    sitting, made_for = recorded(clips_in(site), engine, settings.cameras[0].source)
    rates = {engine.recognizer.name: engine.recognizer.rates}
    access = settings.access
    found = calibrated(sitting, rates, access.live_threshold, access.attack_threshold)
    return own_layer(found, made_for, 1, utc_now())


def settings_of(named: Sequence[str]) -> Settings:
    """The default settings of a door that shows what it asks, with those named `key=value` over
    them, as `access.live_threshold=0.9`. Raises ConfigError."""
    values: dict[str, dict[str, Any]] = {"access": {"challenge": "uncertain"}}
    for each in named:
        key, _, value = each.partition("=")
        section, _, name = key.strip().partition(".")
        try:
            read = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            read = value.strip()
        values.setdefault(section, {})[name] = read
    camera = values.pop("cameras", None)
    try:
        return Settings.model_validate(values | ({"cameras": [camera]} if camera else {}))
    except ValidationError as error:
        raise ConfigError(f"--set: {describe_validation(error)}") from None
