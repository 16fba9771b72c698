"""One camera's loop over pictures in a folder, with the real networks and store."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from ostiary.camera.reader import CameraReader
from ostiary.clock import utc_now
from ostiary.decision.admission import Patience
from ostiary.decision.calibration import CalibratedCamera
from ostiary.decision.camera_memory import Announcement
from ostiary.decision.policy import Policy
from ostiary.decision.risk import Risk
from ostiary.people.people import People, roster_of
from ostiary.pipeline.doorkeeper import Doorkeeper, Ruler, everybody
from ostiary.pipeline.recognition import Drop, Recognition
from ostiary.service.metrics import Metrics
from ostiary.settings import CameraSettings
from ostiary.store.database import Database
from ostiary.store.events import Events
from ostiary.store.users import Users
from ostiary.vision.engine import VisionEngine
from ostiary.vision.image import decode_image
from testing.rules import UNMOVED

POLICY = Policy()


@dataclass
class Recognizing:
    """What was decided so far, and what it cost."""

    recognition: Recognition
    metrics: Metrics
    keeper: Doorkeeper
    told: list[Announcement] = field(default_factory=list)

    @property
    def reasons(self) -> list[str]:
        return [str(each.decision.reason) for each in self.told]


def written(folder: Path, frames: Iterable[bytes]) -> Path:
    """A folder with these JPEG files, as a camera would show them."""
    folder.mkdir()
    for number, jpeg in enumerate(frames):
        (folder / f"{number:04}.jpg").write_bytes(jpeg)
    return folder


@contextmanager
def recognizing(
    folder: Path,
    engine: VisionEngine,
    frames: Iterable[bytes],
    registered: Sequence[Path] = (),
    policy: Policy = POLICY,
    *,
    fps: float = 10,
    loop: bool = False,
    calibrated: CalibratedCamera | None = None,
    drop: Drop = lambda _camera, _why: None,
    rule: Ruler = everybody,
    **camera: object,
) -> Iterator[Recognizing]:
    """A door in `folder` that sees `frames` and knows each of `registered` by the file's name.
    `calibrated` is its camera's own last layer, `rule` says what is asked besides the face, and
    `camera` are further settings of it; unless they say so, faces need not move."""
    metrics = Metrics()
    told: list[Announcement] = []
    folder.mkdir(exist_ok=True)
    source = str(written(folder / "camera", frames))
    with Database.open(folder / "door.db") as database:
        users = Users(database)
        people = People(users, Events(database), roster_of(users, engine, Risk()))
        for portrait in registered:
            bgr = decode_image(portrait.read_bytes())
            face, *_ = engine.detect(bgr)
            probe, _ = people.roster.identify(partial(engine.describe, bgr, face))
            people.register(portrait.stem, [probe], utc_now(), source="test")
        keeper = Doorkeeper(
            lambda each, _camera: told.append(each), rule, patience=Patience(600.0, 600.0)
        )
        recognition = Recognition(
            CameraReader(
                CameraSettings.model_validate(
                    {**UNMOVED, "source": source, "fps": fps, "loop": loop, **camera}
                )
            ),
            engine,
            people.roster,
            lambda each, _camera: told.append(each),
            policy,
            metrics,
            keeper=keeper,
            calibrated=calibrated,
            drop=drop,
        )
        recognition.start()
        try:
            yield Recognizing(recognition, metrics, keeper, told)
        finally:
            recognition.stop()
