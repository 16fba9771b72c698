"""Proves that the files that ship compute what their originals compute."""

from collections.abc import Iterable
from copy import deepcopy
from pathlib import Path

import numpy as np
import onnxruntime as ort
import torch
from numpy.typing import NDArray

from ostiary.vision.liveness import network_input
from ostiary.vision.runtime import open_session
from ostiary_export.errors import NotEqual
from ostiary_export.minifasnet import MiniFASNet
from ostiary_export.report import Report

LIMIT = 1e-5
CLASSES = 3
_BATCH = 10


def verify_minifasnet(network: MiniFASNet, built: Path, crops: NDArray[np.uint8]) -> Report:
    """Compare `built`, run as the daemon runs it and in batches, with PyTorch.

    `crops` is (N, 80, 80, 3) BGR uint8. Both outputs are compared with PyTorch in double precision,
    which is free of rounding. Logits in float32 are up to 6e-6 away from that in PyTorch, in its
    own export and in ours alike, and features less. A decision differs when another class is the
    largest than in PyTorch's float32.
    """
    exact_network = deepcopy(network).double()
    one, many = open_session(built, batch=1), open_session(built)
    difference, differing = 0.0, 0
    for start in range(0, len(crops), _BATCH):
        inputs = network_input(crops[start : start + _BATCH])
        with torch.inference_mode():
            tensor = torch.from_numpy(inputs)
            decided = network(tensor)[0].argmax(1).numpy()
            exact = np.concatenate(exact_network(tensor.double()), axis=1)
        singly = [_outputs(one, crop[np.newaxis]) for crop in inputs]
        found = np.stack([np.concatenate(singly), _outputs(many, inputs)])
        # np.maximum keeps a NaN, and no limit allows one.
        difference = float(np.maximum(difference, np.abs(found - exact).max()))
        logits = found[..., :CLASSES]
        differing += int((logits.argmax(-1) != decided).any(axis=0).sum())
    return Report(built.name, len(crops), difference, LIMIT, differing)


def _outputs(session: ort.InferenceSession, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
    """Logits, and behind them features, (N, 3 + 512)."""
    return np.concatenate(session.run(["logits", "features"], {"crop": inputs}), axis=1)


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
