"""dlib's descriptor, as `face_recognition` and the first version's databases have it.

King, "dlib C++ Library", `dlib_face_recognition_resnet_model_v1`: aligned by the 5-point
predictor, 128 numbers, not of any set length.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import cv2
import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from ostiary.errors import ModelInvalid
from ostiary.messages.words import RecognizerName
from ostiary.vision.align import CHIP_SIZE, LandmarkPredictor, face_chip
from ostiary.vision.arrays import BGRImage, Descriptor, FloatArray, RGBImage
from ostiary.vision.face import Face, square_of
from ostiary.vision.models import DLIB_RESNET, LANDMARKS5, model_path
from ostiary.vision.recognizer import UNKNOWN, ErrorRates, rates_of
from ostiary.vision.runtime import open_session, provider_in_use

DIMENSIONS = 128


@dataclass(frozen=True, slots=True)
class Embedder:
    """dlib's ResNet of 29 convolutions in ONNX Runtime. Safe to share between threads.

    Chips run one by one: at a door there is rarely more than one, and a batch saves no time.
    """

    session: ort.InferenceSession

    @classmethod
    def load(cls, path: Path, provider: str = "cpu", threads: int = 1) -> Self:
        """Open the file. Raises ModelMissing, or ModelInvalid when it is another network."""
        session = open_session(path, provider, threads, batch=1)
        if [each.shape for each in session.get_outputs()] != [[1, DIMENSIONS]]:
            raise ModelInvalid(f"{path}: not the descriptor network written by ostiary-export.")
        return cls(session)

    @property
    def provider(self) -> str:
        """The execution provider in use: "cpu", "openvino", …"""
        return provider_in_use(self.session)

    def embed(self, chips: NDArray[np.uint8]) -> FloatArray:
        """(N, 150, 150, 3) RGB uint8 to (N, 128) float32 descriptors."""
        if chips.shape[1:] != (CHIP_SIZE, CHIP_SIZE, 3):
            raise ValueError(f"chips are (N, 150, 150, 3), not {chips.shape}")
        planes = np.ascontiguousarray(chips.transpose(0, 3, 1, 2), np.float32)
        rows = [
            self.session.run(["descriptor"], {"chip": plane[np.newaxis]})[0] for plane in planes
        ]
        return np.concatenate(rows) if rows else np.empty((0, DIMENSIONS), np.float32)


@dataclass(frozen=True, slots=True)
class DlibRecognizer:
    """As `recognizer.Recognizer` asks."""

    predictor: LandmarkPredictor
    embedder: Embedder
    rates: ErrorRates

    @classmethod
    def load(
        cls, directory: Path, provider: str = "cpu", threads: int = 1, *, rated: bool = True
    ) -> Self:
        """Open the network and the predictor in `directory`; unless `rated`, also a network whose
        error rates are not known yet. Raises ModelMissing, ModelInvalid."""
        predictor = LandmarkPredictor.load(model_path(directory, LANDMARKS5))
        embedder = Embedder.load(model_path(directory, DLIB_RESNET), provider, threads)
        rates = rates_of(embedder.session, DLIB_RESNET) if rated else UNKNOWN
        return cls(predictor, embedder, rates)

    @property
    def name(self) -> RecognizerName:
        return "dlib"

    def align(self, bgr: BGRImage, face: Face) -> RGBImage:
        """(150, 150, 3) uint8 RGB, within one grey level of dlib's own chip."""
        rgb = np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)
        # A box without landmarks is dlib's own detector's, and such a square already.
        box = face.box if face.landmarks is None else square_of(face.box)
        return face_chip(rgb, self.predictor.predict(rgb, box))

    def embed(self, chip: RGBImage) -> Descriptor:
        """(150, 150, 3) RGB uint8 to (128,) float32. Raises ModelInvalid."""
        descriptor: Descriptor = self.embedder.embed(chip[np.newaxis])[0]
        if not np.isfinite(descriptor).all():
            raise ModelInvalid(f"{DLIB_RESNET}: the descriptor is not finite. Export it again.")
        return descriptor
