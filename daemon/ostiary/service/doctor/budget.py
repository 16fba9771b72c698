"""Does a frame's work fit between two frames on this machine?"""

import time
from collections.abc import Callable, Iterator
from statistics import median

import numpy as np

from ostiary.errors import OstiaryError
from ostiary.service.doctor.check import Check, green, red, yellow
from ostiary.settings import CameraSettings, VisionSettings
from ostiary.vision.engine import VisionEngine
from ostiary.vision.face import Box, Face

RUNS = 9
ENOUGH_S = 2.0
"""A stage that has been measured for so long is known to be slow."""
TOO_SLOW_S = 0.5
"""Three votes at this pace take longer than a person waits."""


def check_budget(vision: VisionSettings, cameras: tuple[CameraSettings, ...]) -> Iterator[Check]:
    try:
        engine = VisionEngine.load(vision)
    except OstiaryError as error:
        yield red("time budget", error.message, "Correct the models first.")
        return
    stages = measure(engine, cameras[0].width, cameras[0].height)
    total = len(cameras) * sum(stages.values())
    between = 1 / max(camera.fps for camera in cameras)
    times = " + ".join(f"{name} {1000 * took:.1f}" for name, took in stages.items())
    several = f" for each of {len(cameras)} cameras" if len(cameras) > 1 else ""
    found = f"{times} ms{several}; {1000 * between:.0f} ms between frames"
    advice = "Lower cameras.width and fps, use liveness = v2, or raise vision.threads."
    if total > TOO_SLOW_S:
        yield red("time budget", found, advice)
    elif total > between:
        yield yellow("time budget", f"{found}: frames are left out", advice)
    else:
        yield green("time budget", found)


def measure(engine: VisionEngine, width: int, height: int) -> dict[str, float]:
    """Median seconds of each stage for one frame of noise with one made-up face."""
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    side = min(width, height) / 3
    box = Box((width - side) / 2, (height - side) / 2, side, side)
    places = np.array(((0.3, 0.4), (0.7, 0.4), (0.5, 0.6), (0.35, 0.75), (0.65, 0.75)))
    landmarks = (places * side + (box.x, box.y)).astype(np.float32)
    face = Face(box, 1.0, landmarks)
    return {
        "detect": _median_s(lambda: engine.detect(noise)),
        "liveness": _median_s(lambda: engine.live_score(noise, face)),
        "describe": _median_s(lambda: engine.describe(noise, face)),
    }


def _median_s(stage: Callable[[], object]) -> float:
    stage()  # the first run plans and allocates
    taken: list[float] = []
    while len(taken) < RUNS and sum(taken) < ENOUGH_S:
        began = time.perf_counter()
        stage()
        taken.append(time.perf_counter() - began)
    return median(taken)
