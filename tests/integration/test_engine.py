"""The engine on real faces: who is who, who is live, and what it costs to look again."""

import threading
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
import pytest

from ostiary.errors import ModelMissing
from ostiary.settings import VisionSettings
from ostiary.vision.arrays import BGRImage, Descriptor
from ostiary.vision.detect import Search
from ostiary.vision.engine import VisionEngine
from ostiary.vision.face import Box, Face
from testing.hog import HogDetector

pytestmark = pytest.mark.quick

PEOPLE = {
    "obama.jpg": "obama",
    "obama2.jpg": "obama",
    "obama3.jpg": "obama",
    "biden.jpg": "biden",
}


def read(path: Path) -> BGRImage:
    image = cv2.imread(str(path))
    assert image is not None
    return np.asarray(image, np.uint8)


@pytest.fixture(scope="module")
def seen(engine: VisionEngine, portraits: Path) -> dict[str, tuple[BGRImage, Face]]:
    pictures = {name: read(portraits / name) for name in PEOPLE}
    return {name: (bgr, engine.detect(bgr)[0]) for name, bgr in pictures.items()}


def test_every_portrait_shows_one_near_good_live_face(
    engine: VisionEngine, seen: dict[str, tuple[BGRImage, Face]]
) -> None:
    for name, (bgr, face) in seen.items():
        assert len(engine.detect(bgr)) == 1, name
        assert engine.is_near(face), name
        assert engine.quality(bgr, face).good, name
        assert engine.live_score(bgr, face) > 0.9, name


@pytest.fixture(scope="module")
def dlib_engine(models: Path) -> VisionEngine:
    """The engine with dlib's recogniser."""
    return VisionEngine.load(VisionSettings(models=models, recognizer="dlib"))


@pytest.mark.parametrize("which", ["engine", "dlib_engine"])
def test_portraits_of_one_person_match_and_of_two_do_not(
    which: str, request: pytest.FixtureRequest, seen: dict[str, tuple[BGRImage, Face]]
) -> None:
    engine: VisionEngine = request.getfixturevalue(which)
    rates = engine.recognizer.rates
    near, far = rates.distance_for(1e-4), rates.distance_for(1e-3)
    described = {name: engine.describe(bgr, face) for name, (bgr, face) in seen.items()}
    for one, other in combinations(described, 2):
        distance = np.linalg.norm(described[one] - described[other])
        if PEOPLE[one] == PEOPLE[other]:
            assert distance < near, (one, other)
        else:
            assert distance > far, (one, other)


def test_a_recogniser_that_is_not_loaded_cannot_be_asked(
    engine: VisionEngine, seen: dict[str, tuple[BGRImage, Face]]
) -> None:
    with pytest.raises(ValueError, match="not loaded"):
        engine.describe(*seen["obama.jpg"], "dlib")


def test_sface_needs_landmarks_that_span_a_face(engine: VisionEngine) -> None:
    picture = np.zeros((200, 200, 3), np.uint8)
    box = Box(50, 50, 100, 100)
    for landmarks in (None, np.full((5, 2), 7, np.float32), np.full((5, 2), np.nan, np.float32)):
        with pytest.raises(ValueError, match="landmarks"):
            engine.recognizer.align(picture, Face(box, 0.9, landmarks))


def test_the_genuine_sample_is_live_and_the_replay_is_not(
    engine: VisionEngine, samples: Path
) -> None:
    for name, live in (("genuine.jpg", True), ("replay_attack.jpg", False)):
        bgr = read(samples / name)
        (face,) = engine.detect(bgr)
        assert engine.quality(bgr, face).good
        score = engine.live_score(bgr, face)
        assert score > 0.9 if live else score < 0.1, (name, score)


def test_descriptors_are_those_of_face_recognition_whatever_the_detector(
    dlib_engine: VisionEngine, seen: dict[str, tuple[BGRImage, Face]]
) -> None:
    dlib = pytest.importorskip("dlib")
    models = pytest.importorskip("face_recognition_models")
    predictor = dlib.shape_predictor(models.pose_predictor_five_point_model_location())
    network = dlib.face_recognition_model_v1(models.face_recognition_model_location())
    hog = HogDetector()
    for name, (bgr, face) in seen.items():
        (square,) = hog.detect(bgr)
        box = square.box
        rectangle = dlib.rectangle(
            *(round(value) for value in (box.x, box.y, box.right - 1, box.bottom - 1))
        )
        rgb = np.ascontiguousarray(bgr[..., ::-1])
        expected = np.array(
            network.compute_face_descriptor(
                dlib.get_face_chip(rgb, predictor(rgb, rectangle), 150, 0.25)
            )
        )
        # The same box: dlib's descriptor, but for a grey level here and there in the chip.
        assert np.linalg.norm(dlib_engine.describe(bgr, square) - expected) < 0.08, name
        # YuNet's box: nearer than another picture of the person could be.
        assert np.linalg.norm(dlib_engine.describe(bgr, face) - expected) < 0.15, name


def test_a_followed_face_gives_the_same_person_as_the_whole_frame(
    engine: VisionEngine, seen: dict[str, tuple[BGRImage, Face]]
) -> None:
    for name, (bgr, _) in seen.items():
        first, search = engine.search(Search(), bgr, now=0.0)
        followed, search = engine.search(search, bgr, now=0.1)
        assert search.whole_at == 0.0
        assert len(first) == len(followed) == 1
        apart = engine.describe(bgr, first[0]) - engine.describe(bgr, followed[0])
        assert np.linalg.norm(apart) < engine.recognizer.rates.distance_for(1e-2) / 2, name
        assert engine.live_score(bgr, followed[0]) > 0.9, name
        _, search = engine.search(search, bgr, now=1.0)
        assert search.whole_at == 1.0


def test_two_threads_may_share_the_engine(
    engine: VisionEngine, seen: dict[str, tuple[BGRImage, Face]]
) -> None:
    names = ["obama.jpg", "biden.jpg"]
    expected = {name: engine.describe(*seen[name]) for name in names}
    found: dict[str, list[Descriptor]] = {name: [] for name in names}

    def work(name: str) -> None:
        bgr, _ = seen[name]
        for _ in range(10):
            (face,) = engine.detect(bgr)
            found[name].append(engine.describe(bgr, face))

    threads = [threading.Thread(target=work, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for name in names:
        assert len(found[name]) == 10
        assert all(np.array_equal(row, expected[name]) for row in found[name])


@pytest.mark.parametrize("recognizer", ["sface", "dlib"])
def test_without_yunet_there_is_no_engine(models: Path, tmp_path: Path, recognizer: str) -> None:
    for model in models.glob("*.*"):
        if "yunet" not in model.name:
            (tmp_path / model.name).symlink_to(model.resolve())
    with pytest.raises(ModelMissing, match="yunet"):
        VisionEngine.load(
            VisionSettings.model_validate({"models": tmp_path, "recognizer": recognizer})
        )


def test_a_folder_without_models_says_how_to_build_them(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="ostiary-export"):
        VisionEngine.load(VisionSettings(models=tmp_path))
