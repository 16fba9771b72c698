"""The graph passes change how a network is computed, and not what."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from ostiary_export.errors import SourceInvalid
from ostiary_export.optimize import (
    AS_NCHW,
    CHANNEL_BLOCK,
    IN_BLOCKS,
    Graph,
    Passes,
    optimize,
    pad_channels,
    prelu_as_maximum,
    prelu_as_scalings,
)

Rewrite = Callable[[Graph], None]
FloatArray = NDArray[np.float32]


def bottleneck(path: Path, wide: int = 13, slope_limit: float = 0.6) -> Path:
    """Widen 3 to `wide` channels, PRelu, depthwise 3×3, PRelu, narrow to 16: in random weights."""
    random = np.random.default_rng(7)

    def weights(name: str, *shape: int) -> TensorProto:
        return numpy_helper.from_array(random.normal(size=shape).astype(np.float32), name)

    slopes = random.uniform(-0.3, slope_limit, (wide, 1, 1)).astype(np.float32)
    constants = [
        weights("w1", wide, 3, 1, 1),
        weights("b1", wide),
        numpy_helper.from_array(slopes, "s"),
        weights("w2", wide, 1, 3, 3),
        weights("b2", wide),
        weights("w3", 16, wide, 1, 1),
        weights("b3", 16),
    ]
    nodes = [
        helper.make_node("Conv", ["crop", "w1", "b1"], ["a"]),
        helper.make_node("PRelu", ["a", "s"], ["b"]),
        helper.make_node("Conv", ["b", "w2", "b2"], ["c"], group=wide, pads=[1, 1, 1, 1]),
        helper.make_node("PRelu", ["c", "s"], ["d"]),
        helper.make_node("Conv", ["d", "w3", "b3"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "bottleneck",
        [helper.make_tensor_value_info("crop", TensorProto.FLOAT, ["batch", 3, 9, 9])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 16, 9, 9])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.save(model, path)
    return path


def run(path: Path, pictures: FloatArray) -> FloatArray:
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(["logits"], {"crop": pictures})[0])


@pytest.mark.parametrize("passes", [[pad_channels], [prelu_as_scalings], [prelu_as_maximum]])
def test_each_pass_alone_keeps_the_result(tmp_path: Path, passes: list[Rewrite]) -> None:
    plain = bottleneck(tmp_path / "plain.onnx")
    optimize(plain, tmp_path / "fast.onnx", {}, passes)
    pictures = np.random.default_rng(1).normal(size=(3, 3, 9, 9)).astype(np.float32)
    np.testing.assert_allclose(
        run(tmp_path / "fast.onnx", pictures), run(plain, pictures), rtol=0, atol=5e-5
    )


def test_all_passes_together_keep_the_result(tmp_path: Path) -> None:
    plain = bottleneck(tmp_path / "plain.onnx", wide=103)
    optimize(plain, tmp_path / "fast.onnx", {})
    pictures = np.random.default_rng(1).normal(size=(2, 3, 9, 9)).astype(np.float32)
    np.testing.assert_allclose(
        run(tmp_path / "fast.onnx", pictures), run(plain, pictures), rtol=2e-6, atol=2e-4
    )


def test_a_maximum_gives_the_same_bits(tmp_path: Path) -> None:
    plain = bottleneck(tmp_path / "plain.onnx")
    optimize(plain, tmp_path / "fast.onnx", {}, AS_NCHW)
    pictures = np.random.default_rng(1).normal(size=(2, 3, 9, 9)).astype(np.float32)
    assert np.array_equal(run(tmp_path / "fast.onnx", pictures), run(plain, pictures))


def test_what_the_exporter_notes_of_its_files_leaves_no_trace(tmp_path: Path) -> None:
    noted = onnx.load(bottleneck(tmp_path / "plain.onnx"))
    for node in noted.graph.node:
        node.metadata_props.add(key="stack_trace", value='File "/home/somebody/network.py"')
    onnx.save(noted, tmp_path / "noted.onnx")
    for name in ("plain", "noted"):
        optimize(tmp_path / f"{name}.onnx", tmp_path / f"{name}-fast.onnx", {})
    built = tmp_path.joinpath("noted-fast.onnx").read_bytes()
    assert b"somebody" not in built
    assert built == tmp_path.joinpath("plain-fast.onnx").read_bytes()


def test_without_blocks_no_convolution_is_added(tmp_path: Path) -> None:
    plain = bottleneck(tmp_path / "plain.onnx")
    optimize(plain, tmp_path / "fast.onnx", {}, AS_NCHW)
    kinds = [
        [node.op_type for node in onnx.load(file).graph.node]
        for file in (plain, tmp_path / "fast.onnx")
    ]
    assert kinds[0].count("Conv") == kinds[1].count("Conv") == 3
    assert kinds[0].count("PRelu") == kinds[1].count("Max") == kinds[1].count("Mul") == 2


def test_every_convolution_ends_with_whole_blocks_of_channels(tmp_path: Path) -> None:
    optimize(bottleneck(tmp_path / "plain.onnx"), tmp_path / "fast.onnx", {})
    model = onnx.load(tmp_path / "fast.onnx")
    shapes = {tensor.name: tensor.dims for tensor in model.graph.initializer}
    filters = [shapes[node.input[1]][0] for node in model.graph.node if node.op_type == "Conv"]
    assert filters
    assert all(count % CHANNEL_BLOCK == 0 for count in filters)
    assert not [node for node in model.graph.node if node.op_type == "PRelu"]


def test_onnx_runtime_reorders_only_at_the_ends(tmp_path: Path) -> None:
    optimize(bottleneck(tmp_path / "plain.onnx"), tmp_path / "fast.onnx", {})
    options = ort.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "as_run.onnx")
    options.log_severity_level = 3
    ort.InferenceSession(tmp_path / "fast.onnx", options, providers=["CPUExecutionProvider"])
    as_run = [node.op_type for node in onnx.load(tmp_path / "as_run.onnx").graph.node]
    if "ReorderOutput" not in as_run:
        pytest.skip("ONNX Runtime has no blocked layout on this processor")
    assert as_run.count("ReorderOutput") == 1
    assert as_run.count("ReorderInput") <= 1


def test_metadata_is_in_the_file(tmp_path: Path) -> None:
    optimize(bottleneck(tmp_path / "plain.onnx"), tmp_path / "fast.onnx", {"scale": "2.7"})
    session = ort.InferenceSession(tmp_path / "fast.onnx", providers=["CPUExecutionProvider"])
    assert session.get_modelmeta().custom_metadata_map == {"scale": "2.7"}


@pytest.mark.parametrize("passes", [IN_BLOCKS, AS_NCHW])
def test_a_slope_above_one_is_refused(tmp_path: Path, passes: Passes) -> None:
    plain = bottleneck(tmp_path / "plain.onnx", slope_limit=3.0)
    with pytest.raises(SourceInvalid, match="slope above 1"):
        optimize(plain, tmp_path / "fast.onnx", {}, passes)
    assert not (tmp_path / "fast.onnx").exists()


def test_padded_channels_reaching_another_operator_are_refused(tmp_path: Path) -> None:
    plain = bottleneck(tmp_path / "plain.onnx")
    model = onnx.load(plain)
    model.graph.node.insert(1, helper.make_node("Softmax", ["a"], ["unused"], axis=1))
    onnx.save(model, plain)
    with pytest.raises(SourceInvalid, match="Softmax reads a"):
        optimize(plain, tmp_path / "fast.onnx", {})
