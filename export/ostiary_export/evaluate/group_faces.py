"""Pictures by group, a folder a group and every picture another person, as descriptors."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ostiary.decision.likeness import at_this_site, likeness_of
from ostiary.settings import VisionSettings
from ostiary.vision.arrays import Descriptor, FloatArray
from ostiary.vision.detect import YuNetDetector
from ostiary.vision.models import YUNET, model_path
from ostiary.vision.quality import assess
from ostiary.vision.recognizer import ErrorRates, Recognizer
from ostiary_export.errors import FacesInvalid
from ostiary_export.evaluate.faces import IMAGES, Advance, Ids, central, enlarged
from ostiary_export.evaluate.pairs import ONE_PERSON, distances
from ostiary_export.files import sha256_of, written_whole

HASH_DIGITS = 16


@dataclass(frozen=True, slots=True)
class OnePerson:
    """Two pictures of a folder that show one person, and how that is known."""

    kept: str
    taken_out: str
    distance: float
    listed: bool


@dataclass(frozen=True, slots=True, eq=False)
class Groups:
    """Descriptors, (N, 128) float32, with the `folder` of each, (N,), a number into `names`, and
    the picture's path in the whole folder. `refused`: pictures that the door would not judge, by
    what is wrong; `one_person`: who was in a folder twice."""

    names: tuple[str, ...]
    folder: Ids
    pictures: tuple[str, ...]
    descriptors: FloatArray
    refused: Mapping[str, int]
    one_person: tuple[OnePerson, ...] = ()

    def of(self, name: str) -> Ids:
        """The rows of one folder."""
        return np.flatnonzero(self.folder == self.names.index(name))


def group_of(folder: str) -> str:
    """Folders whose names share the first word are of one group: east_asian_men, east_asian_women.
    Words are separated by `_`."""
    return folder.split("_", maxsplit=1)[0]


def pictures_by_group(root: Path) -> list[str]:
    """Each picture's path below `root`. Raises FacesInvalid where there is none."""
    found = [
        f"{folder.name}/{path.name}"
        for folder in sorted(root.iterdir() if root.is_dir() else ())
        if folder.is_dir()
        for path in sorted(folder.iterdir())
        if path.suffix.lower() in IMAGES
    ]
    if not found:
        raise FacesInvalid(f"{root}: no sub-folder with a picture in it: a folder a group.")
    return found


def collect_groups(
    root: Path, models: Path, recognizer: Recognizer, cache: Path, advance: Advance
) -> Groups:
    """Describe every picture that the door would judge, or take what was described before.

    Raises FacesInvalid.
    """
    pictures = pictures_by_group(root)
    kept = cache / f"groups-{_key(root, pictures, models, recognizer)}.npz"
    if not kept.is_file():
        with written_whole(kept) as temporary, temporary.open("wb") as file:
            found = _described(root, pictures, models, recognizer, advance)
            np.savez(file, allow_pickle=False, **found)
    with np.load(kept) as arrays:
        flaws = [str(flaw) for flaw in arrays["flaws"]]
        good = [path for path, flaw in zip(pictures, flaws, strict=True) if not flaw]
        if not good:
            raise FacesInvalid(f"{root}: the door would judge no face in any picture.")
        of = [path.split("/")[0] for path in good]
        names = tuple(dict.fromkeys(of))
        return Groups(
            names,
            np.array([names.index(name) for name in of], np.intp),
            tuple(good),
            arrays["descriptors"],
            Counter(flaw for flaw in flaws if flaw),
        )


def _described(
    root: Path, pictures: Sequence[str], models: Path, recognizer: Recognizer, advance: Advance
) -> dict[str, NDArray[np.generic]]:
    cv2.setNumThreads(1)
    detector = YuNetDetector(model_path(models, YUNET))
    least_px = VisionSettings().min_face_px
    rows: list[Descriptor] = []
    flaws: list[str] = []
    for done, path in enumerate(pictures):
        advance(done, len(pictures))
        picture = cv2.imdecode(np.fromfile(root / path, np.uint8), cv2.IMREAD_COLOR)
        if picture is None:
            flaws.append("unreadable")
            continue
        bgr = enlarged(np.asarray(picture, np.uint8))
        face = central(detector.detect(bgr, max(bgr.shape[:2])), bgr)
        flaw = None if face is None else assess(bgr, face, least_px).flaw
        is_seen = face is not None and (flaw is None or flaw.hides_only_life)
        flaws.append("no_face" if face is None else "" if is_seen else str(flaw))
        if face is not None and is_seen:
            rows.append(recognizer.embed(recognizer.align(bgr, face)))
    advance(len(pictures), len(pictures))
    return {
        "flaws": np.array(flaws, np.str_),
        "descriptors": np.stack(rows) if rows else np.empty((0, 128), np.float32),
    }


def listed_pairs(root: Path, listing: Path | None) -> frozenset[frozenset[str]]:
    """Pictures that somebody looked at and found to be of one person: two a line, each by the first
    digits of its SHA-256, so that a listing never speaks of another picture of the same name.
    Returns their paths below `root`. Raises FacesInvalid."""
    if listing is None or not listing.is_file():
        return frozenset()
    lines = [line.split("#")[0].split() for line in listing.read_text("utf-8").splitlines()]
    wanted = [line for line in lines if line]
    if any(len(line) != 2 or any(len(each) != HASH_DIGITS for each in line) for line in wanted):
        raise FacesInvalid(
            f"{listing}: each line is two pictures of one person, each by the first {HASH_DIGITS} "
            "digits of its SHA-256 (`sha256sum FILE`)."
        )
    by_hash: dict[str, list[str]] = {}
    for path in pictures_by_group(root):
        by_hash.setdefault(sha256_of(root / path)[:HASH_DIGITS], []).append(path)
    return frozenset(
        frozenset((one, other))
        for first, second in wanted
        for one in by_hash.get(first, ())
        for other in by_hash.get(second, ())
    )


def each_person_once(
    groups: Groups, rates: ErrorRates, listed: frozenset[frozenset[str]]
) -> Groups:
    """Leave out the second picture of somebody who is in a folder twice: of pairs that are
    `listed`, and of pairs so near each other that, among people so alike, not one pair in a hundred
    such folders would be."""
    found: list[OnePerson] = []
    gone = np.zeros(len(groups.pictures), np.bool_)
    for name in groups.names:
        own = groups.of(name)
        rows = groups.descriptors[own]
        pairs = max(1, len(own) * (len(own) - 1) // 2)
        limit = at_this_site(
            rates.distance_for(ONE_PERSON / pairs), rates, likeness_of(rows, rates)
        )
        apart = distances(rows, rows)
        for one, other in zip(*np.triu_indices(len(own), 1), strict=True):
            paths = groups.pictures[own[one]], groups.pictures[own[other]]
            is_listed = frozenset(paths) in listed
            if not is_listed and apart[one, other] >= limit:
                continue
            if not gone[own[other]]:
                found.append(OnePerson(*paths, float(apart[one, other]), is_listed))
            gone[own[other]] = True
    kept = np.flatnonzero(~gone)
    return replace(
        groups,
        folder=groups.folder[kept],
        pictures=tuple(groups.pictures[at] for at in kept),
        descriptors=groups.descriptors[kept],
        one_person=tuple(found),
    )


def _key(root: Path, pictures: Sequence[str], models: Path, recognizer: Recognizer) -> str:
    digest = hashlib.sha256(recognizer.name.encode())
    digest.update(sha256_of(model_path(models, YUNET)).encode())
    for path in pictures:
        digest.update(f"{path} {(root / path).stat().st_size}\n".encode())
    digest.update(Path(__file__).read_bytes())
    return digest.hexdigest()[:24]
