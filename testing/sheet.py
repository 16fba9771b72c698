"""A portrait printed on a sheet of paper that a hand bends and tilts before the camera."""

from dataclasses import dataclass

import cv2
import numpy as np

from demo.head import CAMERA, Head
from ostiary.vision.arrays import BGRImage

ROUNDS = 15
"""Of the fixed-point iteration that finds what each pixel shows; it halves the error and more."""
COARSE = 4
"""It is found for one pixel in so many, each way: between them it hardly bends."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """How it is held. `axis` is the direction across which it is bent, `yaw` and `pitch` turn it,
    in radians; `curved` is one over the bend's radius, in eye distances (0.3: about 20 cm)."""

    axis: float = 0.0
    curved: float = 0.0
    yaw: float = 0.0
    pitch: float = 0.0

    def of(self, head: Head) -> BGRImage:
        """The picture of `head`, as large, on this sheet."""
        unit = float(np.linalg.norm(head.axes[:, 0]))
        height, width = head.image.shape[:2]
        at = [(np.arange(side // COARSE) + 0.5) * COARSE - 0.5 for side in (width, height)]
        seen_x, seen_y = (
            (each - origin) / unit
            for each, origin in zip(np.meshgrid(*at), head.origin, strict=True)
        )
        x, y = seen_x, seen_y
        for _ in range(ROUNDS):
            there_x, there_y = self._seen(x, y)
            x, y = x + 0.8 * (seen_x - there_x), y + 0.8 * (seen_y - there_y)
        map_x, map_y = (
            cv2.resize(np.asarray(each * unit + origin, np.float32), (width, height))
            for each, origin in zip((x, y), head.origin, strict=True)
        )
        shown = cv2.remap(
            head.image,
            map_x,
            map_y,
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
        return np.asarray(shown, np.uint8)

    def _seen(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where the camera sees a place of the sheet, both in eye distances."""
        cos, sin = np.cos(self.axis), np.sin(self.axis)
        along, beside = cos * x + sin * y, -sin * x + cos * y
        depth = 0 * along
        if self.curved:
            depth = -(1 - np.cos(self.curved * along)) / self.curved
            along = np.sin(self.curved * along) / self.curved
        x, y = cos * along - sin * beside, sin * along + cos * beside
        x, depth = (
            np.cos(self.yaw) * x + np.sin(self.yaw) * depth,
            -np.sin(self.yaw) * x + np.cos(self.yaw) * depth,
        )
        y, depth = (
            np.cos(self.pitch) * y + np.sin(self.pitch) * depth,
            -np.sin(self.pitch) * y + np.cos(self.pitch) * depth,
        )
        nearer = CAMERA / (CAMERA - depth)
        return x * nearer, y * nearer
