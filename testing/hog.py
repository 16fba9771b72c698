"""dlib's own detector, by which `face_recognition` aligns: what descriptors are compared with."""

import threading

import dlib
import numpy as np

from ostiary.vision.arrays import BGRImage
from ostiary.vision.detect import PICTURE_SIDE, largest_first, shrink
from ostiary.vision.face import Box, Face


class HogDetector:
    """dlib's frontal HOG detector.

    Finds frontal faces of 80 pixels and more, gives no landmarks, and takes no notice of `side`
    below 640: its smallest face does not shrink with the picture. Safe to share.
    """

    def __init__(self) -> None:
        self._hog = dlib.get_frontal_face_detector()
        self._lock = threading.Lock()

    def detect(self, bgr: BGRImage, side: int = PICTURE_SIDE) -> tuple[Face, ...]:
        """As `Detector.detect`; no face has landmarks."""
        small, scale = shrink(bgr, max(side, 640))
        with self._lock:
            rectangles, scores, _ = self._hog.run(np.ascontiguousarray(small[..., ::-1]), 0, 0.0)
        return largest_first(
            Face(
                Box(
                    rectangle.left() / scale,
                    rectangle.top() / scale,
                    rectangle.width() / scale,
                    rectangle.height() / scale,
                ),
                float(score),
            )
            for rectangle, score in zip(rectangles, scores, strict=True)
        )
