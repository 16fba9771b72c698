"""The room before the camera, its sensor's noise, and things held up in it."""

from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from ostiary.vision.arrays import BGRImage

WIDTH, HEIGHT = 480, 640
SENSOR_SIGMA = 2.0
"""Standard deviation of the camera's noise, in grey levels."""

Mask = NDArray[np.float32]
"""(height, width), 0 transparent to 1 solid."""


@cache
def empty() -> BGRImage:
    """A wall, a floor and a closed door in soft light: (640, 480, 3) BGR. Do not write to it."""
    down, right = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    light = 1.08 - 0.35 * np.hypot(right / WIDTH - 0.3, down / HEIGHT - 0.2)
    wall = np.full((HEIGHT, WIDTH, 3), (168, 180, 186), dtype=np.float32)
    cv2.rectangle(wall, (275, 130), (425, 540), (92, 118, 146), -1)
    cv2.rectangle(wall, (275, 130), (425, 540), (70, 92, 116), 5)
    for top in (155, 350):
        cv2.rectangle(wall, (295, top), (405, top + 165), (84, 108, 134), 3)
    cv2.circle(wall, (291, 340), 6, (60, 190, 215), -1)
    wall[540:] = (98, 106, 112)
    cv2.line(wall, (0, 540), (WIDTH, 540), (140, 148, 152), 5)
    soft = cv2.GaussianBlur(wall * light[..., np.newaxis], (0, 0), 1.2)
    picture: BGRImage = np.clip(soft, 0, 255).astype(np.uint8)
    picture.setflags(write=False)
    return picture


@cache
def _noise() -> NDArray[np.int8]:
    """One sheet of sensor noise, larger than a frame, from which every frame takes its own part."""
    sheet = np.random.default_rng(2026).normal(0.0, SENSOR_SIGMA, (HEIGHT + 64, WIDTH + 64, 3))
    return sheet.round().astype(np.int8)


def with_sensor_noise(picture: BGRImage, number: int) -> BGRImage:
    """`picture` as a sensor gives it; the noise depends on the frame's `number` alone."""
    down, right = (37 * number) % 64, (23 * number) % 64
    noise = _noise()[down : down + HEIGHT, right : right + WIDTH]
    noisy: BGRImage = np.clip(picture.astype(np.int16) + noise, 0, 255).astype(np.uint8)
    return noisy


def hold_up(thing: BGRImage, mask: Mask, centre: tuple[float, float], degrees: float) -> BGRImage:
    """The room with `thing` held before the camera, turned by `degrees` about its `centre`."""
    height, width = thing.shape[:2]
    move = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0)
    move[:, 2] += (centre[0] - width / 2, centre[1] - height / 2)
    moved = cv2.warpAffine(thing, move, (WIDTH, HEIGHT))
    solid = cv2.warpAffine(mask, move, (WIDTH, HEIGHT))[..., np.newaxis]
    return (moved * solid + empty() * (1.0 - solid)).round().astype(np.uint8)
