"""Which way a head looks, by the nose against the plane of eyes and mouth."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo.portraits import Portrait
from ostiary.vision.arrays import FloatArray
from ostiary.vision.engine import VisionEngine
from ostiary.vision.pose import landmarks_of, pose_of
from ostiary.vision.quality import yaw_of

FACE = np.array([[-0.5, 0, 0], [0.5, 0, 0], [0, 0.6, 0.45], [-0.35, 1.1, 0], [0.35, 1.1, 0]])
"""Eyes, nose and corners of the mouth of a head, in eye distances; z is to the camera."""


def seen(yaw: float = 0.0, pitch: float = 0.0, far: float = 9.0, flat: bool = False) -> FloatArray:
    """What a camera sees of the five points of a turned head; `flat`: of a picture of it."""
    y, p = np.radians([yaw, pitch])
    turn = np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]])
    nod = np.array([[1, 0, 0], [0, np.cos(p), np.sin(p)], [0, -np.sin(p), np.cos(p)]])
    points = (FACE * [1, 1, 0] if flat else FACE) @ (nod @ turn).T
    return np.asarray(300 + 80 * points[:, :2] * far / (far - points[:, 2:]), np.float32)


@given(
    st.floats(-50, 50),
    st.floats(-40, 40),
    st.floats(4, 40),
    st.floats(-180, 180),
    st.floats(0.3, 3),
)
def test_a_flat_picture_does_not_turn_its_nose_however_it_is_held(
    yaw: float, pitch: float, far: float, roll: float, scale: float
) -> None:
    held = cv2.getRotationMatrix2D((300, 300), roll, scale)
    points = seen(yaw, pitch, far, flat=True) @ held[:, :2].T + held[:, 2]
    pose, still = pose_of(points.astype(np.float32)), pose_of(seen(flat=True))
    assert pose is not None
    assert still is not None
    assert pose.turn == pytest.approx(still.turn, abs=0.01)
    assert pose.nod == pytest.approx(still.nod, abs=0.01)


def test_a_head_that_turns_moves_its_nose_the_more_the_further_it_turns() -> None:
    turns = [pose.turn for yaw in range(-40, 45, 10) if (pose := pose_of(seen(yaw))) is not None]
    assert turns == sorted(turns)
    assert turns[-1] > 0.25
    assert turns[0] < -0.25


def test_turning_to_ones_own_left_is_positive_as_in_enrolment() -> None:
    pose = pose_of(seen(yaw=30))
    assert pose is not None
    assert pose.turn > 0.15
    assert yaw_of(seen(yaw=30)) > 0
    assert pose.mirrored().turn == -pose.turn


def test_a_head_that_is_bent_moves_its_nose_down() -> None:
    nods = [pose.nod for pitch in (-20, 0, 20) if (pose := pose_of(seen(pitch=pitch))) is not None]
    assert nods == sorted(nods)
    assert nods[2] - nods[1] > 0.07


def test_a_face_that_comes_nearer_grows() -> None:
    far, near = pose_of(seen()), pose_of(2 * seen())
    assert far is not None
    assert near is not None
    assert near.size == pytest.approx(2 * far.size)


@pytest.mark.parametrize(
    "points",
    [
        np.zeros((5, 2)),
        np.full((5, 2), np.nan),
        np.array([[0, 0], [1, 0], [0.5, 0.5], [1, 1], [0, 1]]),  # the mouth's corners change places
        np.array([[0, 0], [1, 0], [0.5, 0.5], [0.9, 0.1], [1, 1]]),
    ],
)
def test_what_can_be_no_face_has_no_pose(points: FloatArray) -> None:
    assert pose_of(points.astype(np.float32)) is None


@given(st.lists(st.floats(-1e4, 1e4, width=32), min_size=10, max_size=10))
def test_whatever_the_landmarks_a_pose_is_finite_or_none(numbers: list[float]) -> None:
    pose = pose_of(np.array(numbers, np.float32).reshape(5, 2))
    assert pose is None or np.isfinite([pose.turn, pose.nod, pose.size]).all()


def test_landmarks_of_a_face_are_those_of_its_mirror_image(
    engine: VisionEngine, portraits: Path
) -> None:
    image = Portrait.load(portraits / "obama.jpg").around_head(2.8, (480, 640))
    face, *_ = engine.detect(image)
    landmarks = landmarks_of(engine.detector, image, face)
    assert landmarks is not None
    assert face.landmarks is not None
    assert np.abs(landmarks - face.landmarks).max() < 0.08 * face.box.width
    assert landmarks_of(engine.detector, np.zeros_like(image), face) is None
