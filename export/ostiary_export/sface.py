"""SFace as OpenCV Zoo publishes it, rewritten for ONNX Runtime, and the proof that it is the same.

The published file keeps its weights as int8 in blocks, which ONNX Runtime turns back into floats at
every call, normalises after every convolution, and bends with 27 PRelu, each of which makes ONNX
Runtime leave the blocked layout in which it runs convolutions fastest (see `optimize`). Here the
weights are floats again, every normalisation is folded into the convolution or the product beside
it, and every PRelu is made of convolutions:

    PRelu(x) = s·x + relu((1 - s)·x)      for a slope s up to 1
    -PRelu(x) = -s·x + relu((s - 1)·x)    for a slope above 1; what reads it is negated

Right after a depthwise convolution both terms are that convolution again with scaled weights, so
that nothing is read twice. For processors without the blocked layout all this would be extra work:

    PRelu(x) = max(x, s·x), and -PRelu(x) = max(-x, s·(-x)) for a slope above 1
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from ostiary_export import __version__
from ostiary_export.errors import SourceInvalid
from ostiary_export.files import sha256_of

OPSET = 17
IR_VERSION = 8
CHIP_SIZE = 112

Values = NDArray[np.float64]
Constant = Callable[[str], Values]
"""The values of a constant of the published graph, by its name."""


@dataclass(frozen=True, slots=True)
class Layer:
    """A convolution with its normalisation folded in, and the slope of each channel after it.

    `weights` is (out, in, height, width), or (channels, 1, height, width) for a depthwise one.
    """

    weights: Values
    bias: Values
    slope: Values
    stride: int
    padding: int
    depthwise: bool


@dataclass(frozen=True, slots=True)
class Network:
    """`layers`, then a product with `weights` (128, inputs) plus `bias`. The pixels come as
    (pixel - `mean`); their scale is folded into the first layer."""

    mean: float
    layers: list[Layer]
    weights: Values
    bias: Values


def build(source: Path, target: Path, rates: Mapping[str, str], *, in_blocks: bool = True) -> None:
    """Write the published file `source` as `target`, with the metadata `rates` in it, for
    processors with the blocked layout or, unless `in_blocks`, for those without.

    Input `chip` (batch, 3, 112, 112) float32 RGB 0 to 255, output `descriptor` (batch, 128), not
    normalised, as the published `fc1`. Raises SourceInvalid where it is another network.
    """
    model = graph(read(onnx.load(source)), in_blocks=in_blocks)
    helper.set_model_props(
        model,
        {
            "source_sha256": sha256_of(source),
            "colour_order": "RGB",
            "value_range": "0-255",
            "opset": str(OPSET),
            "exporter": f"ostiary-export {__version__}",
            **rates,
        },
    )
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, target)


def dequantized(node: onnx.NodeProto, constants: dict[str, NDArray[np.generic]]) -> Values:
    """What a blocked DequantizeLinear gives: (value - zero point)·scale, one of each a block."""
    values, scale, zero = (constants[name].astype(np.float32) for name in node.input)
    axis, block = int(_attribute(node, "axis", 1)), int(_attribute(node, "block_size", 0))
    if block:
        length = values.shape[axis]
        scale, zero = (
            np.repeat(each, block, axis=axis).take(np.arange(length), axis=axis)
            for each in (scale, zero)
        )
    return ((values - zero) * scale).astype(np.float64)


def read(model: onnx.ModelProto) -> Network:
    """The published graph as layers. Raises SourceInvalid for any other."""
    constants = {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}
    floats: dict[str, Values] = {}
    chain: list[onnx.NodeProto] = []

    def of(name: str) -> Values:
        return floats[name] if name in floats else constants[name].astype(np.float64)

    try:
        for node in model.graph.node:
            if node.op_type == "DequantizeLinear":
                floats[node.output[0]] = dequantized(node, constants)
            elif node.op_type == "Reshape":
                shape = constants[node.input[1]].astype(np.int64)
                floats[node.output[0]] = of(node.input[0]).reshape(shape)
            elif node.op_type not in ("Constant", "Dropout", "Flatten"):
                chain.append(node)
        return _network(chain, of)
    except (KeyError, ValueError) as error:
        raise SourceInvalid(f"not SFace as OpenCV Zoo publishes it: {error}") from error


def _network(chain: list[onnx.NodeProto], of: Constant) -> Network:
    subtract, multiply, *rest, shift, product, last = chain
    _expect(["Sub", "Mul"], [subtract, multiply])
    _expect(["BatchNormalization", "Gemm", "BatchNormalization"], [shift, product, last])
    first, *layers = [_layer(three, of) for three in zip(*[iter(rest)] * 3, strict=True)]
    weights, bias = of(product.input[1]), of(product.input[2])
    before, offset = _normalization(shift, of)
    places = weights.shape[1] // len(before)
    after, last_offset = _normalization(last, of)
    return Network(
        mean=float(of(subtract.input[1]).item()),
        layers=[replace(first, weights=first.weights * of(multiply.input[1]).item()), *layers],
        weights=weights * np.repeat(before, places) * after[:, np.newaxis],
        bias=(bias + weights @ np.repeat(offset, places)) * after + last_offset,
    )


def _layer(three: tuple[onnx.NodeProto, ...], of: Constant) -> Layer:
    _expect(["Conv", "BatchNormalization", "PRelu"], list(three))
    convolution, normalization, bend = three
    factor, offset = _normalization(normalization, of)
    weights = of(convolution.input[1])
    groups = int(_attribute(convolution, "group", 1))
    (stride,), (padding,) = (
        set(_attribute(convolution, name, [otherwise]))
        for name, otherwise in (("strides", 1), ("pads", 0))
    )
    if groups not in (1, len(weights)):
        raise ValueError(f"a convolution of {groups} groups")
    return Layer(
        weights * factor.reshape(-1, 1, 1, 1),
        offset,
        of(bend.input[1]).reshape(-1),
        int(stride),
        int(padding),
        groups > 1,
    )


def _normalization(node: onnx.NodeProto, of: Constant) -> tuple[Values, Values]:
    """What to multiply with and what to add then, one of each a channel."""
    gamma, beta, mean, variance = (of(name) for name in node.input[1:5])
    factor = gamma / np.sqrt(variance + float(_attribute(node, "epsilon", 1e-5)))
    return factor, beta - mean * factor


def _expect(kinds: list[str], nodes: list[onnx.NodeProto]) -> None:
    if (found := [node.op_type for node in nodes]) != kinds:
        raise ValueError(f"{found} where {kinds} should be")


def _attribute(node: onnx.NodeProto, name: str, otherwise: Any) -> Any:
    found = (helper.get_attribute_value(each) for each in node.attribute if each.name == name)
    return next(found, otherwise)


def graph(network: Network, *, in_blocks: bool = True) -> onnx.ModelProto:
    """The network in operators that ONNX Runtime runs in blocks from the first to the last, or in
    as few as can be."""
    writer = _Writer(in_blocks)
    now = writer.node("Sub", "chip", writer.constant(np.array(network.mean)))
    sign = np.ones(3)
    for layer in network.layers:
        now, sign = writer.layer(now, sign, layer)
    # The last product is a convolution as large as its picture: it reads the blocked layout as it
    # is, and streams its 25 MB of weights a fifth faster than Gemm does.
    side = round((network.weights.shape[1] // len(sign)) ** 0.5)
    weights = network.weights.reshape(len(network.bias), len(sign), side, side)
    product = writer.node(
        "Conv",
        now,
        writer.constant(weights * sign.reshape(1, -1, 1, 1)),
        writer.constant(network.bias),
        kernel_shape=[side, side],
    )
    writer.node("Flatten", product)
    writer.nodes[-1].output[0] = "descriptor"
    size = ["batch", 3, CHIP_SIZE, CHIP_SIZE]
    chip = helper.make_tensor_value_info("chip", onnx.TensorProto.FLOAT, size)
    descriptor = helper.make_tensor_value_info(
        "descriptor", onnx.TensorProto.FLOAT, ["batch", len(network.bias)]
    )
    return helper.make_model(
        helper.make_graph(writer.nodes, "sface", [chip], [descriptor], writer.constants),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
    )


class _Writer:
    """Nodes and constants in the order in which they are written."""

    def __init__(self, in_blocks: bool) -> None:
        self._in_blocks = in_blocks
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def node(self, kind: str, *read: str, **attributes: Any) -> str:
        """Add an operator; returns the name of what it writes."""
        name = f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(read), [name], **attributes))
        return name

    def constant(self, values: Values) -> str:
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(values.astype(np.float32), name))
        return name

    def layer(self, read: str, sign: Values, layer: Layer) -> tuple[str, Values]:
        """Add a layer that reads channels of this sign; returns what it writes, and its signs."""
        turned = sign.reshape((-1, 1, 1, 1) if layer.depthwise else (1, -1, 1, 1))
        layer = replace(layer, weights=layer.weights * turned)
        after = np.where(layer.slope > 1, -1.0, 1.0)
        bend = self._bend_in_blocks if self._in_blocks else self._bend
        return bend(read, layer, after), after

    def _bend(self, read: str, layer: Layer, sign: Values) -> str:
        straight = self._convolution(read, layer, sign)
        slope = self.constant(layer.slope.reshape(-1, 1, 1))
        return self.node("Max", straight, self.node("Mul", straight, slope))

    def _bend_in_blocks(self, read: str, layer: Layer, sign: Values) -> str:
        if not layer.depthwise:
            read = self._convolution(read, layer, np.ones(len(layer.bias)))
            one = np.ones((len(layer.bias), 1, 1, 1))
            layer = Layer(one, np.zeros(len(one)), layer.slope, 1, 0, depthwise=True)
        bent = self.node("Relu", self._convolution(read, layer, sign * (1 - layer.slope)))
        straight = self._convolution(read, layer, sign * layer.slope)
        return self.node("Add", straight, bent)

    def _convolution(self, read: str, layer: Layer, factor: Values) -> str:
        weights = layer.weights * factor.reshape(-1, 1, 1, 1)
        return self.node(
            "Conv",
            read,
            self.constant(weights),
            self.constant(layer.bias * factor),
            group=len(weights) if layer.depthwise else 1,
            kernel_shape=list(weights.shape[2:]),
            strides=[layer.stride] * 2,
            pads=[layer.padding] * 4,
        )


def only_the_picture_as_input(model: onnx.ModelProto) -> onnx.ModelProto:
    """The published graph, which also lists every weight as an input, in a form that runs."""
    kept = [each for each in model.graph.input if each.name == "data"]
    del model.graph.input[:]
    model.graph.input.extend(kept)
    return model
