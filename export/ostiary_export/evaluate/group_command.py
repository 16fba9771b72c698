"""`ostiary-export evaluate-groups`."""

from dataclasses import dataclass
from pathlib import Path

import typer
from rich.console import Console
from rich.progress import Progress

from ostiary.messages.words import RecognizerName
from ostiary.vision.engine import RECOGNIZERS
from ostiary_export.evaluate.group_faces import collect_groups, each_person_once, listed_pairs
from ostiary_export.evaluate.group_figures import by_group
from ostiary_export.evaluate.group_report import BEGIN, END, markdown, write_sheets
from ostiary_export.evaluate.report import into_page
from ostiary_export.files import written_whole


@dataclass(frozen=True, slots=True)
class GroupPlan:
    """What to measure, with which models, and where what was found goes."""

    folder: Path
    models: Path
    output: Path
    recognizer: RecognizerName
    one_person: Path | None = None
    page: Path | None = None


def run(plan: GroupPlan, console: Console) -> None:
    """Measure, print, and write. Raises FacesInvalid, ModelMissing."""
    plan.output.mkdir(parents=True, exist_ok=True)
    recognizer = RECOGNIZERS[plan.recognizer].load(plan.models)
    listed = listed_pairs(plan.folder, plan.one_person)
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("describing pictures", total=None)
        found = collect_groups(
            plan.folder,
            plan.models,
            recognizer,
            plan.output,
            lambda done, total: progress.update(task, completed=done, total=total),
        )
    groups = each_person_once(found, recognizer.rates, listed)
    with console.status("measuring"):
        lines = list(by_group(groups, recognizer.name, recognizer.rates))
        sheets = write_sheets(groups, plan.folder, plan.output)
    text = markdown(groups, lines)
    json_lines = [line.to_json() for line in lines]
    with written_whole(plan.output / "groups.jsonl") as temporary:
        temporary.write_text("\n".join(json_lines) + "\n", "utf-8")
    if plan.page is not None:
        into_page(plan.page, text, (BEGIN, END))
    console.print(text, markup=False, highlight=False, soft_wrap=True)
    for each in groups.one_person:
        how = "listed" if each.listed else "by their distance"
        taken = f"one person, {how}: {each.kept} = {each.taken_out} ({each.distance:.2f})"
        console.print(taken, markup=False, highlight=False, soft_wrap=True)
    for sheet in sheets:
        console.print(f"the nearest pairs: {sheet}", highlight=False, soft_wrap=True)
    for line in json_lines:
        typer.echo(line)
