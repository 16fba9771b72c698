"""The figures for people: a table, a page with the curves, and the part of docs/accuracy.md."""

import html
from collections.abc import Mapping, Sequence
from io import StringIO
from pathlib import Path

import matplotlib as mpl
import numpy as np

mpl.use("agg")
from matplotlib.figure import Figure as Drawing

from ostiary.messages.words import RecognizerName
from ostiary_export.evaluate.faces import Collection
from ostiary_export.evaluate.figures import Line
from ostiary_export.evaluate.pairs import Pairs
from ostiary_export.files import written_whole

BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
POINTS = 400
NAMES = {
    "tar_at_fmr": "True accept rate at a false match rate",
    "fnir_at_fpir": "Registered people turned away or mistaken (FNIR) at a fixed FPIR",
    "strangers_at_default": "Strangers let in at the door's own threshold",
    "turned_away_at_default": "Registered people turned away or mistaken at the same threshold",
}


def described(collection: Collection) -> str:
    """What was measured on, in one line."""
    people, counts = np.unique(collection.person, return_counts=True)
    return (
        f"{len(collection.person):,} pictures of {len(people):,} people, "
        f"{int((counts >= 2).sum()):,} with two or more"
    )


def markdown(collection: Collection, lines: Sequence[Line]) -> str:
    """All figures as tables, each with its 95 % interval."""
    parts = [f"Measured on {described(collection)}."]
    left = (("without a face", collection.without_face), ("unreadable", collection.unreadable))
    parts += [f"Left out, {what}: {len(which)}." for what, which in left if which]
    if collection.joined:
        listed = ", ".join(f"{one} = {other}" for one, other in collection.joined)
        parts.append(f"Folders that show one person and were put together: {listed}.")
    for name, title in NAMES.items():
        about = [line for line in lines if line.accuracy == name]
        if about:
            parts.append(f"### {title}\n\n{_table(about)}")
    return "\n\n".join(parts)


def _table(lines: Sequence[Line]) -> str:
    recognizers = list(dict.fromkeys(line.recognizer for line in lines))
    rows: dict[tuple[tuple[str, str | float], ...], dict[str, str]] = {}
    for line in lines:
        found = line.figure
        cell = f"{percent(found.value)} ({percent(found.low)} to {percent(found.high)})"
        rows.setdefault(tuple(line.about.items()), {})[line.recognizer] = cell
    heads = [key.replace("_", " ") for key, _ in next(iter(rows))] + recognizers
    body = [
        [f"{value:g}" if isinstance(value, float | int) else value for _, value in key]
        + [cells.get(name, "") for name in recognizers]
        for key, cells in rows.items()
    ]
    return table(heads, body)


def table(heads: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """In Markdown."""
    return "\n".join(f"| {' | '.join(row)} |" for row in (heads, ["---"] * len(heads), *body))


def percent(share: float) -> str:
    """Two digits, three from 10 % on."""
    return f"{100 * share:.2g} %" if share < 0.1 else f"{100 * share:.1f} %"


def into_page(page: Path, text: str, marks: tuple[str, str] = (BEGIN, END)) -> None:
    """Replace what stands between two marks of docs/accuracy.md."""
    begin, end = marks
    before, _, rest = page.read_text("utf-8").partition(begin)
    _, _, after = rest.partition(end)
    with written_whole(page) as temporary:
        temporary.write_text(f"{before}{begin}\n{text}\n{end}{after}", "utf-8")


def write_page(
    path: Path, text: str, lines: Sequence[Line], pairs: Mapping[RecognizerName, Pairs]
) -> None:
    """One HTML file that needs no other: the curves as SVG, and the tables."""
    curves = [_det(pairs), _distances(pairs), _identification(lines)]
    body = "\n".join(f"<figure>{curve}</figure>" for curve in curves)
    with written_whole(path) as temporary:
        temporary.write_text(
            "<!doctype html><meta charset='utf-8'><title>Ostiary: accuracy</title>"
            "<style>body{font:16px sans-serif;max-width:60em;margin:2em auto}svg{max-width:100%;"
            f"height:auto}}pre{{overflow:auto}}</style><h1>Accuracy</h1>{body}"
            f"<pre>{html.escape(text)}</pre>",
            "utf-8",
        )


def _svg(drawing: Drawing) -> str:
    text = StringIO()
    drawing.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()[text.getvalue().index("<svg") :]


def _det(pairs: Mapping[RecognizerName, Pairs]) -> str:
    drawing = Drawing((8, 5), layout="constrained")
    axes = drawing.subplots()
    rates = np.logspace(-6, -0.5, POINTS)
    for name, each in pairs.items():
        shown = rates[rates * len(each.impostor) >= 1]
        missed = [each.false_non_match_at(each.distance_at(rate)) for rate in shown]
        axes.loglog(shown, np.maximum(missed, 1e-4), label=name)
    axes.set(title="Detection error trade-off", xlabel="false match rate")
    axes.set_ylabel("false non-match rate")
    axes.grid(visible=True, which="both", alpha=0.3)
    axes.legend()
    return _svg(drawing)


def _distances(pairs: Mapping[RecognizerName, Pairs]) -> str:
    drawing = Drawing((8, 3.5), layout="constrained")
    places = drawing.subplots(1, len(pairs), squeeze=False)[0]
    for axes, (name, each) in zip(places, pairs.items(), strict=True):
        for label, values in (("one person", each.genuine), ("two people", each.impostor)):
            axes.hist(values, bins=80, density=True, alpha=0.6, label=label)
        axes.set(title=name, xlabel="distance", yticks=[])
        axes.legend()
    return _svg(drawing)


def _identification(lines: Sequence[Line]) -> str:
    drawing = Drawing((8, 5), layout="constrained")
    axes = drawing.subplots()
    chosen = [line for line in lines if line.accuracy == "fnir_at_fpir"]
    for name in dict.fromkeys(line.recognizer for line in chosen):
        for templates, probes in ((1, 1), (1, 2), (2, 1)):
            points = [
                (line.about["people"], line.figure.value)
                for line in chosen
                if line.recognizer == name
                and (line.about["templates"], line.about["probes"]) == (templates, probes)
            ]
            if points:
                label = f"{name}, {templates} template(s), {probes} look(s)"
                axes.semilogx(*zip(*points, strict=True), marker="o", label=label)
    axes.set(title="Turned away or mistaken, at 1 % of strangers let in", xlabel="people")
    axes.set_ylabel("FNIR")
    axes.grid(visible=True, which="both", alpha=0.3)
    axes.legend()
    return _svg(drawing)
