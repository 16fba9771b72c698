"""The whole of vision behind one object: a frame in, faces, scores and descriptors out."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import cv2
import numpy as np
import structlog

from ostiary.config import VisionSettings
from ostiary.errors import ModelInvalid
from ostiary.vision.align import face_chip
from ostiary.vision.arrays import BGRImage, Descriptor
from ostiary.vision.detect import (
    FRAME_SIDE,
    STILL_SIDE,
    Detector,
    HogDetector,
    YuNetDetector,
    detect_in,
)
from ostiary.vision.embed import Embedder
from ostiary.vision.face import Box, Face, square_of
from ostiary.vision.landmarks import LandmarkPredictor
from ostiary.vision.liveness import LivenessModel
from ostiary.vision.models import (
    DLIB_RESNET,
    LANDMARKS5,
    YUNET,
    model_path,
    models_directory,
)
from ostiary.vision.quality import Flaw, Quality, assess, flaw_of

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class VisionEngine:
    """All models, loaded. It keeps nothing between calls and may be shared by threads."""

    settings: VisionSettings
    detector: Detector
    predictor: LandmarkPredictor
    embedder: Embedder
    liveness: LivenessModel

    @classmethod
    def load(cls, settings: VisionSettings) -> Self:
        """Load every model. Raises ModelMissing or ModelInvalid, naming the file."""
        cv2.setNumThreads(settings.threads)
        directory = models_directory(settings.models)
        return cls(
            settings,
            _load_detector(directory),
            LandmarkPredictor.load(model_path(directory, LANDMARKS5)),
            Embedder.load(model_path(directory, DLIB_RESNET), settings.provider, settings.threads),
            LivenessModel.load(directory, settings.liveness, settings.provider, settings.threads),
        )

    def detect(self, bgr: BGRImage, region: Box | None = None) -> tuple[Face, ...]:
        """Faces of a camera's frame, largest first, or only those of a region of it."""
        return detect_in(self.detector, bgr, region, FRAME_SIDE)

    def detect_still(self, bgr: BGRImage) -> tuple[Face, ...]:
        """Faces of a picture that comes by itself, largest first: slower, finds smaller ones."""
        return self.detector.detect(bgr, STILL_SIDE)

    def quality(self, bgr: BGRImage, face: Face) -> Quality:
        """Size, sharpness, brightness and direction of a face."""
        return assess(bgr, face)

    def flaw(self, quality: Quality) -> Flaw | None:
        """The first thing that is wrong with a face, by the settings; None: it can be judged."""
        return flaw_of(quality, self.settings)

    def live_score(self, bgr: BGRImage, face: Face) -> float:
        """P(live), 0 to 1; 0 where the network gives no number."""
        return self.liveness.score(bgr, face.box)

    def describe(self, bgr: BGRImage, face: Face) -> Descriptor:
        """dlib's descriptor of a face, (128,) float32, as `face_recognition` computes it.

        Raises ModelInvalid when the network gives anything but finite numbers.
        """
        rgb = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
        # HOG's boxes, which come without landmarks, are such squares already.
        box = face.box if face.landmarks is None else square_of(face.box)
        chip = face_chip(rgb, self.predictor.predict(rgb, box))
        (descriptor,) = self.embedder.embed(chip[np.newaxis])
        if not np.isfinite(descriptor).all():
            raise ModelInvalid(f"{DLIB_RESNET}: the descriptor is not finite. Export it again.")
        return descriptor


def _load_detector(directory: Path) -> Detector:
    if (directory / YUNET).is_file():
        return YuNetDetector(directory / YUNET)
    log.warning("detector_fallback", missing=YUNET, using="dlib HOG")
    return HogDetector()
