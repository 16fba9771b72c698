"""A sitting, people and then attacks before one camera, as the networks see it.

No picture is kept unless a folder is named; there the pictures lie as `ostiary calibrate --from`
and `ostiary-export evaluate-liveness` read them.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ostiary.camera.address import digest_of
from ostiary.camera.clips import ATTACK, RATE, Clip
from ostiary.camera.reader import CameraReader
from ostiary.decision.calibration import LEAST_FRAMES, LIVE, Presentation, mean_look
from ostiary.errors import CameraUnavailable, ClipsInvalid, NoFace, PicturesNotKept, SittingMixed
from ostiary.messages.calibration import MadeFor
from ostiary.vision.arrays import BGRImage, Descriptor, FloatArray
from ostiary.vision.engine import VisionEngine
from ostiary.vision.image import encode_jpeg

EVERY_S = 0.5
"""Frames of one moment say the same, so one frame in so long is judged."""
NO_PICTURE_S = 10.0

Advance = Callable[[float, int], object]
"""Called with the seconds that have passed and the number of good frames."""


@dataclass(slots=True)
class _Gathered:
    """The good frames of one presentation, as they come."""

    engine: VisionEngine
    kind: str
    person: str
    size: tuple[int, ...] | None = None
    features: list[FloatArray] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    looks: list[Descriptor] = field(default_factory=list)

    def see(self, bgr: BGRImage) -> None:
        """Take one picture. Raises SittingMixed where it has another size than those before."""
        if self.size is not None and bgr.shape != self.size:
            raise SittingMixed(
                f"{self.kind} of {self.person}: pictures of {_size(self.size)} and of "
                f"{_size(bgr.shape)}. A sitting is of one camera."
            )
        self.size = bgr.shape
        faces = [each for each in self.engine.detect(bgr) if self.engine.is_near(each)]
        good = [each for each in faces if self.engine.quality(bgr, each).good]
        if not good:
            return
        face = max(good, key=lambda each: each.box.area)
        score, features = self.engine.liveness.look(bgr, face.box)
        self.scores.append(score)
        self.features.append(features)
        if self.kind == LIVE:
            self.looks.append(self.engine.describe(bgr, face))

    def presentation(self) -> Presentation:
        recognizer = self.engine.recognizer.name
        return Presentation(
            self.kind,
            self.person,
            np.array(self.features, np.float32),
            np.array(self.scores, np.float32),
            mean_look(self.looks, recognizer) if self.looks else None,
            recognizer if self.looks else None,
        )


def watched(
    camera: CameraReader,
    engine: VisionEngine,
    kind: str,
    person: str,
    seconds: float,
    keep: Path | None = None,
    advance: Advance = lambda _seconds, _frames: None,
    clock: Callable[[], float] = time.monotonic,
) -> tuple[Presentation, MadeFor]:
    """The presentation before the camera for so many seconds: the nearest good face twice a second.
    `kind` is LIVE or an attack's name. With `keep` the pictures are written there.

    Raises NoFace where fewer than LEAST_FRAMES showed one, SittingMixed, CameraUnavailable,
    PicturesNotKept.
    """
    gathered = _Gathered(engine, kind, person)
    began = seen_at = clock()
    due, number, made_for = began, 0, None
    folder = None if keep is None else _folder(keep, kind, person)
    while (now := clock()) < began + seconds:
        frame = camera.newest(after=number, timeout=0.5)
        if frame is None:
            if now - seen_at > NO_PICTURE_S:
                raise CameraUnavailable(f"{camera.name}: no picture for {NO_PICTURE_S:g} s.")
            continue
        number, seen_at = frame.number, now
        if now < due:
            continue
        due = now + EVERY_S
        made_for = engine.made_for(camera.source_digest, camera.device, frame.image)
        gathered.see(frame.image)
        if folder is not None:
            _write(folder / f"{number:06}.jpg", encode_jpeg(frame.image, 95))
        advance(now - began, len(gathered.scores))
    if len(gathered.scores) < LEAST_FRAMES or made_for is None:
        raise NoFace(
            f"{kind} of {person}: a good face on {len(gathered.scores)} frames only; "
            f"{LEAST_FRAMES} are needed. Come nearer, find more light, and show it again."
        )
    return gathered.presentation(), made_for


def recorded(
    clips: tuple[Clip, ...],
    engine: VisionEngine,
    source: str,
    advance: Callable[[int], object] = lambda _clips: None,
) -> tuple[list[Presentation], MadeFor]:
    """The presentations of a recorded sitting, for the camera at `source` (its setting). `advance`
    is called with the number of clips that are done. Raises SittingMixed where pictures have
    different sizes, ClipsInvalid where there are none."""
    found: list[Presentation] = []
    made_for: MadeFor | None = None
    for done, clip in enumerate(clips, 1):
        gathered, due = _Gathered(engine, clip.kind, clip.person), 0.0
        for at, bgr in clip.frames():
            if at < due:
                continue
            due = at + EVERY_S
            now = engine.made_for(digest_of(source), None, bgr)
            if made_for is not None and made_for != now:
                raise SittingMixed(
                    f"{clip.path}: pictures of {_size(bgr.shape)}, and of {made_for.width} × "
                    f"{made_for.height} before. A sitting is of one camera."
                )
            made_for = now
            gathered.see(bgr)
        found.append(gathered.presentation())
        advance(done)
    if made_for is None:
        raise ClipsInvalid("There is no picture in these clips that can be read.")
    return found, made_for


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[1]} × {shape[0]}"


def _folder(keep: Path, kind: str, person: str) -> Path:
    where = keep / (LIVE if kind == LIVE else f"{ATTACK}/{kind}")
    folder = where / f"{person}-{time.strftime('%Y%m%d-%H%M%S')}"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        where.chmod(0o700)
    except OSError as error:
        raise PicturesNotKept(f"{folder}: {error.strerror}.") from error
    _write(keep / RATE, f"{1 / EVERY_S:g}\n".encode())
    return folder


def _write(file: Path, content: bytes) -> None:
    try:
        file.write_bytes(content)
    except OSError as error:
        raise PicturesNotKept(
            f"{file}: {error.strerror}. Free space there, or name another folder with --keep."
        ) from error
