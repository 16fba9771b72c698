"""`ostiary-export evaluate-liveness`."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import typer
from matplotlib.figure import Figure as Drawing
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from ostiary.access.presentation import apcer, bpcer
from ostiary.config import AccessSettings
from ostiary_export.files import written_whole
from ostiary_export.presentation.collect import DETECTORS, LIVE, Presentations, collect
from ostiary_export.presentation.rates import Line, lines_of


def run(folder: Path, models: Path, output: Path, console: Console) -> None:
    """Measure, print, and write liveness.jsonl and liveness.svg. Raises FacesInvalid,
    ModelMissing."""
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("judging presentations", total=None)
        found = collect(
            folder, models, lambda done, total: progress.update(task, completed=done, total=total)
        )
    lines = lines_of(found, AccessSettings().live_threshold)
    output.mkdir(parents=True, exist_ok=True)
    json_lines = [line.to_json() for line in lines]
    with written_whole(output / "liveness.jsonl") as temporary:
        temporary.write_text("\n".join(json_lines) + "\n", "utf-8")
    with written_whole(output / "liveness.svg") as temporary:
        _curves(found).savefig(temporary, format="svg")
    console.print(_described(found), highlight=False)
    console.print(_table(lines))
    console.print(f"curves: {output / 'liveness.svg'}", highlight=False, soft_wrap=True)
    for line in json_lines:
        typer.echo(line)


def _described(found: Presentations) -> str:
    kinds = ", ".join(
        f"{int(np.sum(found.species == each))} of {each}" for each in (LIVE, *found.attacks)
    )
    silent = ", ".join(f"{count} of {each}" for each, count in sorted(found.without_face.items()))
    return (
        f"{kinds}; without a face, to which a door says nothing: {silent or 'none'}; "
        f"unreadable: {len(found.unreadable)}"
    )


def _table(lines: Sequence[Line]) -> Table:
    table = Table("figure", "network", "P(live) from", "value", "95 %", "of")
    for line in lines:
        about = " ".join(str(each) for each in line.about.values())
        rate = line.rate
        table.add_row(
            f"{line.figure} {about}".strip(),
            line.detector,
            f"{line.threshold:.4f}",
            f"{rate.value:.1%}",
            f"{rate.low:.1%} to {rate.high:.1%}",
            str(rate.of),
        )
    return table


def _curves(found: Presentations) -> Drawing:
    """BPCER against the worst kind's APCER, over all thresholds."""
    drawing = Drawing((7, 5), layout="constrained")
    axes = drawing.subplots()
    thresholds = np.append(np.linspace(0, 1, 401), 1.0001)
    for name in DETECTORS:
        worst = [
            max(apcer(found.of(each, name), at).value for each in found.attacks)
            for at in thresholds
        ]
        people = [bpcer(found.of(LIVE, name), at).value for at in thresholds]
        axes.step(worst, people, where="post", label=name)
    axes.set(
        title="People turned away, against attacks let through",
        xlabel="APCER of the worst kind",
        ylabel="BPCER",
    )
    axes.grid(visible=True, alpha=0.3)
    axes.legend()
    return drawing
