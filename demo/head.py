"""A portrait as a head that can be turned: its picture on a generic head's surface.

Rendered, not filmed: the shape is an ellipsoid with a nose and hollows for the eyes, laid under the
five landmarks. What the portrait does not show (an ear behind the cheek) is stretched from beside
it. It moves as a head does, with the nose before the plane of eyes and mouth; a flat picture that a
hand turns cannot do that.

Lengths are in eye distances (about 63 mm); x is to the picture's right, y down, z to the camera.
"""

from dataclasses import dataclass
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray

from ostiary.vision.arrays import BGRImage, FloatArray

Field = NDArray[np.float32]

WIDE, HIGH, DEEP = 1.25, 2.0, 1.3
"""Semi-axes of the head."""
MIDDLE_Y = 0.15
"""How far the head's middle lies below the eyes."""
MOUTH_Y = 1.1
"""How far the corners of the mouth lie below the eyes; the portrait is stretched to it."""
NOSE = 0.35
"""How far the tip of the nose stands out of the ellipsoid."""
EYE_HOLLOW = 0.08
NECK_Y, NECK_Z = 0.9, -0.2
"""What the head turns about."""
CAMERA = 9.0
"""From the head to the camera: about 57 cm."""
SAMPLES = 2
"""Points of the surface a pixel, along each side."""


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """`image` is (height, width, 3) BGR. `axes` (2, 2) and `origin` (2,) take a place in eye
    distances to pixels; `nose` (2,) is its tip, in eye distances."""

    image: BGRImage
    origin: FloatArray
    axes: FloatArray
    nose: FloatArray

    @classmethod
    def fit(cls, image: BGRImage, landmarks: FloatArray) -> Self:
        """A head under the five landmarks (5, 2) of a face that looks into the camera."""
        right_eye, left_eye, nose, right_mouth, left_mouth = np.asarray(landmarks, np.float64)
        origin = (right_eye + left_eye) / 2
        across = left_eye - right_eye
        down = ((right_mouth + left_mouth) / 2 - origin) / MOUTH_Y
        down -= across * (across @ down) / (across @ across)
        axes = np.stack([across, down], axis=1)
        return cls(image, origin, axes, np.linalg.solve(axes, nose - origin))

    def turned(self, yaw: float, pitch: float = 0.0) -> BGRImage:
        """The picture with the head turned by so many degrees.

        Positive yaw turns to the picture's right, which is the person's own left; positive pitch
        looks down.
        """
        height, width = self.image.shape[:2]
        steps = np.asarray(np.arange(max(width, height) * SAMPLES) / SAMPLES, np.float32)
        px, py = np.meshgrid(steps[: width * SAMPLES], steps[: height * SAMPLES])
        x, y = self._in_eye_distances(px, py)
        depth, share = self._surface(x, y)
        near = share > 0
        px, py, x, y, depth, share = (each[near] for each in (px, py, x, y, depth, share))
        there_x, there_y, there_z = _moved(x, y, depth, share, np.radians(yaw), np.radians(pitch))
        to_x, to_y = self._in_pixels(there_x, there_y)
        inverse = _inverse((height, width), (px, py), (to_x, to_y), there_z)
        turned = cv2.remap(
            self.image, *inverse, interpolation=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
        )
        return np.asarray(turned, np.uint8)

    def _in_eye_distances(self, px: Field, py: Field) -> tuple[Field, Field]:
        inverse = np.linalg.inv(self.axes)
        dx, dy = px - np.float32(self.origin[0]), py - np.float32(self.origin[1])
        rows = [inverse[row, 0] * dx + inverse[row, 1] * dy for row in (0, 1)]
        return rows[0].astype(np.float32), rows[1].astype(np.float32)

    def _in_pixels(self, x: Field, y: Field) -> tuple[Field, Field]:
        rows = [self.axes[row, 0] * x + self.axes[row, 1] * y + self.origin[row] for row in (0, 1)]
        return rows[0].astype(np.float32), rows[1].astype(np.float32)

    def _surface(self, x: Field, y: Field) -> tuple[Field, Field]:
        """How far each place stands before the head's middle, and how much it turns with it: 1 on
        the head, 0 for what is behind it."""
        square = (x / WIDE) ** 2 + ((y - MIDDLE_Y) / HIGH) ** 2
        depth = DEEP * np.sqrt(np.clip(1 - square, 0, None))
        nose_x, nose_y = self.nose
        along = np.clip(y / nose_y, 0, 1)
        beside = (x - nose_x * along) / (0.10 + 0.10 * along)
        below = np.clip(y - nose_y, 0, None) / 0.15
        above = np.clip(-y, 0, None) / 0.15
        bridge = np.exp(-(beside**2) - below**2 - above**2)
        eyes = sum(np.exp(-(((x - side) / 0.25) ** 2) - (y / 0.2) ** 2) for side in (-0.5, 0.5))
        surface = depth + NOSE * along**1.3 * bridge - EYE_HOLLOW * eyes
        edge = np.clip((1.75 - np.sqrt(square)) / 0.75, 0, 1)
        share = edge * edge * (3 - 2 * edge)
        return surface.astype(np.float32), share.astype(np.float32)


def _moved(
    x: Field, y: Field, z: Field, share: Field, yaw: float, pitch: float
) -> tuple[Field, Field, Field]:
    """Where the camera sees each point after the turn (in the plane of the eyes), and its z."""
    before = CAMERA / (CAMERA - z)
    x, y, z = x / before, y / before - np.float32(NECK_Y), z - np.float32(NECK_Z)
    sin, cos = np.sin(np.float32(yaw) * share), np.cos(np.float32(yaw) * share)
    x, z = x * cos + z * sin, z * cos - x * sin
    sin, cos = np.sin(np.float32(pitch) * share), np.cos(np.float32(pitch) * share)
    y, z = y * cos + z * sin, z * cos - y * sin
    y, z = y + NECK_Y, z + NECK_Z
    after = CAMERA / (CAMERA - z)
    return x * after, y * after, z


def _inverse(
    size: tuple[int, int], source: tuple[Field, Field], target: tuple[Field, Field], z: Field
) -> tuple[Field, Field]:
    """Where each pixel takes its colour from: the nearest point of the surface that comes to lie
    there; beside gaps, what is around them; itself where nothing moved."""
    height, width = size
    column, row = np.rint(target[0]).astype(np.int32), np.rint(target[1]).astype(np.int32)
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    order = np.argsort(z[inside], kind="stable")  # what is nearer is written later
    place = (row[inside] * width + column[inside])[order]
    moved = np.zeros(height * width, np.uint8)
    moved[place] = 1
    covered = moved.reshape(size).astype(bool)
    touched = cv2.morphologyEx(
        moved.reshape(size), cv2.MORPH_CLOSE, np.ones((9, 9), np.uint8)
    ).astype(bool)
    maps = []
    for axis, (at, to, whole) in enumerate(zip(source, target, (column, row), strict=True)):
        found = np.zeros(height * width, np.float32)
        found[place] = (at + (whole - to))[inside][order]
        itself = np.indices(size, dtype=np.float32)[1 - axis]
        maps.append(_filled(found.reshape(size), covered, touched, itself))
    return maps[0], maps[1]


def _filled(
    found: Field, covered: NDArray[np.bool_], touched: NDArray[np.bool_], itself: Field
) -> Field:
    known = np.where(touched & ~covered, 0.0, 1.0).astype(np.float32)
    values = np.where(covered, found, itself).astype(np.float32)
    for sigma in (1.0, 2.0, 4.0):
        weight = cv2.GaussianBlur(known, (0, 0), sigma)
        mean = cv2.GaussianBlur(values * known, (0, 0), sigma) / np.maximum(weight, 1e-6)
        fill = (known == 0) & (weight > 0.05)
        values = np.where(fill, mean, values).astype(np.float32)
        known = np.where(fill, 1.0, known).astype(np.float32)
    return np.asarray(cv2.GaussianBlur(values, (0, 0), 0.8), np.float32)
