"""Each processor loads the graphs that suit it."""

import platform
from pathlib import Path

import onnxruntime as ort
import pytest

from ostiary.vision.liveness import LivenessModel
from ostiary.vision.models import (
    IN_BLOCKS,
    MINIFASNET_V1SE,
    MINIFASNET_V2,
    SFACE,
    checked_models,
    liveness_files,
    nchw,
    needed_files,
    recognizer_files,
    suited,
)
from ostiary.vision.sface import SFaceRecognizer
from package.build import MACHINE_OF, Target

TWICE = (MINIFASNET_V2, MINIFASNET_V1SE, SFACE)


@pytest.mark.parametrize("machine", ["x86_64", "AMD64"])
def test_a_pc_loads_the_graphs_in_blocks(machine: str) -> None:
    assert suited(SFACE, machine) == "sface.onnx"
    assert liveness_files("ensemble", machine) == (MINIFASNET_V2, MINIFASNET_V1SE)


@pytest.mark.parametrize("machine", ["aarch64", "arm64", "riscv64"])
def test_any_other_processor_loads_the_graphs_without(machine: str) -> None:
    assert suited(SFACE, machine) == "sface_nchw.onnx"
    assert liveness_files("v2", machine) == ("minifasnet_v2_nchw.onnx",)
    assert recognizer_files("dlib", machine) == recognizer_files("dlib", "x86_64")


@pytest.mark.parametrize("name", TWICE)
def test_both_files_are_built_and_in_the_manifest(models: Path, name: str) -> None:
    assert set(checked_models(models, (name, nchw(name)))) == {name, nchw(name)}


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_what_is_checked_is_what_is_loaded(
    models: Path, machine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: machine)
    for name in needed_files("sface", "ensemble"):
        (tmp_path / name).symlink_to(models.resolve() / name)
    assert LivenessModel.load(tmp_path, "ensemble").networks
    assert SFaceRecognizer.load(tmp_path).rates.people > 0


@pytest.mark.parametrize("arch", MACHINE_OF)
def test_a_package_carries_what_its_machine_loads_and_no_more(arch: str) -> None:
    packed, machine = Target(arch, "12").models(), MACHINE_OF[arch]
    assert {suited(name, machine) for name in TWICE} < set(packed)
    assert sum(name.startswith(("sface", "minifasnet")) for name in packed) == len(TWICE)


def test_the_table_agrees_with_onnx_runtime_on_this_machine(models: Path, tmp_path: Path) -> None:
    as_run = tmp_path / "as_run.onnx"
    options = ort.SessionOptions()
    options.optimized_model_filepath = str(as_run)
    options.log_severity_level = 3
    ort.InferenceSession(models / MINIFASNET_V2, options, providers=["CPUExecutionProvider"])
    # Graph nodes of the blocked layout name their operators' domain; this one only exists there.
    assert (b"ReorderOutput" in as_run.read_bytes()) == (platform.machine().lower() in IN_BLOCKS)
