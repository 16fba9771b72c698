"""The built SFace beside the published file, on real faces."""

import os
from pathlib import Path

import numpy as np
import onnx
import pytest

from ostiary.vision.models import SFACE, YUNET, nchw
from ostiary.vision.recognizer import RATES_KEY, ErrorRates
from ostiary_export import sface_proof
from ostiary_export.catalogue import load_catalogue
from ostiary_export.crops import load_portraits, sface_chips
from ostiary_export.fetch import fetch
from ostiary_export.rates import rates_metadata
from ostiary_export.sface import build
from tests.conftest import ROOT


@pytest.fixture(scope="module")
def published(models: Path) -> Path:
    catalogue = load_catalogue(ROOT / "resources" / "models.toml")
    return fetch(catalogue, "sface", models / "sources")


@pytest.fixture(scope="module")
def chips(models: Path, portraits: Path) -> np.ndarray:
    return sface_chips(load_portraits(portraits, models / YUNET))


@pytest.mark.long  # `make setup` proves the same before it takes the files
def test_the_built_network_describes_faces_as_the_published_one(
    models: Path, published: Path, chips: np.ndarray
) -> None:
    assert len(chips) >= 500
    files = (models / SFACE, models / nchw(SFACE))
    reports = sface_proof.verify(published, files, chips)
    assert [report.name for report in reports] == [file.name for file in files]
    for report in reports:
        assert report.passed, report
        assert report.max_abs_diff <= 1e-5


def test_a_network_with_one_changed_weight_is_found(
    models: Path, published: Path, chips: np.ndarray, tmp_path: Path
) -> None:
    model = onnx.load(models / SFACE)
    tensor = max(model.graph.initializer, key=lambda each: len(each.raw_data))
    values = onnx.numpy_helper.to_array(tensor).copy()
    values[0] *= 1.05
    tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
    onnx.save(model, tmp_path / SFACE)
    (report,) = sface_proof.verify(published, [tmp_path / SFACE], chips[:5])
    assert not report.passed


@pytest.mark.parametrize("in_blocks", [True, False])
def test_building_again_gives_the_same_file(
    models: Path, published: Path, tmp_path: Path, in_blocks: bool
) -> None:
    rates = rates_metadata(models.parent / "recognition.toml", "sface")
    build(published, tmp_path / SFACE, rates, in_blocks=in_blocks)
    built = models / (SFACE if in_blocks else nchw(SFACE))
    assert (tmp_path / SFACE).read_bytes() == built.read_bytes()


@pytest.mark.parametrize("name", [SFACE, nchw(SFACE)])
def test_every_weight_is_inside_and_the_picture_is_the_only_input(models: Path, name: str) -> None:
    model = onnx.load(models / name)
    assert [each.name for each in model.graph.input] == ["chip"]
    assert [each.name for each in model.graph.output] == ["descriptor"]
    kinds = {node.op_type for node in model.graph.node}
    assert not kinds & {"PRelu", "BatchNormalization", "DequantizeLinear"}


def test_the_built_network_carries_what_was_measured(models: Path) -> None:
    about = {each.key: each.value for each in onnx.load(models / SFACE).metadata_props}
    rates = ErrorRates.from_json(about[RATES_KEY])
    assert rates.people > 1000
    assert rates.pairs > 1_000_000


def test_a_file_with_another_hash_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ostiary_export.errors import HashMismatch

    catalogue = load_catalogue(ROOT / "resources" / "models.toml")
    (tmp_path / catalogue.sources["sface"].file).write_bytes(os.urandom(100))
    monkeypatch.setenv("OSTIARY_MODEL_MIRROR", str(tmp_path))
    with pytest.raises(HashMismatch):
        fetch(catalogue, "sface", tmp_path / "out")
    assert not list((tmp_path / "out").glob("*.onnx"))
