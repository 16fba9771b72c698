"""A head that moves bends; a flat picture that is moved does not, whatever is done to it."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from demo.portraits import Portrait
from demo.room import HEIGHT, WIDTH
from demo.turner import Posture, Turner
from ostiary.camera.reader import CameraReader
from ostiary.config import CameraSettings
from ostiary.vision.arrays import BGRImage
from ostiary.vision.bending import STEPS, Bending, step
from ostiary.vision.engine import VisionEngine
from ostiary.vision.face import Box

FRAMES = 14


@pytest.fixture(scope="module")
def person(engine: VisionEngine, portraits: Path) -> Turner:
    return Turner.of(Portrait.load(portraits / "obama2.jpg"), engine.detector)


@pytest.fixture(scope="module")
def box(engine: VisionEngine, person: Turner) -> Box:
    return engine.detect(person.head.image)[0].box


def noisy(picture: BGRImage, sigma: float, number: int) -> BGRImage:
    noise = np.random.default_rng(number).normal(0.0, sigma, picture.shape)
    return np.clip(picture + noise, 0, 255).astype(np.uint8)


def test_a_head_that_turns_by_a_few_degrees_bends(person: Turner, box: Box) -> None:
    bending = Bending()
    for number in range(FRAMES):
        yaw = round(4 * float(np.sin(2 * np.pi * number / FRAMES)), 1)
        bending = step(bending, noisy(person.seen_in(Posture(yaw=yaw)), 2.0, number), box)
        if bending.is_seen:
            return
    pytest.fail(f"extent {bending.extent:.4f}, alike {bending.alike:.2f}")


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    shift=st.floats(0, 8),
    turn=st.floats(0, 6),
    nearer=st.floats(0, 0.08),
    tilt=st.floats(0, 1.5e-4),
    sigma=st.floats(0.5, 12),
    light=st.floats(0, 0.15),
)
def test_a_flat_picture_does_not_bend(
    person: Turner,
    box: Box,
    shift: float,
    turn: float,
    nearer: float,
    tilt: float,
    sigma: float,
    light: float,
) -> None:
    picture, bending = person.head.image, Bending()
    for number in range(FRAMES):
        phase = 2 * np.pi * number / FRAMES
        move = np.eye(3)
        move[:2] = cv2.getRotationMatrix2D(
            (WIDTH / 2, HEIGHT / 2), turn * np.sin(phase), 1.1 + nearer * np.cos(phase)
        )
        move[:2, 2] += shift * np.sin(2 * phase), shift * np.cos(phase)
        move[2, :2] = tilt * np.sin(phase), tilt * np.cos(phase)
        moved = cv2.warpPerspective(picture, move, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REPLICATE)
        lit = np.clip(moved * (1 - light * (0.5 + 0.5 * np.sin(3 * phase))), 0, 255)
        bending = step(bending, noisy(lit.astype(np.uint8), sigma, number), box)
        assert not bending.is_seen, (number, bending.extent, bending.alike)


def test_nothing_is_said_of_a_few_frames_and_of_nothing_to_follow(box: Box) -> None:
    blank = np.full((HEIGHT, WIDTH, 3), 120, np.uint8)
    bending = Bending()
    for _ in range(FRAMES):
        bending = step(bending, blank, box)
    assert bending.first is None
    assert (bending.extent, bending.alike, bending.is_seen) == (0.0, 0.0, False)
    assert len(bending.sums) < STEPS


@pytest.mark.parametrize(
    ("source", "refuses"),
    [
        ("http://192.0.2.7/video", True),
        ("rtsp://192.0.2.7/stream", True),
        ("https://192.0.2.7/video", False),
        ("http://127.0.0.1:8080/video", False),
        ("0", False),
    ],
)
def test_stills_are_refused_where_somebody_could_put_one_in_the_cameras_place(
    source: str, refuses: bool
) -> None:
    assert CameraReader(CameraSettings(source=source)).refuses_stills is refuses
    for wanted in (True, False):
        told = CameraReader(CameraSettings(source=source, refuse_stills=wanted))
        assert told.refuses_stills is wanted
