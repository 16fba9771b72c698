"""A disk that is full or read-only, and a pipeline that fails, are told at once and are over by
themselves."""

import json
import resource
import time
from collections.abc import Iterator
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

import pytest

from ostiary.errors import DatabaseUnwritable
from ostiary.messages.decision import Decision
from ostiary.messages.words import Reason
from ostiary.store.database import Database
from ostiary.store.events import Events
from ostiary.vision.arrays import BGRImage
from ostiary.vision.engine import VisionEngine
from ostiary.vision.face import Face
from testing.broker import Mosquitto
from testing.daemon import BASE, DaemonProcess, write_config
from testing.enrolment import answer_at_the_camera, register_at_the_camera
from testing.probe import Probe
from testing.recognizing import recognizing
from testing.waiting import wait_until

LOGIN = f"{BASE}/event/login"
STATE = f"{BASE}/state"
UNLIMITED = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with Database.open(tmp_path / "ostiary.db") as opened:
        yield opened


def deny(database: Database) -> None:
    Events(database).append_login(
        Decision(Reason.UNKNOWN_FACE), source="front", now=datetime.now(UTC)
    )


def fill(database: Database) -> None:
    for _ in range(1000):
        deny(database)


def test_a_store_that_cannot_be_written_says_so_until_it_can(database: Database) -> None:
    told: list[str] = []
    database.on_failure(lambda: told.append("failed"))
    deny(database)
    assert database.failure is None
    with database.transaction() as connection:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(DatabaseUnwritable):
        fill(database)
    assert isinstance(database.failure, DatabaseUnwritable)
    database.try_again()
    assert isinstance(database.failure, DatabaseUnwritable)
    with database.transaction() as connection:
        connection.execute("PRAGMA max_page_count = 1000000")
    database.try_again()
    assert database.failure is None
    assert told == ["failed"]


def test_a_full_disk_is_told_at_once_in_one_line_and_is_over_by_itself(
    tmp_path: Path, broker: Mosquitto, models: Path, portraits: Path
) -> None:
    camera = tmp_path / "camera"
    camera.mkdir()
    for name in ("obama.jpg", "obama2.jpg"):
        (camera / name).write_bytes((portraits / name).read_bytes())
    more = "[access]\ncooldown_s = 0.5\n"
    config = write_config(tmp_path, broker.port, models, camera, more)
    with Probe(broker.port, f"{BASE}/#") as probe, DaemonProcess(config) as daemon:

        def newest() -> Any:
            states = probe.of(STATE)
            return states[-1].json if states else {"health": None, "problems": []}

        probe.wait(LOGIN)
        probe.wait_until(lambda: newest()["health"] == "ok")
        size = (tmp_path / "ostiary.db-wal").stat().st_size
        full_at = time.time()
        resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
        answer_at_the_camera(probe, "Barack")
        probe.wait_until(lambda: "database_unwritable" in newest()["problems"], 60)
        assert newest()["health"] == "failed"
        for _ in range(3):  # somebody goes on standing there, and somebody asks
            refused = answer_at_the_camera(probe, "Barack")
            assert refused["error"]["code"] == "database_unwritable"
        resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE, UNLIMITED)
        probe.wait_until(lambda: newest()["health"] == "ok")
        register_at_the_camera(probe, "Barack")
        probe.wait_until(lambda: probe.of(LOGIN)[-1].json["success"])
    lines = [json.loads(line) for line in daemon.log.splitlines() if line.startswith("{")]
    meanwhile = [
        line for line in lines if datetime.fromisoformat(line["time"]).timestamp() >= full_at
    ]
    failed = [line for line in meanwhile if line["level"] in ("error", "critical")]
    assert [line["event"] for line in failed if line["event"] != "publisher_waits"] == [
        "database_unwritable"
    ]
    assert not any("exception" in line for line in lines)
    assert "Traceback" not in daemon.log
    assert "database_writable_again" in [line["event"] for line in meanwhile]


class Flaky(VisionEngine):
    """Its liveness network fails, until it is mended."""

    mended: ClassVar[bool] = False

    def live_score(self, bgr: BGRImage, face: Face) -> float:
        if not self.mended:
            raise RuntimeError("the network")
        return super().live_score(bgr, face)


def test_a_pipeline_that_fails_is_a_failure_until_a_face_is_judged_again(
    tmp_path: Path,
    engine: VisionEngine,
    portraits: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    flaky = Flaky(**{each.name: getattr(engine, each.name) for each in fields(engine)})
    frames = [(portraits / name).read_bytes() for name in ("obama.jpg", "obama2.jpg")]
    with recognizing(tmp_path / "door", flaky, frames, loop=True) as door:
        wait_until(lambda: door.recognition.is_failing, "a failure")
        wait_until(lambda: "pipeline_error" in door.reasons, "a denial")
        monkeypatch.setattr(Flaky, "mended", True)
        wait_until(lambda: not door.recognition.is_failing, "a face that is judged")
    assert capsys.readouterr().out.count("pipeline_failed") == 1
