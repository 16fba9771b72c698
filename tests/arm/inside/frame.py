"""Decided frames under an instruction counter: `python frame.py ours|reference|networks FRAMES`.

`ours` and `reference` are the two sides of bench/frame.py, ours without motion, bending and votes.
Each stage of each frame lies between two marks for `count.c`; the names of the stages go to stdout,
one a line, in the order of their numbers. What happens before the first frame (start, loading,
warming up) lies outside of all marks.
"""

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import cv2
import numpy as np

MARK = 0x5715_0000
FPS = 3
PERSON = "obama"
FRAME = Path("frame.png")
CHECKPOINT = Path("resources/models/sources/2.7_80x80_MiniFASNetV2.pth")
Stages = dict[str, Callable[[], Any]]


def mark(number: int) -> None:
    with suppress(ProcessLookupError):
        os.getpriority(os.PRIO_PROCESS, MARK + number)


def count(stages: Stages, frames: int) -> None:
    """Run all stages once to warm up, then `frames` times between marks 2k and 2k + 1."""
    sys.stdout.write("".join(f"{name}\n" for name in stages))
    sys.stdout.flush()
    for run in range(-1, frames):
        for number, stage in enumerate(stages.values()):
            if run >= 0:
                mark(2 * number)
            stage()
            if run >= 0:
                mark(2 * number + 1)


def picture() -> np.ndarray:
    """(480, 640, 3) BGR: a head and shoulders, the face 130 pixels wide."""
    return np.asarray(cv2.imread(str(FRAME)), np.uint8)


def ours() -> Stages:
    from ostiary.decision.gallery import Gallery
    from ostiary.decision.roster import CLEAR_MARGIN
    from ostiary.settings import VisionSettings
    from ostiary.vision.detect import Search
    from ostiary.vision.engine import VisionEngine

    engine = VisionEngine.load(VisionSettings())
    bgr = picture()
    (face,) = engine.detect(bgr)
    known = engine.describe(bgr, face)
    others = np.random.default_rng(0).standard_normal((999, 128))
    others /= np.linalg.norm(others, axis=1, keepdims=True)
    rows = [(f"person {at}", row.astype(np.float32)) for at, row in enumerate(others)]
    gallery = Gallery([(PERSON, known), *rows])
    limit = engine.recognizer.rates.distance_for(1e-5)
    search, now, descriptor = Search(), 0.0, known

    def detect() -> None:
        nonlocal search, now
        now += 1 / FPS
        (found,), search = engine.search(search, bgr, now)
        if found.box.width < 100:
            raise RuntimeError("another face was found")

    def live() -> None:
        if engine.live_score(bgr, face) < 0.5:
            raise RuntimeError("the person is not live")

    def describe() -> None:
        nonlocal descriptor
        descriptor = engine.describe(bgr, face)

    def match() -> None:
        nearest = gallery.best_match(descriptor, CLEAR_MARGIN * limit)
        if nearest is None or nearest.username != PERSON or nearest.distance > limit:
            raise RuntimeError("the person is not recognised")

    return {
        "detect": detect,
        "quality": lambda: engine.quality(bgr, face),
        "liveness": live,
        "describe": describe,
        "match": match,
    }


def reference() -> Stages:
    import face_recognition
    import torch

    from ostiary.vision.face import Box
    from ostiary.vision.liveness import crop, network_input
    from ostiary_export import minifasnet

    torch.set_num_threads(1)
    network = minifasnet.load(CHECKPOINT, minifasnet.V2)
    bgr = picture()
    rgb = np.ascontiguousarray(bgr[..., ::-1])
    (place,) = face_recognition.face_locations(rgb)
    (known,) = face_recognition.face_encodings(rgb, [place])
    top, right, bottom, left = place
    box = Box(left, top, right - left, bottom - top)
    others = np.random.default_rng(0).standard_normal((999, 128)) / 8
    people = [known, *others]
    descriptor = known

    def live() -> None:
        seen = crop(bgr, box, 2.7)
        with torch.inference_mode():
            logits, _ = network(torch.from_numpy(network_input(seen[np.newaxis])))
        if int(logits.argmax()) != 1:
            raise RuntimeError("the person is not live")

    def describe() -> None:
        nonlocal descriptor
        (descriptor,) = face_recognition.face_encodings(rgb, [place])

    def match() -> None:
        distances = face_recognition.face_distance(people, descriptor)
        if distances.argmin() != 0 or distances.min() > 0.6:
            raise RuntimeError("the person is not recognised")

    return {
        "detect": lambda: face_recognition.face_locations(rgb),
        "liveness": live,
        "describe": describe,
        "match": match,
    }


def networks() -> Stages:
    """Each network that is built twice, by either file."""
    from ostiary.vision.models import MINIFASNET_V1SE, MINIFASNET_V2, SFACE, nchw
    from ostiary.vision.runtime import open_session

    def once(file: str) -> Callable[[], Any]:
        session = open_session(Path("resources/models") / file, batch=1)
        (taken,) = session.get_inputs()
        pixels = np.random.default_rng(0).uniform(0, 255, [1, *taken.shape[1:]]).astype(np.float32)
        return lambda: session.run(None, {taken.name: pixels})

    files = (
        file for name in (MINIFASNET_V2, MINIFASNET_V1SE, SFACE) for file in (name, nchw(name))
    )
    return {file: once(file) for file in files}


if __name__ == "__main__":
    sides = {"ours": ours, "reference": reference, "networks": networks}
    cv2.setNumThreads(1)
    count(sides[sys.argv[1]](), int(sys.argv[2]))
