"""Whether a face that is followed moves as a head does, or as one picture that is moved about.

A homography undoes whatever is done to a flat picture as a whole: shifting, turning, tilting,
bringing it nearer (Hartley and Zisserman, "Multiple View Geometry", 2nd ed., 13.1). What is left of
a head's movement is the nose before the cheeks, eyelids, mouth: it *bends*. A sheet of paper bends,
too, but about one axis at a time (it is developable: do Carmo, "Differential Geometry of Curves and
Surfaces", 1976, 3.5), so what such a bend explains is taken off as well (`beyond_paper`).

Points of the face are followed (Bouguet, "Pyramidal Implementation of the Lucas Kanade Feature
Tracker", 2000), plane and paper are taken off, and the rest is compared between two pairs of frames
that share none. Noise, however strong, differs between the two; bending is alike in both.
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
POINTS, LEAST_POINTS = 80, 30
TOGETHER_S, COVERED_S = 0.3, 0.15
"""Pairs of frames of the last 0.3 s are judged together, once they cover 0.15 s: two pairs at 15
frames a second, one of a slow camera."""
SLOW_S = 0.2
"""Where frames are so far apart, each ends one pair and begins the next."""
LIGHT_SIDE, LEAST_SPREAD = 25, 4.0
"""Light that changes over more pixels than this is taken off; contrast below this is noise."""
FROM_EDGE = 8.0
"""Points nearer to the picture's edge than this are not followed, pixels of the square."""
LEAST_EXTENT = 0.002
"""A face bends from this root mean square of what a plane leaves, in sides of the square…"""
LEAST_BEYOND_PAPER = 0.00125
"""…and from this one of what paper leaves of that…"""
LEAST_SHARE = 0.4
"""…which has to be at least this share of the former, however far it bends."""
LEAST_ALIKE, SLOWLY_ALIKE = 0.6, 0.5
"""Correlation of what is left in both frames from which it is no noise; less for a slow camera,
between whose frames a head moves on."""
FAR, NEAR = 3, 1
"""Times that a window is halved to find points that may be far from their place, or are near."""
Flags = NDArray[np.bool_]
Ways = NDArray[np.float64]
"""How far each of n points moved, across and down: (n, 2)."""
_ANGLES = np.radians(np.arange(0, 180, 15))
AXES = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=1)
"""Directions, (12, 2), along which the sheet is tried to be bent."""


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
class _ComparedFrame:
    """A frame to compare others with: its points (n, 2) float32, and which of them (n,) were
    found."""

    window: _Window
    points: FloatArray
    found: Flags


@dataclass(frozen=True, slots=True, eq=False)
class _Left:
    """Movement of each point that the best homography leaves, (n, 2), that the best paper leaves of
    it, (n, 2), and for which points it is known, (n,)."""

    by_plane: Ways
    by_paper: Ways
    found: Flags


@dataclass(frozen=True, slots=True)
class _Common:
    """Two movements of the same points: sums of their products and of the squares of each."""

    product: float = 0.0
    first: float = 0.0
    second: float = 0.0
    points: int = 0

    @classmethod
    def of(cls, first: Ways, second: Ways) -> "_Common":
        return cls(
            float((first * second).sum()),
            float((first**2).sum()),
            float((second**2).sum()),
            len(first),
        )

    def __add__(self, other: "_Common") -> "_Common":
        return _Common(
            self.product + other.product,
            self.first + other.first,
            self.second + other.second,
            self.points + other.points,
        )

    @property
    def extent(self) -> float:
        """Root mean square of what both movements have in common, in sides of the square."""
        if not self.points:
            return 0.0
        return float(np.sqrt(max(0.0, self.product / self.points))) / SIDE

    @property
    def alike(self) -> float:
        """Correlation of the two, -1 to 1; near 0 for noise."""
        both = float(np.sqrt(self.first * self.second))
        return self.product / both if both > 0 else 0.0


@dataclass(frozen=True, slots=True)
class _Pair:
    """Movement that two frames in a row, at `since` and `at` in seconds, have in common."""

    since: float
    at: float
    by_plane: _Common
    by_paper: _Common

    @classmethod
    def of(cls, one: _Left, other: _Left, since: float, at: float) -> "_Pair":
        both = one.found & other.found
        plane = _Common.of(one.by_plane[both], other.by_plane[both])
        return cls(since, at, plane, _Common.of(one.by_paper[both], other.by_paper[both]))

    @property
    def contradicts(self) -> bool:
        """Whether both frames bend, but not alike: then the frame they are compared with bends."""
        least = self.by_plane.points * (LEAST_EXTENT * SIDE) ** 2
        return self.by_plane.product < 0 and min(self.by_plane.first, self.by_plane.second) > least


@dataclass(frozen=True, slots=True, eq=False)
class Bending:
    """State of one face that is followed."""

    first: _ComparedFrame | None = None
    second: _ComparedFrame | None = None
    left: _Left | None = None
    at: float = 0.0
    pairs: tuple[_Pair, ...] = ()

    @property
    def by_plane(self) -> _Common:
        """Movement of the last frames that no plane explains."""
        return sum((pair.by_plane for pair in self.pairs), _Common())

    @property
    def by_paper(self) -> _Common:
        """Movement of the last frames that no sheet of paper explains either."""
        return sum((pair.by_paper for pair in self.pairs), _Common())

    @property
    def is_seen(self) -> bool:
        """Whether the face moved as no flat picture does, moved or bent."""
        if not self.pairs or self.pairs[-1].at - self.pairs[0].since < COVERED_S:
            return False
        plane, paper = self.by_plane, self.by_paper
        least_alike = LEAST_ALIKE if len(self.pairs) > 1 else SLOWLY_ALIKE
        return (
            plane.extent >= LEAST_EXTENT
            and paper.extent >= max(LEAST_BEYOND_PAPER, LEAST_SHARE * plane.extent)
            and min(plane.alike, paper.alike) >= least_alike
        )


def step(before: Bending, bgr: BGRImage, box: Box, now: float) -> Bending:
    """The state after the next frame of the same face: `bgr` is (height, width, 3) uint8, `box` in
    its pixels, `now` in seconds.

    It begins anew where too few points of the face are found again, and where the two frames that
    all others are compared with show different movements (a blink, the very first pictures).
    """
    window = _window(bgr, box)
    if before.first is None:
        return _begun(window)
    if before.second is None:
        first = before.first
        points, found = _lucas_kanade(first.window.grey, window.grey, first.points)
        return replace(before, second=_ComparedFrame(window, points, found & window.holds(points)))
    left = _left(before.first if before.left is None else before.second, window)
    if left is None:
        return Bending()
    if before.left is None:
        return replace(before, left=left, at=now)
    pair = _Pair.of(before.left, left, before.at, now)
    if pair.by_plane.points < LEAST_POINTS:  # what strong noise leaves is few
        return Bending()
    if pair.contradicts:
        return _begun(window)
    pairs = tuple(each for each in (*before.pairs, pair) if now - each.at <= TOGETHER_S)
    next_left = _left(before.first, window) if now - before.at >= SLOW_S else None
    return replace(before, left=next_left, at=now, pairs=pairs)


def _begun(window: _Window) -> Bending:
    points = _corners(window)
    if len(points) < LEAST_POINTS:
        return Bending()
    return Bending(first=_ComparedFrame(window, points, np.ones(len(points), np.bool_)))


def _window(bgr: BGRImage, box: Box) -> _Window:
    scale = SIDE / (GROWN * max(box.width, box.height))
    x, y = box.center
    to_window = np.array([[scale, 0, SIDE / 2 - scale * x], [0, scale, SIDE / 2 - scale * y]])
    near, from_near = bgr, to_window
    if scale < 0.7:  # shrinking without blurring first would alias, differently in each frame
        near, (left, top) = blurred_around(bgr, x, y, SIDE / (2 * scale), 0.5 / scale)
        from_near = to_window + scale * np.array([[0, 0, left], [0, 0, top]])
    seen = cv2.warpAffine(near, from_near, (SIDE, SIDE), borderMode=cv2.BORDER_REPLICATE)
    grey = cv2.cvtColor(seen, cv2.COLOR_BGR2GRAY).astype(np.float32)
    # A lamp's flicker changes brightness and contrast, and Lucas and Kanade compare both.
    local = grey - cv2.blur(grey, (LIGHT_SIDE, LIGHT_SIDE))
    around = 2 * LIGHT_SIDE + 1
    spread = np.sqrt(cv2.blur(local * local, (around, around))) + LEAST_SPREAD
    (height, width), edge = bgr.shape[:2], FROM_EDGE / scale
    corners = np.array([[edge, edge], [width - edge, height - edge]]) * scale + to_window[:, 2]
    (left, top), (right, bottom) = np.rint(corners).astype(int).clip(0, SIDE)
    inside = np.zeros((SIDE, SIDE), np.uint8)
    inside[top:bottom, left:right] = 1
    return _Window(np.asarray(np.clip(128 + 40 * local / spread, 0, 255), np.uint8), inside)


def blurred_around(
    bgr: BGRImage, x: float, y: float, half: float, sigma: float
) -> tuple[BGRImage, tuple[int, int]]:
    """The square around (x, y) that reaches `half` pixels to each side and a little further,
    blurred, and the place (x, y) of its upper left corner in the picture."""
    reach = half + 3 * sigma + 3  # as far as OpenCV's kernel of bytes goes, and who interpolates
    down, across = np.clip((y, x), 0, bgr.shape[:2])  # outside of the picture its edge goes on
    top, left = max(0, int(down - reach)), max(0, int(across - reach))
    square = bgr[top : int(down + reach) + 1, left : int(across + reach) + 1]
    return np.asarray(cv2.GaussianBlur(square, (0, 0), sigma), np.uint8), (left, top)


def _corners(window: _Window) -> FloatArray:
    """Points on the face that can be found again, (n, 2) float32."""
    face = np.zeros((SIDE, SIDE), np.uint8)
    cv2.ellipse(face, (SIDE // 2, SIDE // 2), (SIDE // 3, SIDE * 3 // 7), 0, 0, 360, 1, -1)
    corners = cv2.goodFeaturesToTrack(
        window.grey, POINTS, 0.01, 5, mask=face * window.inside, blockSize=5
    )
    if corners is None:
        return np.zeros((0, 2), np.float32)
    return np.asarray(corners, np.float32).reshape(-1, 2)


def _left(look: _ComparedFrame, window: _Window) -> _Left | None:
    """What plane and paper leave of the way from `look` to `window`; None where too few points are
    found. Points are followed twice: a window that is turned or scaled is found again a little
    beside its place, so it is brought back first."""
    there, found = _lucas_kanade(look.window.grey, window.grey, look.points)
    found &= look.found & window.holds(there)
    plane = _homography(look.points[found], there[found], cv2.RANSAC)
    if plane is None:
        return None
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    straight = cv2.warpPerspective(
        window.grey, plane, (SIDE, SIDE), flags=flags, borderMode=cv2.BORDER_REPLICATE
    )
    grey = np.asarray(straight, np.uint8)
    there, again = _lucas_kanade(look.window.grey, grey, look.points, NEAR)
    back, returned = _lucas_kanade(grey, look.window.grey, there, NEAR)
    found &= again & returned & (np.linalg.norm(back - look.points, axis=1) < 1.0)
    plane = _homography(look.points[found], there[found], 0)
    if plane is None:
        return None
    places = look.points.astype(np.float64).reshape(-1, 1, 2)
    expected = cv2.perspectiveTransform(places, plane).reshape(-1, 2)
    by_plane = np.asarray(there - expected, np.float64)
    by_paper = np.zeros_like(by_plane)
    middled = places.reshape(-1, 2)[found] / (SIDE / 2) - 1
    by_paper[found] = beyond_paper(middled, by_plane[found])
    return _Left(by_plane, by_paper, found)


def _lucas_kanade(
    here: GrayImage, there: GrayImage, points: FloatArray, halvings: int = FAR
) -> tuple[FloatArray, Flags]:
    until = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 20, 0.01)
    start = np.ascontiguousarray(points, np.float32).reshape(-1, 1, 2)
    moved, found, _ = cv2.calcOpticalFlowPyrLK(
        here,
        there,
        start,
        np.zeros_like(start),
        winSize=(13, 13),
        maxLevel=halvings,
        criteria=until,
    )
    return np.asarray(moved, np.float32).reshape(-1, 2), np.asarray(found).ravel() == 1


def _homography(here: FloatArray, there: FloatArray, method: int) -> FloatArray | None:
    if len(here) < LEAST_POINTS:
        return None
    plane, _ = cv2.findHomography(here.astype(np.float64), there.astype(np.float64), method)
    return None if plane is None else np.asarray(plane)


def beyond_paper(places: Ways, moved: Ways) -> Ways:
    """What the sheet of paper that explains most leaves of how points `moved`, (n, 2). `places`,
    (n, 2), are in the same unit; their middle is 0 and their edge about 1.

    To first order: the 8 numbers of a homography, and along the axis's direction the second and
    third power of the way from it, each across and down.
    """
    x, y = places.T
    one, no = np.ones_like(x), np.zeros_like(x)
    across_and_down = (
        *((one, no), (x, no), (y, no), (no, one), (no, x), (no, y)),
        *((x * x, x * y), (x * y, y * y)),
    )
    flat = np.stack([np.concatenate(pair) for pair in across_and_down])
    along = AXES @ np.stack([x, y])
    powers = np.stack([along**2, along**3], axis=1)
    none = np.zeros_like(powers)
    bent = np.concatenate([np.dstack([powers, none]), np.dstack([none, powers])], axis=1)
    flat = np.broadcast_to(flat, (len(AXES), *flat.shape))
    terms = np.concatenate([flat, bent], axis=1)
    aims = moved.T.ravel()
    squares = terms @ terms.transpose(0, 2, 1) + 1e-9 * np.eye(terms.shape[1])
    products = terms @ aims
    shares = np.linalg.solve(squares, products[..., np.newaxis])[..., 0]
    best = int(np.argmax((shares * products).sum(axis=1)))
    return np.asarray((aims - shares[best] @ terms[best]).reshape(2, -1).T)
