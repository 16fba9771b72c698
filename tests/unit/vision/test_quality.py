"""What makes a face good enough to be judged."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from ostiary.messages.words import Reason
from ostiary.settings import VisionSettings
from ostiary.vision.arrays import BGRImage
from ostiary.vision.detect import YuNetDetector
from ostiary.vision.face import Box, Face
from ostiary.vision.models import YUNET
from ostiary.vision.quality import Flaw, assess, yaw_of

FACE_WIDTH = 120
LEAST_PX = VisionSettings().min_face_px


@pytest.fixture(scope="module")
def yunet(models: Path) -> YuNetDetector:
    return YuNetDetector(models / YUNET)


@pytest.fixture(scope="module", params=["obama.jpg", "obama2.jpg", "obama3.jpg", "biden.jpg"])
def portrait(
    request: pytest.FixtureRequest, portraits: Path, yunet: YuNetDetector
) -> tuple[BGRImage, Face]:
    """A portrait whose face is 120 pixels wide, and the face."""
    whole = cv2.imread(str(portraits / request.param))
    assert whole is not None
    scale = FACE_WIDTH / yunet.detect(np.asarray(whole, np.uint8))[0].box.width
    small = cv2.resize(whole, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    bgr = np.asarray(small, np.uint8)
    return bgr, yunet.detect(bgr)[0]


def flaw(bgr: np.ndarray, face: Face) -> Flaw | None:
    return assess(np.asarray(np.clip(bgr, 0, 255), np.uint8), face, LEAST_PX).flaw


def test_a_portrait_is_good(portrait: tuple[BGRImage, Face]) -> None:
    quality = assess(*portrait, LEAST_PX)
    assert quality.good
    assert quality.flaw is None
    assert quality.inside == 1.0
    assert quality.size_px == pytest.approx(FACE_WIDTH, rel=0.1)
    assert quality.yaw is not None
    assert abs(quality.yaw) < 0.25


def test_a_smear_is_blurred_and_low_contrast_alone_is_not(portrait: tuple[BGRImage, Face]) -> None:
    bgr, face = portrait
    smear = cv2.GaussianBlur(bgr, (0, 0), 8)
    assert flaw(smear, face) is Flaw.BLURRED
    assert flaw(60 + 0.5 * bgr, face) is None


def test_a_face_in_the_dark_is_too_dark(portrait: tuple[BGRImage, Face]) -> None:
    bgr, face = portrait
    assert flaw(0.15 * bgr, face) is Flaw.TOO_DARK


def test_a_face_washed_out_by_the_sun_is_over_exposed(portrait: tuple[BGRImage, Face]) -> None:
    bgr, face = portrait
    assert flaw(3.5 * bgr.astype(np.float32), face) is Flaw.OVER_EXPOSED


def test_a_face_far_away_is_too_small(portrait: tuple[BGRImage, Face]) -> None:
    bgr, face = portrait
    half = Box(*(value / 2 for value in (face.box.x, face.box.y, face.box.width, face.box.height)))
    small = cv2.resize(bgr, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    assert flaw(small, Face(half, 0.9)) is Flaw.TOO_SMALL


def test_half_a_face_is_cut_off(portrait: tuple[BGRImage, Face]) -> None:
    bgr, face = portrait
    left = round(face.box.x + face.box.width / 2)
    moved = Box(face.box.x - left, face.box.y, face.box.width, face.box.height)
    assert flaw(bgr[:, left:], Face(moved, 0.9)) is Flaw.CUT_OFF


def test_a_face_outside_the_picture_is_cut_off() -> None:
    picture = np.full((480, 640, 3), 128, np.uint8)
    assert flaw(picture, Face(Box(2000, 2000, 100, 130), 0.9)) is Flaw.CUT_OFF


def test_a_profile_is_turned_away(portrait: tuple[BGRImage, Face]) -> None:
    bgr, face = portrait
    assert face.landmarks is not None
    for direction in (-1, 1):
        landmarks = face.landmarks.copy()
        landmarks[2, 0] += direction * 0.9 * abs(landmarks[1, 0] - landmarks[0, 0])
        assert flaw(bgr, Face(face.box, 0.9, landmarks)) is Flaw.TURNED_AWAY


def test_yaw_does_not_change_when_the_head_is_tilted() -> None:
    upright = np.array([[-10, -10], [10, -10], [4, 2], [-7, 12], [7, 12]], np.float32)
    for degrees in (-40, -15, 0, 25, 60):
        angle = np.deg2rad(degrees)
        turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        turned = (3 * upright @ turn + 200).astype(np.float32)
        assert yaw_of(turned) == pytest.approx(0.2, abs=1e-4)


def test_landmarks_that_make_no_face_are_turned_away() -> None:
    picture = np.full((480, 640, 3), 128, np.uint8)
    for landmarks in (np.zeros((5, 2), np.float32), np.full((5, 2), np.nan, np.float32)):
        assert flaw(picture, Face(Box(10, 10, 100, 130), 0.9, landmarks)) is Flaw.TURNED_AWAY


def test_a_face_that_fills_the_picture_is_too_near(portrait: tuple[BGRImage, Face]) -> None:
    bgr, face = portrait
    box = face.box
    height = 1.1 * box.height
    top = max(0, round(box.center[1] - height / 2))
    near = bgr[top : top + round(height)]
    moved = Face(Box(box.x, box.y - top, box.width, box.height), face.score, face.landmarks)
    assert flaw(near, moved) is Flaw.TOO_NEAR
    assert Flaw.TOO_NEAR.hides_only_life


def test_a_black_and_white_picture_shows_no_life_but_who_it_is(
    portrait: tuple[BGRImage, Face],
) -> None:
    bgr, face = portrait
    grey = np.repeat(bgr.mean(axis=2, keepdims=True), 3, axis=2)
    noisy = grey + np.random.default_rng(1).normal(0, 3, grey.shape)
    for each in (grey, noisy):
        assert flaw(each, face) is Flaw.NO_COLOUR
    assert Flaw.NO_COLOUR.hides_only_life
    assert not Flaw.TOO_DARK.hides_only_life


@pytest.mark.parametrize("each", Flaw)
def test_every_flaw_is_told_as_a_reason_of_low_quality(each: Flaw) -> None:
    told = {Reason.LOW_QUALITY, Reason.TOO_NEAR, Reason.TOO_DARK, Reason.OUT_OF_FOCUS}
    assert each.reason in {*told, Reason.NO_COLOUR}
