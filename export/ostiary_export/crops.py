"""What `verify` looks at: faces of real portraits at jittered boxes, and random pictures."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ostiary.vision.align import LandmarkPredictor, face_chip
from ostiary.vision.arrays import BGRImage, RGBImage
from ostiary.vision.detect import YuNetDetector
from ostiary.vision.face import Box, Face, square_of
from ostiary.vision.liveness import INPUT_SIZE, crop
from ostiary.vision.sface import aligned
from ostiary_export.errors import SourceInvalid

REAL = 480
RANDOM = 120
ALIGNED = 510


@dataclass(frozen=True, slots=True)
class Portrait:
    """A picture and the faces in it."""

    bgr: BGRImage
    faces: tuple[Face, ...]

    @property
    def boxes(self) -> tuple[Box, ...]:
        return tuple(face.box for face in self.faces)


def load_portraits(folder: Path, detector: Path) -> tuple[Portrait, ...]:
    """Every JPEG of `folder` in which the YuNet model `detector` finds a face."""
    # OpenCV 5 warns of its own new graph engine: nothing to act on.
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)
    yunet = YuNetDetector(detector)
    portraits = []
    for path in sorted(folder.glob("*.jpg")):
        bgr = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if bgr is None:
            raise SourceInvalid(f"{path}: not an image.")
        pixels = np.asarray(bgr, dtype=np.uint8)
        if faces := yunet.detect(pixels):
            portraits.append(Portrait(pixels, faces))
    if not portraits:
        raise SourceInvalid(f"{folder}: no portrait with a face. Run `ostiary-export fetch`.")
    return tuple(portraits)


def jittered(box: Box, random: np.random.Generator) -> Box:
    """The box moved by up to a tenth of its size and grown by 0.8 to 1.25."""
    move_x, move_y = random.uniform(-0.1, 0.1, 2)
    grow_x, grow_y = np.exp(random.uniform(np.log(0.8), np.log(1.25), 2))
    return Box(
        box.x + box.width * move_x,
        box.y + box.height * move_y,
        box.width * grow_x,
        box.height * grow_y,
    )


def liveness_crops(portraits: tuple[Portrait, ...], scale: float) -> NDArray[np.uint8]:
    """(REAL + RANDOM, 80, 80, 3) BGR: the same ones every time."""
    random = np.random.default_rng(20230621)
    faces = [(portrait.bgr, box) for portrait in portraits for box in portrait.boxes]
    real = [
        crop(bgr, jittered(box, random), scale)
        for bgr, box in (faces[index % len(faces)] for index in range(REAL))
    ]
    noise = random.integers(0, 256, (RANDOM, INPUT_SIZE, INPUT_SIZE, 3), dtype=np.uint8)
    return np.concatenate([np.stack(real), noise])


def aligned_faces(portraits: tuple[Portrait, ...]) -> list[tuple[RGBImage, Box]]:
    """REAL faces as dlib sees them: RGB images and whole-pixel squares at jittered places."""
    random = np.random.default_rng(20170213)
    faces = [(portrait.bgr, box) for portrait in portraits for box in portrait.boxes]
    aligned: list[tuple[RGBImage, Box]] = []
    for number in range(ALIGNED):
        bgr, box = faces[number % len(faces)]
        square = square_of(jittered(box, random))
        rgb = np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), dtype=np.uint8)
        aligned.append((rgb, Box(*np.rint((square.x, square.y, square.width, square.height)))))
    return aligned


def sface_chips(portraits: tuple[Portrait, ...]) -> NDArray[np.uint8]:
    """(ALIGNED, 112, 112, 3) RGB: faces aligned as SFace wants them, at points that are moved a
    little, in darker and lighter pictures; the same ones every time."""
    random = np.random.default_rng(20220520)
    faces = [(portrait.bgr, face) for portrait in portraits for face in portrait.faces]
    chips = []
    for number in range(ALIGNED):
        bgr, face = faces[number % len(faces)]
        assert face.landmarks is not None  # YuNet gives them
        moved = face.landmarks + random.normal(0, 0.04 * face.box.width, (5, 2))
        jittered_face = Face(face.box, face.score, moved.astype(np.float32))
        light = np.asarray(cv2.convertScaleAbs(bgr, alpha=random.uniform(0.5, 1.5)), np.uint8)
        chips.append(aligned(light, jittered_face))
    return np.stack(chips)


def chips_of(landmarks: Path, faces: list[tuple[RGBImage, Box]]) -> NDArray[np.uint8]:
    """The (N, 150, 150, 3) RGB chips of `faces`."""
    predictor = LandmarkPredictor.load(landmarks)
    return np.stack([face_chip(rgb, predictor.predict(rgb, box)) for rgb, box in faces])
