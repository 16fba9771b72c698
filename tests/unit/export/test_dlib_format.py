"""The reader of dlib's files: what it reads, and what it refuses by name."""

import math
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostiary.errors import ModelInvalid, ModelMissing
from ostiary_export import dlib_landmarks, dlib_network
from ostiary_export.dlib_format import DlibReader
from ostiary_export.dlib_models import model_path


def packed(value: int) -> bytes:
    size = max(1, (abs(value).bit_length() + 7) // 8)
    return bytes([size | (0x80 if value < 0 else 0)]) + abs(value).to_bytes(size, "little")


def number(value: float) -> bytes:
    mantissa, exponent = math.frexp(value)
    return packed(int(mantissa * 2**53)) + packed(exponent - 53)


def reader(data: bytes) -> DlibReader:
    return DlibReader(data, "some.dat")


@given(st.integers(-(2**63), 2**63))
def test_an_integer_comes_back(value: int) -> None:
    assert reader(packed(value)).integer("count") == value


@given(st.floats(allow_nan=False, allow_infinity=False, allow_subnormal=False))
def test_a_floating_point_number_comes_back(value: float) -> None:
    assert reader(number(value)).number("threshold") == value


def test_a_tensor_comes_back() -> None:
    values = np.arange(6, dtype=np.float32).reshape(1, 2, 3, 1)
    data = b"".join(packed(size) for size in (2, *values.shape)) + values.tobytes()
    found = reader(data).tensor("weights")
    assert found.shape == (1, 2, 3, 1)
    assert np.array_equal(found, values)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "byte 0: expected a packed integer .count., found the end of the file"),
        (b"\x02\x01", "byte 0: expected a packed integer .count., found the end of the file"),
        (b"\x00", "byte 0: expected a packed integer .count., found the byte 0x00"),
        (b"\x09" + bytes(9), "expected a packed integer .count., found the byte 0x09"),
    ],
)
def test_what_is_no_integer_is_refused_with_its_place(data: bytes, message: str) -> None:
    with pytest.raises(ModelInvalid, match=message):
        reader(data).integer("count")


def test_a_number_that_is_not_finite_is_refused() -> None:
    for exponent in (32000, 32001, 32002):
        with pytest.raises(ModelInvalid, match="finite number"):
            reader(packed(0) + packed(exponent)).number("threshold")


def test_a_tensor_cut_short_is_refused() -> None:
    data = b"".join(packed(size) for size in (2, 1, 1, 1, 4)) + struct.pack("<3f", 1, 2, 3)
    with pytest.raises(ModelInvalid, match=r"16 bytes of float32 values.*after 12 bytes"):
        reader(data).tensor("weights")


def test_a_huge_size_is_refused_before_it_is_believed() -> None:
    data = b"".join(packed(size) for size in (2, 1 << 40, 1, 1, 1))
    with pytest.raises(ModelInvalid, match="a count of at most"):
        reader(data).tensor("weights")


def test_a_file_that_is_not_there_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match=r"none\.dat"):
        DlibReader.open(tmp_path / "none.dat")


# --- the two files ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def network() -> bytes:
    return model_path(dlib_network.FILE).read_bytes()


def read_changed(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "changed.dat"
    path.write_bytes(data)
    dlib_network.read(path)


def test_the_network_has_its_29_convolutions_and_means() -> None:
    found = dlib_network.read(model_path(dlib_network.FILE))
    assert len(found.convolutions) == 29
    assert found.dense.shape == (256, 128)
    assert np.allclose(found.means, (122.782, 117.001, 104.298), atol=1e-5)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.9, 0.9999999])
def test_a_network_cut_short_is_refused_wherever_it_ends(
    tmp_path: Path, network: bytes, share: float
) -> None:
    with pytest.raises(ModelInvalid, match=r"changed\.dat, byte \d+: expected .* end of the file"):
        read_changed(tmp_path, network[: int(share * len(network))])


def test_a_network_with_something_after_it_is_refused(tmp_path: Path, network: bytes) -> None:
    with pytest.raises(ModelInvalid, match="expected the end of the file, found 1 more bytes"):
        read_changed(tmp_path, network + b"\x00")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b"loss_metric_2", b"loss_binary_2", "name of the loss layer 'loss_metric_2', found"),
        (b"con_4", b"con_9", "name of layer 0 'con_4', found 'con_9'"),
        (b"max_pool_2", b"avg_pool_2", "'max_pool_2', found 'avg_pool_2'"),
        (b"fc_2", b"fc_3", "'fc_2', found 'fc_3'"),
    ],
)
def test_other_layers_or_versions_are_refused_by_name(
    tmp_path: Path, network: bytes, old: bytes, new: bytes, message: str
) -> None:
    with pytest.raises(ModelInvalid, match=message):
        read_changed(tmp_path, network.replace(old, new, 1))


def test_dlibs_other_files_are_refused() -> None:
    with pytest.raises(ModelInvalid, match="expected name of the loss layer"):
        dlib_network.read(model_path("mmod_human_face_detector.dat"))
    with pytest.raises(ModelInvalid, match="rows of the initial shape -10, found -136"):
        dlib_landmarks.read(model_path("shape_predictor_68_face_landmarks.dat"))
    with pytest.raises(ModelInvalid):
        dlib_landmarks.read(model_path(dlib_network.FILE))


def test_a_predictor_cut_short_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "short.dat"
    path.write_bytes(model_path(dlib_landmarks.FILE).read_bytes()[:100_000])
    with pytest.raises(ModelInvalid, match=r"short\.dat, byte \d+: expected .* end of the file"):
        dlib_landmarks.read(path)


def test_a_file_that_no_package_has_is_missing_and_says_what_to_install() -> None:
    with pytest.raises(ModelMissing, match="install version"):
        model_path("no_such_model.dat")
