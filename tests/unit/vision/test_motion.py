"""The motion gate on scenes made with the faults of real cameras."""

from functools import cache

import numpy as np
import pytest

from ostiary.vision.arrays import BGRImage
from ostiary.vision.motion import HOLD_S, Motion, step

FPS = 10


def room(brightness: float = 1.0) -> np.ndarray:
    """A wall that darkens to the right, with a bright window and a dark door."""
    scene = np.tile(np.linspace(150, 90, 640, dtype=np.float32), (480, 1))
    scene[60:200, 60:220] = 220
    scene[150:480, 420:560] = 40
    return brightness * np.repeat(scene[..., np.newaxis], 3, axis=2)


@cache
def sensor_noise() -> np.ndarray:
    """Of one grey level; larger than a frame, from which every frame takes its own part."""
    return np.random.default_rng(0).standard_normal((640, 800, 3), dtype=np.float32)


def photographed(scene: np.ndarray, noise: float, random: np.random.Generator) -> BGRImage:
    down, right = random.integers(0, 160, 2)
    noisy = scene + noise * sensor_noise()[down : down + 480, right : right + 640]
    return np.asarray(np.clip(noisy, 0, 255), np.uint8)


def seen_moving(frames: list[BGRImage], after_s: float = 1.5) -> list[bool]:
    """Whether each frame counts as moving, from `after_s` on; the first one's motion is held."""
    state: Motion | None = None
    answers = []
    for number, frame in enumerate(frames):
        state, _ = step(state, frame, number / FPS)
        answers.append(state.at - state.moved_at <= HOLD_S)
    return answers[round(after_s * FPS) :]


@pytest.mark.parametrize("noise", [0.0, 4.0, 12.0])
def test_sensor_noise_is_not_motion(noise: float) -> None:
    random = np.random.default_rng(0)
    frames = [photographed(room(), noise, random) for _ in range(60)]
    assert not any(seen_moving(frames))


def test_a_flickering_lamp_is_not_motion() -> None:
    random = np.random.default_rng(1)
    frames = [
        photographed(room(1 + 0.15 * np.sin(2.3 * number)), 4, random) for number in range(60)
    ]
    assert not any(seen_moving(frames))


def test_bands_of_a_flickering_lamp_in_a_rolling_shutter_are_not_motion() -> None:
    random = np.random.default_rng(2)
    rows = np.arange(480)[:, np.newaxis, np.newaxis]
    frames = [
        photographed(room() * (1 + 0.1 * np.sin(rows / 40 + 1.7 * number)), 4, random)
        for number in range(60)
    ]
    assert not any(seen_moving(frames))


def test_dusk_is_not_motion() -> None:
    random = np.random.default_rng(3)
    frames = [photographed(room(1 - 0.004 * number), 4, random) for number in range(120)]
    assert not any(seen_moving(frames))


@pytest.mark.parametrize("noise", [0.0, 4.0, 12.0])
@pytest.mark.parametrize("size", [80, 200])
def test_somebody_who_steps_into_view_is_motion_on_that_frame(noise: float, size: int) -> None:
    random = np.random.default_rng(4)
    empty = [photographed(room(), noise, random) for _ in range(40)]
    scene = room()
    scene[240 : 240 + size, 300 : 300 + size] = (90, 120, 170)
    answers = seen_moving([*empty, photographed(scene, noise, random)])
    assert answers[-1]
    assert not any(answers[:-1])


def test_motion_is_held_for_a_second_and_ends() -> None:
    random = np.random.default_rng(5)
    scene = room()
    scene[200:300, 250:350] = (90, 120, 170)
    frames = [photographed(room(), 4, random) for _ in range(40)]
    frames += [photographed(scene, 4, random)]
    frames += [photographed(room(), 4, random) for _ in range(20)]
    answers = seen_moving(frames, after_s=4.0)
    assert all(answers[: FPS - 1])
    assert not any(answers[FPS + 2 :])


def test_what_is_put_down_and_stays_becomes_background() -> None:
    random = np.random.default_rng(6)
    scene = room()
    scene[200:300, 250:350] = (90, 120, 170)
    frames = [photographed(room(), 4, random) for _ in range(20)]
    frames += [photographed(scene, 4, random) for _ in range(200)]
    answers = seen_moving(frames)
    assert any(answers[:20])
    assert not any(answers[-20:])


def test_the_first_frame_is_searched_and_then_one_every_two_seconds_however_still() -> None:
    grey = np.full((480, 640, 3), 90, np.uint8)
    state: Motion | None = None
    searched = []
    for number in range(80):
        state, look = step(state, grey, number / FPS)
        if look:
            searched.append(number / FPS)
    assert searched[:11] == [number / FPS for number in range(11)]
    assert searched[11:] == [3.0, 5.0, 7.0]


def test_the_same_scene_in_another_size_is_not_motion() -> None:
    state, _ = step(None, np.full((480, 640, 3), 90, np.uint8), 0.0)
    _, look = step(state, np.full((240, 320, 3), 90, np.uint8), 1.5)
    assert not look


@pytest.mark.parametrize("size", [(4, 4), (2, 700), (3000, 4)])
def test_frames_smaller_than_the_gates_cells_are_compared_all_the_same(
    size: tuple[int, int],
) -> None:
    still = np.full((*size, 3), 90, np.uint8)
    half = still.copy()
    half[:, : size[1] // 2] = 200
    assert not any(seen_moving([still] * 40))
    assert all(seen_moving([still] * 40 + [half] * 5, after_s=4.0))
