"""`ostiary-export`: from published weights to verified models."""

import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Column, Table

from ostiary.errors import OstiaryError
from ostiary.messages.words import RecognizerName
from ostiary.vision.models import (
    DLIB_RESNET,
    LANDMARKS5,
    MINIFASNET_V1SE,
    MINIFASNET_V2,
    SFACE,
    YUNET,
    nchw,
)
from ostiary_export.build import PLAIN, Step, Workshop, code_of
from ostiary_export.catalogue import load_catalogue
from ostiary_export.fetch import fetch_faces, fetch_portraits
from ostiary_export.files import sha256_of
from ostiary_export.rates import FILE as RATES
from ostiary_export.rates import rates_metadata
from ostiary_export.record import is_verified, write_record
from ostiary_export.report import Report

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__
)
console = Console(stderr=True)

MINIFASNETS = {MINIFASNET_V2: "minifasnet_v2", MINIFASNET_V1SE: "minifasnet_v1se"}
BUILT_TWICE = (*MINIFASNETS, SFACE)
"""For processors with ONNX Runtime's blocked layout, and for those without."""

Out = Annotated[Path, typer.Option(help="Folder in which the models are built.")]
CatalogueFile = Annotated[
    Path | None, typer.Option("--catalogue", help="models.toml; unset: the one beside the folder.")
]
DEFAULT_OUT = Path("resources/models")
DEFAULT_SOURCES = DEFAULT_OUT / "sources"
PICTURES = ("portraits", "lfw")
"""Sources that are no weights."""
DEFAULT_EVALUATION = Path("build/accuracy")


@app.command()
def fetch(out: Out = DEFAULT_OUT, catalogue: CatalogueFile = None) -> None:
    """Bring the published weights and the portraits here, verified."""
    with Progress(console=console, transient=True) as progress:
        workshop = _workshop(out, catalogue, progress)
        for name in workshop.catalogue.sources:
            if name not in PICTURES:
                workshop.source(name)
        _make(workshop, _detector(workshop))
        portraits = fetch_portraits(workshop.catalogue, out / "sources", _portraits(out))
    console.print(f"weights in {out / 'sources'}, portraits in {portraits}")


@app.command()
def minifasnet(out: Out = DEFAULT_OUT, catalogue: CatalogueFile = None) -> None:
    """Export MiniFASNetV2 and V1SE from PyTorch to ONNX as they are."""
    workshop = _workshop(out, catalogue)
    for name in MINIFASNETS:
        _make(workshop, _plain(workshop, name))


@app.command()
def optimize(out: Out = DEFAULT_OUT, catalogue: CatalogueFile = None) -> None:
    """Rewrite the exported liveness networks so that ONNX Runtime runs them fast, once for
    processors with its blocked layout and once for those without."""
    workshop = _workshop(out, catalogue)
    for name in MINIFASNETS:
        _make(workshop, _plain(workshop, name))
        _make(workshop, _optimized(workshop, name, in_blocks=True))
        _make(workshop, _optimized(workshop, name, in_blocks=False))


@app.command(name="dlib-resnet")
def dlib_resnet(out: Out = DEFAULT_OUT, catalogue: CatalogueFile = None) -> None:
    """Build dlib's face descriptor network as ONNX."""
    workshop = _workshop(out, catalogue)
    _make(workshop, _dlib_resnet(workshop))


@app.command()
def sface(out: Out = DEFAULT_OUT, catalogue: CatalogueFile = None) -> None:
    """Rewrite the SFace descriptor network so that ONNX Runtime runs it fast, once for processors
    with its blocked layout and once for those without."""
    workshop = _workshop(out, catalogue)
    _make(workshop, _sface(workshop, in_blocks=True))
    _make(workshop, _sface(workshop, in_blocks=False))


@app.command()
def landmarks(out: Out = DEFAULT_OUT, catalogue: CatalogueFile = None) -> None:
    """Turn dlib's 5-point predictor into arrays."""
    workshop = _workshop(out, catalogue)
    _make(workshop, _landmarks(workshop))


@app.command()
def verify(out: Out = DEFAULT_OUT, catalogue: CatalogueFile = None) -> None:
    """Compare every built file with its original on real faces; fail if one differs."""
    _verify(_workshop(out, catalogue))


@app.command(name="all")
def build_all(out: Out = DEFAULT_OUT, catalogue: CatalogueFile = None) -> None:
    """Fetch, build and verify everything. What is up to date is left alone."""
    fetch(out, catalogue)
    optimize(out, catalogue)
    sface(out, catalogue)
    dlib_resnet(out, catalogue)
    landmarks(out, catalogue)
    twice = (file for name in BUILT_TWICE for file in (name, nchw(name)))
    if is_verified(out, (*twice, DLIB_RESNET, LANDMARKS5)):
        console.print("verified before, unchanged since")
    else:
        verify(out, catalogue)


@app.command()
def faces(
    out: Annotated[Path, typer.Option(help="Folder for the pictures.")] = Path("resources/faces"),
    sources: Annotated[Path, typer.Option(help="Folder for the archive.")] = DEFAULT_OUT
    / "sources",
    catalogue: Annotated[Path, typer.Option(help="models.toml.")] = Path("resources/models.toml"),
) -> None:
    """Bring Labeled Faces in the Wild here, verified, to measure recognition on."""
    with Progress(console=console, transient=True) as progress:
        folder = fetch_faces(load_catalogue(catalogue), sources, out, progress)
    console.print(f"faces in {folder}", highlight=False)


@app.command()
def evaluate(
    folder: Annotated[Path, typer.Argument(help="Pictures, one sub-folder a person.")],
    models: Annotated[Path, typer.Option(help="The built models.")] = DEFAULT_OUT,
    output: Annotated[Path, typer.Option(help="Where tables and curves go.")] = DEFAULT_EVALUATION,
    write_rates: Annotated[
        Path | None, typer.Option(help="Also write resources/recognition.toml.")
    ] = None,
    write_page: Annotated[
        Path | None, typer.Option(help="Also write the tables into docs/accuracy.md.")
    ] = None,
) -> None:
    """Measure how well people are told apart: verification, and open-set identification."""
    from ostiary_export.evaluate.command import Plan, run

    run(Plan(folder, models, output, write_rates, write_page), console)


@app.command("evaluate-groups")
def evaluate_groups(
    folder: Annotated[
        Path, typer.Argument(help="Pictures, one sub-folder a group, every picture another person.")
    ],
    models: Annotated[Path, typer.Option(help="The built models.")] = DEFAULT_OUT,
    output: Annotated[Path, typer.Option(help="Where tables and sheets go.")] = DEFAULT_EVALUATION,
    recognizer: Annotated[
        RecognizerName, typer.Option(help="Whose errors are measured.")
    ] = "sface",
    one_person: Annotated[
        Path, typer.Option(help="Pictures that show one person, two a line, by their SHA-256.")
    ] = Path("resources/one_person.txt"),
    write_page: Annotated[
        Path | None, typer.Option(help="Also write the tables into docs/accuracy.md.")
    ] = None,
) -> None:
    """Measure how often strangers are let in within groups of people and between them."""
    from ostiary_export.evaluate.group_command import GroupPlan, run

    run(GroupPlan(folder, models, output, recognizer, one_person, write_page), console)


@app.command("evaluate-liveness")
def evaluate_liveness(
    folder: Annotated[
        Path, typer.Argument(help="live/PERSON-…/ and attack/KIND/PERSON-…/: pictures or videos.")
    ],
    models: Annotated[Path, typer.Option(help="The built models.")] = DEFAULT_OUT,
    output: Annotated[Path, typer.Option(help="Where figures and curves go.")] = Path(
        "build/liveness"
    ),
    named: Annotated[
        list[str] | None,
        typer.Option("--set", help="A setting of the door, as access.live_threshold=0.9."),
    ] = None,
    rate: Annotated[
        float, typer.Option(min=0.1, help="Pictures a second, where no rate.txt says it.")
    ] = 2.0,
    site: Annotated[
        Path | None,
        typer.Option(help="A sitting before the same camera: it is calibrated by that first."),
    ] = None,
    templates: Annotated[
        int, typer.Option(min=1, help="By how many pictures each is known, one a clip.")
    ] = 1,
    others: Annotated[
        Path | None, typer.Option(help="People of this folder are known there as well.")
    ] = None,
    people: Annotated[int, typer.Option(min=1, help="So many in all, with --others.")] = 100,
) -> None:
    """Play recorded visits of people and attacks to the door: who is let in, asked, and denied."""
    from ostiary_export.presentation.command import Plan, run

    run(Plan(folder, models, output, named or (), rate, site, templates, others, people), console)


def main() -> None:
    """Entry point. An error that has a code ends with its message and exit status."""
    try:
        app()
    except OstiaryError as error:
        console.print(f"[red]{error.code}[/red]: ", end="")
        console.print(error.message, markup=False, highlight=False, soft_wrap=True)
        sys.exit(error.exit_status)


def _workshop(out: Path, catalogue: Path | None, progress: Progress | None = None) -> Workshop:
    return Workshop(load_catalogue(catalogue or out.parent / "models.toml"), out, progress)


def _portraits(out: Path) -> Path:
    return out.parent / "portraits"


def _make(workshop: Workshop, step: Step) -> Path:
    target, built = workshop.make(step)
    console.print(f"{target}: {'built' if built else 'up to date'}", highlight=False)
    return target


def _detector(workshop: Workshop) -> Step:
    def copy(source: Path, target: Path) -> None:
        shutil.copyfile(source, target)

    return Step(YUNET, workshop.source("yunet"), (), copy)


def _plain(workshop: Workshop, name: str) -> Step:
    def build(source: Path, target: Path) -> None:
        from ostiary_export import minifasnet as networks  # torch takes seconds to import

        networks.export_plain(networks.load(source, networks.PLANS[MINIFASNETS[name]]), target)

    return Step(f"{PLAIN}/{name}", workshop.source(MINIFASNETS[name]), ("minifasnet",), build)


def _optimized(workshop: Workshop, name: str, *, in_blocks: bool) -> Step:
    modules = ("minifasnet", "optimize")

    def build(source: Path, target: Path) -> None:
        from ostiary_export import minifasnet as networks
        from ostiary_export.optimize import AS_NCHW, IN_BLOCKS
        from ostiary_export.optimize import optimize as rewrite

        plan = networks.PLANS[MINIFASNETS[name]]
        about = {
            "source_sha256": sha256_of(workshop.source(MINIFASNETS[name])),
            "scale": str(plan.scale),
            "colour_order": "BGR",
            "value_range": "0-255",
            "class_order": ",".join(networks.CLASS_ORDER),
            "opset": str(networks.OPSET),
            "exporter": code_of(modules),
        }
        rewrite(source, target, about, IN_BLOCKS if in_blocks else AS_NCHW)

    target = name if in_blocks else nchw(name)
    return Step(target, workshop.out / PLAIN / name, modules, build)


def _dlib_resnet(workshop: Workshop) -> Step:
    def build(source: Path, target: Path) -> None:
        from ostiary_export import dlib_resnet as network

        network.build(source, target, rates_metadata(rates, "dlib"))

    rates = workshop.out.parent / RATES
    modules = ("dlib_format", "dlib_network", "dlib_graph", "dlib_resnet", "rates")
    return Step(DLIB_RESNET, workshop.source("dlib_resnet"), modules, build, rates)


def _sface(workshop: Workshop, *, in_blocks: bool) -> Step:
    def build(source: Path, target: Path) -> None:
        from ostiary_export import sface as network

        network.build(source, target, rates_metadata(rates, "sface"), in_blocks=in_blocks)

    rates = workshop.out.parent / RATES
    target = SFACE if in_blocks else nchw(SFACE)
    return Step(target, workshop.source("sface"), ("sface", "rates"), build, rates)


def _landmarks(workshop: Workshop) -> Step:
    def build(source: Path, target: Path) -> None:
        from ostiary_export import dlib_landmarks as predictor

        predictor.build(source, target)

    modules = ("dlib_format", "dlib_landmarks")
    return Step(LANDMARKS5, workshop.source("dlib_landmarks"), modules, build)


def _verify(workshop: Workshop) -> None:
    import torch

    from ostiary_export import dlib_landmarks as predictor
    from ostiary_export import dlib_resnet as descriptors
    from ostiary_export import minifasnet as networks
    from ostiary_export import sface_proof
    from ostiary_export.crops import (
        aligned_faces,
        chips_of,
        liveness_crops,
        load_portraits,
        sface_chips,
    )
    from ostiary_export.verify import refuse_failures, verify_minifasnet

    # Layers this small take longer with two threads than with one. The proofs run side by side.
    torch.set_num_threads(1)
    out = workshop.out
    portraits = load_portraits(_portraits(out), out / YUNET)

    def minifasnet(name: str) -> list[Report]:
        plan = networks.PLANS[MINIFASNETS[name]]
        network = networks.load(workshop.source(MINIFASNETS[name]), plan)
        crops = liveness_crops(portraits, plan.scale)
        return [verify_minifasnet(network, out / file, crops) for file in (name, nchw(name))]

    def sface() -> list[Report]:
        both = (out / SFACE, out / nchw(SFACE))
        return [*sface_proof.verify(workshop.source("sface"), both, sface_chips(portraits))]

    def dlib() -> list[Report]:
        faces = aligned_faces(portraits)
        landmarks = predictor.verify(out / LANDMARKS5, faces)
        return [
            *landmarks,
            descriptors.verify(out / DLIB_RESNET, chips_of(out / LANDMARKS5, faces)),
        ]

    with ThreadPoolExecutor() as pool:
        running = [pool.submit(minifasnet, name) for name in MINIFASNETS]
        running += [pool.submit(sface), pool.submit(dlib)]
        reports = [report for each in running for report in each.result()]
    write_record(reports, out)
    console.print(_table(reports))
    refuse_failures(reports)


def _table(reports: list[Report]) -> Table:
    model = Column("model", no_wrap=True)
    table = Table(model, "crops", "largest\ndifference", "allowed", "decisions\nthat differ", "")
    for report in reports:
        table.add_row(
            report.name,
            str(report.crops),
            f"{report.max_abs_diff:.2e}",
            f"{report.limit:.0e}",
            str(report.differing_decisions),
            "[green]equal[/green]" if report.passed else "[red]NOT EQUAL[/red]",
        )
    return table
