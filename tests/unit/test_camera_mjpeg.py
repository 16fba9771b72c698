"""Cutting a multipart stream into pictures, however the bytes arrive."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostiary.camera.mjpeg import PART_LIMIT, NewestPart


def stream(parts: list[bytes], *, length: bool, boundary: bytes = b"frame") -> bytes:
    out = b""
    for part in parts:
        head = b"Content-Type: image/jpeg\r\n"
        head += b"Content-Length: %d\r\n" % len(part) if length else b""
        out += b"--" + boundary + b"\r\n" + head + b"\r\n" + part + b"\r\n"
    return out + b"--" + boundary + b"\r\n"


bodies = st.lists(
    st.binary(min_size=1, max_size=60).map(lambda body: b"\xff\xd8" + body.replace(b"-", b"+")),
    min_size=1,
    max_size=6,
)


@given(bodies, st.booleans(), st.lists(st.integers(1, 40), min_size=1))
def test_every_part_comes_out_whole_however_the_bytes_are_cut(
    parts: list[bytes], length: bool, cuts: list[int]
) -> None:
    data, cutter, found = stream(parts, length=length), NewestPart(b"frame"), []
    position = turn = 0
    while position < len(data):
        step = cuts[turn % len(cuts)]
        part = cutter.feed(data[position : position + step])
        position, turn = position + step, turn + 1
        found += [part] if part is not None else []
    assert found[-1] == parts[-1]
    assert all(part in parts for part in found)
    if cuts == [1]:
        assert found == parts


def test_of_several_parts_at_once_only_the_newest_is_given() -> None:
    data = stream([b"old", b"older", b"new"], length=True)
    assert NewestPart(b"frame").feed(data) == b"new"


def test_a_part_with_a_length_is_there_before_the_next_boundary() -> None:
    cutter = NewestPart(b"frame")
    assert cutter.feed(b"--frame\r\ncontent-length:  4\r\n\r\nabcd") == b"abcd"


def test_a_boundary_given_with_its_dashes_works_either_way() -> None:
    assert NewestPart(b"--frame").feed(stream([b"a"], length=False)) == b"a"
    data = stream([b"a"], length=False, boundary=b"--frame")
    assert NewestPart(b"--frame").feed(data) == b"a"


def test_a_picture_without_end_is_given_up() -> None:
    cutter = NewestPart(b"frame")
    cutter.feed(b"--frame\r\n\r\n")
    with pytest.raises(ValueError, match="no end of a picture"):
        cutter.feed(bytes(PART_LIMIT))
