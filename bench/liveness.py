"""MiniFASNetV2 on one crop, one thread: ours beside PyTorch, its plain export, and OpenVINO.

`python -m bench.liveness` prints one JSON line a benchmark. The two sides take turns of
a few calls, so that whatever else the machine does slows both alike; times are medians.
"""

import importlib.util
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from bench.harness import MODELS, PORTRAITS, Line
from ostiary.vision.detect import YuNetDetector
from ostiary.vision.liveness import crop, network_input
from ostiary.vision.models import MINIFASNET_V2, YUNET, liveness_files
from ostiary.vision.runtime import open_session

PORTRAIT = PORTRAITS / "obama.jpg"
CHECKPOINT = MODELS / "sources" / "2.7_80x80_MiniFASNetV2.pth"
TURNS = 40
CALLS = 10
WARM_UP = 20

Logits = NDArray[np.float32]
Network = Callable[[], Logits]


def face_crop() -> NDArray[np.float32]:
    """(1, 3, 80, 80): a real face as the network sees it."""
    image = np.asarray(cv2.imread(str(PORTRAIT)), np.uint8)
    box = YuNetDetector(MODELS / YUNET).detect(image)[0].box
    return network_input(crop(image, box, 2.7)[np.newaxis])


def in_onnx_runtime(model: Path, seen: NDArray[np.float32]) -> Network:
    session = open_session(model, threads=1, batch=1)
    return lambda: np.asarray(session.run(["logits"], {"crop": seen})[0])


def in_torch(seen: NDArray[np.float32]) -> Network:
    import torch

    from ostiary_export import minifasnet

    torch.set_num_threads(1)
    network = minifasnet.load(CHECKPOINT, minifasnet.V2)
    tensor = torch.from_numpy(seen)

    def run() -> Logits:
        with torch.inference_mode():
            return np.asarray(network(tensor)[0].numpy())

    return run


def in_openvino(seen: NDArray[np.float32]) -> Network:
    """In full float32, as ours; OpenVINO would take bfloat16 where the processor has it."""
    import openvino

    core = openvino.Core()
    model = core.read_model(MODELS / "plain" / MINIFASNET_V2)
    model.reshape(list(seen.shape))
    how = {
        "INFERENCE_NUM_THREADS": 1,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",
    }
    request = core.compile_model(model, "CPU", how).create_infer_request()
    return lambda: np.array(request.infer({0: seen})[0])


def compare(name: str, ours: Network, reference: Network) -> Line:
    """Time both in turns of ten calls.

    A call takes about a millisecond, and one in ten finds the caches full of the other side's
    data. With turns of one call every call does, and every ratio is about a fifth smaller.
    """
    for _ in range(WARM_UP):
        difference = float(np.abs(ours() - reference()).max())
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(TURNS):
        for side, taken in zip((ours, reference), times, strict=True):
            for _ in range(CALLS):
                start = time.perf_counter()
                side()
                taken.append(time.perf_counter() - start)
    ours_ms, reference_ms = (1000 * float(np.median(taken)) for taken in times)
    return Line(name, ours_ms, reference_ms, reference_ms / ours_ms, difference)


def run() -> Iterator[Line]:
    """Every benchmark of this file; OpenVINO's only where it is installed."""
    seen = face_crop()
    (liveness,) = liveness_files("v2")
    ours = in_onnx_runtime(MODELS / liveness, seen)
    yield compare("liveness_vs_torch", ours, in_torch(seen))
    plain = in_onnx_runtime(MODELS / "plain" / MINIFASNET_V2, seen)
    yield compare("liveness_vs_plain_onnx", ours, plain)
    if importlib.util.find_spec("openvino"):
        yield compare("liveness_vs_openvino", ours, in_openvino(seen))


if __name__ == "__main__":
    for line in run():
        print(json.dumps(asdict(line)), flush=True)
