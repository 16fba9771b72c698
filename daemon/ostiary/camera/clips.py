"""Recorded visits of a door: clips of people and of attacks, as a folder that says what each shows.

`live/PERSON-…` are people, `attack/KIND/PERSON-…` the same people shown by a print, a phone, a
tablet, a mask: each clip a folder of pictures in the order of their names, or a video. The
person's name ends at the first hyphen. How many pictures of a folder go to a second is in a file
`rate.txt` in it or in a folder above it.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from ostiary.camera.files import SUFFIXES
from ostiary.camera.frame import hush_opencv
from ostiary.errors import ClipsInvalid
from ostiary.vision.arrays import BGRImage

LIVE, ATTACK = "live", "attack"
VIDEOS = frozenset({".avi", ".mkv", ".mov", ".mp4", ".webm"})
RATE = "rate.txt"
DEFAULT_RATE = 2.0
"""Pictures a second of a folder without a rate."""
LEAST_CLIPS = 3
"""Clips of a kind below which nothing can be said of it."""


@dataclass(frozen=True, slots=True)
class Clip:
    """One presentation. `kind` is LIVE or an attack's name. `rate` is pictures a second, of a
    folder or of a video that does not tell its own."""

    kind: str
    person: str
    path: Path
    rate: float

    def frames(self) -> Iterator[tuple[float, BGRImage]]:
        """Pictures of the clip, (height, width, 3) uint8 BGR, each with its second in the clip.
        Files that are no pictures are passed over."""
        return self._pictures() if self.path.is_dir() else self._video()

    def _pictures(self) -> Iterator[tuple[float, BGRImage]]:
        for number, path in enumerate(_pictures_in(self.path)):
            data = np.fromfile(path, np.uint8)
            picture = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
            if picture is not None:
                yield number / self.rate, np.asarray(picture, np.uint8)

    def _video(self) -> Iterator[tuple[float, BGRImage]]:
        hush_opencv()
        capture = cv2.VideoCapture(str(self.path), cv2.CAP_FFMPEG)
        try:
            told = capture.get(cv2.CAP_PROP_FPS)
            rate = told if 0 < told <= 240 else self.rate
            number = 0
            while True:
                there, picture = capture.read()
                if not there:
                    return
                yield number / rate, np.asarray(picture, np.uint8)
                number += 1
        finally:
            capture.release()


def clips_in(folder: Path, default_rate: float = DEFAULT_RATE) -> tuple[Clip, ...]:
    """All clips of a folder, people first, by kind and name. Raises ClipsInvalid for a folder
    without people or with a kind of fewer than three clips, naming what is missing."""
    if not folder.is_dir():
        raise ClipsInvalid(f"{folder}: no such folder. It needs live/PERSON-…/ with pictures.")
    kinds = [(LIVE, folder / LIVE)]
    if (folder / ATTACK).is_dir():
        kinds += [
            (each.name, each) for each in sorted((folder / ATTACK).iterdir()) if each.is_dir()
        ]
    if any(kind == LIVE for kind, _ in kinds[1:]):
        raise ClipsInvalid(f"{folder / ATTACK / LIVE}: an attack cannot be called {LIVE}.")
    clips = [
        Clip(kind, path.stem.split("-")[0], path, _rate(path, folder, default_rate))
        for kind, where in kinds
        for path in _clips_of(where)
    ]
    found = Counter(clip.kind for clip in clips)
    if not found[LIVE]:
        raise ClipsInvalid(
            f"{folder}: no clips of people. Put each in live/PERSON-…/, as pictures or a video."
        )
    few = [f"{kind} ({found[kind]})" for kind, _ in kinds if found[kind] < LEAST_CLIPS]
    if few:
        raise ClipsInvalid(
            f"{folder}: too few clips to say anything of {', '.join(few)}; {LEAST_CLIPS} of a kind "
            "are needed, each a folder of pictures or a video."
        )
    return tuple(clips)


def _clips_of(where: Path) -> list[Path]:
    if not where.is_dir():
        return []
    return sorted(
        path
        for path in where.iterdir()
        if (path.is_dir() and _pictures_in(path)) or path.suffix.lower() in VIDEOS
    )


def _pictures_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)


def _rate(clip: Path, top: Path, default: float) -> float:
    for folder in (clip, *clip.parents):
        file = folder / RATE
        if file.is_file():
            return _rate_in(file)
        if folder == top:
            break
    return default


def _rate_in(file: Path) -> float:
    try:
        rate = float(file.read_text("utf-8"))
    except (OSError, ValueError):
        rate = 0.0
    if not 0 < rate <= 240:
        raise ClipsInvalid(f"{file}: not a rate. Write how many pictures go to a second, as 2.")
    return rate
