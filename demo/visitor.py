"""Somebody who walks up to the door and stops there: a rendered head, which moves as heads do."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from demo.head import Head
from demo.portraits import LANDMARKS, Portrait
from demo.room import HEIGHT, WIDTH
from ostiary.vision.arrays import BGRImage

FAR = 3.2
"""How many faces wide the picture is at first."""
TURNED, STEPS = 5.0, 3
"""How far the head turns while its owner walks and stands, degrees, and in how many pictures."""
PACE = 24
"""Frames of a turn to the side and back."""
WALKS = 0.5
"""The share of the frames in which one walks."""


def walking_up(portrait: Path, frames: int, near: float) -> Iterator[BGRImage]:
    """`frames` pictures, (640, 480, 3) BGR; at the end the picture is `near` faces wide. Raises
    PortraitMissing."""
    loaded = Portrait.load(portrait)
    size = WIDTH, HEIGHT
    places = loaded.seen_around_head(LANDMARKS[portrait.name], FAR, size)
    head = Head.fit(loaded.around_head(FAR, size), places)
    turned = [head.image, *(head.turned(TURNED * step / STEPS) for step in range(1, STEPS + 1))]
    whole = min(FAR, loaded.image.shape[1] / loaded.head.width)
    for number in range(frames):
        side = (1 - np.cos(2 * np.pi * number / PACE)) / 2
        walked = min(1.0, number / (WALKS * (frames - 1)))
        zoom = whole / (whole + (near - whole) * walked)
        yield closer(turned[round(STEPS * float(side))], head, zoom)


def closer(image: BGRImage, head: Head, zoom: float) -> BGRImage:
    """The picture, larger about the middle between the eyes."""
    if zoom == 1.0:
        return image
    x, y = float(head.origin[0]), float(head.origin[1])
    move = np.array([[zoom, 0, x - zoom * x], [0, zoom, y - zoom * y]])
    height, width = image.shape[:2]
    return np.asarray(cv2.warpAffine(image, move, (width, height), flags=cv2.INTER_CUBIC), np.uint8)
