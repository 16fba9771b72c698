"""The crop is the original's, to the pixel: another crop would ask the network another question."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostiary.vision.face import Box
from ostiary.vision.liveness import crop, crop_window, network_input, softmax

sides = st.integers(1, 4000)
places = st.floats(-2000, 6000)
lengths = st.floats(0.01, 5000)
scales = st.sampled_from([2.7, 4.0])


@pytest.mark.parametrize(
    ("size", "box", "scale", "window"),
    [
        ((640, 480), Box(300, 200, 100, 120), 2.7, (215, 98, 485, 422)),
        ((640, 480), Box(300.4, 200.6, 99.5, 121.25), 2.7, (215, 97, 484, 424)),
        ((640, 480), Box(10, 12, 90, 100), 2.7, (0, 0, 243, 270)),
        ((640, 480), Box(600, 430, 100, 90), 4.0, (239, 119, 639, 479)),
        ((200, 300), Box(20, 30, 160, 200), 2.7, (0, 5, 199, 254)),
    ],
    ids=["with room", "between pixels", "at the left and top", "outside", "larger than the image"],
)
def test_the_window_is_the_originals(
    size: tuple[int, int], box: Box, scale: float, window: tuple[int, int, int, int]
) -> None:
    assert crop_window(*size, box, scale) == window


@given(sides, sides, places, places, lengths, lengths, scales)
def test_the_window_is_inside_the_image(
    width: int, height: int, x: float, y: float, across: float, down: float, scale: float
) -> None:
    left, top, right, bottom = crop_window(width, height, Box(x, y, across, down), scale)
    assert 0 <= left <= right < width
    assert 0 <= top <= bottom < height


@given(sides, sides, places, places, lengths, lengths, scales)
def test_the_window_is_never_larger_than_the_grown_box(
    width: int, height: int, x: float, y: float, across: float, down: float, scale: float
) -> None:
    left, top, right, bottom = crop_window(width, height, Box(x, y, across, down), scale)
    assert right - left <= across * scale + 1
    assert bottom - top <= down * scale + 1


@given(sides, sides, places, places, lengths, lengths)
def test_a_crop_has_the_networks_size_whatever_the_box(
    width: int, height: int, x: float, y: float, across: float, down: float
) -> None:
    image = np.zeros((min(height, 500), min(width, 500), 3), np.uint8)
    assert crop(image, Box(x, y, across, down), 2.7).shape == (80, 80, 3)


@pytest.mark.parametrize("box", [Box(0, 0, 0, 10), Box(0, 0, 10, -1), Box(0, 0, float("nan"), 1)])
def test_a_box_without_area_is_refused(box: Box) -> None:
    with pytest.raises(ValueError, match="positive size"):
        crop_window(640, 480, box, 2.7)


def test_pixels_reach_the_network_as_they_are_blue_first() -> None:
    crops = np.zeros((1, 80, 80, 3), np.uint8)
    crops[..., 0], crops[..., 2] = 255, 7
    seen = network_input(crops)
    assert seen.shape == (1, 3, 80, 80)
    assert seen.dtype == np.float32
    assert (seen[0, 0] == 255).all()
    assert (seen[0, 2] == 7).all()


@given(st.lists(st.floats(-1e4, 1e4, width=32), min_size=3, max_size=3))
def test_probabilities_add_up_to_one(logits: list[float]) -> None:
    probabilities = softmax(np.array(logits, np.float32))
    assert (probabilities >= 0).all()
    assert probabilities.sum() == pytest.approx(1)
