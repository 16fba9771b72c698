"""Who was deleted is in no page of the database and its WAL, while the door runs, and nowhere else
that it writes to or speaks to, sealed or plain."""

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from ostiary.clock import utc_now
from ostiary.decision.risk import Risk
from ostiary.people.people import People, roster_of
from ostiary.store.database import Database
from ostiary.store.events import Events
from ostiary.store.users import Users
from ostiary.vision.engine import VisionEngine
from testing.broker import Mosquitto
from testing.cameras import until
from testing.daemon import BASE, DaemonProcess, write_config
from testing.enrolment import register_at_the_camera
from testing.faces import some_look
from testing.ports import free_port
from testing.probe import Probe
from testing.waiting import PATIENCE_S, wait_until

NAME = "Barack Xyzzy Obama"
KEY = "a key that is kept apart from the disk"
PICTURES = "SELECT seq, jpeg FROM snapshots JOIN events USING (seq) WHERE person IS NOT NULL"


def test_the_bytes_of_a_deleted_face_are_gone_at_once(tmp_path: Path, engine: VisionEngine) -> None:
    path = tmp_path / "ostiary.db"
    look = some_look()
    with Database.open(path) as database:
        users = Users(database)
        roster = roster_of(users, "sface", engine.rates, Risk(0.001, None))
        people = People(users, Events(database), roster)
        people.register("Ada", [look], utc_now(), source="cli")
        people.register("Bert", [some_look(7)], utc_now(), source="cli")
        needle = next(iter(look.descriptors.values())).astype("float32").tobytes()[:64]
        files = [path, path.with_name(path.name + "-wal")]
        assert any(needle in file.read_bytes() for file in files)
        people.delete("Ada", utc_now(), source="cli")
        assert not any(needle in file.read_bytes() for file in files if file.exists())
        assert people.count() == 1


@pytest.mark.parametrize(
    "is_sealed",
    [pytest.param(False, id="plain", marks=pytest.mark.long), pytest.param(True, id="sealed")],
)
def test_a_deleted_person_is_in_no_file_backup_log_or_retained_message(
    tmp_path: Path, broker: Mosquitto, models: Path, portraits: Path, is_sealed: bool
) -> None:
    camera, home = tmp_path / "camera", tmp_path / "door"
    camera.mkdir()
    home.mkdir()
    for name in ("obama.jpg", "obama2.jpg", "obama3.jpg"):
        shutil.copy(portraits / name, camera)
    key_file = tmp_path / "store.key"
    key_file.write_text(KEY)
    key_file.chmod(0o600)
    more = f"[http]\nenabled = true\nport = {free_port()}"
    config = write_config(home, broker.port, models, camera, more)
    environment = {"OSTIARY_STORE__KEEP_SNAPSHOTS_DAYS": "1"}
    if is_sealed:
        environment["OSTIARY_STORE__KEY_FILE"] = str(key_file)
    database = home / "ostiary.db"
    with DaemonProcess(config, **environment), Probe(broker.port, f"{BASE}/#") as probe:
        probe.wait(f"{BASE}/event/login")
        register_at_the_camera(probe, NAME)
        probe.wait_until(lambda: NAME in str([h.payload for h in probe.of(f"{BASE}/door")]))
        until(lambda: bool(rows(database, PICTURES)))
        pictures = dict(rows(database, PICTURES))
        stored = [str(name).encode() for (name,) in rows(database, "SELECT username FROM users")]
        (sealed,) = rows(database, "SELECT descriptor FROM templates LIMIT 1")[0]
        (person_key,) = rows(database, "SELECT key FROM person_keys WHERE leaving IS NULL")[0]
        with Database.open(database, KEY.encode() if is_sealed else None) as opened:
            (_, _, descriptor), *_ = Users(opened).templates()
        needles = (
            *(NAME.encode(), b"Xyzzy", *stored, descriptor.tobytes()[:32], sealed[:32], person_key),
            # One that is sealed is like no other; a plain one begins as all that are taken later.
            *(picture[40:80] for picture in pictures.values() if is_sealed),
        )
        assert probe.ask(BASE, "delete", {"username": NAME})["status"] == "ok"
        backup = home / "later.db"
        wait_until(lambda: not found(home, needles), "the name to be gone", 2 * PATIENCE_S)
        kept = dict(rows(database, "SELECT seq, jpeg FROM snapshots"))
        assert kept.keys().isdisjoint(pictures)
        subprocess.run(
            [
                sys.executable,
                "-m",
                "ostiary.cli.main",
                "backup",
                str(backup),
                "--config",
                str(config),
            ],
            check=True,
            env={**os.environ, **environment},
        )
        assert not found(home, needles), "also not in a backup that is taken now"
        with Probe(broker.port, "#") as late:
            late.wait(f"{BASE}/state")
            retained = b"".join(heard.payload for heard in late.heard)
        assert not [needle for needle in needles if needle in retained]


def rows(path: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


def found(folder: Path, needles: tuple[bytes, ...]) -> list[str]:
    """The files of the door in which one of them is still to be read."""
    files = {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}
    return [name for name, content in files.items() if any(needle in content for needle in needles)]
