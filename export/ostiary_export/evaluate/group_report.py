"""The figures by group for people: tables, and sheets of the pictures that are nearest."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from ostiary.vision.arrays import BGRImage
from ostiary_export.evaluate.figures import Line
from ostiary_export.evaluate.group_faces import Groups
from ostiary_export.evaluate.pairs import distances
from ostiary_export.evaluate.report import percent, table

BEGIN, END = "<!-- by group: begin -->", "<!-- by group: end -->"
SHOWN_AT = 100
NEAREST = 20
ACROSS = 5
CELL = (110, 130)


def markdown(groups: Groups, lines: Sequence[Line]) -> str:
    """All figures as tables."""
    counts = ", ".join(f"{len(groups.of(name))} {name}" for name in groups.names)
    parts = [f"Measured on {len(groups.pictures):,} pictures, each another person: {counts}."]
    if groups.refused:
        flaws = ", ".join(f"{count} {flaw}" for flaw, count in sorted(groups.refused.items()))
        parts.append(f"Left out, as the door would not judge them: {flaws}.")
    if groups.one_person:
        listed = sum(each.listed for each in groups.one_person)
        parts.append(
            f"Taken out, as the second picture of one person: {len(groups.one_person)}, of these "
            f"{listed} by the listing and {len(groups.one_person) - listed} by their distance."
        )
    parts.append(f"### Strangers of the gallery's own group\n\n{_within(lines)}")
    for kind, title in (
        ("strangers_from_another_folder", "Strangers from another folder of the same group"),
        ("strangers_between_groups", "Strangers of another group"),
    ):
        if text := _between(kind, lines):
            parts.append(f"### {title}, gallery of {SHOWN_AT}\n\n{text}")
    return "\n\n".join(parts)


def _within(lines: Sequence[Line]) -> str:
    heads = ["group", "people", "distance", "let in", "distance, site scale", "let in, site scale"]
    found: dict[tuple[object, object], list[str]] = {}
    for line in lines:
        if line.accuracy == "strangers_by_group":
            found.setdefault((line.about["group"], line.about["people"]), [])
    for line in lines:
        row = found.get((line.about["group"], line.about["people"]))
        if row is not None and line.accuracy == "distance_by_group":
            row.append(f"{line.figure.value:.3f}")
        elif row is not None and line.accuracy == "strangers_by_group":
            row.append(_with_interval(line))
    return table(heads, [[str(group), str(size), *row] for (group, size), row in found.items()])


def _between(kind: str, lines: Sequence[Line]) -> str:
    """One row a gallery: the folder whose strangers are let in most often."""
    rows: list[list[str]] = []
    chosen = [line for line in lines if line.accuracy == kind and line.about["people"] == SHOWN_AT]
    for group in dict.fromkeys(line.about["group"] for line in chosen):
        cells = []
        for scaled in (False, True):
            own = [
                line
                for line in chosen
                if line.about["group"] == group and line.about["site_scale"] is scaled
            ]
            worst = max(own, key=lambda line: line.figure.value)
            cells.append(f"{_with_interval(worst)} {worst.about['strangers']}")
        rows.append([str(group), *cells])
    return table(["gallery", "worst, let in", "worst, site scale"], rows) if rows else ""


def _with_interval(line: Line) -> str:
    found = line.figure
    return f"{percent(found.value)} ({percent(found.low)} to {percent(found.high)})"


def write_sheets(groups: Groups, root: Path, output: Path) -> list[Path]:
    """Write a contact sheet for each folder: first the pairs that were taken out, then the nearest
    that are left."""
    written = []
    for name in groups.names:
        own = groups.of(name)
        apart = distances(groups.descriptors[own], groups.descriptors[own])
        one, other = np.triu_indices(len(own), 1)
        nearest = np.argsort(apart[one, other])[:NEAREST]
        taken = [each for each in groups.one_person if each.kept.startswith(f"{name}/")]
        cells = [_pair(root, each.kept, each.taken_out, each.distance, out=True) for each in taken]
        cells += [
            _pair(
                root,
                groups.pictures[own[one[at]]],
                groups.pictures[own[other[at]]],
                float(apart[one[at], other[at]]),
            )
            for at in nearest
        ]
        if cells:
            path = output / f"nearest-{name}.jpg"
            cells += [np.full_like(cells[0], 255)] * (-len(cells) % ACROSS)
            rows = [np.hstack(cells[at : at + ACROSS]) for at in range(0, len(cells), ACROSS)]
            cv2.imwrite(str(path), np.vstack(rows))
            written.append(path)
    return written


def _pair(root: Path, one: str, other: str, apart: float, *, out: bool = False) -> BGRImage:
    pictures = [
        cv2.resize(np.asarray(cv2.imread(str(root / path), cv2.IMREAD_COLOR), np.uint8), CELL)
        for path in (one, other)
    ]
    line = np.full((18, 2 * CELL[0] + 6, 3), 255, np.uint8)
    names = " ".join(Path(path).stem[-12:] for path in (one, other))
    colour = (0, 0, 200) if out else (0, 0, 0)
    text = f"{apart:.2f} {names}{' out' if out else ''}"
    cv2.putText(line, text, (2, 13), cv2.FONT_HERSHEY_SIMPLEX, 0.4, colour, 1)
    gap = np.full((CELL[1], 6, 3), 255, np.uint8)
    return np.asarray(np.vstack([np.hstack([*pictures, gap]), line]), np.uint8)
