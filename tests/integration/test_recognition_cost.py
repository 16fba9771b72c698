"""Nothing is spent on a face that cannot pass, but to name whom it imitates."""

from pathlib import Path

import pytest

from demo.scenes import visitors
from ostiary.access.decision import Reason
from ostiary.access.doorway import Told
from ostiary.access.policy import Policy
from ostiary.access.risk import Risk
from ostiary.camera.reader import CameraReader
from ostiary.commands.people import People, roster_of
from ostiary.commands.room import utc_now
from ostiary.config import CameraSettings
from ostiary.recognition import Recognition
from ostiary.service.metrics import Metrics
from ostiary.store.database import Database
from ostiary.store.events import Events
from ostiary.store.users import Users
from ostiary.vision.engine import VisionEngine
from ostiary.vision.image import decode_image
from tests.integration.cameras import until


def runs(metrics: Metrics, stage: str) -> float:
    return metrics.registry.get_sample_value("ostiary_stage_seconds_count", {"stage": stage}) or 0


@pytest.mark.parametrize("registered", [True, False])
def test_of_an_attack_only_the_first_frame_is_described(
    tmp_path: Path, engine: VisionEngine, portraits: Path, *, registered: bool
) -> None:
    (attack,) = (scene for scene in visitors(portraits) if scene.name == "phone")
    frames = tmp_path / "camera"
    frames.mkdir()
    for number, jpeg in enumerate(attack.frames):
        (frames / f"{number:03}.jpg").write_bytes(jpeg)
    told: list[Told] = []
    metrics = Metrics()
    with Database.open(tmp_path / "door.db") as database:
        users = Users(database)
        people = People(users, Events(database), roster_of(users, engine, Risk()))
        if registered:
            bgr = decode_image((portraits / "obama.jpg").read_bytes())
            probe, _ = people.roster.identify(lambda _: engine.describe(bgr, engine.detect(bgr)[0]))
            people.register("obama", [probe], utc_now(), source="test")
        recognition = Recognition(
            CameraReader(CameraSettings(source=str(frames), fps=10, loop=True)),
            engine,
            people.roster,
            lambda each, _camera: told.append(each),
            Policy(),
            metrics,
        )
        recognition.start()
        try:
            until(lambda: bool(told), within=20)
        finally:
            recognition.stop()
    (first, *_) = told
    assert first.decision.reason is Reason.PRESENTATION_ATTACK
    assert first.decision.username == ("obama" if registered else None)
    assert runs(metrics, "liveness") >= 3
    assert runs(metrics, "describe") <= runs(metrics, "liveness") / 2
