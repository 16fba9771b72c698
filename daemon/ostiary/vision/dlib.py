"""dlib's descriptor, as `face_recognition` and the first version's databases have it.

King, "dlib C++ Library", `dlib_face_recognition_resnet_model_v1`: aligned by the 5-point
predictor, 128 numbers, not of any set length.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import cv2
import numpy as np

from ostiary.errors import ModelInvalid
from ostiary.messages.words import RecognizerName
from ostiary.vision.align import face_chip
from ostiary.vision.arrays import BGRImage, Descriptor, RGBImage
from ostiary.vision.embed import Embedder
from ostiary.vision.face import Face, square_of
from ostiary.vision.landmarks import LandmarkPredictor
from ostiary.vision.models import DLIB_RESNET, LANDMARKS5, model_path
from ostiary.vision.rates import UNKNOWN, ErrorRates
from ostiary.vision.recognizer import rates_of


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
