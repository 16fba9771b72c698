"""Faces are found where they are, and a followed face is searched for in its surroundings."""

import subprocess
import sys
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostiary.errors import ModelInvalid, ModelMissing
from ostiary.vision.arrays import BGRImage
from ostiary.vision.detect import (
    Search,
    YuNetDetector,
    after_looking,
    detect_in,
    shrink,
    side_for,
    where_to_look,
)
from ostiary.vision.face import Box, Face, square_of
from ostiary.vision.models import YUNET
from testing.hog import HogDetector

WHOLE = ("obama.jpg", "obama2.jpg", "obama3.jpg", "biden.jpg")


@pytest.fixture(scope="module")
def yunet(models: Path) -> YuNetDetector:
    return YuNetDetector(models / YUNET)


def portrait(portraits: Path, name: str) -> BGRImage:
    image = cv2.imread(str(portraits / name))
    assert image is not None
    return np.asarray(image, np.uint8)


def scene_with(bgr: BGRImage, box: Box, width: float, at: tuple[int, int], seed: int) -> BGRImage:
    """A noisy 640×480 scene with the portrait, its face `width` pixels wide and centred `at`."""
    scale = width / box.width
    x, y = box.center
    shift = np.array([[scale, 0, at[0] - scale * x], [0, scale, at[1] - scale * y]], np.float32)
    random = np.random.default_rng(seed)
    blobs = cv2.GaussianBlur(random.integers(0, 255, (480, 640, 3)).astype(np.uint8), (0, 0), 25)
    wall = cv2.normalize(blobs, blobs.copy(), 40, 180, cv2.NORM_MINMAX)
    small = cv2.GaussianBlur(bgr, (0, 0), 0.4 / scale)  # the warp alone would alias
    cv2.warpAffine(small, shift, (640, 480), dst=wall, borderMode=cv2.BORDER_TRANSPARENT)
    noisy = wall + 4 * random.standard_normal(wall.shape)
    return np.asarray(np.clip(noisy, 0, 255), np.uint8)


@pytest.mark.parametrize("name", WHOLE)
def test_one_face_is_found_in_every_portrait(
    yunet: YuNetDetector, portraits: Path, name: str
) -> None:
    (face,) = yunet.detect(portrait(portraits, name))
    assert face.landmarks is not None
    right_eye, left_eye, nose, right_mouth, left_mouth = face.landmarks
    assert right_eye[0] < nose[0] < left_eye[0]
    assert right_mouth[0] < left_mouth[0]
    assert right_eye[1] < nose[1] < right_mouth[1]


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("width", [80, 120, 200])
def test_a_face_of_80_pixels_is_found_anywhere_in_a_640x480_frame(
    yunet: YuNetDetector, portraits: Path, name: str, width: int
) -> None:
    bgr = portrait(portraits, name)
    (reference,) = yunet.detect(bgr)
    for seed, at in enumerate([(130, 160), (320, 240), (510, 320)]):
        frame = scene_with(bgr, reference.box, width, at, seed)
        side = side_for(frame, 80)
        assert side == 160
        (face,) = yunet.detect(frame, side)
        tall = width * reference.box.height / reference.box.width
        expected = Box(at[0] - width / 2, at[1] - tall / 2, width, tall)
        assert face.box.overlap(expected) > 0.6


def test_a_region_gives_the_same_face_in_the_frames_own_pixels(
    yunet: YuNetDetector, portraits: Path
) -> None:
    bgr = portrait(portraits, "obama.jpg")
    (reference,) = yunet.detect(bgr)
    frame = scene_with(bgr, reference.box, 100, (450, 300), 0)
    (face,) = yunet.detect(frame)
    search = after_looking(Search(), (face,), None, now=10.0)
    region = where_to_look(search, now=10.1)
    assert region is not None
    (followed,) = detect_in(yunet, frame, region, 160)
    assert followed.box.overlap(face.box) > 0.8
    assert followed.landmarks is not None
    assert face.landmarks is not None
    assert np.abs(followed.landmarks - face.landmarks).max() < 8


def test_an_empty_scene_has_no_face(yunet: YuNetDetector) -> None:
    assert yunet.detect(np.full((480, 640, 3), 90, np.uint8)) == ()


@pytest.mark.parametrize("shape", [(1, 1), (3, 900), (900, 3), (33, 31)])
def test_an_odd_shape_has_no_face_and_does_no_harm(
    yunet: YuNetDetector, shape: tuple[int, int]
) -> None:
    assert yunet.detect(np.zeros((*shape, 3), np.uint8)) == ()


def test_two_threads_with_pictures_of_different_sizes_do_not_disturb_each_other(
    yunet: YuNetDetector, portraits: Path
) -> None:
    sides = {"obama.jpg": 500, "obama3.jpg": 300}
    pictures = [shrink(portrait(portraits, name), side)[0] for name, side in sides.items()]
    expected = [yunet.detect(picture)[0].box for picture in pictures]
    found: list[list[Box]] = [[], []]

    def work(number: int) -> None:
        found[number] = [yunet.detect(pictures[number])[0].box for _ in range(40)]

    threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for boxes, box in zip(found, expected, strict=True):
        assert boxes == [box] * 40


def test_dlibs_own_detector_draws_the_square_that_stands_in_for_it(
    yunet: YuNetDetector, portraits: Path
) -> None:
    bgr = portrait(portraits, "obama.jpg")
    (face,) = yunet.detect(bgr)
    (square,) = HogDetector().detect(bgr)
    assert square.landmarks is None
    assert square.box.overlap(square_of(face.box)) > 0.7


def test_a_missing_model_says_how_to_build_it(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="ostiary-export"):
        YuNetDetector(tmp_path / YUNET)


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / YUNET).write_bytes(b"not a model")
    with pytest.raises(ModelInvalid, match=YUNET):
        YuNetDetector(tmp_path / YUNET)


BOXES = st.builds(Box, *[st.floats(-100, 700)] * 2, *[st.floats(20, 300)] * 2)


@given(BOXES, st.floats(0, 10))
def test_the_whole_frame_is_searched_once_a_second_at_least(box: Box, seconds: float) -> None:
    search = after_looking(Search(), (Face(box, 0.9),), None, now=100.0)
    region = where_to_look(search, 100.0 + seconds, whole_every_s=1.0)
    assert (region is None) == (seconds >= 1.0)


@given(st.lists(BOXES, max_size=4), BOXES)
def test_only_a_single_face_is_followed(boxes: list[Box], region: Box) -> None:
    faces = tuple(Face(box, 0.9) for box in boxes)
    search = after_looking(Search(whole_at=5.0), faces, region, now=5.5)
    assert search.whole_at == 5.0
    assert (where_to_look(search, 5.6) is not None) == (len(faces) == 1)


@given(BOXES)
def test_the_region_holds_the_face_with_room_to_move(box: Box) -> None:
    region = where_to_look(after_looking(Search(), (Face(box, 0.9),), None, now=0.0), 0.1)
    assert region is not None
    assert region.x <= box.x - box.width / 2
    assert region.right >= box.right + box.width / 2
    assert region.y <= box.y - box.height / 2
    assert region.bottom >= box.bottom + box.height / 2


def test_a_region_outside_the_frame_has_no_face(yunet: YuNetDetector) -> None:
    frame = np.zeros((480, 640, 3), np.uint8)
    for region in (Box(-300, -300, 100, 100), Box(700, 500, 50, 50), Box(0, 0, 1, 1)):
        assert detect_in(yunet, frame, region, 160) == ()


def test_opencv_says_nothing_of_its_own_to_who_runs_a_command(models: Path) -> None:
    program = "import sys; from pathlib import Path; from ostiary.vision.detect import *\n"
    program += "YuNetDetector(Path(sys.argv[1]))"
    command = [sys.executable, "-c", program, str(models / YUNET)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == ""
