"""Whether a face is good enough to be judged, and whether a mask or dark glasses hide part of it.

Covered faces are found without a network. An uncovered mouth is a line between the lips, brighter
above and below; cloth has none. Dark glasses are much darker than the cheeks. Both are judged on
the face as SFace sees it, 112×112, where mouth and eyes are always in the same place. How well:
docs/accuracy.md, "Masks and dark glasses".
"""

from dataclasses import dataclass
from enum import StrEnum

import cv2
import numpy as np

from ostiary.messages.words import Reason
from ostiary.vision.arrays import BGRImage, FloatArray, GrayImage
from ostiary.vision.face import Box, Face
from ostiary.vision.sface import aligned

LEAST_INSIDE = 0.9
"""Share of the face's box that lies inside the picture."""
MOST_YAW = 0.5
"""How far the nose may be off the middle of the face, in eye distances: about 45°."""
LEAST_BRIGHTNESS = 30.0
"""Mean grey level of a face, 0 to 255."""
MOST_OVER_EXPOSED = 0.4
"""Share of a face's pixels that are nearly white."""
LEAST_SHARPNESS = 0.015
"""Laplacian variance over variance: lets all but a smear through."""
MOST_FILLED = 0.77
"""Share of the picture's height or width that a face may fill. A nearer one cannot be told from a
picture of a face, and the person is asked to step back."""
LEAST_COLOUR = 0.06
"""Less is black and white: in a night camera's grey picture a live face looks like a print."""

MEASURED_WIDTH = 96
OVER_EXPOSED = 250
COLOUR_SIDE = 24
SHARP = 0.05
FULL_SIZE_PX = 112  # the side of SFace's chip: a smaller face is magnified
LEAST_WEIGHT = 0.05
LEAST_LINE = 0.25
"""The mouth's line in shares of the face's brightness; of cloth it is less."""
LEAST_EYES = 0.30
"""The brightness of the eyes in shares of the cheeks'; of dark glasses it is less."""
BLUR = 1.0
FACE = np.s_[25:105, 25:87]
MOUTH = np.s_[84:102, 44:69]
EYES = (np.s_[44:59, 28:49], np.s_[44:59, 63:84])
CHEEKS = (np.s_[66:78, 28:42], np.s_[66:78, 70:84])


class Flaw(StrEnum):
    """What is wrong with a face, in the order in which it is looked for."""

    TOO_SMALL = "too_small"
    CUT_OFF = "cut_off"
    TURNED_AWAY = "turned_away"
    TOO_DARK = "too_dark"
    OVER_EXPOSED = "over_exposed"
    BLURRED = "blurred"
    # these hide whether the face is live, and not who it is
    TOO_NEAR = "too_near"
    NO_COLOUR = "no_colour"

    @property
    def hides_only_life(self) -> bool:
        """Whether a face with this flaw can be recognised all the same."""
        return self in (Flaw.TOO_NEAR, Flaw.NO_COLOUR)

    @property
    def reason(self) -> Reason:
        """The reason of the denial of a face with this flaw."""
        return REASONS.get(self, Reason.LOW_QUALITY)


REASONS = {
    Flaw.TOO_DARK: Reason.TOO_DARK,
    Flaw.BLURRED: Reason.OUT_OF_FOCUS,
    Flaw.TOO_NEAR: Reason.TOO_NEAR,
    Flaw.NO_COLOUR: Reason.NO_COLOUR,
}


@dataclass(frozen=True, slots=True)
class Quality:
    """Measures of one face.

    `size_px`: width of the box. `inside`: share of the box inside the image, 0 to 1.
    `brightness`: mean grey level of the box, 0 to 255. `over_exposed`: share of its pixels that
    are nearly white, 0 to 1. `sharpness`: variance of the Laplacian over variance of the grey
    levels, at a width of 96 pixels; a sharp face has 0.05 and more, and contrast does not matter.
    `filled`: share of the picture's height or width that the box takes, the larger of the two: the
    networks for liveness need to see around a face. `colour`: mean difference between the largest
    and the least of a pixel's three colours over the mean grey level; 0 in a black-and-white
    picture, above 0.2 of skin in any common light.
    `yaw`: how far the nose is off the middle line, in eye distances; 0 is frontal, about 0.3 is
    30°, negative is turned to the picture's left. None where the detector gives no landmarks.
    `flaw`: the first thing that is wrong.
    """

    size_px: float
    inside: float
    brightness: float
    over_exposed: float
    sharpness: float
    filled: float
    colour: float
    yaw: float | None
    flaw: Flaw | None

    @property
    def good(self) -> bool:
        """Whether the face can be judged."""
        return self.flaw is None

    @property
    def weight(self) -> float:
        """How much this look counts beside others of the same face: 1 for a large, sharp, frontal
        one, never below 0.05."""
        size = min(1.0, self.size_px / FULL_SIZE_PX)
        sharp = min(1.0, self.sharpness / SHARP)
        frontal = 1.0 - min(1.0, abs(self.yaw or 0.0))
        return max(LEAST_WEIGHT, size * sharp * frontal)


def assess(bgr: BGRImage, face: Face, least_px: float) -> Quality:
    """Measure a face of a BGR image; one less than `least_px` wide is too small. A box outside
    the image has no brightness or sharpness."""
    left, top = max(0, round(face.box.x)), max(0, round(face.box.y))
    window = bgr[top : max(0, round(face.box.bottom)), left : max(0, round(face.box.right))]
    grey = _at_measured_width(window) if window.size else np.zeros((1, 1), np.uint8)
    inside = _share_inside(face.box, bgr.shape[1], bgr.shape[0])
    brightness = float(grey.mean())
    over_exposed = float((grey >= OVER_EXPOSED).mean())
    sharpness = sharpness_of(grey)
    filled = max(face.box.height / bgr.shape[0], face.box.width / bgr.shape[1])
    colour = colour_of(window) if window.size else 0.0
    yaw = None if face.landmarks is None else yaw_of(face.landmarks)
    # Written so that a NaN is a flaw.
    checks = (
        (face.box.width >= least_px, Flaw.TOO_SMALL),
        (inside >= LEAST_INSIDE, Flaw.CUT_OFF),
        (yaw is None or abs(yaw) <= MOST_YAW, Flaw.TURNED_AWAY),
        (brightness >= LEAST_BRIGHTNESS, Flaw.TOO_DARK),
        (over_exposed <= MOST_OVER_EXPOSED, Flaw.OVER_EXPOSED),
        (sharpness >= LEAST_SHARPNESS, Flaw.BLURRED),
        (filled <= MOST_FILLED, Flaw.TOO_NEAR),
        (colour >= LEAST_COLOUR, Flaw.NO_COLOUR),
    )
    flaw = next((flaw for good, flaw in checks if not good), None)
    return Quality(
        face.box.width, inside, brightness, over_exposed, sharpness, filled, colour, yaw, flaw
    )


def colour_of(bgr: BGRImage) -> float:
    """Distance of a picture from grey, 0 and up, as `Quality.colour`; noise does not count."""
    side = COLOUR_SIDE, COLOUR_SIDE
    small = cv2.resize(bgr, side, interpolation=cv2.INTER_AREA).astype(np.float32)
    return float(np.ptp(small, axis=2).mean()) / max(1.0, float(small.mean()))


def yaw_of(landmarks: FloatArray) -> float:
    """How far the nose is off the middle line, in eye distances; NaN if the eyes coincide.

    `landmarks` is (5, 2): right eye, left eye, nose, right and left corner of the mouth.
    """
    right_eye, left_eye, nose, right_mouth, left_mouth = np.asarray(landmarks, np.float64)
    across = left_eye - right_eye
    middle = (right_eye + left_eye + right_mouth + left_mouth) / 4
    square = float(across @ across)
    return float((nose - middle) @ across) / square if square > 0 else float("nan")


def sharpness_of(grey: GrayImage) -> float:
    """Variance of the Laplacian over variance of the grey levels; 0 for a flat picture."""
    spread = float(grey.var())
    if spread < 1.0:
        return 0.0
    return float(cv2.Laplacian(grey, cv2.CV_32F).var()) / spread


def _at_measured_width(window: BGRImage) -> GrayImage:
    height = max(3, round(window.shape[0] * MEASURED_WIDTH / window.shape[1]))
    smaller = window.shape[1] > MEASURED_WIDTH
    small = cv2.resize(
        window,
        (MEASURED_WIDTH, min(height, 4 * MEASURED_WIDTH)),
        interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR,
    )
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_BGR2GRAY), np.uint8)


def _share_inside(box: Box, width: int, height: int) -> float:
    across = min(box.right, width) - max(box.x, 0)
    down = min(box.bottom, height) - max(box.y, 0)
    return min(1.0, max(0.0, across) * max(0.0, down) / box.area) if box.area > 0 else 0.0


class Cover(StrEnum):
    """What is hidden."""

    MOUTH = "mouth"
    EYES = "eyes"


def covered(bgr: BGRImage, face: Face) -> Cover | None:
    """What of a face in a BGR image is hidden; None for nothing, and for a face without landmarks.
    It is for good faces (`assess`): a blurred mouth has no line either."""
    if face.landmarks is None:
        return None
    chip = cv2.cvtColor(aligned(bgr, face), cv2.COLOR_RGB2GRAY)
    grey: FloatArray = np.asarray(cv2.GaussianBlur(chip, (0, 0), BLUR), np.float32)
    down = np.abs(cv2.Sobel(grey, cv2.CV_32F, 0, 1, ksize=3))
    line = float(np.percentile(down[MOUTH], 90)) / (float(grey[FACE].mean()) + 10)
    if line < LEAST_LINE:
        return Cover.MOUTH
    cheeks = float(np.mean([grey[each].mean() for each in CHEEKS]))
    eyes = max(float(grey[each].mean()) for each in EYES)
    return Cover.EYES if eyes / (cheeks + 5) < LEAST_EYES else None
