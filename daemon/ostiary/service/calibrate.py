"""Thresholds for a site's own camera and light: people first, then attacks, frame by frame.

Nothing is kept unless a folder for it is given; there it lies as `ostiary-export evaluate-liveness`
reads it.
"""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ostiary.access.presentation import Scores
from ostiary.camera.reader import CameraReader
from ostiary.errors import CameraUnavailable, NoFace
from ostiary.vision.engine import VisionEngine
from ostiary.vision.image import encode_jpeg

LIVE = "live"
LEAST_FRAMES = 20
KEEP_EVERY_S = 1.0
NO_PICTURE_S = 10.0


def sit(
    camera: CameraReader,
    engine: VisionEngine,
    kind: str,
    seconds: float,
    keep: Path | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Scores:
    """P(live) of the nearest good face on every frame for so many seconds. `kind` is LIVE or an
    attack's name. With `keep` a picture a second is written there.

    Raises NoFace where fewer than LEAST_FRAMES showed one, CameraUnavailable.
    """
    scores: list[float] = []
    until, kept_at, seen_at, number = clock() + seconds, 0.0, clock(), 0
    while (now := clock()) < until:
        frame = camera.newest(after=number, timeout=0.5)
        if frame is None:
            if now - seen_at > NO_PICTURE_S:
                raise CameraUnavailable(f"{camera.name}: no picture for {NO_PICTURE_S:g} s.")
            continue
        number, seen_at = frame.number, now
        faces = [each for each in engine.detect(frame.image) if engine.is_near(each)]
        good = [each for each in faces if engine.quality(frame.image, each).flaw is None]
        if not good:
            continue
        scores.append(engine.live_score(frame.image, max(good, key=lambda face: face.box.area)))
        if keep is not None and now - kept_at >= KEEP_EVERY_S:
            kept_at = now
            folder = keep / (LIVE if kind == LIVE else f"attack/{kind}")
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            (folder / f"{time.time_ns()}.jpg").write_bytes(encode_jpeg(frame.image, 95))
    if len(scores) < LEAST_FRAMES:
        raise NoFace(
            f"{kind}: a good face on {len(scores)} frames only; {LEAST_FRAMES} are needed. Come "
            "nearer, find more light, and begin again."
        )
    return np.array(scores)
