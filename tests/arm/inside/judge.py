"""A door that watches the demo's scenes by their own clock, on however slow a processor.

`python judge.py FOLDER` reads `scenes.json` of `material.write_scenes` and prints, as JSON, what
was told of each scene and what each judged frame showed. Everything but the camera is the real
thing: recognition, networks, roster and store, with the demo's settings.
"""

import json
import sys
import tempfile
import threading
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self

from ostiary.app.core import opened_core
from ostiary.app.doors import opened_doors
from ostiary.app.pipeline import Pipeline
from ostiary.camera.frame import Frame
from ostiary.camera.reader import CameraReader
from ostiary.clock import utc_now
from ostiary.decision.camera_memory import Announcement
from ostiary.pipeline.recognition import Recognition
from ostiary.service.logging import configure_logging
from ostiary.settings import AccessSettings, CameraSettings, LogSettings, Settings, StoreSettings
from ostiary.vision.image import decode_image

ACCESS = AccessSettings(decide_within_s=10.0, cooldown_s=4.0)
"""As demo/daemon.py writes them."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What one frame showed."""

    scene: str
    liveness: float
    distance: float | None


class Pictures(CameraReader):
    """A camera whose clock goes by its pictures: the next comes when the last was looked at."""

    def __init__(self, folder: Path, shown: list[tuple[str, float, str]]) -> None:
        super().__init__(CameraSettings(name="door", source=str(folder)))
        self._folder = folder
        self._scenes = shown
        self.ended = threading.Event()
        self.scene = ""
        self.judged: list[Judged] = []
        self.recognition: Recognition | None = None

    def start(self) -> Self:
        return self

    def stop(self) -> None: ...

    def newest(self, after: int = 0, timeout: float = 0.0) -> Frame | None:  # noqa: ARG002
        self._note(after)
        if after == len(self._scenes):
            self.ended.set()
            return None
        name, at, self.scene = self._scenes[after]
        image = decode_image((self._folder / name).read_bytes())
        return Frame(image, after + 1, at, "door")

    def _note(self, number: int) -> None:
        view = self.recognition.view if self.recognition else None
        if view is None or view.frame.number != number or self.ended.is_set():
            return
        for seen in view.faces:
            if seen.observation is not None:
                nearest = seen.observation.nearest
                distance = nearest.distance if nearest else None
                self.judged.append(Judged(self.scene, seen.observation.liveness, distance))


def judge(folder: Path) -> dict[str, Any]:
    """What is told of the scenes in `folder`, and what was seen."""
    play = json.loads((folder / "scenes.json").read_text("utf-8"))
    pictures = Pictures(folder, [(name, at, scene) for name, at, scene in play["frames"]])
    told: dict[str, list[str]] = {scene: [] for scene in play["scenes"]}

    def note(each: Announcement, _camera: str, _number: int) -> None:
        username = f" {each.decision.username}" if each.decision.success else ""
        told[pictures.scene].append(f"{each.decision.reason}{username}")

    with tempfile.TemporaryDirectory() as made, ExitStack() as stack:
        store = StoreSettings(path=Path(made) / "door.db")
        cameras = (CameraSettings(name="door", source=str(folder)),)
        core = stack.enter_context(
            opened_core(Settings(cameras=cameras, access=ACCESS, store=store))
        )
        bgr = decode_image((folder / play["enrolment"]).read_bytes())
        face, *_ = core.engine.detect(bgr)
        probe, _ = core.people.roster.identify(partial(core.engine.describe, bgr, face))
        core.people.register(play["registered"], [probe], utc_now(), source="test")
        core.signals.decided.add(note)
        pipeline = Pipeline(core, stack.enter_context(opened_doors(core)), cameras=[pictures])
        (pictures.recognition,) = pipeline.recognitions
        pipeline.start()
        pictures.ended.wait()
        pipeline.stop()
    return {"told": told, "judged": [asdict(each) for each in pictures.judged]}


if __name__ == "__main__":
    configure_logging(LogSettings())  # to standard error
    sys.stdout.write(json.dumps(judge(Path(sys.argv[1]))))
