"""A folder of pictures as descriptors, kept so that the next run is quick."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ostiary.messages.words import RecognizerName
from ostiary.settings import VisionSettings
from ostiary.vision.arrays import BGRImage, Descriptor, FloatArray
from ostiary.vision.detect import YuNetDetector
from ostiary.vision.dlib import DlibRecognizer
from ostiary.vision.face import Face
from ostiary.vision.models import DLIB_RESNET, LANDMARKS5, SFACE, YUNET, model_path
from ostiary.vision.quality import assess
from ostiary.vision.sface import SFaceRecognizer
from ostiary_export.errors import FacesInvalid
from ostiary_export.files import sha256_of, written_whole

SIDE = 350
"""The longer side of a picture as the detector sees it, pixels: smaller ones are enlarged."""
IMAGES = {".jpg", ".jpeg", ".png", ".webp"}
NAMES: tuple[RecognizerName, ...] = ("sface", "dlib")

Ids = NDArray[np.intp]
Advance = Callable[[int, int], object]


@dataclass(frozen=True, slots=True, eq=False)
class Collection:
    """Descriptors, (N, 128) float32 by recogniser, with the `person` of each, (N,), a number into
    `names`, and the `quality` of its picture, (N,). `unreadable` and `without_face` were left out;
    `joined` are pairs of folders that turned out to show one person."""

    names: tuple[str, ...]
    person: Ids
    quality: FloatArray
    descriptors: Mapping[RecognizerName, FloatArray]
    unreadable: tuple[str, ...] = ()
    without_face: tuple[str, ...] = ()
    joined: tuple[tuple[str, str], ...] = ()


def pictures_of(folder: Path) -> list[tuple[str, Path]]:
    """Each picture with its person. Raises FacesInvalid where there is nothing to measure."""
    if not folder.is_dir():
        raise FacesInvalid(f"{folder}: no such folder. Name one with a sub-folder a person.")
    found = [
        (person.name, path)
        for person in sorted(folder.iterdir())
        if person.is_dir()
        for path in sorted(person.iterdir())
        if path.suffix.lower() in IMAGES
    ]
    if not found:
        raise FacesInvalid(f"{folder}: no sub-folder with a picture (JPEG, PNG, WebP) in it.")
    people = [name for name, _ in found]
    if len(people) == len(set(people)):
        raise FacesInvalid(f"{folder}: nobody has two pictures, so that nothing can be compared.")
    return found


def collect(folder: Path, models: Path, cache: Path, advance: Advance) -> Collection:
    """Describe every picture, or take what was described before with the same models.

    `advance` is called with how many are done, of how many. Raises FacesInvalid.
    """
    pictures = pictures_of(folder)
    kept = cache / f"{_key(pictures, models)}.npz"
    if not kept.is_file():
        with written_whole(kept) as temporary, temporary.open("wb") as file:
            np.savez(file, allow_pickle=False, **_described(pictures, models, advance))
    with np.load(kept) as arrays:
        listed = [str(name) for name in arrays["names"]]
        names = tuple(dict.fromkeys(listed))
        number = {name: at for at, name in enumerate(names)}
        if len(listed) == len(names):
            raise FacesInvalid(f"{folder}: nobody has two pictures in which a face is found.")
        return Collection(
            names,
            np.array([number[name] for name in listed], np.intp),
            arrays["quality"],
            {name: arrays[name] for name in NAMES},
            tuple(map(str, arrays["unreadable"])),
            tuple(map(str, arrays["without_face"])),
        )


def _described(
    pictures: list[tuple[str, Path]], models: Path, advance: Advance
) -> dict[str, NDArray[np.generic]]:
    cv2.setNumThreads(1)
    detector = YuNetDetector(model_path(models, YUNET))
    # Without their error rates, which may be what is about to be measured.
    recognizers = (
        SFaceRecognizer.load(models, rated=False),
        DlibRecognizer.load(models, rated=False),
    )
    least_px = VisionSettings().min_face_px
    names: list[str] = []
    quality: list[float] = []
    rows: dict[str, list[Descriptor]] = {each.name: [] for each in recognizers}
    unreadable, without_face = [], []
    for done, (name, path) in enumerate(pictures):
        advance(done, len(pictures))
        picture = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR)
        if picture is None:
            unreadable.append(f"{name}/{path.name}")
            continue
        bgr = enlarged(np.asarray(picture, np.uint8))
        face = central(detector.detect(bgr, max(bgr.shape[:2])), bgr)
        if face is None:
            without_face.append(f"{name}/{path.name}")
            continue
        names.append(name)
        quality.append(assess(bgr, face, least_px).weight)
        for each in recognizers:
            rows[each.name].append(each.embed(each.align(bgr, face)))
    advance(len(pictures), len(pictures))
    if not names:
        raise FacesInvalid("No face was found in any picture.")
    return {
        "names": np.array(names),
        "quality": np.array(quality, np.float32),
        "unreadable": np.array(unreadable, np.str_),
        "without_face": np.array(without_face, np.str_),
        **{name: np.stack(each) for name, each in rows.items()},
    }


def enlarged(bgr: BGRImage) -> BGRImage:
    """At least as large as a door's camera would show it: the longer side is `SIDE` or more."""
    scale = SIDE / max(bgr.shape[:2])
    if scale <= 1:
        return bgr
    return np.asarray(cv2.resize(bgr, None, fx=scale, fy=scale), np.uint8)


def central(faces: tuple[Face, ...], bgr: BGRImage) -> Face | None:
    """The face in the middle of a picture: others stand beside it."""
    middle = np.array(bgr.shape[1::-1]) / 2
    return min(faces, key=lambda face: np.linalg.norm(face.box.center - middle), default=None)


def _key(pictures: list[tuple[str, Path]], models: Path) -> str:
    digest = hashlib.sha256()
    for file in (YUNET, SFACE, DLIB_RESNET, LANDMARKS5):
        digest.update(sha256_of(model_path(models, file)).encode())
    for name, path in pictures:
        digest.update(f"{name}/{path.name} {path.stat().st_size}\n".encode())
    digest.update(Path(__file__).read_bytes())
    return digest.hexdigest()[:24]
