"""Finds faces: in a whole picture, or around the one that is followed."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np

from ostiary.errors import ModelInvalid, ModelMissing
from ostiary.vision.arrays import BGRImage
from ostiary.vision.face import Box, Face

# YuNet finds a face from 15 pixels on. Measured on portraits pasted into noisy 640×480 scenes and
# searched at 160×120: faces of 80 pixels (20 at that size) were found in every scene, and of 60.
FACE_SIDE = 20
SIDES = 160, 640
PICTURE_SIDE = 320
# A running track's surroundings; its face is about 30 pixels wide then.
WHOLE_FRAME_EVERY_S = 1.0
REGION_SIDE = 96
REGION_GROWTH = 2.5

SCORE_THRESHOLD = 0.6
NMS_THRESHOLD = 0.3
MOST_FACES = 50


class Detector(Protocol):
    """Finds faces, largest first."""

    def detect(self, bgr: BGRImage, side: int = PICTURE_SIDE) -> tuple[Face, ...]:
        """Faces in a (height, width, 3) BGR image, largest first, in the image's own pixels.

        The image is scaled down so that its longer side is `side` pixels before it is searched,
        so smaller is faster and finds larger faces only.
        """


class YuNetDetector:
    """YuNet (Wu et al. 2023, doi:10.1007/s11633-023-1423-y) by OpenCV.

    OpenCV's object keeps the input size between calls, so each thread gets an object of its own
    and the detector may be shared.
    """

    def __init__(self, path: Path, score_threshold: float = SCORE_THRESHOLD) -> None:
        if not path.is_file():
            raise ModelMissing(
                f"{path}: no such model. Build it with `ostiary-export all --out {path.parent}`."
            )
        self._path = path
        self._score_threshold = score_threshold
        self._local = threading.local()
        # OpenCV 5 warns of its own new graph engine each time: nothing to act on.
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)
        self._network()

    def detect(self, bgr: BGRImage, side: int = PICTURE_SIDE) -> tuple[Face, ...]:
        """As `Detector.detect`; every face has landmarks."""
        small, scale = shrink(bgr, side)
        network = self._network()
        network.setInputSize((small.shape[1], small.shape[0]))
        _, rows = network.detect(small)
        return () if rows is None else largest_first(_yunet_face(row, scale) for row in rows)

    def _network(self) -> Any:
        network = getattr(self._local, "network", None)
        if network is None:
            try:
                network = cv2.FaceDetectorYN.create(
                    str(self._path),
                    "",
                    (PICTURE_SIDE, PICTURE_SIDE),
                    self._score_threshold,
                    NMS_THRESHOLD,
                    MOST_FACES,
                )
            except cv2.error as error:
                raise ModelInvalid(f"{self._path}: not a YuNet that OpenCV can read.") from error
            self._local.network = network
        return network


def side_for(bgr: BGRImage, smallest_face: float) -> int:
    """The smallest side at which faces of `smallest_face` pixels are found in the image."""
    longer: int = max(bgr.shape[0], bgr.shape[1])
    wanted = round(longer * FACE_SIDE / smallest_face)
    return min(max(wanted, SIDES[0]), SIDES[1])


def detect_in(detector: Detector, bgr: BGRImage, region: Box | None, side: int) -> tuple[Face, ...]:
    """Search `region` only (None: the whole frame); the faces are in the frame's pixels."""
    if region is None:
        return detector.detect(bgr, side)
    left, top = max(0, int(region.x)), max(0, int(region.y))
    window = bgr[top : max(0, int(region.bottom)), left : max(0, int(region.right))]
    if min(window.shape[:2]) < 2:
        return ()
    return tuple(_moved(face, left, top) for face in detector.detect(window, REGION_SIDE))


@dataclass(frozen=True, slots=True)
class Search:
    """What the search remembers between frames.

    `face` is where the one face of the last frame was, None while there was none or several;
    `whole_at` is when the whole frame was last searched, in monotonic seconds.
    """

    face: Box | None = None
    whole_at: float = float("-inf")


def where_to_look(
    search: Search, now: float, whole_every_s: float = WHOLE_FRAME_EVERY_S
) -> Box | None:
    """The region to search next; None: the whole frame.

    Around the one running face, a square 2.5 times as large; the whole frame where there is no
    such face, and once every `whole_every_s` seconds, so that others are seen who step up.
    """
    if search.face is None or now - search.whole_at >= whole_every_s:
        return None
    x, y = search.face.center
    half = REGION_GROWTH * max(search.face.width, search.face.height) / 2
    return Box(x - half, y - half, 2 * half, 2 * half)


def after_looking(
    search: Search, faces: tuple[Face, ...], region: Box | None, now: float
) -> Search:
    """The memory after `region` was searched at `now` and `faces` were found."""
    only = faces[0].box if len(faces) == 1 else None
    return Search(only, now if region is None else search.whole_at)


def shrink(bgr: BGRImage, side: int) -> tuple[BGRImage, float]:
    """The image with its longer side at most `side` pixels, and the scale that made it so."""
    height, width = bgr.shape[:2]
    scale = min(1.0, side / max(height, width))
    if scale == 1.0:
        return np.ascontiguousarray(bgr), scale
    # OpenCV averages 2×2 pixels in SIMD and any other area slowly: halving first is 3× faster.
    while min(bgr.shape[:2]) >= 2 and max(bgr.shape[:2]) >= 2 * side:
        bgr = _resized(bgr, bgr.shape[1] // 2, bgr.shape[0] // 2)
    return _resized(bgr, max(1, round(width * scale)), max(1, round(height * scale))), scale


def _resized(bgr: BGRImage, width: int, height: int) -> BGRImage:
    if bgr.shape[:2] == (height, width):
        return bgr
    return np.asarray(cv2.resize(bgr, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def largest_first(faces: Iterator[Face]) -> tuple[Face, ...]:
    return tuple(sorted(faces, key=lambda face: -face.box.area))


def _yunet_face(row: np.ndarray, scale: float) -> Face:
    # x, y, width, height, five landmarks, score: opencv/modules/objdetect, FaceDetectorYN::detect.
    x, y, width, height = (float(value) / scale for value in row[:4])
    landmarks = (row[4:14].reshape(5, 2) / scale).astype(np.float32)
    return Face(Box(x, y, width, height), float(row[14]), landmarks)


def _moved(face: Face, x: int, y: int) -> Face:
    box = replace(face.box, x=face.box.x + x, y=face.box.y + y)
    landmarks = face.landmarks
    if landmarks is not None:
        landmarks = landmarks + np.array([x, y], np.float32)
    return Face(box, face.score, landmarks)
