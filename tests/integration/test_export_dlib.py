"""What ships is dlib: landmarks, chip and descriptor of real faces."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper

from ostiary.errors import ModelInvalid, ModelMissing
from ostiary.vision.align import LandmarkPredictor
from ostiary.vision.arrays import RGBImage
from ostiary.vision.detect import YuNetDetector
from ostiary.vision.dlib import Embedder
from ostiary.vision.face import Box, square_of
from ostiary.vision.models import DLIB_RESNET, LANDMARKS5, MINIFASNET_V2, YUNET
from ostiary.vision.runtime import open_session
from ostiary_export import dlib_landmarks, dlib_network, dlib_resnet
from ostiary_export.crops import ALIGNED, aligned_faces, chips_of, load_portraits
from ostiary_export.dlib_models import model_path
from ostiary_export.rates import FILE as RATES
from ostiary_export.rates import rates_metadata
from testing.hog import HogDetector

WHOLE_FACES = ("obama.jpg", "obama2.jpg", "obama3.jpg", "biden.jpg")
THRESHOLD = 0.6

Faces = list[tuple[RGBImage, Box]]


@pytest.fixture(scope="module")
def faces(models: Path, portraits: Path) -> Faces:
    """Every fifth of the faces that `ostiary-export verify` looks at."""
    return aligned_faces(load_portraits(portraits, models / YUNET))[::5]


@pytest.fixture(scope="module")
def chips(models: Path, faces: Faces) -> NDArray[np.uint8]:
    return chips_of(models / LANDMARKS5, faces)


def test_at_least_five_hundred_faces_are_compared() -> None:
    assert ALIGNED >= 500


def test_landmarks_are_dlibs_and_chips_within_one_grey_level(models: Path, faces: Faces) -> None:
    points, grey = dlib_landmarks.verify(models / LANDMARKS5, faces)
    assert points.passed
    assert points.max_abs_diff == 0.0
    assert grey.passed
    assert grey.max_abs_diff <= 1.0


def test_descriptors_are_dlibs_and_so_are_the_decisions(
    models: Path, chips: NDArray[np.uint8]
) -> None:
    report = dlib_resnet.verify(models / DLIB_RESNET, chips)
    assert report.passed
    assert report.max_abs_diff <= 1e-5
    assert report.differing_decisions == 0


def test_descriptors_of_a_batch_are_those_of_its_chips(
    models: Path, chips: NDArray[np.uint8]
) -> None:
    session = open_session(models / DLIB_RESNET)
    at_once = session.run(None, {"chip": chips[:7].transpose(0, 3, 1, 2).astype(np.float32)})[0]
    assert np.abs(at_once - Embedder.load(models / DLIB_RESNET).embed(chips[:7])).max() <= 1e-6


def test_one_weight_that_is_slightly_off_is_seen(
    models: Path, chips: NDArray[np.uint8], tmp_path: Path
) -> None:
    model = onnx.load(models / DLIB_RESNET)
    stem = next(each for each in model.graph.initializer if list(each.dims) == [32, 3, 7, 7])
    changed = numpy_helper.to_array(stem).copy()
    changed[0, 0, 3, 3] += 1e-3
    stem.CopyFrom(numpy_helper.from_array(changed, stem.name))
    onnx.save(model, tmp_path / DLIB_RESNET)
    assert not dlib_resnet.verify(tmp_path / DLIB_RESNET, chips[:3]).passed


def test_a_face_at_the_edge_of_the_picture_is_dlibs_too(models: Path, portraits: Path) -> None:
    """Half of the pixels that the forest asks for are outside."""
    bgr = np.asarray(cv2.imread(str(portraits / "obama.jpg")), np.uint8)
    rgb = np.ascontiguousarray(bgr[..., ::-1])
    (face,) = YuNetDetector(models / YUNET).detect(bgr)
    x, y = (int(value) for value in face.box.center)
    square = square_of(face.box)
    cut: Faces = [
        (np.ascontiguousarray(rgb[y:]), moved(square, 0, y)),
        (np.ascontiguousarray(rgb[:, x:]), moved(square, x, 0)),
        (np.ascontiguousarray(rgb[:y, :x]), moved(square, 0, 0)),
    ]
    for report in dlib_landmarks.verify(models / LANDMARKS5, cut):
        assert report.passed, report


def moved(box: Box, x: int, y: int) -> Box:
    return Box(round(box.x) - x, round(box.y) - y, round(box.width), round(box.height))


def test_yunets_box_gives_nearly_the_descriptor_of_face_recognition(
    models: Path, portraits: Path, chip_of: Callable[[RGBImage, Box], RGBImage]
) -> None:
    """`square_of` stands in for dlib's HOG detector, which `face_recognition` aligns by."""
    embedder, yunet, hog = (
        Embedder.load(models / DLIB_RESNET),
        YuNetDetector(models / YUNET),
        HogDetector(),
    )
    for name in WHOLE_FACES:
        bgr = np.asarray(cv2.imread(str(portraits / name)), np.uint8)
        rgb = np.ascontiguousarray(bgr[..., ::-1])
        boxes = square_of(yunet.detect(bgr)[0].box), hog.detect(bgr)[0].box
        ours, theirs = embedder.embed(np.stack([chip_of(rgb, box) for box in boxes]))
        assert np.linalg.norm(ours - theirs) < THRESHOLD / 4, name


@pytest.fixture(scope="module")
def chip_of(models: Path) -> Callable[[RGBImage, Box], RGBImage]:
    return lambda rgb, box: chips_of(models / LANDMARKS5, [(rgb, box)])[0]


# --- what is built, and what is refused -----------------------------------------------------------


def test_what_is_built_names_its_source(models: Path) -> None:
    source = dlib_network.read(model_path(dlib_network.FILE))
    properties = {
        entry.key: entry.value for entry in onnx.load(models / DLIB_RESNET).metadata_props
    }
    assert properties["source_sha256"] == source.sha256
    assert properties["colour_order"] == "RGB"
    with np.load(models / LANDMARKS5, allow_pickle=False) as arrays:
        assert int(arrays["version"]) == 1
        assert len(str(arrays["source_sha256"])) == 64


def test_building_again_gives_the_same_files(models: Path, tmp_path: Path) -> None:
    rates = rates_metadata(models.parent / RATES, "dlib")
    dlib_resnet.build(model_path(dlib_network.FILE), tmp_path / DLIB_RESNET, rates)
    assert (tmp_path / DLIB_RESNET).read_bytes() == (models / DLIB_RESNET).read_bytes()
    dlib_landmarks.build(model_path(dlib_landmarks.FILE), tmp_path / LANDMARKS5)
    with np.load(tmp_path / LANDMARKS5) as again, np.load(models / LANDMARKS5) as known:
        assert again.files == known.files
        assert all(np.array_equal(again[name], known[name]) for name in known.files)


def test_another_network_is_no_descriptor(models: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelInvalid, match="not the descriptor network"):
        Embedder.load(models / MINIFASNET_V2)
    with pytest.raises(ModelMissing):
        Embedder.load(tmp_path / DLIB_RESNET)


def test_chips_of_another_size_are_refused(models: Path) -> None:
    embedder = Embedder.load(models / DLIB_RESNET)
    assert embedder.embed(np.empty((0, 150, 150, 3), np.uint8)).shape == (0, 128)
    with pytest.raises(ValueError, match="chips are"):
        embedder.embed(np.zeros((1, 160, 160, 3), np.uint8))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut short", b"\x80\x04 a pickle"])
def test_landmarks_that_are_no_arrays_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / LANDMARKS5
    path.write_bytes(content)
    with pytest.raises(ModelInvalid, match="not landmarks written by ostiary-export"):
        LandmarkPredictor.load(path)


def test_a_single_array_is_no_landmarks(tmp_path: Path) -> None:
    path = tmp_path / LANDMARKS5
    with path.open("wb") as file:
        np.save(file, np.zeros((5, 2), np.float32))
    with pytest.raises(ModelInvalid, match="not landmarks written by ostiary-export"):
        LandmarkPredictor.load(path)


def test_landmarks_that_are_not_there_are_missing(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing):
        LandmarkPredictor.load(tmp_path / LANDMARKS5)
