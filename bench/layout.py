"""Measures both files of each network that is built twice, with ONNX Runtime's blocked layout and
without: `python -m bench.layout`.

Without blocks means this processor at ONNX Runtime's optimisation level EXTENDED, which is all but
the blocked layout. It stands in for an ARM (see docs/hardware.md).
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
import onnxruntime as ort

from bench.harness import MODELS, Line, compare
from ostiary.vision.models import MINIFASNET_V1SE, MINIFASNET_V2, SFACE, nchw

ROUNDS = 60
LEVELS = {
    "in_blocks": ort.GraphOptimizationLevel.ORT_ENABLE_ALL,
    "without_blocks": ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
}


def once(file: Path, level: ort.GraphOptimizationLevel) -> Callable[[], np.ndarray]:
    """One call of the network in `file`, on noise."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.graph_optimization_level = level
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_free_dimension_override_by_name("batch", 1)
    session = ort.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    (taken,) = session.get_inputs()
    pixels = np.random.default_rng(0).uniform(0, 255, [1, *taken.shape[1:]]).astype(np.float32)
    return lambda: np.asarray(session.run(None, {taken.name: pixels})[0])


def run() -> Iterator[Line]:
    """`ours` is the file without blocks, `reference` the file in blocks."""
    for name in (MINIFASNET_V2, MINIFASNET_V1SE, SFACE):
        for layout, level in LEVELS.items():
            plain, blocks = (once(MODELS / file, level) for file in (nchw(name), name))
            difference = float(np.abs(plain() - blocks()).max())
            label = f"{Path(name).stem}_nchw_{layout}"
            yield compare(label, plain, blocks, ROUNDS, difference)


if __name__ == "__main__":
    for line in run():
        print(json.dumps(asdict(line)), flush=True)
