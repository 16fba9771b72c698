"""The whole of vision behind one object: a frame in, faces, scores and descriptors out."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import cv2

from ostiary.messages.calibration import MadeFor
from ostiary.messages.words import RecognizerName
from ostiary.settings import VisionSettings
from ostiary.vision.arrays import BGRImage, Descriptor
from ostiary.vision.detect import (
    WHOLE_FRAME_EVERY_S,
    Detector,
    Search,
    YuNetDetector,
    after_looking,
    detect_in,
    side_for,
    where_to_look,
)
from ostiary.vision.dlib import DlibRecognizer
from ostiary.vision.face import Face
from ostiary.vision.last_layer import LastLayer
from ostiary.vision.liveness import LivenessModel
from ostiary.vision.models import YUNET, model_path, models_directory
from ostiary.vision.quality import Quality, assess
from ostiary.vision.recognizer import ErrorRates, Recognizer
from ostiary.vision.sface import SFaceRecognizer

NEAR_SHARE = 0.75


RECOGNIZERS: dict[RecognizerName, type[SFaceRecognizer] | type[DlibRecognizer]] = {
    "sface": SFaceRecognizer,
    "dlib": DlibRecognizer,
}


@dataclass(frozen=True, slots=True)
class VisionEngine:
    """All models, loaded. It keeps nothing between calls and may be shared by threads.

    `recognizer` describes every face; `former`, where there is one, those of whom only templates
    of an earlier recogniser are stored. While one face is followed, only its surroundings are
    searched, and the whole frame every `whole_frame_every_s`.
    """

    settings: VisionSettings
    detector: Detector
    recognizer: Recognizer
    former: Recognizer | None
    liveness: LivenessModel
    whole_frame_every_s: float = WHOLE_FRAME_EVERY_S

    @classmethod
    def load(cls, settings: VisionSettings, former: RecognizerName | None = None) -> Self:
        """Load every model. Raises ModelMissing or ModelInvalid, naming the file."""
        cv2.setNumThreads(settings.threads)
        directory = models_directory(settings.models)
        return cls(
            settings,
            YuNetDetector(model_path(directory, YUNET)),
            _load_recognizer(settings.recognizer, directory, settings),
            None if former is None else _load_recognizer(former, directory, settings),
            LivenessModel.load(directory, settings.liveness, settings.provider, settings.threads),
        )

    @property
    def rates(self) -> dict[RecognizerName, ErrorRates]:
        """Error rates of the recognisers, the one in use first."""
        loaded = (self.recognizer, self.former)
        return {each.name: each.rates for each in loaded if each is not None}

    def detect(self, bgr: BGRImage) -> tuple[Face, ...]:
        """Faces in a BGR image, largest first: all that are large enough to be judged."""
        return self.detector.detect(bgr, side_for(bgr, self.settings.min_face_px))

    def search(self, search: Search, bgr: BGRImage, now: float) -> tuple[tuple[Face, ...], Search]:
        """Faces in the next frame of a camera, as `detect`, and what to remember for the next.

        One running face is looked for in its surroundings only, the whole frame every so often.
        `now` is in monotonic seconds.
        """
        region = where_to_look(search, now, self.whole_frame_every_s)
        faces = detect_in(self.detector, bgr, region, side_for(bgr, self.settings.min_face_px))
        return faces, after_looking(search, faces, region, now)

    def is_near(self, face: Face) -> bool:
        """Whether somebody stands at the door: nearly large enough to be judged."""
        return face.box.width >= NEAR_SHARE * self.settings.min_face_px

    def quality(self, bgr: BGRImage, face: Face) -> Quality:
        """Size, sharpness, brightness and direction of a face; `.good` if it can be judged."""
        return assess(bgr, face, self.settings.min_face_px)

    def live_score(self, bgr: BGRImage, face: Face) -> float:
        """P(live), 0 to 1; 0 where the network gives no number."""
        return self.liveness.score(bgr, face.box)

    def live_score_by(self, layer: LastLayer, bgr: BGRImage, face: Face) -> float:
        """P(live), 0 to 1, by `layer`, the own last layer of the camera that took the picture."""
        return self.liveness.score(bgr, face.box, layer)

    def made_for(self, source: str, device: str | None, bgr: BGRImage) -> MadeFor:
        """What a last layer fitted on such pictures is for: `source` (a digest), device, size."""
        height, width = bgr.shape[:2]
        weights = self.liveness.networks[0].weights
        return MadeFor(source=source, device=device, width=width, height=height, network=weights)

    def describe(
        self, bgr: BGRImage, face: Face, recognizer: RecognizerName | None = None
    ) -> Descriptor:
        """The descriptor of a face, (128,) float32, by `recognizer` (None: the one in use).

        Raises ModelInvalid when the network gives anything but finite numbers. ValueError for a
        recogniser that is not loaded.
        """
        used = self.loaded(recognizer or self.recognizer.name)
        return used.embed(used.align(bgr, face))

    def loaded(self, name: RecognizerName) -> Recognizer:
        """The recogniser of that name. ValueError where it is not loaded."""
        for each in (self.recognizer, self.former):
            if each is not None and each.name == name:
                return each
        raise ValueError(f"the recogniser {name} is not loaded")


def _load_recognizer(name: RecognizerName, directory: Path, settings: VisionSettings) -> Recognizer:
    return RECOGNIZERS[name].load(directory, settings.provider, settings.threads)
