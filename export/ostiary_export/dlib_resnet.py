"""dlib's face descriptor network as ONNX, and the proof that it is the same network.

dlib's conventions that ONNX does not have: an average pool and a residual sum of unequal tensors,
where the smaller one is padded with zeros at the end of each dimension.
"""

from pathlib import Path

import dlib
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from ostiary.vision.embed import Embedder
from ostiary.vision.models import DLIB_RESNET
from ostiary_export import __version__
from ostiary_export.dlib_models import model_path
from ostiary_export.dlib_network import (
    CHIP_SIZE,
    DESCRIPTOR_SIZE,
    FILE,
    LEVELS,
    Convolution,
    ResNet,
    read,
)
from ostiary_export.report import Report

OPSET = 17
IR_VERSION = 9
SAME_PERSON = 0.6
LIMIT = 1e-5


def build(source: Path, target: Path) -> None:
    """Write the network in dlib's file `source` as the ONNX file `target`.

    Input `chip` (batch, 3, 150, 150) float32 RGB 0–255, output `descriptor` (batch, 128). Raises
    ModelMissing, or ModelInvalid where the file is cut short or holds another network.
    """
    network = read(source)
    model = _Writer(network).model()
    helper.set_model_props(
        model,
        {
            "source_sha256": network.sha256,
            "colour_order": "RGB",
            "value_range": "0-255",
            "opset": str(OPSET),
            "exporter": f"ostiary-export {__version__}",
        },
    )
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, target)


def verify(built: Path, chips: NDArray[np.uint8]) -> Report:
    """Compare with dlib on (N, 150, 150, 3) RGB chips.

    A decision is whether two neighbouring chips are one person at distance 0.6.
    """
    theirs = dlib.face_recognition_model_v1(str(model_path(FILE)))
    expected = np.array([theirs.compute_face_descriptor(chip) for chip in chips])
    found = Embedder.load(built).embed(chips)
    differing = int((_decisions(found) != _decisions(expected)).sum())
    return Report(DLIB_RESNET, len(chips), float(np.abs(found - expected).max()), LIMIT, differing)


def _decisions(descriptors: NDArray[np.floating]) -> NDArray[np.bool_]:
    apart = np.linalg.norm(descriptors[:, np.newaxis] - descriptors[np.newaxis], axis=2)
    return np.asarray(apart <= SAME_PERSON)


class _Writer:
    """Appends one node after another."""

    def __init__(self, network: ResNet) -> None:
        self._network = network
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []

    def model(self) -> onnx.ModelProto:
        convolutions = iter(self._network.convolutions)
        stem = self._with_input_folded(next(convolutions))
        x = self._node("Relu", self._convolve("chip", stem))
        x = self._node("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2])
        side = ((CHIP_SIZE - 7) // 2 + 1 - 3) // 2 + 1
        channels = LEVELS[0].filters
        for level in LEVELS:
            for block in range(level.blocks):
                first, second = next(convolutions), next(convolutions)
                y = self._node("Relu", self._convolve(x, first))
                y = self._convolve(y, second)
                if level.down and block == 0:
                    y = self._padded(y, side // 2 - ((side - 3) // 2 + 1))
                    x = self._halved(x, channels, level.filters)
                    side //= 2
                x = self._node("Relu", self._node("Add", y, x))
                channels = level.filters
        x = self._node("Flatten", self._node("GlobalAveragePool", x))
        dense = self._constant(self._network.dense)
        self._nodes.append(helper.make_node("Gemm", [x, dense], ["descriptor"]))
        shape_in = ["batch", 3, CHIP_SIZE, CHIP_SIZE]
        graph = helper.make_graph(
            self._nodes,
            "dlib_resnet",
            [helper.make_tensor_value_info("chip", TensorProto.FLOAT, shape_in)],
            [
                helper.make_tensor_value_info(
                    "descriptor", TensorProto.FLOAT, ["batch", DESCRIPTOR_SIZE]
                )
            ],
            self._constants,
        )
        opset = [helper.make_opsetid("", OPSET)]
        return helper.make_model(graph, opset_imports=opset, ir_version=IR_VERSION)

    def _with_input_folded(self, stem: Convolution) -> Convolution:
        """(x - mean) / 256 as part of the stem; exact, since the stem does not pad."""
        kernel = stem.kernel / 256
        bias = stem.bias - np.einsum("ochw,c->o", kernel, self._network.means)
        return Convolution(kernel, bias, stem.stride, stem.padding)

    def _convolve(self, x: str, convolution: Convolution) -> str:
        return self._node(
            "Conv",
            x,
            self._constant(convolution.kernel),
            self._constant(convolution.bias),
            strides=[convolution.stride] * 2,
            pads=[convolution.padding] * 4,
        )

    def _padded(self, x: str, missing: int) -> str:
        """Zeros below and to the right, where the branch is smaller than the pooled input."""
        if not missing:
            return x
        pads = numpy_helper.from_array(
            np.array([0, 0, 0, 0, 0, 0, missing, missing], np.int64), self._name()
        )
        self._constants.append(pads)
        return self._node("Pad", x, pads.name)

    def _halved(self, x: str, channels: int, filters: int) -> str:
        """The 2×2 mean, with zero channels added at the end.

        Where channels are added, one convolution does both and stays in ONNX Runtime's blocked
        layout.
        """
        if filters == channels:
            return self._node("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2])
        kernel = np.zeros((filters, channels, 2, 2))
        kernel[np.arange(channels), np.arange(channels)] = 0.25
        return self._node("Conv", x, self._constant(kernel), strides=[2, 2])

    def _node(self, kind: str, *inputs: str, **attributes: object) -> str:
        name = self._name()
        self._nodes.append(helper.make_node(kind, list(inputs), [name], name, **attributes))
        return name

    def _constant(self, values: NDArray[np.floating]) -> str:
        name = self._name()
        self._constants.append(numpy_helper.from_array(values.astype(np.float32), name))
        return name

    def _name(self) -> str:
        return f"t{len(self._nodes) + len(self._constants)}"
