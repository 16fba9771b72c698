"""Whether a mask hides the mouth, or dark glasses the eyes: without a network.

An uncovered mouth is a line between the lips, brighter above and below; cloth has none. Dark
glasses are much darker than the cheeks. Judged on the face as SFace sees it, 112x112, where mouth
and eyes are always in the same place. How well: docs/accuracy.md, "Masks and dark glasses".
"""

from enum import StrEnum

import cv2
import numpy as np

from ostiary.vision.arrays import BGRImage, FloatArray
from ostiary.vision.face import Face
from ostiary.vision.sface import aligned

LEAST_LINE = 0.25
"""The mouth's line in shares of the face's brightness; of cloth it is less."""
LEAST_EYES = 0.30
"""The brightness of the eyes in shares of the cheeks'; of dark glasses it is less."""
BLUR = 1.0

FACE = np.s_[25:105, 25:87]
MOUTH = np.s_[84:102, 44:69]
EYES = (np.s_[44:59, 28:49], np.s_[44:59, 63:84])
CHEEKS = (np.s_[66:78, 28:42], np.s_[66:78, 70:84])


class Cover(StrEnum):
    """What is hidden."""

    MOUTH = "mouth"
    EYES = "eyes"


def covered(bgr: BGRImage, face: Face) -> Cover | None:
    """What of a face in a BGR image is hidden; None for nothing, and for a face without landmarks.
    Meant for good faces (`vision.quality`): a blurred mouth has no line either."""
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
