"""Are the models whole and fast enough, and are strangers' pictures decoded apart?"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

import numpy as np

from ostiary.decoding.decoder import Decoder
from ostiary.errors import OstiaryError
from ostiary.service.doctor.check import Check, green, red, yellow
from ostiary.service.doctor.machine import is_open_to_others
from ostiary.settings import CameraSettings, VisionSettings
from ostiary.vision.engine import VisionEngine
from ostiary.vision.face import Box, Face
from ostiary.vision.image import ImageLimits, encode_jpeg
from ostiary.vision.models import (
    MANIFEST,
    checked_models,
    liveness_files,
    models_directory,
    needed_files,
)
from ostiary.vision.runtime import available_providers, open_session, provider_in_use

RUNS = 9
ENOUGH_S = 2.0
"""A stage is measured for so long at most."""
TOO_SLOW_S = 0.5
"""Time of a frame at which three votes take longer than a person waits."""
SMALL = ImageLimits(bytes=100_000, pixels=10_000, side=100)


def check_models(settings: VisionSettings) -> Iterator[Check]:
    try:
        directory = models_directory(settings.models)
    except OstiaryError as error:
        yield red("models", error.message, "Install the package again, or run `make export`.")
        return
    yield _files(directory, settings)
    yield _provider(directory, settings)


def _files(directory: Path, settings: VisionSettings) -> Check:
    again = "Install the package again, or run `ostiary-export all`."
    names = needed_files(settings.recognizer, settings.liveness)
    missing = [name for name in names if not (directory / name).is_file()]
    if missing:
        return red("models", f"{directory}: {', '.join(missing)} missing", again)
    try:
        checked_models(directory, names)
    except OstiaryError as error:
        return red("models", error.message, again)
    writers = [name for name in (*names, MANIFEST) if is_open_to_others(directory / name)]
    if writers:
        return yellow(
            "models",
            f"{directory}: others than the owner may write {', '.join(writers)}",
            f"chmod go-w {directory}/*",
        )
    return green("models", f"{len(names)} files in {directory}, every SHA-256 as built")


def _provider(directory: Path, settings: VisionSettings) -> Check:
    try:
        first, *_ = liveness_files(settings.liveness)
        used = provider_in_use(open_session(directory / first, settings.provider, settings.threads))
    except OstiaryError as error:
        return red("provider", error.message, "Install the package again.")
    if used != settings.provider.lower():
        return yellow(
            "provider",
            f"{settings.provider} is not to be had; {used} is used",
            f"Set vision.provider to one of: {', '.join(available_providers())}.",
        )
    return green("provider", f"{used}, {settings.threads} thread(s)")


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


def check_decoder() -> Iterator[Check]:
    """Whether pictures of strangers are decoded apart: one is decoded so."""
    picture = encode_jpeg(np.zeros((64, 64, 3), np.uint8))
    try:
        with Decoder(SMALL) as decoder:
            decoder.decode(picture)
    except OstiaryError as error:
        advice = "apt install libseccomp2. Until then pictures in commands are refused."
        yield red("decoder", error.message, advice)
    else:
        yield green("decoder", "pictures are decoded by a process that can do nothing else")
