"""dlib's face descriptor network, read from dlib's own file and written as ONNX.

The network is the ResNet of 29 convolutions of dlib's `dnn_face_recognition_ex`, trained by Davis
King (the file is in the public domain). It maps an aligned face of 150x150 to 128 numbers; two
faces closer than 0.6 (Euclidean) are taken for one person.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ostiary_export.dlib_format import DlibReader, FloatArray

FILE = "dlib_face_recognition_resnet_model_v1.dat"
CHIP_SIZE = 150
DESCRIPTOR_SIZE = 128

_LOSS = "loss_metric_2"
_INPUT = "input_rgb_image_sized"
_CONVOLUTION = "con_4"
_AFFINE = "affine_"
_MAX_POOL = "max_pool_2"
_AVERAGE_POOL = "avg_pool_2"
_RELU = "relu_"
_SUM = "add_prev_"
_DENSE = "fc_2"
# Layers that only name a place in the network: they leave a version in the file and nothing else.
_TAG = "tag"
_SKIP = "skip"

_BLOCK = (_TAG, _CONVOLUTION, _AFFINE, _RELU, _CONVOLUTION, _AFFINE)
_RESIDUAL = (*_BLOCK, _SUM, _RELU)
_RESIDUAL_DOWN = (*_BLOCK, _TAG, _SKIP, _AVERAGE_POOL, _SUM, _RELU)


@dataclass(frozen=True, slots=True)
class Convolution:
    """One convolution with its affine layer folded in.

    `kernel` is float64 (filters, channels, rows, columns), `bias` float64 (filters,).
    """

    kernel: NDArray[np.float64]
    bias: NDArray[np.float64]
    stride: int
    padding: int


@dataclass(frozen=True, slots=True)
class Level:
    """One group of residual blocks of the same width; `down`: the first one halves the picture."""

    filters: int
    blocks: int
    down: bool


LEVELS = (
    Level(32, 3, down=False),
    Level(64, 4, down=True),
    Level(128, 3, down=True),
    Level(256, 3, down=True),
    Level(256, 1, down=True),
)


@dataclass(frozen=True, slots=True)
class ResNet:
    """The weights, in the order in which they are applied.

    `means` are the red, green and blue grey levels that the input layer takes off before it divides
    by 256. `convolutions` holds the stem and then two for each residual block. `dense` is
    (256, 128). `sha256` is that of the file they were read from.
    """

    means: NDArray[np.float64]
    convolutions: tuple[Convolution, ...]
    dense: FloatArray
    sha256: str


def read(path: Path) -> ResNet:
    """Read dlib's file.

    Raises `ModelMissing`, or `ModelInvalid` if the file is cut short, of another version, or holds
    another network.
    """
    return _Parser(DlibReader.open(path)).network()


def _layers() -> tuple[str, ...]:
    """The kinds of all layers after the input, in the order in which they are applied."""
    layers = [_CONVOLUTION, _AFFINE, _RELU, _MAX_POOL]
    for level in LEVELS:
        for block in range(level.blocks):
            layers += _RESIDUAL_DOWN if level.down and block == 0 else _RESIDUAL
    return (*layers, _AVERAGE_POOL, _DENSE)


def _shapes() -> list[tuple[int, int, int, int, int]]:
    """Filters, channels, kernel size, stride and padding of each convolution, in order."""
    channels = LEVELS[0].filters
    shapes = [(channels, 3, 7, 2, 0)]
    for level in LEVELS:
        for block in range(level.blocks):
            down = level.down and block == 0
            shapes.append((level.filters, channels, 3, 2 if down else 1, 0 if down else 1))
            shapes.append((level.filters, level.filters, 3, 1, 1))
            channels = level.filters
    return shapes


class _Parser:
    """Reads the layers in file order: dlib nests each layer's input inside it.

    So the file begins with the versions of all layers from the last to the first, then comes the
    input layer, then each layer's own fields from the first to the last.
    """

    def __init__(self, reader: DlibReader) -> None:
        self._reader = reader
        self._shapes = iter(_shapes())

    def network(self) -> ResNet:
        reader = self._reader
        reader.expect(reader.integer, "version of the loss layer", 1)
        reader.expect(reader.text, "name of the loss layer", _LOSS)
        reader.number("margin")
        reader.number("distance threshold")

        layers = _layers()
        for index, kind in reversed(list(enumerate(layers))):
            # The first layer after the input is another C++ template, with its own versions.
            version = 3 if index == 0 else 1 if kind in (_TAG, _SKIP) else 2
            reader.expect(reader.integer, f"version of layer {index} ({kind})", version)
        means = self._input()

        convolutions: list[Convolution] = []
        dense: FloatArray | None = None
        for index, kind in enumerate(layers):
            if kind in (_TAG, _SKIP):
                continue
            reader.expect(reader.text, f"name of layer {index}", kind)
            if kind == _CONVOLUTION:
                convolutions.append(self._convolution())
            elif kind == _AFFINE:
                convolutions[-1] = self._affine(convolutions[-1])
            elif kind == _MAX_POOL:
                self._pool(size=3, stride=2)
            elif kind == _AVERAGE_POOL:
                # Size 0 is dlib's way of saying: as large as the input.
                last = index == len(layers) - 2
                self._pool(size=0 if last else 2, stride=1 if last else 2)
            elif kind == _DENSE:
                dense = self._dense()
            self._training_state(first=index == 0)
        reader.end()
        assert dense is not None  # the list of layers ends with one
        return ResNet(means, tuple(convolutions), dense, reader.sha256)

    def _input(self) -> NDArray[np.float64]:
        reader = self._reader
        reader.expect(reader.text, "name of the input layer", _INPUT)
        means = np.array([reader.number(f"mean of {name}") for name in ("red", "green", "blue")])
        for side in ("rows", "columns"):
            reader.expect(reader.integer, f"{side} of the input", CHIP_SIZE)
        return means

    def _convolution(self) -> Convolution:
        reader = self._reader
        filters, channels, size, stride, padding = next(self._shapes)
        values = reader.tensor("parameters of a convolution").ravel().astype(np.float64)
        reader.expect(reader.integer, "number of filters", filters)
        for what, wanted in (("size", size), ("stride", stride), ("padding", padding)):
            reader.expect(reader.integer, f"vertical {what}", wanted)
            reader.expect(reader.integer, f"horizontal {what}", wanted)
        shape = (filters, channels, size, size)
        self._window(shape)
        self._window((1, filters, 1, 1))
        self._rates(4)
        weights = filters * channels * size * size
        self._sized(values, weights + filters)
        return Convolution(values[:weights].reshape(shape), values[weights:], stride, padding)

    def _affine(self, before: Convolution) -> Convolution:
        """Fold `gamma * x + beta` into the convolution before it."""
        reader = self._reader
        filters = len(before.bias)
        values = reader.tensor("parameters of an affine layer").ravel().astype(np.float64)
        self._window((1, filters, 1, 1))
        self._window((1, filters, 1, 1))
        reader.expect(reader.integer, "mode of an affine layer (one scale a channel)", 0)
        self._sized(values, 2 * filters)
        gamma, beta = values[:filters], values[filters:]
        kernel = before.kernel * gamma[:, None, None, None]
        return Convolution(kernel, before.bias * gamma + beta, before.stride, before.padding)

    def _pool(self, size: int, stride: int) -> None:
        reader = self._reader
        for what, wanted in (("size", size), ("stride", stride), ("padding", 0)):
            reader.expect(reader.integer, f"vertical {what} of a pool", wanted)
            reader.expect(reader.integer, f"horizontal {what} of a pool", wanted)

    def _dense(self) -> FloatArray:
        reader = self._reader
        inputs = LEVELS[-1].filters
        reader.expect(reader.integer, "outputs of the dense layer", DESCRIPTOR_SIZE)
        reader.expect(reader.integer, "inputs of the dense layer", inputs)
        values = reader.tensor("parameters of the dense layer")
        self._window((inputs, DESCRIPTOR_SIZE, 1, 1))
        self._window((0, 0, 0, 0))
        reader.expect(reader.integer, "mode of the dense layer (no bias)", 1)
        self._rates(4)
        self._sized(values, inputs * DESCRIPTOR_SIZE)
        return values.reshape(inputs, DESCRIPTOR_SIZE)

    def _window(self, wanted: tuple[int, ...]) -> None:
        start = self._reader.offset
        shape = self._reader.alias("a parameter")
        if shape != wanted:
            self._reader.refuse(f"a parameter of shape {wanted}", shape, start)

    def _sized(self, values: FloatArray | NDArray[np.float64], wanted: int) -> None:
        if values.size != wanted:
            self._reader.refuse(f"{wanted} parameters in the layer before", values.size)

    def _rates(self, count: int) -> None:
        """Learning rate and weight decay factors: of no use here."""
        for _ in range(count):
            self._reader.number("learning rate")

    def _training_state(self, first: bool) -> None:
        """What every layer carries for training: three flags and three empty tensors."""
        for flag in ("set up", "gradient stale", "gradient disabled"):
            self._reader.boolean(flag)
        for tensor in ("gradient of the input", "cached output", "gradient of the parameters"):
            self._reader.tensor(tensor)
        if first:
            self._reader.expect(self._reader.integer, "sample expansion factor", 1)
