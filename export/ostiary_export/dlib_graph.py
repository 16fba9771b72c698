"""dlib's face descriptor network as an ONNX graph that ONNX Runtime runs fast on a CPU.

dlib's conventions that ONNX does not have: a residual sum of unequal tensors, where the smaller
one is padded with zeros at the end of each dimension.

ONNX Runtime's convolutions go row by row, and a row of four pixels is mostly border. So the levels
of 256 channels, whose pictures are 4×4 and less, are products of matrices instead, in the layout
(batch, pixels, channels); those before them are plain convolutions, on (batch, channels, rows,
columns).
"""

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from ostiary_export.dlib_network import (
    CHIP_SIZE,
    DESCRIPTOR_SIZE,
    LEVELS,
    Convolution,
    Level,
    ResNet,
)

OPSET = 17
IR_VERSION = 9
# Levels of fewer channels than this are plain convolutions.
WIDE = 256


def graph(network: ResNet) -> onnx.ModelProto:
    """The model: `chip` (batch, 3, 150, 150) RGB 0-255 to `descriptor` (batch, 128), float32."""
    return _Writer(network).model()


class _Writer:
    """Appends one node after another. Names of values are what the methods take and give."""

    def __init__(self, network: ResNet) -> None:
        self._dense = network.dense
        self._convolutions = iter(network.convolutions)
        self._stem = _with_input_folded(next(self._convolutions), network.means)
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []

    def model(self) -> onnx.ModelProto:
        x = self._node("Relu", self._convolution("chip", self._stem))
        x = self._node("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2])
        side = ((CHIP_SIZE - 7) // 2 + 1 - 3) // 2 + 1
        narrow = [level for level in LEVELS if level.filters < WIDE]
        for level in narrow:
            x = self._level_of_planes(x, level)
            side = side // 2 if level.down else side
        x = self._node("Transpose", x, perm=[0, 2, 3, 1])
        x = self._reshaped(x, [0, side * side, narrow[-1].filters])
        for level in LEVELS[len(narrow) :]:
            x = self._level_of_pixels(x, side, level)
            side //= 2
        x = self._node("ReduceMean", x, axes=[1], keepdims=0)
        self._append("Gemm", [x, self._constant(self._dense)], "descriptor")
        return self._finished()

    def _pair(self) -> tuple[Convolution, Convolution]:
        """The two convolutions of the next block."""
        return next(self._convolutions), next(self._convolutions)

    def _sum(self, branch: str, x: str) -> str:
        return self._node("Relu", self._node("Add", branch, x))

    # --- planes: (batch, channels, rows, columns) -----------------------------------------

    def _level_of_planes(self, x: str, level: Level) -> str:
        for block in range(level.blocks):
            first, second = self._pair()
            y = self._node("Relu", self._convolution(x, first))
            y = self._convolution(y, second)
            if level.down and block == 0:
                x = self._halved(x, first.kernel.shape[1], level.filters)
            x = self._sum(y, x)
        return x

    def _convolution(self, x: str, convolution: Convolution) -> str:
        return self._node(
            "Conv",
            x,
            self._constant(convolution.kernel),
            self._constant(convolution.bias),
            strides=[convolution.stride] * 2,
            pads=[convolution.padding] * 4,
        )

    def _halved(self, x: str, channels: int, filters: int) -> str:
        """The 2×2 mean, with zero channels added at the end: one convolution does both."""
        kernel = np.zeros((filters, channels, 2, 2))
        kernel[np.arange(channels), np.arange(channels)] = 0.25
        return self._node("Conv", x, self._constant(kernel), strides=[2, 2])

    # --- pixels: (batch, pixels, channels) ------------------------------------------------

    def _level_of_pixels(self, x: str, side: int, level: Level) -> str:
        half, inner = side // 2, (side - 3) // 2 + 1
        first, second = self._pair()
        y = self._product(x, side, first, "Relu")
        y = self._padded(self._product(y, inner, second), inner, half, level.filters)
        x = self._node("MatMul", self._constant(_mean_of_four(side)), x)
        if missing := level.filters - first.kernel.shape[1]:
            x = self._node("Pad", x, self._integers([0, 0, 0, 0, 0, missing]))
        x = self._sum(y, x)
        for _ in range(level.blocks - 1):
            first, second = self._pair()
            y = self._product(x, half, first, "Relu")
            x = self._sum(self._product(y, half, second), x)
        return x

    def _product(self, x: str, side: int, convolution: Convolution, *activation: str) -> str:
        """A 3×3 convolution: what each output pixel sees, times the weights."""
        filters, channels = convolution.kernel.shape[:2]
        kernel = convolution.kernel.transpose(2, 3, 1, 0)
        if side == 1:
            # Of a single pixel only the kernel's centre sees anything.
            weights = kernel[1, 1]
        else:
            weights = kernel.reshape(9 * channels, filters)
            if convolution.padding:
                x = self._node("Pad", x, self._integers([0, 0, 0, 0, 1, 0]))
            seen = _windows(side, convolution.stride, convolution.padding)
            x = self._node("Gather", x, self._integers(seen), axis=1)
        x = self._reshaped(x, [-1, len(weights)])
        x = self._node("Gemm", x, self._constant(weights), self._constant(convolution.bias))
        for kind in activation:
            x = self._node(kind, x)
        out = (side + 2 * convolution.padding - 3) // convolution.stride + 1
        return self._reshaped(x, [-1, out * out, filters])

    def _padded(self, x: str, inner: int, side: int, channels: int) -> str:
        """From inner² to side² pixels: zeros below and to the right."""
        missing = side - inner
        x = self._reshaped(x, [0, inner, inner, channels])
        x = self._node("Pad", x, self._integers([0, 0, 0, 0, 0, missing, missing, 0]))
        return self._reshaped(x, [0, side * side, channels])

    # --- ONNX -----------------------------------------------------------------------------

    def _reshaped(self, x: str, shape: list[int]) -> str:
        """A 0 keeps a dimension as it is; a -1 takes what is left."""
        return self._node("Reshape", x, self._integers(shape))

    def _finished(self) -> onnx.ModelProto:
        chip = ["batch", 3, CHIP_SIZE, CHIP_SIZE]
        descriptor = ["batch", DESCRIPTOR_SIZE]
        built = helper.make_graph(
            self._nodes,
            "dlib_resnet",
            [helper.make_tensor_value_info("chip", TensorProto.FLOAT, chip)],
            [helper.make_tensor_value_info("descriptor", TensorProto.FLOAT, descriptor)],
            self._constants,
        )
        opset = [helper.make_opsetid("", OPSET)]
        return helper.make_model(built, opset_imports=opset, ir_version=IR_VERSION)

    def _node(self, kind: str, *inputs: str, **attributes: object) -> str:
        return self._append(kind, list(inputs), self._name(), **attributes)

    def _append(self, kind: str, inputs: list[str], output: str, **attributes: object) -> str:
        self._nodes.append(helper.make_node(kind, inputs, [output], output, **attributes))
        return output

    def _constant(self, values: NDArray[np.floating]) -> str:
        return self._stored(np.ascontiguousarray(values, np.float32))

    def _integers(self, values: list[int]) -> str:
        return self._stored(np.array(values, np.int64))

    def _stored(self, values: NDArray[np.generic]) -> str:
        name = self._name()
        self._constants.append(numpy_helper.from_array(values, name))
        return name

    def _name(self) -> str:
        return f"t{len(self._nodes) + len(self._constants)}"


def _with_input_folded(stem: Convolution, means: NDArray[np.float64]) -> Convolution:
    """(x - mean) / 256 as part of the stem; exact, since the stem does not pad."""
    kernel = stem.kernel / 256
    bias = stem.bias - np.einsum("ochw,c->o", kernel, means)
    return Convolution(kernel, bias, stem.stride, stem.padding)


def _mean_of_four(side: int) -> NDArray[np.float64]:
    """(side/2 squared, side squared): the mean of each 2×2 pixels."""
    pairs = np.kron(np.eye(side // 2), [0.5, 0.5])
    return np.kron(pairs, pairs)


def _windows(side: int, stride: int, padding: int) -> list[int]:
    """The pixels under each 3×3 window; beyond the picture it is the one after the last."""
    starts = range(-padding, side + padding - 2, stride)
    return [
        y * side + x if 0 <= y < side and 0 <= x < side else side * side
        for top in starts
        for left in starts
        for y in range(top, top + 3)
        for x in range(left, left + 3)
    ]
