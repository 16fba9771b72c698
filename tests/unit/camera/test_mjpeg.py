"""Cutting a stream into its JPEGs, whatever stands between them and however the bytes arrive."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostiary.camera.mjpeg import PART_LIMIT, NewestJpeg, decode_whole
from ostiary.errors import ImageInvalid

END = b"\xff\xd9"


def jpeg(seed: int, *options: int) -> bytes:
    noise = np.random.default_rng(seed).integers(0, 255, (24, 40, 3), np.uint8)
    return cv2.imencode(".jpg", noise, options)[1].tobytes()


KINDS = (
    (),
    (cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
    (cv2.IMWRITE_JPEG_RST_INTERVAL, 1),
    (cv2.IMWRITE_JPEG_QUALITY, 5),
)
jpegs = st.builds(lambda seed, kind: jpeg(seed, *kind), st.integers(0, 99), st.sampled_from(KINDS))
between = st.one_of(
    st.sampled_from([b"\r\n--frame\r\nContent-Type: image/jpeg\r\n\r\n", b"--x\n\n", b""]),
    st.binary(max_size=40).filter(lambda junk: b"\xff" not in junk),
)


@given(
    st.lists(st.tuples(between, jpegs), min_size=1, max_size=5),
    st.lists(st.integers(1, 2000), min_size=1),
)
def test_every_jpeg_comes_out_whole_however_the_bytes_are_cut(
    parts: list[tuple[bytes, bytes]], cuts: list[int]
) -> None:
    data, cutter, found = b"".join(junk + sent for junk, sent in parts), NewestJpeg(), []
    position = turn = 0
    while position < len(data):
        step = cuts[turn % len(cuts)]
        part = cutter.feed(data[position : position + step])
        position, turn = position + step, turn + 1
        found += [part] if part is not None else []
    sent_ones = [sent for _junk, sent in parts]
    assert found[-1] == sent_ones[-1]
    assert all(part in sent_ones for part in found)


def test_of_several_at_once_only_the_newest_is_given() -> None:
    assert NewestJpeg().feed(jpeg(1) + jpeg(2) + b"\r\n" + jpeg(3)) == jpeg(3)


def test_a_jpeg_is_there_with_its_last_byte_and_not_with_the_next_boundary() -> None:
    cutter = NewestJpeg()
    assert cutter.feed(b"--frame\r\n\r\n" + jpeg(1)[:-1]) is None
    assert cutter.feed(jpeg(1)[-1:]) == jpeg(1)


def test_a_preview_inside_a_jpeg_is_none_of_its_own() -> None:
    preview, whole = jpeg(1), jpeg(2)
    exif = b"\xff\xe1" + (len(preview) + 2).to_bytes(2, "big") + preview
    assert NewestJpeg().feed(whole[:2] + exif + whole[2:]) == whole[:2] + exif + whole[2:]


@pytest.mark.parametrize(
    "between",
    [
        b"\r\n--frame\r\nContent-Type: image/jpeg\r\nContent-Length: 7\r\n\r\n",
        b"\n--frame\nX-Timestamp: 1\n\n",
        b"--frame\r\n\r\n",
        b"\r\n",
        b"",
    ],
)
def test_a_jpeg_without_its_end_marker_ends_where_the_next_begins(between: bytes) -> None:
    cutter = NewestJpeg()
    assert cutter.feed(jpeg(1).removesuffix(END)) is None
    ended = cutter.feed(between + jpeg(2).removesuffix(END)[:9])
    assert ended == jpeg(1)
    assert np.array_equal(decode_whole(ended), decode_whole(jpeg(1)))


@given(st.binary(max_size=300), jpegs)
def test_whatever_was_sent_before_whole_jpegs_are_seen_again(junk: bytes, after: bytes) -> None:
    cutter = NewestJpeg()
    cutter.feed(b"\xff\xd8\xff" + junk)
    # Junk may begin like a segment, whose length swallows 64 KB of what follows, and again.
    feeds = range(4 * 65_536 // len(after))
    assert any(cutter.feed(after) == after for _ in feeds)


@given(jpegs, st.floats(0.3, 0.6), st.booleans())
def test_a_jpeg_whose_data_end_early_is_refused(sent: bytes, where: float, ends: bool) -> None:
    header = sent.index(b"\xff\xda") + 14
    cut = sent[: header + int(where * (len(sent) - header))]
    if sent[1:].count(b"\xff\xda") > 1:
        return  # progressive: what is missing is only sharpness
    with pytest.raises(ImageInvalid):
        decode_whole(cut + END if ends else cut)


def test_a_whole_jpeg_whose_corner_is_grey_is_taken() -> None:
    grey = np.full((48, 64, 3), 128, np.uint8)
    sent = cv2.imencode(".jpg", grey)[1].tobytes()
    assert np.array_equal(decode_whole(sent), grey)


def test_a_picture_without_end_is_given_up() -> None:
    cutter = NewestJpeg()
    with pytest.raises(ValueError, match="no end of a picture"):
        cutter.feed(jpeg(1).removesuffix(END) + bytes(PART_LIMIT))
