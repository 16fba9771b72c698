"""The figures for people: a table, and a page with the curves."""

import html
from collections.abc import Mapping, Sequence
from io import StringIO
from pathlib import Path

import matplotlib as mpl
import numpy as np

mpl.use("agg")
from matplotlib.figure import Figure as Drawing

from ostiary.camera.clips import LIVE
from ostiary.decision.presentation import apcer, bpcer
from ostiary_export.files import written_whole
from ostiary_export.presentation.figures import Figure, by_kind
from ostiary_export.presentation.visits import Visit, scores_of

COLUMNS = ("granted", "asked", "denied", "silent")
THRESHOLDS = np.append(np.linspace(0, 1, 401), 1.0001)


def markdown(figures: Sequence[Figure]) -> str:
    """Whole visits by kind, then everything else, a line a figure."""
    found = {(figure.kind, figure.name): figure for figure in figures if not _reason(figure)}
    kinds = list(dict.fromkeys(figure.kind for figure in figures))
    rows = [["shown", "visits", *COLUMNS, "why denied"], ["---"] * (len(COLUMNS) + 3)]
    for kind in kinds:
        first = found.get((kind, "granted"))
        if first is None:
            continue
        cells = [_count(found.get((kind, name))) for name in COLUMNS]
        why = [f"{_counted(each)} {_reason(each)}" for each in figures if _reason_of(each, kind)]
        rows.append([kind, str(first.rate.of), *cells, ", ".join(why)])
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    others = [
        f"{figure.kind} {figure.name}{_at(figure)}: {rate.value:.3g} "
        f"({rate.low:.3g} to {rate.high:.3g}) of {rate.of}"
        for figure in figures
        if figure.name not in COLUMNS and (rate := figure.rate)
    ]
    return "\n".join([table, "", *others])


def write_page(path: Path, text: str, visits: Sequence[Visit]) -> None:
    """One HTML file that needs no other: the curves as SVG, and the figures."""
    with written_whole(path) as temporary:
        temporary.write_text(
            "<!doctype html><meta charset='utf-8'><title>Ostiary: liveness</title>"
            "<style>body{font:16px sans-serif;max-width:60em;margin:2em auto}svg{max-width:100%;"
            "height:auto}pre{overflow:auto}</style><h1>Liveness</h1>"
            f"<figure>{_curves(by_kind(visits))}</figure><pre>{html.escape(text)}</pre>",
            "utf-8",
        )


def _curves(kinds: Mapping[str, Sequence[Visit]]) -> str:
    """BPCER against APCER of single pictures, over all thresholds, by kind."""
    drawing = Drawing((8, 5), layout="constrained")
    axes = drawing.subplots()
    live = np.array(scores_of(kinds[LIVE]))
    people = [bpcer(live, at).value for at in THRESHOLDS] if len(live) else []
    for kind, visits in kinds.items():
        scores = np.array(scores_of(visits))
        if kind != LIVE and len(scores) and people:
            passed = [apcer(scores, at).value for at in THRESHOLDS]
            axes.step(passed, people, where="post", label=kind)
    axes.set(title="Single pictures", xlabel="attacks taken for live (APCER)")
    axes.set_ylabel("people's pictures that are not (BPCER)")
    axes.grid(visible=True, alpha=0.3)
    axes.legend()
    text = StringIO()
    drawing.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()[text.getvalue().index("<svg") :]


def _count(figure: Figure | None) -> str:
    if figure is None:
        return ""
    rate = figure.rate
    return f"{_counted(figure)} ({rate.value:.0%}, {rate.low:.0%} to {rate.high:.0%})"


def _counted(figure: Figure) -> int:
    return round(figure.rate.value * figure.rate.of)


def _reason(figure: Figure) -> str:
    return str(figure.about.get("reason", ""))


def _reason_of(figure: Figure, kind: str) -> bool:
    return figure.kind == kind and bool(_reason(figure))


def _at(figure: Figure) -> str:
    threshold = figure.about.get("threshold")
    return "" if threshold is None else f" at {threshold}"
