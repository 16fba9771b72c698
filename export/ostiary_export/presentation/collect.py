"""From a folder of pictures and clips to one P(live) a presentation and network.

`live/` has people, `attack/<species>/` the attacks of one kind (print, phone, mask …). A picture or
a clip is one presentation; of a clip some frames are judged, and their median counts.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ostiary.config import VisionSettings
from ostiary.vision.arrays import BGRImage
from ostiary.vision.detect import YuNetDetector
from ostiary.vision.engine import NEAR_SHARE
from ostiary.vision.face import Face
from ostiary.vision.liveness import LIVE_CLASS, LivenessModel
from ostiary.vision.models import YUNET, model_path
from ostiary_export.errors import FacesInvalid

DETECTORS = ("v2", "v1se", "mean")
"""MiniFASNetV2, MiniFASNetV1SE, and the mean of their probabilities (`vision.liveness`)."""
LIVE = "live"
ATTACK = "attack"
PICTURES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".webp"})
CLIPS = frozenset({".avi", ".mkv", ".mov", ".mp4", ".webm"})
CLIP_FRAMES = 12
"""Of a clip, evenly over its length."""

Advance = Callable[[int, int], object]


@dataclass(frozen=True, slots=True)
class Presentations:
    """`species` is "live" or an attack's kind, (n,); `scores` is P(live) by detector, (n,) each.
    `without_face` are those to which the door would have said nothing, by species."""

    species: NDArray[np.str_]
    scores: dict[str, NDArray[np.float64]]
    unreadable: tuple[str, ...]
    without_face: dict[str, int]

    @property
    def attacks(self) -> tuple[str, ...]:
        """The kinds of attack, by name."""
        return tuple(sorted(set(self.species.tolist()) - {LIVE}))

    def of(self, species: str, detector: str) -> NDArray[np.float64]:
        """The scores of one kind."""
        return np.asarray(self.scores[detector][self.species == species])


def collect(folder: Path, models: Path, advance: Advance) -> Presentations:
    """Judge every presentation as the door would: nearest face, V2 and V1SE. Raises FacesInvalid
    for a folder without people or without attacks, ModelMissing."""
    files = list(_files(folder))
    detector = YuNetDetector(model_path(models, YUNET))
    both = LivenessModel.load(models, "ensemble")
    species: list[str] = []
    rows: list[tuple[float, float, float]] = []
    unreadable: list[str] = []
    without_face: dict[str, int] = {}
    for done, (kind, path) in enumerate(files):
        advance(done, len(files))
        frames = list(_frames(path))
        if not frames:
            unreadable.append(f"{kind}/{path.name}")
            continue
        judged = [
            _scores(both, bgr, face)
            for bgr in frames
            if (face := _nearest(detector, bgr)) is not None
        ]
        if not judged:
            without_face[kind] = without_face.get(kind, 0) + 1
            continue
        v2, v1se, mean = np.median(np.array(judged), axis=0)
        species.append(kind)
        rows.append((float(v2), float(v1se), float(mean)))
    advance(len(files), len(files))
    if LIVE not in species or set(species) <= {LIVE}:
        raise FacesInvalid(
            f"{folder}: needs people in live/ and attacks in attack/<kind>/, with faces in them."
        )
    table = np.array(rows)
    return Presentations(
        np.array(species),
        {name: table[:, at] for at, name in enumerate(DETECTORS)},
        tuple(unreadable),
        without_face,
    )


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    kinds = [(LIVE, folder / LIVE)]
    if (folder / ATTACK).is_dir():
        kinds += [(each.name, each) for each in sorted((folder / ATTACK).iterdir())]
    for kind, where in kinds:
        if kind == LIVE and where.parent != folder:
            raise FacesInvalid(f"{where}: an attack cannot be called {LIVE}.")
        if not where.is_dir():
            raise FacesInvalid(f"{where}: no such folder.")
        for path in sorted(where.rglob("*")):
            if path.suffix.lower() in PICTURES | CLIPS:
                yield kind, path


def _frames(path: Path) -> Iterator[BGRImage]:
    if path.suffix.lower() in PICTURES:
        picture = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR)
        if picture is not None:
            yield np.asarray(picture, np.uint8)
        return
    clip = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    try:
        frames = int(clip.get(cv2.CAP_PROP_FRAME_COUNT))
        wanted = set(np.linspace(0, max(0, frames - 1), CLIP_FRAMES).astype(int).tolist())
        for number in range(max(frames, 0)):
            if not clip.grab():
                return
            if number in wanted:
                known, picture = clip.retrieve()
                if known:
                    yield np.asarray(picture, np.uint8)
    finally:
        clip.release()


def _nearest(detector: YuNetDetector, bgr: BGRImage) -> Face | None:
    """The largest face, if it is large enough for the door to judge."""
    faces = detector.detect(bgr, max(bgr.shape[:2]))
    near = NEAR_SHARE * VisionSettings().min_face_px
    return faces[0] if faces and faces[0].box.width >= near else None


def _scores(both: LivenessModel, bgr: BGRImage, face: Face) -> tuple[float, float, float]:
    v2, v1se = (
        float(network.probabilities(bgr, face.box)[LIVE_CLASS]) for network in both.networks
    )
    return v2, v1se, (v2 + v1se) / 2
