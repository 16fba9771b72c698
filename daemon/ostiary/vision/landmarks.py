"""dlib's five facial landmarks, without dlib: the regression forest evaluated in NumPy.

Kazemi and Sullivan, "One Millisecond Face Alignment with an Ensemble of Regression Trees" (CVPR
2014), as dlib's `shape_predictor` implements it. A cascade of forests; each tree compares pairs
of grey levels at places that move with the shape found so far, and its leaf moves the shape.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Self
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from ostiary.errors import ModelInvalid, ModelMissing
from ostiary.vision.arrays import FloatArray, RGBImage
from ostiary.vision.face import Box

POINTS = 5
VERSION = 1

Indices = NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """One forest of the cascade, all trees side by side.

    `first` and `second` are the two pixels that each split compares, `threshold` (int16) by how
    many grey levels, all (trees, splits); a tree's splits are a heap, the children of i at 2i+1
    and 2i+2. `leaves` is (trees·(splits+1), 10) float32. `anchors` (pixels,) and `beside`
    (2, pixels) say by which landmark, and where beside it, each pixel is taken; `turned` is
    `beside` turned by a quarter.
    """

    first: Indices
    second: Indices
    threshold: NDArray[np.int16]
    leaves: FloatArray
    anchors: Indices
    beside: FloatArray
    turned: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class LandmarkPredictor:
    """Safe to share between threads. `initial` is the mean shape, (5, 2), in the unit square."""

    initial: FloatArray
    stages: tuple[Stage, ...]

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `ostiary-export` wrote. Raises ModelMissing, or ModelInvalid for others."""
        try:
            with np.load(path, allow_pickle=False) as file:
                if int(file["version"]) != VERSION or file["initial"].shape != (POINTS, 2):
                    raise ModelInvalid(f"{path}: another version of the landmarks; export again.")
                beside = np.ascontiguousarray(file["deltas"].transpose(0, 2, 1))
                columns = (
                    file["first"].astype(np.intp),
                    file["second"].astype(np.intp),
                    # Grey levels are whole numbers: above 3.7 is above 3.
                    np.floor(file["threshold"]).astype(np.int16),
                    file["leaves"].reshape(len(file["first"]), -1, 2 * POINTS),
                    file["anchors"].astype(np.intp),
                    beside,
                    np.stack([-beside[:, 1], beside[:, 0]], axis=1),
                )
                stages = tuple(Stage(*rows) for rows in zip(*columns, strict=True))
                return cls(file["initial"], stages)
        except FileNotFoundError as error:
            raise ModelMissing(f"{path}: no such model. Build it with `ostiary-export`.") from error
        except (OSError, EOFError, TypeError, ValueError, KeyError, BadZipFile) as error:
            raise ModelInvalid(f"{path}: not landmarks written by ostiary-export.") from error

    def predict(self, rgb: RGBImage, box: Box) -> FloatArray:
        """The five points of the face in `box`, as `dlib.shape_predictor` finds them.

        `rgb` is (height, width, 3) uint8 RGB, `box` the square of dlib's HOG detector. Returns
        (5, 2) float32, x and y in whole pixels: outer and inner corner of the left eye, of the
        right eye, base of the nose (left and right are the person's own).
        """
        # dlib's rectangles hold whole pixels, and their last one: (1, 1) is the last pixel.
        left, top = round(box.x), round(box.y)
        origin = np.array([[left], [top]], np.float64)
        span = np.array([[round(box.right) - left - 1], [round(box.bottom) - top - 1]], np.float64)
        pixels = np.ascontiguousarray(rgb).reshape(-1, 3)
        centred = _centred(self.initial)
        spread = np.vdot(centred, centred).real
        shape = self.initial
        for stage in self.stages:
            turn = np.complex64(np.vdot(centred, _centred(shape)) / spread)
            # In double precision from here on, like dlib.
            places = np.floor(_places(stage, turn, shape) * span + origin + 0.5).astype(np.intp)
            shape = _moved(shape, stage, _grey_at(pixels, places, rgb.shape[:2]))
        return np.floor(shape * span.T + origin.T + 0.5).astype(np.float32)


def _centred(shape: FloatArray) -> NDArray[np.complex128]:
    """The points as complex numbers about their mean.

    The similarity that takes one such shape nearest to another is then one complex factor: scale
    and rotation (`ostiary.vision.align.similarity` in its complex form).
    """
    points = shape.astype(np.float64).view(np.complex128)[:, 0]
    return np.asarray(points - points.sum() / POINTS)


def _places(stage: Stage, turn: np.complex64, shape: FloatArray) -> FloatArray:
    """Where the stage's pixels are in the unit square: (2, pixels), x and y.

    In float32 and in dlib's order of operations: a pixel further left can be another branch of
    a tree, and so another shape.
    """
    moved = turn.real * stage.beside + turn.imag * stage.turned
    return np.asarray(moved + shape.T.take(stage.anchors, axis=1), np.float32)


def _grey_at(
    pixels: NDArray[np.uint8], places: Indices, size: tuple[int, int]
) -> NDArray[np.int16]:
    """Grey levels (mean of the three colours, rounded down) of an image's (height·width, 3)
    pixels at (2, N) places; outside: 0."""
    height, width = size
    limits = np.array([[width], [height]])
    at = places[1] * width + places[0]
    inside = (places >= 0) & (places < limits)
    whole = bool(inside.all())
    if not whole:
        at = np.where(inside.all(axis=0), at, 0)
    seen = pixels.take(at, axis=0).astype(np.int16)
    grey = (seen[:, 0] + seen[:, 1] + seen[:, 2]) // np.int16(3)
    return grey if whole else np.where(inside.all(axis=0), grey, np.int16(0))


def _moved(shape: FloatArray, stage: Stage, grey: NDArray[np.int16]) -> FloatArray:
    """The shape after every tree of one stage has moved it."""
    trees, splits = stage.first.shape
    # Every split of every tree is decided at once: less work than to look up only those needed.
    brighter = grey.take(stage.first) - grey.take(stage.second)
    is_left = (brighter > stage.threshold).ravel()
    roots = np.arange(0, trees * splits, splits)
    node = np.zeros(trees, np.intp)
    while node[0] < splits:
        node = 2 * node + 2 - is_left.take(roots + node)
    moves = stage.leaves.take(roots + np.arange(trees) + node - splits, axis=0)
    # Summed row after row like dlib, so that not even the rounding differs.
    total = np.add.reduce(np.concatenate([shape.reshape(1, -1), moves]), axis=0)
    return np.asarray(total.reshape(POINTS, 2), np.float32)
