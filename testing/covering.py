"""Masks and dark glasses, drawn on faces in pictures."""

from collections.abc import Sequence

import cv2
import numpy as np

from ostiary.vision.arrays import BGRImage, FloatArray

MASKS = ((235, 235, 235), (200, 160, 90), (30, 30, 30), (190, 200, 120), (60, 60, 160))
LENSES = ((20, 20, 20), (40, 30, 25), (15, 25, 50))
NOISE = 4.0


def with_mask(bgr: BGRImage, landmarks: FloatArray, number: int = 0) -> BGRImage:
    """A cloth with three folds from the bridge of the nose to below the chin, lit as the face is.
    `landmarks` is (5, 2): eyes, nose, corners of the mouth."""
    eyes, nose, mouth = _points(landmarks)
    wide = float(np.linalg.norm(landmarks[1] - landmarks[0]))
    across = (landmarks[1] - landmarks[0]) / wide
    down = (mouth - eyes) / np.linalg.norm(mouth - eyes)
    bridge = eyes + 0.45 * wide * down
    corners = [
        bridge,
        bridge + wide * (across + 0.15 * down),
        nose + wide * (1.05 * across + 0.9 * down),
        mouth + wide * (0.45 * across + 1.05 * down),
        mouth + wide * (-0.45 * across + 1.05 * down),
        nose + wide * (-1.05 * across + 0.9 * down),
        bridge + wide * (-across + 0.15 * down),
    ]
    colour = MASKS[number % len(MASKS)]
    drawn = bgr.copy()
    cv2.fillPoly(drawn, [np.array(corners).astype(np.int32)], colour)
    for fold in (0.35, 0.6, 0.85):
        middle = nose + fold * wide * down
        ends = (middle - 0.6 * wide * across, middle + 0.6 * wide * across)
        cv2.line(drawn, _pixel(ends[0]), _pixel(ends[1]), [0.85 * each for each in colour], 1)
    return _lit(drawn, bgr, number)


def with_dark_glasses(bgr: BGRImage, landmarks: FloatArray, number: int = 0) -> BGRImage:
    """Two dark lenses and a bridge."""
    right, left = landmarks[:2]
    wide = float(np.linalg.norm(left - right))
    turn = float(np.degrees(np.arctan2(left[1] - right[1], left[0] - right[0])))
    colour = LENSES[number % len(LENSES)]
    drawn = bgr.copy()
    size = (int(0.42 * wide), int(0.32 * wide))
    for eye in (right, left):
        at = _pixel(eye + np.array([0, 0.05 * wide]))
        cv2.ellipse(drawn, at, size, turn, 0, 360, colour, cv2.FILLED)
    cv2.line(drawn, _pixel(right), _pixel(left), colour, max(2, int(0.06 * wide)))
    return _lit(drawn, bgr, number)


def _points(landmarks: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    return landmarks[:2].mean(axis=0), landmarks[2], landmarks[3:].mean(axis=0)


def _pixel(point: FloatArray) -> Sequence[int]:
    return [int(each) for each in point]


def _lit(drawn: BGRImage, bgr: BGRImage, number: int) -> BGRImage:
    """With the light of the picture on what was drawn, and a sensor's noise."""
    new = (drawn != bgr).any(axis=2)
    light = cv2.GaussianBlur(bgr, (0, 0), 25).astype(np.float64)
    light /= max(1.0, float(light[new].mean()))
    pixels = drawn.astype(np.float64)
    pixels[new] *= np.clip(light[new], 0.7, 1.3)
    pixels[new] += np.random.default_rng(number).normal(0, NOISE, (int(new.sum()), 1))
    return np.asarray(np.clip(pixels, 0, 255), np.uint8)
