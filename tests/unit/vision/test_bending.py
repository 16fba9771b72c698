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
from ostiary.settings import CameraSettings
from ostiary.vision.arrays import BGRImage
from ostiary.vision.bending import Bending, blurred_around, step
from ostiary.vision.engine import VisionEngine
from ostiary.vision.face import Box
from testing.sheet import Sheet

FRAMES = 14
EVERY_S = 1 / 15


@pytest.fixture(scope="module")
def person(engine: VisionEngine, portraits: Path) -> Turner:
    return Turner.of(Portrait.load(portraits / "obama2.jpg"), engine.detector)


@pytest.fixture(scope="module")
def box(engine: VisionEngine, person: Turner) -> Box:
    return engine.detect(person.head.image)[0].box


def noisy(picture: BGRImage, sigma: float, number: int) -> BGRImage:
    noise = np.random.default_rng(number).standard_normal(picture.shape, np.float32)
    return np.clip(picture + np.float32(sigma) * noise, 0, 255).astype(np.uint8)


def said(bending: Bending) -> str:
    return "; ".join(
        f"{each.extent:.4f}, {each.alike:.2f} alike"
        for each in (bending.by_plane, bending.by_paper)
    )


@pytest.mark.parametrize("every_s", [EVERY_S, 0.5], ids=["a camera's rate", "a slow camera's"])
def test_a_head_that_turns_by_a_few_degrees_bends(person: Turner, box: Box, every_s: float) -> None:
    bending = Bending()
    for number in range(FRAMES):
        yaw = round(4 * float(np.sin(2 * np.pi * number / FRAMES)), 1)
        picture = noisy(person.seen_in(Posture(yaw=yaw)), 2.0, number)
        bending = step(bending, picture, box, number * every_s)
        if bending.is_seen:
            return
    pytest.fail(said(bending))


@pytest.mark.thorough
@settings(max_examples=6, suppress_health_check=list(HealthCheck))
@given(
    axis=st.floats(0, np.pi),
    curved=st.floats(0.05, 0.3),
    tilt=st.floats(-0.3, 0.3),
    sigma=st.floats(1, 6),
)
def test_a_print_that_a_hand_bends_and_tilts_does_not_bend_as_a_head_does(
    person: Turner, box: Box, axis: float, curved: float, tilt: float, sigma: float
) -> None:
    bending = Bending()
    for number in range(FRAMES):
        phase = 2 * np.pi * number / FRAMES
        sheet = Sheet(
            axis=axis,
            curved=curved * max(0.0, float(np.sin(phase))),
            yaw=tilt + 0.1 * float(np.sin(1.3 * phase)),
            pitch=0.1 * float(np.cos(0.7 * phase)),
        )
        bending = step(bending, noisy(sheet.of(person.head), sigma, number), box, number * EVERY_S)
        assert not bending.is_seen, said(bending)


@pytest.mark.thorough
@settings(max_examples=15, suppress_health_check=list(HealthCheck))
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
    bending = Bending()
    for number in range(FRAMES):
        phase = 2 * np.pi * number / FRAMES
        move = np.eye(3)
        move[:2] = cv2.getRotationMatrix2D(
            (WIDTH / 2, HEIGHT / 2), turn * np.sin(phase), 1.1 + nearer * np.cos(phase)
        )
        move[:2, 2] += shift * np.sin(2 * phase), shift * np.cos(phase)
        move[2, :2] = tilt * np.sin(phase), tilt * np.cos(phase)
        moved = cv2.warpPerspective(
            person.head.image, move, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REPLICATE
        )
        lit = np.clip(moved * (1 - light * (0.5 + 0.5 * np.sin(3 * phase))), 0, 255)
        picture = noisy(lit.astype(np.uint8), sigma, number)
        bending = step(bending, picture, box, number * EVERY_S)
        assert not bending.is_seen, (number, said(bending))


def test_nothing_is_said_of_nothing_to_follow(box: Box) -> None:
    blank = np.full((HEIGHT, WIDTH, 3), 120, np.uint8)
    bending = Bending()
    for number in range(FRAMES):
        bending = step(bending, blank, box, number * EVERY_S)
    assert bending.first is None
    assert (bending.by_plane.extent, bending.by_plane.alike, bending.is_seen) == (0.0, 0.0, False)


def test_movement_is_required_unless_a_camera_does_without() -> None:
    assert CameraReader(CameraSettings(source="0")).requires_movement
    assert not CameraReader(CameraSettings(source="0", require_movement=False)).requires_movement


@given(
    x=st.floats(-300, 900),
    y=st.floats(-300, 900),
    half=st.floats(100, 400),
    seed=st.integers(0, 100),
)
def test_only_the_face_s_surroundings_are_blurred_and_as_the_whole_picture_would_be(
    x: float, y: float, half: float, seed: int
) -> None:
    bgr = np.random.default_rng(seed).integers(0, 256, (480, 640, 3), np.uint8)
    sigma = half / 160
    whole = cv2.GaussianBlur(bgr, (0, 0), sigma)
    around, (left, top) = blurred_around(bgr, x, y, half, sigma)
    columns = np.arange(int(x - half) - 1, int(x + half) + 2).clip(0, 639)
    rows = np.arange(int(y - half) - 1, int(y + half) + 2).clip(0, 479)
    found = around[np.ix_(rows - top, columns - left)]
    np.testing.assert_array_equal(found, whole[np.ix_(rows, columns)])
