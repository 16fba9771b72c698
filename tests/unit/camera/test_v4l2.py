"""Which of a device's pictures are taken, and what its bytes become."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostiary.camera.v4l2.formats import PREFERRED, Span, VideoMode, choose, to_bgr

WEBCAM = [
    VideoMode("YUYV", 640, 480, (15.0, 30.0)),
    VideoMode("YUYV", 1280, 720, (5.0, 10.0)),
    VideoMode("MJPG", 640, 480, (15.0, 30.0)),
    VideoMode("MJPG", 1280, 720, (15.0, 30.0)),
    VideoMode("MJPG", 1920, 1080, (15.0, 30.0)),
]
"""What an ordinary USB camera says."""


def test_motion_jpeg_is_taken_where_both_reach_the_rate() -> None:
    assert choose(WEBCAM, 640, 480, 15, "auto") == VideoMode("MJPG", 640, 480, (15.0, 30.0))


def test_yuyv_is_taken_where_it_is_wanted() -> None:
    assert choose(WEBCAM, 640, 480, 15, "yuyv") == VideoMode("YUYV", 640, 480, (15.0, 30.0))


def test_the_nearest_size_is_taken_not_the_next_larger() -> None:
    chosen = choose(WEBCAM, 700, 500, 15, "auto")
    assert chosen is not None
    assert (chosen.width, chosen.height) == (640, 480)


def test_a_format_that_is_too_slow_at_this_size_gives_way() -> None:
    modes = [VideoMode("MJPG", 640, 480, (5.0,)), VideoMode("YUYV", 640, 480, (5.0, 30.0))]
    chosen = choose(modes, 640, 480, 15, "auto")
    assert chosen is not None
    assert chosen.fourcc == "YUYV"


def test_the_lowest_rate_that_suffices_is_asked_for_else_the_highest() -> None:
    assert VideoMode("MJPG", 640, 480, (5.0, 15.0, 30.0)).rate_for(10) == 15
    assert VideoMode("MJPG", 640, 480, (5.0, 7.5)).rate_for(10) == 7.5
    assert VideoMode("MJPG", 640, 480, (1.0, 60.0), any_rate=True).rate_for(10) == 10
    assert VideoMode("MJPG", 640, 480).rate_for(10) == 10


def test_none_is_chosen_where_no_format_can_be_read() -> None:
    assert choose([VideoMode("H264", 640, 480, (30.0,))], 640, 480, 15, "auto") is None
    assert choose([VideoMode("YUYV", 640, 480)], 640, 480, 15, "mjpeg") is None
    assert choose([], 640, 480, 15, "auto") is None


@given(
    st.lists(
        st.builds(
            VideoMode,
            st.sampled_from([*PREFERRED, "H264"]),
            st.integers(0, 8000),
            st.integers(0, 8000),
            st.lists(st.floats(0.1, 240), max_size=4).map(lambda rates: tuple(sorted(rates))),
            st.booleans(),
        )
    ),
    st.integers(64, 7680),
    st.integers(64, 4320),
    st.floats(0.1, 120),
)
def test_what_is_chosen_was_offered_and_can_be_read(
    modes: list[VideoMode], width: int, height: int, fps: float
) -> None:
    chosen = choose(modes, width, height, fps, "auto")
    readable = [mode for mode in modes if mode.fourcc in PREFERRED and mode.width and mode.height]
    assert (chosen in readable) if readable else chosen is None


@given(st.integers(1, 4000), st.integers(0, 4000), st.integers(0, 64), st.integers(-100, 9000))
def test_a_span_gives_a_size_inside_it(least: int, more: int, step: int, wanted: int) -> None:
    span = Span(least, least + more, step)
    assert least <= span.nearest(wanted) <= least + more
    assert (span.nearest(wanted) - least) % max(1, step) == 0


GREEN_ISH = (64, 160, 96)


@pytest.mark.parametrize("padding", [0, 32])
def test_yuyv_becomes_bgr_whatever_the_driver_adds_to_a_line(padding: int) -> None:
    image = np.full((48, 64, 3), GREEN_ISH, np.uint8)
    packed = cv2.cvtColor(image, cv2.COLOR_BGR2YUV_YUY2).reshape(48, 128)
    lines = np.pad(packed, ((0, 0), (0, padding)), constant_values=255)
    got = to_bgr(
        lines.reshape(-1).astype(np.uint8), "YUYV", 64, 48, 128 + padding if padding else 0
    )
    assert got is not None
    assert np.abs(got.astype(int) - image).max() <= 3


def test_a_jpeg_of_another_size_than_agreed_is_no_picture() -> None:
    data = cv2.imencode(".jpg", np.full((48, 64, 3), GREEN_ISH, np.uint8))[1].reshape(-1)
    content = data.astype(np.uint8)
    assert to_bgr(content, "MJPG", 64, 48, 0) is not None
    assert to_bgr(content, "MJPG", 640, 480, 0) is None


@pytest.mark.parametrize("fourcc", PREFERRED)
@given(st.binary(min_size=1, max_size=200))
def test_bytes_that_are_cut_short_are_no_picture(fourcc: str, content: bytes) -> None:
    assert to_bgr(np.frombuffer(content, np.uint8), fourcc, 64, 48, 0) is None


@pytest.mark.parametrize("fourcc", [name for name in PREFERRED if name not in ("MJPG", "JPEG")])
def test_every_uncompressed_format_gives_a_picture_of_its_size(fourcc: str) -> None:
    content = np.random.default_rng(1).integers(0, 255, 64 * 48 * 3, np.uint8)
    got = to_bgr(content, fourcc, 64, 48, 0)
    assert got is not None
    assert got.shape == (48, 64, 3)
    assert got.dtype == np.uint8
