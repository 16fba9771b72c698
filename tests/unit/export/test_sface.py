"""SFace rewritten: what its parts compute, and what is refused."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from ostiary.vision.runtime import open_session
from ostiary_export.errors import SourceInvalid
from ostiary_export.rates import rates_metadata
from ostiary_export.sface import Layer, Network, dequantized, graph, read


def network(slopes: list[float], *, depthwise: bool, seed: int = 0) -> Network:
    """Two layers: from 3 channels to as many as there are slopes, then another."""
    random = np.random.default_rng(seed)
    channels = len(slopes)
    first = random.standard_normal((channels, 3, 3, 3))
    second = random.standard_normal((channels, 1 if depthwise else channels, 3, 3))
    layers = [
        Layer(first, random.standard_normal(channels), np.array(slopes), 16, 1, depthwise=False),
        Layer(second, random.standard_normal(channels), np.array(slopes), 2, 1, depthwise),
    ]
    size = channels * 4 * 4
    return Network(1.5, layers, random.standard_normal((8, size)), random.standard_normal(8))


def plainly(known: Network, chip: np.ndarray) -> np.ndarray:
    """The same by convolutions and PRelu, in ONNX's own reference."""
    nodes: list[onnx.NodeProto] = []
    constants: list[onnx.TensorProto] = []
    now = "chip"

    def constant(values: np.ndarray) -> str:
        name = f"c{len(constants)}"
        constants.append(numpy_helper.from_array(values.astype(np.float32), name))
        return name

    nodes.append(helper.make_node("Sub", [now, constant(np.array(known.mean))], ["x"]))
    now = "x"
    for number, layer in enumerate(known.layers):
        weights, bias = constant(layer.weights), constant(layer.bias)
        slope = constant(layer.slope.reshape(-1, 1, 1))
        nodes += [
            helper.make_node(
                "Conv",
                [now, weights, bias],
                [f"conv{number}"],
                group=len(layer.weights) if layer.depthwise else 1,
                strides=[layer.stride] * 2,
                pads=[layer.padding] * 4,
            ),
            helper.make_node("PRelu", [f"conv{number}", slope], [f"bent{number}"]),
        ]
        now = f"bent{number}"
    nodes += [
        helper.make_node("Flatten", [now], ["flat"]),
        helper.make_node(
            "Gemm", ["flat", constant(known.weights), constant(known.bias)], ["y"], transB=1
        ),
    ]
    shown = helper.make_tensor_value_info("chip", TensorProto.FLOAT, None)
    found = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    model = helper.make_model(helper.make_graph(nodes, "plain", [shown], [found], constants))
    return np.asarray(ReferenceEvaluator(model).run(None, {"chip": chip})[0])


@pytest.mark.parametrize("in_blocks", [True, False])
@pytest.mark.parametrize("depthwise", [True, False])
@settings(max_examples=15)
@given(slopes=st.lists(st.floats(-1.5, 1.5), min_size=1, max_size=4), seed=st.integers(0, 99))
def test_every_slope_bends_as_a_prelu_does(
    depthwise: bool,
    in_blocks: bool,
    slopes: list[float],
    seed: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    known = network(slopes, depthwise=depthwise, seed=seed)
    file = tmp_path_factory.mktemp("sface") / "model.onnx"
    onnx.save(graph(known, in_blocks=in_blocks), file)
    chip = np.random.default_rng(seed).uniform(0, 4, (1, 3, 112, 112)).astype(np.float32)
    (found,) = open_session(file, batch=1).run(["descriptor"], {"chip": chip})
    expected = plainly(known, chip)
    assert found == pytest.approx(expected, abs=2e-3 * float(np.abs(expected).max()) + 1e-4)


def test_a_quantised_block_is_its_scale_times_what_is_above_its_zero_point() -> None:
    node = helper.make_node("DequantizeLinear", ["q", "s", "z"], ["y"], axis=1, block_size=2)
    constants: dict[str, np.ndarray] = {
        "q": np.array([[10, 12, -3]], np.int8),
        "s": np.array([[0.5, 2.0]], np.float32),
        "z": np.array([[10, -4]], np.int8),
    }
    assert dequantized(node, constants).tolist() == [[0.0, 1.0, 2.0]]


def test_another_network_is_refused() -> None:
    chip = helper.make_tensor_value_info("data", TensorProto.FLOAT, [1, 3])
    found = helper.make_tensor_value_info("fc1", TensorProto.FLOAT, [1, 3])
    other = helper.make_model(
        helper.make_graph([helper.make_node("Relu", ["data"], ["fc1"])], "g", [chip], [found])
    )
    with pytest.raises(SourceInvalid, match="SFace"):
        read(other)


def test_a_recogniser_that_was_not_measured_is_not_built(tmp_path: Path) -> None:
    rates = tmp_path / "recognition.toml"
    with pytest.raises(SourceInvalid, match="evaluate"):
        rates_metadata(rates, "sface")
    rates.write_text("[sface]\ndistance = [1.0]\n", encoding="utf-8")
    with pytest.raises(SourceInvalid, match="no error rates of sface"):
        rates_metadata(rates, "sface")
