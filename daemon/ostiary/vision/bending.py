"""Whether a face that is followed moves as a head does, or as one picture that is moved about.

Whatever is done to a flat picture as a whole (shifted, turned, tilted, brought nearer), a
homography undoes (Hartley and Zisserman, "Multiple View Geometry", 2nd ed., 13.1). What is left of
a head's movement is the nose before the cheeks, eyelids, mouth: it *bends*. Points of the face are
followed (Bouguet, "Pyramidal Implementation of the Lucas Kanade Feature Tracker", 2000), the best
homography is taken off, and what is left is compared between two pairs of frames that share none:
noise, however strong, is not alike in both, and bending is.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from ostiary.vision.arrays import BGRImage, FloatArray, GrayImage
from ostiary.vision.face import Box

SIDE = 160
"""Pixels of the square in which the face is looked at."""
GROWN = 1.15
"""That square's side, in heights of the face's box."""
POINTS, LEAST_POINTS = 80, 20
STEPS = 4
"""So many frames are judged together."""
LIGHT_SIGMA, LEAST_SPREAD = 8.0, 4.0
"""Light that changes over more pixels than this is taken off; contrast below this is noise."""
FROM_EDGE = 8.0
"""Nothing is followed so near to the picture's edge, pixels of the square."""
LEAST_EXTENT = 0.0025
"""Root mean square of what is left, in sides of the square, from which a face bends."""
LEAST_ALIKE = 0.6
"""Correlation of what is left between the two pairs, from which it is no noise."""

Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class _Window:
    """The face in a square: (SIDE, SIDE) uint8 `grey`, and what of that lies well inside the
    picture's edge (the same shape, uint8, 0 or 1)."""

    grey: GrayImage
    inside: GrayImage

    def holds(self, points: FloatArray) -> Flags:
        """Which of the points (n, 2) lie in the picture."""
        places = np.rint(points).astype(np.intp).clip(0, SIDE - 1)
        return np.asarray(self.inside[places[:, 1], places[:, 0]] == 1)


@dataclass(frozen=True, slots=True, eq=False)
class _Look:
    """A frame to be compared with, the points (n, 2) float32 in it, and which of them (n,) are
    there."""

    window: _Window
    points: FloatArray
    found: Flags


@dataclass(frozen=True, slots=True, eq=False)
class _Left:
    """What the best homography leaves of the movement of each point: (n, 2), and of which (n,)."""

    moved: FloatArray
    found: Flags


@dataclass(frozen=True, slots=True)
class _Sums:
    """Of one frame: products of both pairs and squares of each, and how many points."""

    product: float
    first: float
    second: float
    points: int


@dataclass(frozen=True, slots=True, eq=False)
class Bending:
    """What was seen of one face until now."""

    first: _Look | None = None
    second: _Look | None = None
    left: _Left | None = None
    sums: tuple[_Sums, ...] = ()

    @property
    def extent(self) -> float:
        """Root mean square of the bending over the last frames, in sides of the square (about
        1.15 faces); 0 before there are enough of them."""
        points = sum(each.points for each in self.sums)
        if len(self.sums) < STEPS or not points:
            return 0.0
        return float(np.sqrt(max(0.0, sum(each.product for each in self.sums) / points))) / SIDE

    @property
    def alike(self) -> float:
        """How alike it is in both pairs, -1 to 1: near 0 for noise."""
        first = sum(each.first for each in self.sums)
        second = sum(each.second for each in self.sums)
        both = float(np.sqrt(first * second))
        return sum(each.product for each in self.sums) / both if both > 0 else 0.0

    @property
    def is_seen(self) -> bool:
        """Whether this is no flat picture that is moved."""
        return self.extent >= LEAST_EXTENT and self.alike >= LEAST_ALIKE


def step(before: Bending, bgr: BGRImage, box: Box) -> Bending:
    """The next frame of the same face, (height, width, 3) uint8 BGR, whose box is in its pixels.

    Begins anew where too few points of the face are found again.
    """
    window = _window(bgr, box)
    if before.first is None:
        points = _corners(window)
        if len(points) < LEAST_POINTS:
            return Bending()
        return Bending(first=_Look(window, points, np.ones(len(points), np.bool_)))
    if before.second is None:
        first = before.first
        points, found = _lucas_kanade(first.window.grey, window.grey, first.points)
        return replace(before, second=_Look(window, points, found & window.holds(points)))
    left_first, left_second = _left(before.first, window), _left(before.second, window)
    if left_first is None or left_second is None:
        return Bending()
    if before.left is None:
        return replace(before, left=left_second)
    sums = (*before.sums, _sums(left_first, before.left))[-STEPS:]
    return replace(before, left=left_second, sums=sums)


def _window(bgr: BGRImage, box: Box) -> _Window:
    scale = SIDE / (GROWN * max(box.width, box.height))
    x, y = box.center
    to_window = np.array([[scale, 0, SIDE / 2 - scale * x], [0, scale, SIDE / 2 - scale * y]])
    if scale < 0.7:  # shrinking without blurring first would alias, differently in each frame
        bgr = np.asarray(cv2.GaussianBlur(bgr, (0, 0), 0.5 / scale))
    seen = cv2.warpAffine(bgr, to_window, (SIDE, SIDE), borderMode=cv2.BORDER_REPLICATE)
    grey = cv2.cvtColor(seen, cv2.COLOR_BGR2GRAY).astype(np.float32)
    # A lamp's flicker changes brightness and contrast, and Lucas and Kanade compare both.
    local = grey - cv2.GaussianBlur(grey, (0, 0), LIGHT_SIGMA)
    spread = np.sqrt(cv2.GaussianBlur(local * local, (0, 0), 2 * LIGHT_SIGMA)) + LEAST_SPREAD
    (height, width), edge = bgr.shape[:2], FROM_EDGE / scale
    corners = np.array([[edge, edge], [width - edge, height - edge]]) * scale + to_window[:, 2]
    (left, top), (right, bottom) = np.rint(corners).astype(int).clip(0, SIDE)
    inside = np.zeros((SIDE, SIDE), np.uint8)
    inside[top:bottom, left:right] = 1
    return _Window(np.asarray(np.clip(128 + 40 * local / spread, 0, 255), np.uint8), inside)


def _corners(window: _Window) -> FloatArray:
    """Points that can be found again, on the face only, (n, 2) float32."""
    face = np.zeros((SIDE, SIDE), np.uint8)
    cv2.ellipse(face, (SIDE // 2, SIDE // 2), (SIDE // 3, SIDE * 3 // 7), 0, 0, 360, 1, -1)
    corners = cv2.goodFeaturesToTrack(
        window.grey, POINTS, 0.01, 5, mask=face * window.inside, blockSize=5
    )
    if corners is None:
        return np.zeros((0, 2), np.float32)
    return np.asarray(corners, np.float32).reshape(-1, 2)


def _left(look: _Look, window: _Window) -> _Left | None:
    """Twice: a window that is turned or scaled is found again a little beside its place, so it is
    first brought back to the look's place. None where too few points are found."""
    there, found = _lucas_kanade(look.window.grey, window.grey, look.points)
    found &= look.found & window.holds(there)
    plane = _homography(look.points[found], there[found], cv2.LMEDS)
    if plane is None:
        return None
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    straight = cv2.warpPerspective(
        window.grey, plane, (SIDE, SIDE), flags=flags, borderMode=cv2.BORDER_REPLICATE
    )
    grey = np.asarray(straight, np.uint8)
    there, again = _lucas_kanade(look.window.grey, grey, look.points)
    back, returned = _lucas_kanade(grey, look.window.grey, there)
    found &= again & returned & (np.linalg.norm(back - look.points, axis=1) < 1.0)
    plane = _homography(look.points[found], there[found], 0)
    if plane is None:
        return None
    places = look.points.astype(np.float64).reshape(-1, 1, 2)
    expected = cv2.perspectiveTransform(places, plane).reshape(-1, 2)
    return _Left(np.asarray(there - expected), found)


def _lucas_kanade(
    here: GrayImage, there: GrayImage, points: FloatArray
) -> tuple[FloatArray, Flags]:
    until = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 20, 0.01)
    start = np.ascontiguousarray(points, np.float32).reshape(-1, 1, 2)
    moved, found, _ = cv2.calcOpticalFlowPyrLK(
        here, there, start, np.zeros_like(start), winSize=(13, 13), maxLevel=3, criteria=until
    )
    return np.asarray(moved, np.float32).reshape(-1, 2), np.asarray(found).ravel() == 1


def _homography(here: FloatArray, there: FloatArray, method: int) -> FloatArray | None:
    if len(here) < LEAST_POINTS:
        return None
    plane, _ = cv2.findHomography(here.astype(np.float64), there.astype(np.float64), method)
    return None if plane is None else np.asarray(plane)


def _sums(one: _Left, other: _Left) -> _Sums:
    both = one.found & other.found
    first, second = one.moved[both].astype(np.float64), other.moved[both].astype(np.float64)
    return _Sums(
        float((first * second).sum()),
        float((first**2).sum()),
        float((second**2).sum()),
        int(both.sum()),
    )
