"""Proves that the files that ship compute what their originals compute."""

from collections.abc import Iterable
from copy import deepcopy
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ostiary.vision.liveness import network_input
from ostiary.vision.runtime import open_session
from ostiary_export.errors import NotEqual
from ostiary_export.minifasnet import MiniFASNet
from ostiary_export.report import Report

LOGITS_LIMIT = 1e-5
_BATCH = 10


def verify_minifasnet(network: MiniFASNet, built: Path, crops: NDArray[np.uint8]) -> Report:
    """Compare `built`, run as the daemon runs it and in batches, with PyTorch.

    `crops` is (N, 80, 80, 3) BGR uint8. Logits are held against PyTorch in double precision: what
    the network says without anybody's rounding. Float32 is up to 6e-6 away from that in PyTorch,
    in its own export and in ours alike. A decision differs when another class is the largest
    than in PyTorch's float32.
    """
    exact_network = deepcopy(network).double()
    one, many = open_session(built, batch=1), open_session(built)
    difference, differing = 0.0, 0
    for start in range(0, len(crops), _BATCH):
        inputs = network_input(crops[start : start + _BATCH])
        with torch.inference_mode():
            tensor = torch.from_numpy(inputs)
            decided = network(tensor).argmax(1).numpy()
            exact = exact_network(tensor.double()).numpy()
        singly = [one.run(["logits"], {"crop": crop[np.newaxis]})[0] for crop in inputs]
        (at_once,) = many.run(["logits"], {"crop": inputs})
        found = np.stack([np.concatenate(singly), at_once])
        # np.maximum keeps a NaN, and no limit allows one.
        difference = float(np.maximum(difference, np.abs(found - exact).max()))
        differing += int((found.argmax(-1) != decided).any(axis=0).sum())
    return Report(built.name, len(crops), difference, LOGITS_LIMIT, differing)


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
