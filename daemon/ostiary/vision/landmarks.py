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

from ostiary.errors import ModelInvalid
from ostiary.vision.align import similarity
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
    `leaves` is (trees·(splits+1), 10) float32. `anchors` (pixels,) and `deltas` (pixels, 2) say
    by which landmark, and where beside it, each pixel is taken.
    """

    first: Indices
    second: Indices
    threshold: FloatArray
    leaves: FloatArray
    anchors: Indices
    deltas: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class LandmarkPredictor:
    """Safe to share between threads. `initial` is the mean shape, (5, 2), in the unit square."""

    initial: FloatArray
    stages: tuple[Stage, ...]

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `ostiary-export landmarks` wrote. Raises ModelInvalid for anything else."""
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
                    file["deltas"],
                )
                stages = tuple(Stage(*rows) for rows in zip(*columns, strict=True))
                return cls(file["initial"], stages)
        except (OSError, ValueError, KeyError, BadZipFile) as error:
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
        shape = self.initial
        for stage in self.stages:
            turn = similarity(self.initial.astype(np.float64), shape.astype(np.float64))[:, :2]
            grey = _grey_at(rgb, _places(stage, turn.astype(np.float32), shape) * span + origin)
            shape = _moved(shape, stage, grey)
        return np.floor(shape * span + origin + 0.5).astype(np.float32)


def _places(stage: Stage, turn: FloatArray, shape: FloatArray) -> FloatArray:
    """Where the stage's pixels are, (pixels, 2) in the unit square.

    In float32 and in dlib's order of operations: a pixel further left can be another branch of
    a tree, and so another shape.
    """
    x, y = stage.deltas.T
    turned = np.stack([turn[0, 0] * x + turn[0, 1] * y, turn[1, 0] * x + turn[1, 1] * y], axis=1)
    return np.asarray(turned + shape[stage.anchors], np.float32)


def _grey_at(rgb: RGBImage, places: NDArray[np.float64]) -> NDArray[np.int16]:
    """Grey levels (mean of the three colours, rounded down) at (N, 2) places; outside: 0."""
    columns, rows = np.floor(places + 0.5).astype(np.intp).T
    height, width = rgb.shape[:2]
    inside = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
    pixels = rgb[np.where(inside, rows, 0), np.where(inside, columns, 0)]
    grey = pixels.sum(axis=1, dtype=np.int16) // 3
    return np.where(inside, grey, 0).astype(np.int16)


def _moved(shape: FloatArray, stage: Stage, grey: NDArray[np.int16]) -> FloatArray:
    """The shape after every tree of one stage has moved it."""
    trees, splits = stage.first.shape
    tree = np.arange(trees)
    is_left = (grey[stage.first] - grey[stage.second]) > stage.threshold
    node = np.zeros(trees, np.intp)
    while node[0] < splits:
        node = 2 * node + 2 - is_left[tree, node]
    moves = stage.leaves[tree * (splits + 1) + node - splits]
    # Summed row after row like dlib, so that not even the rounding differs.
    total = np.add.reduce(np.concatenate([shape.reshape(1, -1), moves]), axis=0)
    return np.asarray(total.reshape(POINTS, 2), np.float32)
