"""SFace: Zhong et al., "SFace: Sigmoid-Constrained Hypersphere Loss for Robust Face Recognition"
(IEEE TIP 2021, arXiv:2205.12010), with the weights of OpenCV Zoo (Apache-2.0).

Aligned as `cv2.FaceRecognizerSF.alignCrop` does it: the similarity transform that takes YuNet's
five points nearest to where they are in the 112×112 chips that the network learnt from.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import cv2
import numpy as np
import onnxruntime as ort

from ostiary.errors import ModelInvalid
from ostiary.messages.words import RecognizerName
from ostiary.vision.align import similarity
from ostiary.vision.arrays import BGRImage, Descriptor, RGBImage
from ostiary.vision.face import Face
from ostiary.vision.models import SFACE, model_path, suited
from ostiary.vision.recognizer import UNKNOWN, ErrorRates, rates_of, unit
from ostiary.vision.runtime import open_session

CHIP_SIZE = 112
DIMENSIONS = 128

# Right eye, left eye, tip of the nose, right and left corner of the mouth, in the chip's pixels.
CHIP_POINTS = np.array(
    [
        [38.2946, 51.6963],
        [73.5318, 51.5014],
        [56.0252, 71.7366],
        [41.5493, 92.3655],
        [70.7299, 92.2041],
    ]
)


@dataclass(frozen=True, slots=True)
class SFaceRecognizer:
    """As `recognizer.Recognizer` asks; descriptors have length 1."""

    session: ort.InferenceSession
    rates: ErrorRates

    @classmethod
    def load(
        cls, directory: Path, provider: str = "cpu", threads: int = 1, *, rated: bool = True
    ) -> Self:
        """Open the network in `directory`; unless `rated`, also one whose error rates are not
        known yet. Raises ModelMissing or ModelInvalid."""
        path = model_path(directory, suited(SFACE))
        session = open_session(path, provider, threads, batch=1)
        shapes = [each.shape for each in (*session.get_inputs(), *session.get_outputs())]
        if shapes != [[1, 3, CHIP_SIZE, CHIP_SIZE], [1, DIMENSIONS]]:
            raise ModelInvalid(f"{path.name}: not the network written by ostiary-export.")
        return cls(session, rates_of(session, path.name) if rated else UNKNOWN)

    @property
    def name(self) -> RecognizerName:
        return "sface"

    def align(self, bgr: BGRImage, face: Face) -> RGBImage:
        """(112, 112, 3) uint8 RGB; what lies outside the image is black.

        ValueError for a face without landmarks, or whose landmarks coincide.
        """
        return aligned(bgr, face)

    def embed(self, chip: RGBImage) -> Descriptor:
        """(112, 112, 3) RGB uint8 to (128,) float32 of length 1. Raises ModelInvalid."""
        if chip.shape != (CHIP_SIZE, CHIP_SIZE, 3):
            raise ValueError(f"a chip is (112, 112, 3), not {chip.shape}")
        planes = np.ascontiguousarray(chip.transpose(2, 0, 1), np.float32)
        (rows,) = self.session.run(["descriptor"], {"chip": planes[np.newaxis]})
        return unit(rows[0], SFACE)


def aligned(bgr: BGRImage, face: Face) -> RGBImage:
    """The chip of a face: (112, 112, 3) uint8 RGB; what lies outside the image is black.

    ValueError for a face without landmarks, or whose landmarks coincide.
    """
    if face.landmarks is None:
        raise ValueError("SFace aligns by five landmarks, and the detector gave none")
    points = np.asarray(face.landmarks, np.float64)
    if not np.isfinite(points).all() or not points.std(axis=0).any():
        raise ValueError("the landmarks coincide or are not finite")
    chip = cv2.warpAffine(bgr, similarity(points, CHIP_POINTS), (CHIP_SIZE, CHIP_SIZE))
    return np.asarray(cv2.cvtColor(chip, cv2.COLOR_BGR2RGB), np.uint8)
