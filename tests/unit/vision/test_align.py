"""The chip is dlib's, without dlib."""

import dlib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ostiary.vision.align import CHIP_POINTS, CHIP_SIZE, face_chip, halved, similarity
from ostiary.vision.arrays import FloatArray, RGBImage

NOTHING = dlib.rectangle(0, 0, 9, 9)


def picture(width: int, height: int, seed: int = 0) -> RGBImage:
    """Smooth enough to be like a photo, with an edge here and there."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (height // 8 + 2, width // 8 + 2, 3), dtype=np.uint8)
    fine = coarse.repeat(8, axis=0).repeat(8, axis=1)[:height, :width].astype(np.int16)
    noise = random.integers(-9, 10, fine.shape)
    return np.asarray(np.clip(fine + noise, 0, 255), np.uint8)


def chip_of_dlib(rgb: RGBImage, points: FloatArray) -> RGBImage:
    parts = dlib.points([dlib.point(int(x), int(y)) for x, y in points])
    shape = dlib.full_object_detection(NOTHING, parts)
    return np.asarray(dlib.get_face_chip(rgb, shape, CHIP_SIZE, 0.25), np.uint8)


def placed(scale: float, angle: float, x: float, y: float) -> FloatArray:
    """Landmarks in whole pixels, of a face turned by `angle` around (x, y)."""
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = (CHIP_POINTS - CHIP_SIZE / 2) @ turn.T * scale + (x, y)
    return np.asarray(np.rint(points), np.float32)


@settings(max_examples=60)
@given(
    scale=st.floats(0.2, 9),
    angle=st.floats(-np.pi, np.pi),
    x=st.floats(-100, 500),
    y=st.floats(-100, 400),
)
def test_a_chip_is_dlibs_within_one_grey_level(
    scale: float, angle: float, x: float, y: float
) -> None:
    """Tiny to huge, turned any way, partly or wholly outside the picture."""
    rgb, points = picture(400, 300), placed(scale, angle, x, y)
    apart = face_chip(rgb, points).astype(np.int16) - chip_of_dlib(rgb, points)
    # Where the face's edge is the picture's edge, either side may take a pixel for outside.
    assert (np.abs(apart).max(axis=2) > 1).mean() <= 0.002


@pytest.mark.parametrize("side", [9, 10, 11, 64, 65])
def test_halving_is_dlibs_to_the_last_bit(side: int) -> None:
    rgb = picture(side + 3, side)
    assert np.array_equal(halved(rgb), dlib.pyramid_down(2)(rgb))


@given(
    scale=st.floats(0.01, 100),
    angle=st.floats(-np.pi, np.pi),
    x=st.floats(-1e4, 1e4),
    y=st.floats(-1e4, 1e4),
)
def test_a_similarity_is_found_again(scale: float, angle: float, x: float, y: float) -> None:
    a, b = scale * np.cos(angle), scale * np.sin(angle)
    expected = np.array([[a, -b, x], [b, a, y]])
    target = CHIP_POINTS @ expected[:, :2].T + expected[:, 2]
    assert np.allclose(similarity(CHIP_POINTS, target), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.filterwarnings("ignore:invalid value")
@pytest.mark.parametrize("bad", [7.0, np.nan, np.inf])
def test_landmarks_that_span_nothing_are_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="coincide or are not finite"):
        face_chip(picture(40, 40), np.full((5, 2), bad, np.float32))


def test_a_face_outside_the_picture_is_black() -> None:
    assert not face_chip(picture(40, 40), placed(1.0, 0.0, 5000, 5000)).any()
