"""The real networks on real pictures: people are live, a replayed picture is not."""

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import onnxruntime as ort
import pytest
from structlog.testing import capture_logs

from ostiary.errors import ModelInvalid, ModelMissing
from ostiary.settings import AccessSettings
from ostiary.vision import liveness
from ostiary.vision.arrays import BGRImage
from ostiary.vision.detect import YuNetDetector
from ostiary.vision.face import Box
from ostiary.vision.liveness import LivenessModel, LivenessNetwork
from ostiary.vision.models import MINIFASNET_V2, YUNET, liveness_files, models_directory
from ostiary.vision.runtime import open_session, provider_in_use

pytestmark = pytest.mark.quick

FRONTAL = ["obama.jpg", "obama2.jpg", "obama3.jpg", "biden.jpg"]
KINDS = ["v2", "ensemble"]
(LIVENESS,) = liveness_files("v2")
# What the door's default thresholds take as certain.
CLEARLY_LIVE = AccessSettings().live_threshold
CLEAR_ATTACK = AccessSettings().attack_threshold


def read(path: Path) -> BGRImage:
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    assert image is not None
    return np.asarray(image, np.uint8)


def largest_face(models: Path, image: BGRImage) -> Box:
    return YuNetDetector(models / YUNET).detect(image)[0].box


@pytest.fixture(autouse=True)
def built_models(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OSTIARY_MODELS", str(models))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", FRONTAL)
def test_a_portrait_is_live(portraits: Path, models: Path, name: str, kind: str) -> None:
    image = read(portraits / name)
    model = LivenessModel.load(models, kind)  # type: ignore[arg-type]
    assert model.score(image, largest_face(models, image)) > CLEARLY_LIVE


@pytest.mark.parametrize("kind", KINDS)
def test_a_genuine_selfie_is_live_and_a_replay_is_not(
    samples: Path, models: Path, kind: str
) -> None:
    model = LivenessModel.load(models, kind)  # type: ignore[arg-type]
    genuine, replay = read(samples / "genuine.jpg"), read(samples / "replay_attack.jpg")
    assert model.score(genuine, largest_face(models, genuine)) > CLEARLY_LIVE
    assert model.score(replay, largest_face(models, replay)) < CLEAR_ATTACK


@pytest.mark.parametrize("name", FRONTAL)
def test_the_first_versions_check_passes_a_portrait(portraits: Path, name: str) -> None:
    assert liveness.check_liveness(read(portraits / name))


def test_the_first_versions_check_stops_a_replay(samples: Path) -> None:
    assert liveness.check_liveness(read(samples / "genuine.jpg"))
    assert not liveness.check_liveness(read(samples / "replay_attack.jpg"))


def test_a_picture_without_a_face_is_not_live() -> None:
    assert not liveness.check_liveness(np.full((240, 320, 3), 128, np.uint8))


def test_the_model_is_loaded_once() -> None:
    assert liveness.load_model(0) is liveness.load_model(0)


def test_an_answer_that_is_no_number_counts_as_not_live(models: Path) -> None:
    network = LivenessNetwork.load(models / MINIFASNET_V2)
    broken = np.full((1, 3, 80, 80), np.nan, np.float32)
    (logits,) = network.session.run(["logits"], {"crop": broken})
    assert np.isnan(logits).any()
    assert int(np.argmax(liveness.softmax(logits[0]))) != liveness.LIVE_CLASS


def test_the_model_says_what_it_was_made_from(models: Path) -> None:
    about = open_session(models / MINIFASNET_V2).get_modelmeta().custom_metadata_map
    assert about["source_sha256"].startswith("a5eb02e1")
    assert about["scale"] == "2.7"
    assert about["colour_order"] == "BGR"
    assert about["class_order"].split(",")[liveness.LIVE_CLASS] == "live"
    assert about["exporter"].startswith("ostiary-export ")


def test_a_missing_model_says_how_to_build_it(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="ostiary-export all"):
        LivenessModel.load(tmp_path)


def test_a_folder_that_is_not_there_is_not_replaced_by_another(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="nowhere"):
        models_directory(tmp_path / "nowhere")


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / LIVENESS).write_bytes(b"not a model")
    with pytest.raises(ModelInvalid):
        LivenessModel.load(tmp_path)


def test_another_network_is_refused_as_liveness_model(tmp_path: Path, models: Path) -> None:
    (tmp_path / LIVENESS).write_bytes((models / "plain" / MINIFASNET_V2).read_bytes())
    with pytest.raises(ModelInvalid, match="not a MiniFASNet written by ostiary-export"):
        LivenessModel.load(tmp_path)


def test_a_provider_that_is_not_there_is_replaced_by_the_cpu_with_a_warning(models: Path) -> None:
    absent = next(
        name
        for name in ("openvino", "cuda", "tensorrt")
        if not any(
            name == known.lower().removesuffix("executionprovider")
            for known in ort.get_available_providers()
        )
    )
    with capture_logs() as lines:
        session = open_session(models / MINIFASNET_V2, absent)
    assert provider_in_use(session) == "cpu"
    assert [line["event"] for line in lines] == ["provider_unavailable"]


def test_judging_liveness_does_not_import_torch() -> None:
    check = (
        "import sys, ostiary.vision.liveness\n"
        "assert not {'torch', 'onnx', 'face_recognition'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", check], check=True)
