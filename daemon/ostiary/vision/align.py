"""dlib's alignment without dlib: five landmarks, and the 150×150 crop that its network learnt from.

The landmarks are a regression forest evaluated in NumPy: Kazemi and Sullivan, "One Millisecond Face
Alignment with an Ensemble of Regression Trees" (CVPR 2014), as dlib's `shape_predictor` implements
it. In a cascade of forests each tree compares pairs of grey levels at places that move with the
shape found so far, and its leaf moves the shape.

The crop is `dlib.get_face_chip(image, shape, size=150, padding=0.25)`, rebuilt: a similarity
transform from five canonical points (`get_face_chip_details` in
dlib/image_transforms/interpolation.h), halvings with the binomial filter of dlib's
`pyramid_down<2>` where the face is much larger than the chip, then bilinear interpolation. It is
equal within one grey level, and to the last bit in 998 of 1000 values: OpenCV places a pixel a
little less finely than dlib.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from zipfile import BadZipFile

import cv2
import numpy as np
from numpy.typing import NDArray

from ostiary.errors import ModelInvalid, ModelMissing
from ostiary.vision.arrays import FloatArray, RGBImage
from ostiary.vision.face import Box

CHIP_SIZE = 150
PADDING = 0.25

# Outer and inner corner of the left eye, of the right eye, base of the nose: the mean face, in a
# unit square without padding.
MEAN_FACE = np.array(
    [
        [0.8595674595992, 0.2134981538014],
        [0.6460604764104, 0.2289674387677],
        [0.1205750620789, 0.2137274526848],
        [0.3340850613712, 0.2290642403242],
        [0.4901123135679, 0.6277975316475],
    ]
)
CHIP_POINTS = (PADDING + MEAN_FACE) / (2 * PADDING + 1) * CHIP_SIZE

Matrix = NDArray[np.float64]

# What dlib's `pyramid_down<2>::point_down` takes off a halved point. The filter's own centre would
# be (1, 1); the network was trained with these.
HALVED = np.array([1.25, 0.75])
BORDER = 2.0
GRID = np.stack(
    [*np.meshgrid(np.arange(CHIP_SIZE), np.arange(CHIP_SIZE)), np.ones((CHIP_SIZE, CHIP_SIZE))],
    axis=2,
)  # (150, 150, 3): x, y and 1 of each pixel of the chip
POINTS = 5
VERSION = 1
Indices = NDArray[np.intp]


def face_chip(rgb: RGBImage, landmarks: FloatArray) -> RGBImage:
    """The chip of one face.

    `rgb` is (height, width, 3) uint8 RGB; `landmarks` is (5, 2), x and y of dlib's five points in
    pixels. Returns (150, 150, 3) uint8 RGB; what lies outside the image is black. ValueError
    where the points do not span anything.
    """
    transform = similarity(CHIP_POINTS, np.asarray(landmarks, np.float64))
    scale = math.hypot(transform[0, 0], transform[1, 0])
    if not 0 < scale < math.inf:
        raise ValueError("the landmarks coincide or are not finite")
    half = (CHIP_SIZE * scale - 1) / 2
    center = transform @ (CHIP_SIZE / 2, CHIP_SIZE / 2, 1)
    levels = halvings(half)
    corners = np.array([[-half, -half], [half, -half], [-half, half], [half, half]])
    turned = corners @ (transform[:, :2] / scale).T + center
    left, top, right, bottom = _window(turned, levels, rgb.shape[1], rgb.shape[0])
    level = rgb[top : bottom + 1, left : right + 1]
    tl, tr, bl, _ = turned - (left, top)
    for _ in range(levels):
        level = halved(level)
        tl, tr, bl = (point / 2 - HALVED for point in (tl, tr, bl))
    if min(level.shape[:2]) < 2:
        return np.zeros((CHIP_SIZE, CHIP_SIZE, 3), np.uint8)
    # Pixel (0, 0) of the chip is at `tl`, pixel (149, 0) at `tr`, pixel (0, 149) at `bl`.
    columns = [(tr - tl) / (CHIP_SIZE - 1), (bl - tl) / (CHIP_SIZE - 1), tl]
    return _interpolated(level, np.stack(columns, axis=1))


def similarity(source: Matrix, target: Matrix) -> Matrix:
    """The (2, 3) rotation, scale and shift that takes `source` nearest to `target`, both (N, 2).

    Umeyama, "Least-squares estimation of transformation parameters between two point patterns"
    (1991), without reflection; in two dimensions it has this closed form.
    """
    source_mean, target_mean = source.mean(axis=0), target.mean(axis=0)
    x, y = (source - source_mean).T
    u, v = (target - target_mean).T
    spread = (x * x + y * y).sum()
    a = (x * u + y * v).sum() / spread
    b = (x * v - y * u).sum() / spread
    turn = np.array([[a, -b], [b, a]])
    return np.column_stack([turn, target_mean - turn @ source_mean])


def halvings(half: float) -> int:
    """How often to halve the image, so that the square of side 2·half + 1 has about 150 pixels."""
    levels = 0
    while (half := half / 2) and (2 * half + 1) ** 2 > CHIP_SIZE**2:
        levels += 1
    return levels


def halved(rgb: RGBImage) -> RGBImage:
    """Half the size, filtered with 1 4 6 4 1 both ways and rounded down, without a border."""
    height, width = rgb.shape[:2]
    rows, columns = (height - 3) // 2, (width - 3) // 2
    if min(rows, columns) < 1:
        return rgb[:0, :0]
    # OpenCV rounds to nearest; 256 times as large the sums stay whole, and can be rounded down.
    sums = np.asarray(cv2.pyrDown(rgb.astype(np.uint16) << 8), np.uint16)
    return (sums[1 : rows + 1, 1 : columns + 1] >> 8).astype(np.uint8)


def _window(turned: Matrix, levels: int, width: int, height: int) -> tuple[int, int, int, int]:
    """Left, top, right and bottom pixel of what is worth halving, inside the image."""
    grown = 2.0
    for _ in range(levels):
        grown = 2 * grown + BORDER
    low = np.maximum(turned.min(axis=0) - grown, 0)
    high = np.minimum(turned.max(axis=0) + grown, (width - 1, height - 1))
    (left, top), (right, bottom) = np.floor(low + 0.5), np.floor(high + 0.5)
    return int(left), int(top), int(right), int(bottom)


def _interpolated(rgb: RGBImage, chip_to_image: Matrix) -> RGBImage:
    """Bilinear and rounded down; black where one of the four neighbours is outside, as in dlib."""
    # OpenCV rounds to the nearest: of 256 times the grey level, so that the rest can be cut off.
    fine = cv2.warpAffine(
        rgb.astype(np.uint16) << 8,
        chip_to_image,
        (CHIP_SIZE, CHIP_SIZE),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    chip = (np.asarray(fine, np.uint16) >> 8).astype(np.uint8)
    limits = np.array([rgb.shape[1] - 1, rgb.shape[0] - 1])
    last = CHIP_SIZE - 1
    corners = np.array([[0, 0, 1], [last, 0, 1], [0, last, 1], [last, last, 1]]) @ chip_to_image.T
    if (corners < 0).any() or (corners >= limits).any():
        points = GRID @ chip_to_image.T
        chip[((points < 0) | (points >= limits)).any(axis=2)] = 0
    return chip


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
