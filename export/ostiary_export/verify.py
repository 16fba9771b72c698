"""Proves that the files that ship compute what their originals compute."""

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ostiary.vision.liveness import network_input
from ostiary.vision.runtime import open_session
from ostiary_export.errors import NotEqual
from ostiary_export.files import sha256_of, written_whole
from ostiary_export.minifasnet import MiniFASNet
from ostiary_export.report import Report

LOGITS_LIMIT = 1e-5
REPORT = "verify.json"


def verify_minifasnet(network: MiniFASNet, built: Path, crops: NDArray[np.uint8]) -> Report:
    """Compare `built`, run as the daemon runs it and in one large batch, with PyTorch.

    `crops` is (N, 80, 80, 3) BGR uint8. A decision differs when another class is the largest.
    """
    inputs = network_input(crops)
    with torch.inference_mode():
        expected = network(torch.from_numpy(inputs)).numpy()
    one = open_session(built, batch=1)
    singly = np.concatenate(
        [
            one.run(["logits"], {"crop": inputs[index : index + 1]})[0]
            for index in range(len(inputs))
        ]
    )
    (at_once,) = open_session(built).run(["logits"], {"crop": inputs})
    # A NaN anywhere makes the difference NaN, which no limit allows.
    difference = max(float(np.abs(found - expected).max()) for found in (singly, at_once))
    differing = (singly.argmax(1) != expected.argmax(1)) | (at_once.argmax(1) != expected.argmax(1))
    return Report(built.name, len(crops), difference, LOGITS_LIMIT, int(differing.sum()))


def write_report(reports: Iterable[Report], out: Path) -> Path:
    """Keep the reports and the hash of each file they are about beside the models."""
    entries = [
        {**asdict(report), "passed": report.passed, "sha256": sha256_of(out / report.name)}
        for report in reports
    ]
    with written_whole(out / REPORT) as temporary:
        temporary.write_text(json.dumps(entries, indent=2) + "\n", "utf-8")
    return out / REPORT


def is_verified(out: Path, names: Iterable[str]) -> bool:
    """Whether the last report is about exactly these files as they are now, and all passed."""
    try:
        entries = json.loads((out / REPORT).read_text("utf-8"))
        known = {entry["name"]: entry["sha256"] for entry in entries if entry["passed"]}
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return False
    return all(
        (out / name).is_file() and known.get(name) == sha256_of(out / name) for name in names
    )


def refuse_failures(reports: Iterable[Report]) -> None:
    """Raise NotEqual that names every file that is not equal to its original."""
    failed = [
        f"{report.name}: largest difference {report.max_abs_diff:.3g} (allowed {report.limit:g}), "
        f"{report.differing_decisions} of {report.crops} decisions differ"
        for report in reports
        if not report.passed
    ]
    if failed:
        raise NotEqual("; ".join(failed))
