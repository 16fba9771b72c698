"""One camera's loop over pictures in a folder, with the real networks and store."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ostiary.app.core import Core, opened_core
from ostiary.app.doors import opened_doors
from ostiary.app.pipeline import Pipeline
from ostiary.clock import utc_now
from ostiary.decision.calibration import CalibratedCamera
from ostiary.decision.camera_memory import Announcement
from ostiary.decision.policy import Policy
from ostiary.messages.commands.rules import AccessRule, Allowance
from ostiary.messages.words import Factor
from ostiary.pipeline.doorkeeper import Doorkeeper
from ostiary.pipeline.recognition import Recognition
from ostiary.settings import Settings
from ostiary.store.calibrations import CalibrationStore
from ostiary.vision.engine import VisionEngine
from ostiary.vision.image import decode_image
from testing.rules import UNMOVED

POLICY = Policy()


@dataclass
class Recognizing:
    """What was decided so far, and what it cost."""

    recognition: Recognition
    core: Core
    keeper: Doorkeeper
    told: list[Announcement]

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
    frames: Iterable[bytes] | str,
    registered: Sequence[Path] = (),
    policy: Policy = POLICY,
    *,
    fps: float = 10,
    loop: bool = False,
    calibrated: CalibratedCamera | None = None,
    needs: Factor | None = None,
    **camera: object,
) -> Iterator[Recognizing]:
    """A door in `folder` that sees `frames`, or what the camera at that address shows, and knows
    each of `registered` by the file's name.
    `calibrated` is its camera's own last layer, `needs` what everybody has to show, and `camera`
    are further settings of it; unless they say so, faces need not move."""
    folder.mkdir(exist_ok=True)
    source = frames if isinstance(frames, str) else str(written(folder / "camera", frames))
    settings = Settings.model_validate(
        {
            "store": {"path": folder / "door.db"},
            "rules": {"shown_within_s": 300, "second_person_s": 300},
            "cameras": [{**UNMOVED, "source": source, "fps": fps, "loop": loop, **camera}],
        }
    )
    with opened_core(settings, engine) as core, opened_doors(core) as doors:
        register(core, registered)
        if needs is not None:
            require(core, needs)
        if calibrated is not None:
            layer = calibrated.layer.to_bytes()
            CalibrationStore(core.database).put("front", calibrated.record, layer)
        told: list[Announcement] = []
        core.signals.decided.add(lambda each, _camera, _number: told.append(each))
        pipeline = Pipeline(core, doors)
        (recognition,) = pipeline.recognitions
        recognition.apply(policy)
        pipeline.start()
        try:
            yield Recognizing(recognition, core, pipeline.doorkeeper, told)
        finally:
            pipeline.stop()


def register(core: Core, portraits: Iterable[Path]) -> None:
    """Let the door know each of them by the file's name."""
    for portrait in portraits:
        bgr = decode_image(portrait.read_bytes())
        face, *_ = core.engine.detect(bgr)
        probe, _ = core.people.roster.identify(partial(core.engine.describe, bgr, face))
        core.people.register(portrait.stem, [probe], utc_now(), source="test")


def require(core: Core, needs: Factor) -> None:
    """Let everybody pass who is known and shows this."""
    rule = AccessRule(name="all", groups=("all",), needs=needs)
    with core.people.changing():
        core.rules.set_group("all", None)
    with core.people.changing():
        core.rules.set_rule(rule, None, confirm=True)
    with core.people.changing():
        for name in core.people.names():
            core.rules.set_person(name, Allowance(groups=("all",)), "test", confirm=True)
