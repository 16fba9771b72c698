"""Reads real portraits, and makes what a camera sees of somebody who steps up: a rendered head, or
a flat picture."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from demo.errors import PortraitMissing
from demo.room import HEIGHT, WIDTH
from ostiary.vision.arrays import BGRImage, FloatArray


@dataclass(frozen=True, slots=True)
class Head:
    """Where the face is in a portrait: its centre and width, in the portrait's pixels."""

    x: float
    y: float
    width: float


LANDMARKS = {
    "obama2.jpg": ((251, 377), (381, 382), (289, 451), (252, 515), (362, 521)),
    "obama3.jpg": ((735, 375), (864, 375), (813, 445), (739, 512), (850, 510)),
    "biden.jpg": ((521, 329), (661, 332), (598, 409), (523, 458), (639, 468)),
}
"""Eyes, nose and corners of the mouth of who becomes a rendered head, in the portrait's pixels."""
HEADS = {
    "obama.jpg": Head(490, 257, 241),
    "obama2.jpg": Head(338, 432, 275),
    "obama3.jpg": Head(778, 447, 266),
    "biden.jpg": Head(571, 375, 288),
    "replay_attack.jpg": Head(285, 230, 195),
}


@dataclass(frozen=True, slots=True)
class Portrait:
    """A picture of one person, (height, width, 3) BGR."""

    image: BGRImage
    head: Head

    @classmethod
    def load(cls, path: Path) -> "Portrait":
        """Read one of `HEADS`. Raises PortraitMissing when it is not there or no image."""
        image = cv2.imread(str(path), cv2.IMREAD_COLOR) if path.is_file() else None
        if image is None:
            raise PortraitMissing(path)
        return cls(np.asarray(image, dtype=np.uint8), HEADS[path.name])

    def around_head(self, faces: float, size: tuple[int, int], sway: float = 0.0) -> BGRImage:
        """Head and shoulders, `size` (width, height) pixels, as wide as so many `faces`.

        Where the portrait is too small for that it is as wide as the portrait allows. `sway`
        moves the window sideways by that part of its width.
        """
        x, y, scale = self._window(faces, size, sway)
        return _resampled(self.image, x, y, scale, size)

    def seen_around_head(
        self, landmarks: Sequence[tuple[float, float]], faces: float, size: tuple[int, int]
    ) -> FloatArray:
        """Where `landmarks` of the portrait are in its `around_head`, (n, 2)."""
        x, y, scale = self._window(faces, size, 0.0)
        return np.asarray((np.array(landmarks) - (x, y)) * scale, np.float32)

    def _window(
        self, faces: float, size: tuple[int, int], sway: float
    ) -> tuple[float, float, float]:
        height, width = self.image.shape[:2]
        aspect = size[1] / size[0]
        span = min(self.head.width * faces, width, height / aspect)
        x = np.clip(self.head.x + (sway - 0.5) * span, 0, width - span)
        y = np.clip(self.head.y - 0.4 * span * aspect, 0, height - span * aspect)
        return float(x), float(y), size[0] / span


def _resampled(
    image: BGRImage, x: float, y: float, scale: float, size: tuple[int, int]
) -> BGRImage:
    """`image` times `scale`, from (x, y) on, to a fraction of a pixel."""
    if scale < 1:  # sampling bilinearly while shrinking would alias: shrink first, then move
        image = np.asarray(
            cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        )
        x, y, scale = x * scale, y * scale, 1.0
    move = np.array([[scale, 0.0, -x * scale], [0.0, scale, -y * scale]])
    window = cv2.warpAffine(image, move, size, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(window, dtype=np.uint8)


def stepping_up(portrait: Portrait, frames: int, far: float, near: float) -> Iterator[BGRImage]:
    """The whole portrait as the frame, through a window that sways and closes in on the face.

    It begins `far` (or as far as the portrait goes) and ends `near` faces wide. Nothing of it
    says "photo" to the networks, and it moves like the flat picture that it is.
    """
    far = min(far, portrait.image.shape[1] / portrait.head.width)
    for progress in np.linspace(0.0, 1.0, frames):
        faces = far + (near - far) * float(progress)
        sway = 0.03 * float(np.sin(2 * np.pi * progress))
        yield portrait.around_head(faces, (WIDTH, HEIGHT), sway)
