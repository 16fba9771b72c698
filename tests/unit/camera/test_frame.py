"""A picture that shows nothing is told from one that does."""

import numpy as np
import pytest

from ostiary.camera.frame import ViewCondition, same_picture, turned, view_condition
from ostiary.vision.arrays import BGRImage


def noisy(level: float, noise: float, seed: int = 0) -> BGRImage:
    values = np.random.default_rng(seed).normal(level, noise, (480, 640, 3))
    return values.clip(0, 255).astype(np.uint8)


def room() -> BGRImage:
    """A wall, a darker floor, a bright window."""
    image = noisy(120, 4)
    image[300:] //= 2
    image[50:200, 400:600] = 250
    return image


def test_a_room_is_clear() -> None:
    assert view_condition(room()) is ViewCondition.CLEAR


def test_a_dim_room_with_its_window_is_clear() -> None:
    assert view_condition(room() // 3) is ViewCondition.CLEAR


@pytest.mark.parametrize("level", [0, 12, 90, 200])
def test_one_tone_whatever_its_brightness_is_covered(level: int) -> None:
    assert view_condition(noisy(level, 3)) is ViewCondition.COVERED


def test_darkness_with_sensor_noise_is_covered() -> None:
    assert view_condition(noisy(15, 10)) is ViewCondition.COVERED


def test_a_lens_full_of_light_is_overexposed() -> None:
    image = room()
    image[:, :420] = 255
    assert view_condition(image) is ViewCondition.OVEREXPOSED
    assert view_condition(np.full((480, 640, 3), 255, np.uint8)) is ViewCondition.OVEREXPOSED


def test_a_bright_window_alone_is_not_overexposed() -> None:
    image = room()
    image[:, :200] = 255
    assert view_condition(image) is ViewCondition.CLEAR


def test_the_smallest_and_odd_sizes_are_judged_too() -> None:
    assert view_condition(np.zeros((1, 1, 3), np.uint8)) is ViewCondition.COVERED
    assert view_condition(room()[:479, :333]) is ViewCondition.CLEAR


def test_pictures_are_the_same_only_bit_for_bit() -> None:
    first = noisy(120, 4)
    other = first.copy()
    assert same_picture(first, other)
    other[479, 639, 2] ^= 1
    assert not same_picture(first, other)
    assert not same_picture(first, noisy(120, 4, seed=1))
    assert not same_picture(first, first[:240])
    assert not same_picture(None, first)


def test_a_picture_is_turned_clockwise() -> None:
    image = np.zeros((2, 3, 3), np.uint8)
    image[0, 0] = 255
    assert turned(image, 0) is image
    corners = {90: (0, -1), 180: (-1, -1), 270: (-1, 0)}
    for degrees, corner in corners.items():
        assert turned(image, degrees)[corner].all(), degrees
        assert turned(turned(image, degrees), 360 - degrees).tolist() == image.tolist()
