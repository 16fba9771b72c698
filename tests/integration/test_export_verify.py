"""`verify` passes what is equal and stops what is not."""

import json
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from ostiary.vision.models import MINIFASNET_V1SE, MINIFASNET_V2, YUNET, nchw
from ostiary_export import minifasnet
from ostiary_export.crops import RANDOM, REAL, liveness_crops, load_portraits
from ostiary_export.errors import NotEqual
from ostiary_export.minifasnet import MiniFASNet
from ostiary_export.record import RECORD, is_verified, write_record
from ostiary_export.report import Report
from ostiary_export.verify import refuse_failures, verify_minifasnet

CHECKPOINT = {
    MINIFASNET_V2: ("2.7_80x80_MiniFASNetV2.pth", minifasnet.V2),
    MINIFASNET_V1SE: ("4_0_0_80x80_MiniFASNetV1SE.pth", minifasnet.V1SE),
}


@pytest.fixture(scope="module")
def crops(models: Path, portraits: Path) -> NDArray[np.uint8]:
    """Every tenth of the crops that `ostiary-export verify` looks at."""
    return liveness_crops(load_portraits(portraits, models / YUNET), 2.7)[::10]


def original(models: Path, name: str) -> MiniFASNet:
    file, plan = CHECKPOINT[name]
    return minifasnet.load(models / "sources" / file, plan)


def test_at_least_five_hundred_crops_are_compared() -> None:
    assert REAL + RANDOM >= 500
    assert REAL > RANDOM


@pytest.mark.parametrize("name", [MINIFASNET_V2, MINIFASNET_V1SE])
def test_what_ships_is_equal_to_pytorch(models: Path, crops: NDArray[np.uint8], name: str) -> None:
    for file in (name, nchw(name)):
        report = verify_minifasnet(original(models, name), models / file, crops)
        assert report.passed
        assert report.max_abs_diff <= 1e-5
        assert report.differing_decisions == 0


def test_one_weight_that_is_slightly_off_is_seen(models: Path, crops: NDArray[np.uint8]) -> None:
    other = deepcopy(original(models, MINIFASNET_V2))
    with torch.no_grad():
        other.prob.weight[0, 0] += 1e-3
    report = verify_minifasnet(other, models / MINIFASNET_V2, crops)
    assert not report.passed
    with pytest.raises(NotEqual, match=MINIFASNET_V2):
        refuse_failures([report])


def test_features_that_are_slightly_off_are_seen(models: Path, crops: NDArray[np.uint8]) -> None:
    other = deepcopy(original(models, MINIFASNET_V2))
    with torch.no_grad():
        other.conv_6_dw.bn.bias[0] += 1e-3
        assert other.bn.running_mean is not None
        other.bn.running_mean += 1e-3 * other.linear.weight[:, 0]  # the logits do not see it
    report = verify_minifasnet(other, models / MINIFASNET_V2, crops[:10])
    assert report.max_abs_diff == pytest.approx(1e-3, rel=0.02)
    assert report.differing_decisions == 0
    assert not report.passed


def test_an_answer_that_is_no_number_is_not_equal(models: Path, crops: NDArray[np.uint8]) -> None:
    other = deepcopy(original(models, MINIFASNET_V2))
    with torch.no_grad():
        other.prob.weight[0, 0] = torch.nan
    assert not verify_minifasnet(other, models / MINIFASNET_V2, crops[:1]).passed


def test_a_file_changed_since_the_report_counts_as_unverified(tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_text("model")
    write_record([Report("net.onnx", 500, 1e-6, 1e-5, 0)], tmp_path)
    assert is_verified(tmp_path, ["net.onnx"])
    assert not is_verified(tmp_path, ["net.onnx", "other.onnx"])
    (tmp_path / "net.onnx").write_text("another model")
    assert not is_verified(tmp_path, ["net.onnx"])


def test_a_report_of_a_failure_does_not_count(tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_text("model")
    write_record([Report("net.onnx", 500, 1e-6, 1e-5, differing_decisions=1)], tmp_path)
    assert not is_verified(tmp_path, ["net.onnx"])


def test_other_code_at_the_door_makes_a_report_void(tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_text("model")
    write_record([Report("net.onnx", 500, 1e-6, 1e-5, 0)], tmp_path)
    record = json.loads((tmp_path / RECORD).read_text())
    (tmp_path / RECORD).write_text(json.dumps({**record, "code": "other"}))
    assert not is_verified(tmp_path, ["net.onnx"])


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"code": 1, "reports": 2}'])
def test_a_record_that_is_none_does_not_count(tmp_path: Path, content: str) -> None:
    (tmp_path / RECORD).write_text(content)
    assert not is_verified(tmp_path, [])
