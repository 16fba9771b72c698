"""A door that watches the demo's scenes by their own clock, on however slow a processor.

`python judge.py FOLDER` reads `scenes.json` of `material.write_scenes` and prints, as JSON, what
was told of each scene and what each judged frame showed. Everything but the camera is the real
thing: recognition, networks, roster and store, with the demo's settings.
"""

import json
import sys
import tempfile
import threading
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self

from ostiary.camera.frame import Frame
from ostiary.camera.reader import CameraReader
from ostiary.clock import utc_now
from ostiary.decision.camera_memory import Announcement
from ostiary.decision.policy import policy_of
from ostiary.decision.risk import risk_of
from ostiary.people.people import People, roster_of
from ostiary.pipeline.recognition import Recognition
from ostiary.service.metrics import Metrics
from ostiary.settings import AccessSettings, CameraSettings, VisionSettings
from ostiary.store.database import Database
from ostiary.store.events import Events
from ostiary.store.users import Users
from ostiary.vision.engine import VisionEngine
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
    engine = VisionEngine.load(VisionSettings())
    pictures = Pictures(folder, [(name, at, scene) for name, at, scene in play["frames"]])
    told: dict[str, list[str]] = {scene: [] for scene in play["scenes"]}

    def record(each: Announcement, _door: str) -> None:
        username = f" {each.decision.username}" if each.decision.success else ""
        told[pictures.scene].append(f"{each.decision.reason}{username}")

    with tempfile.TemporaryDirectory() as made, Database.open(Path(made) / "door.db") as database:
        users = Users(database)
        people = People(users, Events(database), roster_of(users, engine, risk_of(ACCESS)))
        bgr = decode_image((folder / play["enrolment"]).read_bytes())
        face, *_ = engine.detect(bgr)
        probe, _ = people.roster.identify(partial(engine.describe, bgr, face))
        people.register(play["registered"], [probe], utc_now(), source="test")
        policy = policy_of(ACCESS)
        door = Recognition(pictures, engine, people.roster, record, policy, Metrics())
        pictures.recognition = door
        door.start()
        pictures.ended.wait()
        door.stop()
    return {"told": told, "judged": [asdict(each) for each in pictures.judged]}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(judge(Path(sys.argv[1]))))
