"""`ostiary-export evaluate`."""

from dataclasses import dataclass
from pathlib import Path

import typer
from rich.console import Console
from rich.progress import Progress

from ostiary_export.errors import FacesInvalid
from ostiary_export.evaluate import figures
from ostiary_export.evaluate.faces import NAMES, collect
from ostiary_export.evaluate.pairs import joined, pairs_of
from ostiary_export.evaluate.rates import rates_of, write_rates
from ostiary_export.evaluate.report import described, into_page, markdown, write_page
from ostiary_export.files import written_whole


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure, with which models, and where what was found goes."""

    folder: Path
    models: Path
    output: Path
    rates: Path | None = None
    page: Path | None = None


def run(plan: Plan, console: Console) -> None:
    """Measure, print, and write. Raises FacesInvalid, ModelMissing, and then nothing was written
    but descriptors that the next run can use."""
    plan.output.mkdir(parents=True, exist_ok=True)
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("describing pictures", total=None)
        found = collect(
            plan.folder,
            plan.models,
            plan.output,
            lambda done, total: progress.update(task, completed=done, total=total),
        )
    collection = joined(found, pairs_of(found, "sface"))
    console.print(f"{plan.folder}: {described(collection)}", highlight=False)
    pairs = {name: pairs_of(collection, name) for name in NAMES}
    if not len(pairs["sface"].impostor):
        raise FacesInvalid(f"{plan.folder}: pictures of one person only; add other people.")
    measured_on = f"{plan.folder.name}: {described(collection)}"
    rates = plan.rates and {name: rates_of(collection, name, measured_on) for name in NAMES}
    lines: list[figures.Line] = []
    for name in NAMES:
        with console.status(f"measuring {name}"):
            lines += figures.verification(collection, name, pairs[name])
            lines += figures.identification(collection, name)
            lines += figures.at_default(collection, name)
    text = markdown(collection, lines)
    write_page(plan.output / "accuracy.html", text, lines, pairs)
    json_lines = [line.to_json() for line in lines]
    with written_whole(plan.output / "accuracy.jsonl") as temporary:
        temporary.write_text("\n".join(json_lines) + "\n", "utf-8")
    if plan.rates and rates:
        write_rates(plan.rates, rates)
        console.print(f"error rates in {plan.rates}", highlight=False)
    if plan.page is not None:
        into_page(plan.page, text)
    console.print(text, markup=False, highlight=False, soft_wrap=True)
    console.print(f"curves: {plan.output / 'accuracy.html'}", highlight=False)
    for line in json_lines:
        typer.echo(line)
