"""A liveness network that calls everything live, put in the place of the built one."""

import shutil
import subprocess
import sys
from pathlib import Path

import onnx
import pytest
from onnx import helper

from ostiary.errors import ModelInvalid
from ostiary.vision.models import MANIFEST, checked_models, liveness_files
from testing.daemon import write_config

(LIVENESS,) = liveness_files("v2")


def copied(models: Path, folder: Path) -> Path:
    copy = folder / "models"
    shutil.copytree(models, copy, ignore=shutil.ignore_patterns("sources", "plain"))
    return copy


def call_everything_live(path: Path) -> None:
    """The same network, whose output is replaced by P(live) = 1."""
    model = onnx.load(path)
    output = model.graph.output[0].name
    for node in model.graph.node:
        node.output[:] = ["was" if name == output else name for name in node.output]
    live = helper.make_tensor("live", onnx.TensorProto.FLOAT, [1, 3], [0.0, 100.0, 0.0])
    model.graph.node.append(helper.make_node("Constant", [], [output], value=live))
    onnx.save(model, path)


def test_a_door_with_a_patched_liveness_model_does_not_start_and_says_why(
    tmp_path: Path, models: Path, portraits: Path
) -> None:
    copy = copied(models, tmp_path)
    call_everything_live(copy / LIVENESS)
    config = write_config(tmp_path, 1, copy, portraits)
    done = subprocess.run(
        [sys.executable, "-m", "ostiary.cli.main", "run", "--config", str(config)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode != 0
    assert "model_invalid" in done.stderr
    assert f"{LIVENESS}: altered" in done.stderr


@pytest.mark.parametrize("manifest", [None, "{", "[]", f'{{"{LIVENESS}": {{}}}}'])
def test_without_a_manifest_no_model_is_trusted(
    tmp_path: Path, models: Path, manifest: str | None
) -> None:
    copy = copied(models, tmp_path)
    (copy / MANIFEST).unlink()
    if manifest is not None:
        (copy / MANIFEST).write_text(manifest)
    with pytest.raises(ModelInvalid):
        checked_models(copy, [LIVENESS])
