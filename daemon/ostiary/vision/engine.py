"""The whole of vision behind one object: a frame in, faces, scores and descriptors out."""

import ctypes
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
    Detector,
    HogDetector,
    Search,
    YuNetDetector,
    after_looking,
    detect_in,
    side_for,
    where_to_look,
)
from ostiary.vision.embed import Embedder
from ostiary.vision.face import Face, square_of
from ostiary.vision.landmarks import LandmarkPredictor
from ostiary.vision.liveness import LivenessModel
from ostiary.vision.models import (
    DLIB_RESNET,
    LANDMARKS5,
    YUNET,
    model_path,
    models_directory,
)
from ostiary.vision.quality import Quality, assess

log = structlog.get_logger(__name__)

NEAR_SHARE = 0.75


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
        # OpenCV 5 warns of its own new graph engine on every start: nothing to act on.
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)
        directory = models_directory(settings.models)
        engine = cls(
            settings,
            _load_detector(directory),
            LandmarkPredictor.load(model_path(directory, LANDMARKS5)),
            Embedder.load(model_path(directory, DLIB_RESNET), settings.provider, settings.threads),
            LivenessModel.load(directory, settings.liveness, settings.provider, settings.threads),
        )
        _return_freed_memory()
        return engine

    def detect(self, bgr: BGRImage) -> tuple[Face, ...]:
        """Faces in a BGR image, largest first: all that are large enough to be judged."""
        return self.detector.detect(bgr, side_for(bgr, self.settings.min_face_px))

    def search(self, search: Search, bgr: BGRImage, now: float) -> tuple[tuple[Face, ...], Search]:
        """Faces in the next frame of a camera, as `detect`, and what to remember for the next.

        One running face is looked for in its surroundings only, the whole frame every so often.
        `now` is in monotonic seconds.
        """
        region = where_to_look(search, now, self.settings.whole_frame_every_s)
        faces = detect_in(self.detector, bgr, region, side_for(bgr, self.settings.min_face_px))
        return faces, after_looking(search, faces, region, now)

    def is_near(self, face: Face) -> bool:
        """Whether somebody stands at the door: nearly large enough to be judged."""
        return face.box.width >= NEAR_SHARE * self.settings.min_face_px

    def quality(self, bgr: BGRImage, face: Face) -> Quality:
        """Size, sharpness, brightness and direction of a face; `.good` if it can be judged."""
        return assess(bgr, face, self.settings)

    def live_score(self, bgr: BGRImage, face: Face) -> float:
        """P(live), 0 to 1; 0 where the network gives no number."""
        return self.liveness.score(bgr, face.box)

    def describe(self, bgr: BGRImage, face: Face) -> Descriptor:
        """dlib's descriptor of a face, (128,) float32, as `face_recognition` computes it.

        Raises ModelInvalid when the network gives anything but finite numbers.
        """
        rgb = np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)
        # HOG's boxes, which come without landmarks, are such squares already.
        box = face.box if face.landmarks is None else square_of(face.box)
        chip = face_chip(rgb, self.predictor.predict(rgb, box))
        descriptor: Descriptor = self.embedder.embed(chip[np.newaxis])[0]
        if not np.isfinite(descriptor).all():
            raise ModelInvalid(f"{DLIB_RESNET}: the descriptor is not finite. Export it again.")
        return descriptor


def _load_detector(directory: Path) -> Detector:
    if (directory / YUNET).is_file():
        return YuNetDetector(directory / YUNET)
    log.warning("detector_fallback", missing=YUNET, using="dlib HOG")
    return HogDetector()


def _return_freed_memory() -> None:
    """Loading the networks frees 45 MB, which glibc would keep for the life of the process."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
