"""MiniFASNet in PyTorch: strict about what it loads."""

from pathlib import Path

import pytest
import torch

from ostiary_export import minifasnet
from ostiary_export.errors import SourceInvalid


@pytest.mark.parametrize("plan", [minifasnet.V2, minifasnet.V1SE])
def test_a_crop_becomes_three_logits_and_the_features_behind_them(plan: minifasnet.Plan) -> None:
    network = minifasnet.MiniFASNet(plan).eval()
    logits, features = network(torch.zeros(2, 3, 80, 80))
    assert logits.shape == (2, 3)
    assert features.shape == (2, 512)
    assert torch.equal(network.prob(network.bn(network.linear(features))), logits)


def test_weights_of_the_other_network_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "v1se.pth"
    state = minifasnet.MiniFASNet(minifasnet.V1SE).state_dict()
    torch.save({f"module.{key}": value for key, value in state.items()}, path)
    assert minifasnet.load(path, minifasnet.V1SE)
    with pytest.raises(SourceInvalid, match="another network"):
        minifasnet.load(path, minifasnet.V2)


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 cut short"])
def test_a_file_that_is_no_checkpoint_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "net.pth"
    path.write_bytes(content)
    with pytest.raises(SourceInvalid, match="not a PyTorch checkpoint"):
        minifasnet.load(path, minifasnet.V2)


class Harmful:
    """Unpickling this writes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.path,)


def test_code_in_a_checkpoint_is_not_run(tmp_path: Path) -> None:
    path = tmp_path / "net.pth"
    torch.save({"weight": Harmful(tmp_path / "run")}, path)
    with pytest.raises(SourceInvalid):
        minifasnet.load(path, minifasnet.V2)
    assert not (tmp_path / "run").exists()
