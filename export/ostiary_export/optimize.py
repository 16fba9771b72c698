"""Rewrites an exported MiniFASNet into graphs that ONNX Runtime's CPU provider runs fast.

On x86-64 ONNX Runtime runs a convolution fastest on channels in blocks (its NCHWc layout: 16 floats
with AVX-512, 8 with AVX2). One operator that cannot work in blocks makes it reorder the tensor
before and after. PyTorch's export has two kinds of them: depthwise convolutions of 13, 77, 103, …
channels, and PRelu. The passes `IN_BLOCKS` remove both, so that one reorder is left, at the very
end. On other processors there are no blocks to stay in, and `AS_NCHW` makes each PRelu a product
and a maximum.

Each pass changes no output beyond float32 rounding; `verify` proves that on the file that ships.
PyTorch has already folded batch normalisation into the convolutions.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from ostiary_export.errors import SourceInvalid

CHANNEL_BLOCK = 16

Weights = NDArray[np.float32]


@dataclass(slots=True)
class Graph:
    """A model's nodes in order, and its constants by name."""

    nodes: list[onnx.NodeProto]
    constants: dict[str, NDArray[np.generic]]
    _added: int = field(default=0)

    @classmethod
    def of(cls, model: onnx.ModelProto) -> "Graph":
        constants = {
            tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer
        }
        return cls(list(model.graph.node), constants)

    def constant(self, values: Weights) -> str:
        """Add a constant; returns its name."""
        self._added += 1
        name = f"optimized_{self._added}"
        self.constants[name] = np.ascontiguousarray(values, dtype=np.float32)
        return name

    def weights(self, name: str) -> Weights:
        return self.constants[name].astype(np.float32)

    def into(self, model: onnx.ModelProto) -> None:
        """Replace the model's nodes and constants; constants no longer used are dropped."""
        used = {name for node in self.nodes for name in node.input}
        del model.graph.node[:], model.graph.initializer[:], model.graph.value_info[:]
        model.graph.node.extend(self.nodes)
        model.graph.initializer.extend(
            numpy_helper.from_array(values, name)
            for name, values in self.constants.items()
            if name in used
        )


def pad_channels(graph: Graph) -> None:
    """Widen tensors to whole blocks of channels that are zero and stay zero.

    A channel added by a convolution has zero weights and no bias, passes PRelu and the depthwise
    convolution as zero, and meets zero weights in the convolution that reads it.
    """
    width: dict[str, int] = {}
    for node in graph.nodes:
        (read, *_), (written, *_) = node.input, node.output
        if node.op_type == "Conv":
            weights, bias = (graph.weights(name) for name in node.input[1:])
            depthwise = _is_depthwise(node, weights)
            channels = int(weights.shape[1])
            before = channels if depthwise else width.get(read, channels)
            after = -(-len(weights) // CHANNEL_BLOCK) * CHANNEL_BLOCK
            if depthwise:
                _set_attribute(node, "group", after)
            if after != len(weights):
                width[written] = after
            node.input[1] = graph.constant(_widened(weights, after, before))
            node.input[2] = graph.constant(_widened(bias, after))
        elif node.op_type == "PRelu" and read in width:
            slope = _channels_first(graph.weights(node.input[1]))
            node.input[1] = graph.constant(_widened(slope, width[read]))
            width[written] = width[read]
        elif wide := [name for name in node.input if name in width]:
            raise SourceInvalid(f"{node.op_type} reads {wide[0]}, which has padded channels.")


def prelu_as_scalings(graph: Graph) -> None:
    """PRelu(x) = slope·x + relu((1 - slope)·x), since no slope is above 1.

    Both products are depthwise convolutions of one weight a channel. ONNX Runtime runs them in
    blocks, applies the Relu within the first and adds its result within the second: two passes
    over the memory.
    """

    def rewritten(x: str, slope: Weights, y: str) -> list[onnx.NodeProto]:
        column = slope[..., np.newaxis]
        bent, positive, straight = f"{y}_bent", f"{y}_positive", f"{y}_straight"
        return [
            _scaling(x, graph.constant(1 - column), bent, len(column)),
            helper.make_node("Relu", [bent], [positive]),
            _scaling(x, graph.constant(column), straight, len(column)),
            helper.make_node("Add", [straight, positive], [y]),
        ]

    _replace_prelu(graph, rewritten)


def prelu_as_maximum(graph: Graph) -> None:
    """PRelu(x) = max(x, slope·x), since no slope is above 1: the same bits."""

    def rewritten(x: str, slope: Weights, y: str) -> list[onnx.NodeProto]:
        scaled = f"{y}_scaled"
        return [
            helper.make_node("Mul", [x, graph.constant(slope)], [scaled]),
            helper.make_node("Max", [x, scaled], [y]),
        ]

    _replace_prelu(graph, rewritten)


def _replace_prelu(
    graph: Graph, rewritten: Callable[[str, Weights, str], list[onnx.NodeProto]]
) -> None:
    """Put what `rewritten` makes of input, slope and output in the place of each PRelu."""
    nodes: list[onnx.NodeProto] = []
    for node in graph.nodes:
        if node.op_type != "PRelu":
            nodes.append(node)
            continue
        (x, slope_name), (y,) = node.input, node.output
        nodes += rewritten(x, _slope(graph, slope_name, y), y)
    graph.nodes = nodes


Passes = tuple[Callable[[Graph], None], ...]
IN_BLOCKS: Passes = (pad_channels, prelu_as_scalings)
AS_NCHW: Passes = (prelu_as_maximum,)


def optimize(
    plain: Path,
    target: Path,
    metadata: Mapping[str, str],
    passes: Iterable[Callable[[Graph], None]] = IN_BLOCKS,
) -> None:
    """Run the passes over the model in `plain`; write it to `target` with `metadata` in it.

    Raises SourceInvalid when the graph is not one that the passes understand.
    """
    model = onnx.load(plain)
    graph = Graph.of(model)
    for rewrite in passes:
        rewrite(graph)
    graph.into(model)
    _drop_notes(model)
    helper.set_model_props(model, dict(metadata))
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, target)


def _drop_notes(model: onnx.ModelProto) -> None:
    """The exporter notes at each operator which line of which file it comes from. Without that the
    same weights become the same bytes, in whatever folder that is done."""
    graph = model.graph
    for noted in (model, graph, *graph.node, *graph.value_info, *graph.input, *graph.output):
        del noted.metadata_props[:]


def _scaling(x: str, weights: str, y: str, channels: int) -> onnx.NodeProto:
    return helper.make_node("Conv", [x, weights], [y], group=channels, kernel_shape=[1, 1])


def _is_depthwise(node: onnx.NodeProto, weights: Weights) -> bool:
    groups = next((entry.i for entry in node.attribute if entry.name == "group"), 1)
    if groups not in (1, len(weights)):
        raise SourceInvalid(f"{node.name}: a convolution of {groups} groups.")
    return groups > 1


def _slope(graph: Graph, name: str, y: str) -> Weights:
    """The slopes, (channels, 1, 1), of the PRelu that writes `y`."""
    slope = _channels_first(graph.weights(name))
    if (slope > 1).any():
        raise SourceInvalid(f"{y}: a PRelu with a slope above 1 is not a maximum.")
    return slope


def _channels_first(slope: Weights) -> Weights:
    """PRelu's slope as (channels, 1, 1), whether it came with a batch dimension or not."""
    return slope.reshape(-1, 1, 1)


def _widened(values: Weights, *sizes: int) -> Weights:
    """Zeros added at the end of the first dimensions, up to `sizes`."""
    room = [(0, size - now) for size, now in zip(sizes, values.shape, strict=False)]
    return np.pad(values, room + [(0, 0)] * (values.ndim - len(room)))


def _set_attribute(node: onnx.NodeProto, name: str, value: int) -> None:
    kept = [entry for entry in node.attribute if entry.name != name]
    del node.attribute[:]
    node.attribute.extend([*kept, helper.make_attribute(name, value)])
