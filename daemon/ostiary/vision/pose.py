"""Which way a head looks, told so that no flat picture can turn its nose.

Two views of a plane differ by a homography, and four points fix it; a point that lies before the
plane shifts against it, which is its parallax (Hartley and Zisserman, "Multiple View Geometry in
Computer Vision", 2nd ed. 2004, §4.1 and §13.3). Eyes and corners of the mouth lie nearly in a
plane, and the tip of the nose stands some 30 mm before it. So the nose's place in *their* frame
changes when a head turns, and stays where it is when a picture of one is moved, turned, tilted,
bent into another perspective or brought nearer.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from ostiary.vision.arrays import BGRImage, FloatArray
from ostiary.vision.detect import Detector
from ostiary.vision.face import Box, Face

LOOK_SIDE = 160
"""The surroundings of a face are looked at in this size: on turned heads the landmarks of larger
pictures were no better, of smaller ones worse."""
LOOK_GROWTH = 2.0

FRAME = np.array([[-0.5, 0], [0.5, 0], [-0.4, 1], [0.4, 1]], np.float32)
"""Where eyes and corners of the mouth are laid: in widths between the eyes and heights from eyes
to mouth, as they lie in a face."""


@dataclass(frozen=True, slots=True)
class Pose:
    """Where the nose is in the frame of eyes and mouth, and how large that frame is.

    `turn`: to the side, in eye distances; 0 is the middle, positive the picture's right, which is
    the person's own left where the camera does not mirror; about 0.2 for a head turned by 30°.
    `nod`: down from the eyes, in distances from eyes to mouth; about 0.6, more for who looks down.
    `size`: geometric mean of the eye distance and the distance from eyes to mouth, pixels.
    """

    turn: float
    nod: float
    size: float

    def mirrored(self) -> "Pose":
        """The pose as the person holds it, where the camera mirrors."""
        return Pose(-self.turn, self.nod, self.size)


def pose_of(landmarks: FloatArray) -> Pose | None:
    """The pose by the five landmarks, (5, 2) as in `Face`; None where no face can look so: eyes and
    corners of the mouth are not a convex quadrilateral, or a number is not finite."""
    points = np.asarray(landmarks, np.float32)
    right_eye, left_eye, nose, right_mouth, left_mouth = points
    around = np.stack([right_eye, left_eye, left_mouth, right_mouth])
    if not np.isfinite(points).all() or not _is_convex(around):
        return None
    homography = cv2.getPerspectiveTransform(points[[0, 1, 3, 4]], FRAME)
    x, y, weight = homography @ np.array([nose[0], nose[1], 1.0])
    across = left_eye - right_eye
    down = (right_mouth + left_mouth - right_eye - left_eye) / 2
    size = float(np.sqrt(np.linalg.norm(across) * np.linalg.norm(down)))
    if not (abs(weight) > 1e-6 and np.isfinite([x, y]).all()):
        return None
    return Pose(float(x / weight), float(y / weight), size)


def landmarks_of(detector: Detector, bgr: BGRImage, face: Face) -> FloatArray | None:
    """The five landmarks of a face, (5, 2) float32, more exact than the detector's: the mean of
    what it sees in the face's surroundings and in their mirror image. None where it does not see
    the face, or gives no landmarks."""
    x, y = face.box.center
    half = LOOK_GROWTH * max(face.box.width, face.box.height) / 2
    left, top = max(0, int(x - half)), max(0, int(y - half))
    window = bgr[top : max(0, int(y + half)), left : max(0, int(x + half))]
    if min(window.shape[:2]) < 2:
        return None
    corner = np.array([left, top], np.float32)
    straight = _nearest(detector, window, face.box, corner)
    width = window.shape[1]
    mirror_box = Box(
        width - (face.box.right - left), face.box.y - top, face.box.width, face.box.height
    )
    mirrored = _nearest(detector, np.ascontiguousarray(window[:, ::-1]), mirror_box, corner * 0)
    if straight is None or mirrored is None:
        return None
    back = mirrored[[1, 0, 2, 4, 3]] * np.array([-1, 1], np.float32)
    back += np.array([width - 1 + left, top], np.float32)
    return np.asarray((straight + back) / 2, np.float32)


def _nearest(
    detector: Detector, window: BGRImage, box: Box, corner: FloatArray
) -> FloatArray | None:
    """The landmarks of the face that overlaps `box` most, moved by `corner`, the window's place."""
    left, top = float(corner[0]), float(corner[1])
    found = [
        (Box(each.box.x + left, each.box.y + top, each.box.width, each.box.height), each.landmarks)
        for each in detector.detect(window, LOOK_SIDE)
    ]
    overlaps = [(box.overlap(each), landmarks) for each, landmarks in found]
    best = max(overlaps, key=lambda pair: pair[0], default=(0.0, None))
    if best[0] <= 0 or best[1] is None:
        return None
    return np.asarray(best[1] + corner, np.float32)


def _is_convex(around: FloatArray) -> bool:
    """Four points in the order in which a picture's clock goes around them."""
    sides = np.roll(around, -1, axis=0) - around
    after = np.roll(sides, -1, axis=0)
    turns = sides[:, 0] * after[:, 1] - sides[:, 1] * after[:, 0]
    return bool((turns > 1e-3).all())
