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

    `first` and `second` are the two pixels that each split compares, `threshold` (float32) by
    how much, all (trees, splits); a tree's splits are a heap, the children of i at 2i+1 and 2i+2.
    `leaves` is (trees·(splits+1), 10) float32. `anchors` (pixels,) and `across`, `down` (pixels,)
    say by which landmark, and where beside it, each pixel is taken.
    """

    first: Indices
    second: Indices
    threshold: FloatArray
    leaves: FloatArray
    anchors: Indices
    across: FloatArray
    down: FloatArray


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
                columns = (
                    file["first"].astype(np.intp),
                    file["second"].astype(np.intp),
                    file["threshold"],
                    file["leaves"].reshape(len(file["first"]), -1, 2 * POINTS),
                    file["anchors"].astype(np.intp),
                    np.ascontiguousarray(file["deltas"][..., 0]),
                    np.ascontiguousarray(file["deltas"][..., 1]),
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
        origin = np.array([left, top], np.float64)
        span = np.array([round(box.right) - left - 1, round(box.bottom) - top - 1], np.float64)
        pixels = np.ascontiguousarray(rgb).reshape(-1, 3)
        centred = _centred(self.initial)
        spread = np.vdot(centred, centred).real
        shape = self.initial
        for stage in self.stages:
            turn = np.complex64(np.vdot(centred, _centred(shape)) / spread)
            x, y = _places(stage, turn, shape)
            columns, rows = _nearest(x, span[0], origin[0]), _nearest(y, span[1], origin[1])
            shape = _moved(shape, stage, _grey_at(pixels, columns, rows, rgb.shape[:2]))
        return np.floor(shape * span + origin + 0.5).astype(np.float32)


def _centred(shape: FloatArray) -> NDArray[np.complex128]:
    """The points as complex numbers about their mean.

    The similarity that takes one such shape nearest to another is then one complex factor: scale
    and rotation (`ostiary.vision.align.similarity` in its complex form).
    """
    points = shape[:, 0] + 1j * shape[:, 1].astype(np.float64)
    return np.asarray(points - points.mean())


def _places(stage: Stage, turn: np.complex64, shape: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Where the stage's pixels are in the unit square: x and y, (pixels,).

    In float32 and in dlib's order of operations: a pixel further left can be another branch of
    a tree, and so another shape.
    """
    cosine, sine = turn.real, turn.imag
    x = stage.across * cosine - stage.down * sine + shape[:, 0].take(stage.anchors)
    y = stage.across * sine + stage.down * cosine + shape[:, 1].take(stage.anchors)
    return x, y


def _nearest(unit: FloatArray, span: float, origin: float) -> Indices:
    """From the unit square to whole pixels, in double precision like dlib."""
    return np.floor(unit.astype(np.float64) * span + origin + 0.5).astype(np.intp)


def _grey_at(
    pixels: NDArray[np.uint8], columns: Indices, rows: Indices, size: tuple[int, int]
) -> NDArray[np.int16]:
    """Grey levels (mean of the three colours, rounded down) of (N, 3) pixels; outside: 0."""
    height, width = size
    inside = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
    at = rows * width + columns
    whole = bool(inside.all())
    seen = pixels.take(at if whole else np.where(inside, at, 0), axis=0).astype(np.int16)
    grey = (seen[:, 0] + seen[:, 1] + seen[:, 2]) // np.int16(3)
    return grey if whole else np.where(inside, grey, np.int16(0))


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
