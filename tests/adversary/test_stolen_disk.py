"""The door's own disk, copied while it works: no name, no face, and no door without the key."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from ostiary.clock import utc_now
from ostiary.crypto.keyring import data_keys
from ostiary.errors import StoreLocked
from ostiary.store.database import Database
from ostiary.store.sealing import rotate
from ostiary.store.users import Users
from testing.broker import Mosquitto
from testing.cameras import until
from testing.daemon import BASE, DaemonProcess, write_config
from testing.enrolment import register_at_the_camera
from testing.probe import Probe

LOGIN = f"{BASE}/event/login"
NAME = "Barack Xyzzy Obama"
KEY = "a key that is kept apart from the disk"
UNHURRIED = """\
[access]
decide_within_s = 60
forget_after_s = 10
cooldown_s = 1200
"""
"""However slow the machine, it sees enough of a face to decide, and tells each decision once."""


def test_with_a_key_that_this_machine_cannot_open_nobody_is_kept_in_the_plain(
    tmp_path: Path, broker: Mosquitto, models: Path, at_the_door: Path
) -> None:
    """The store's key is there and does not open: a new database is not begun without it."""
    door, credentials = tmp_path / "door", tmp_path / "credentials"
    door.mkdir()
    credentials.mkdir()
    (credentials / "store-key").touch()  # as open-store-key leaves it
    config = write_config(door, broker.port, models, at_the_door)
    with DaemonProcess(config, CREDENTIALS_DIRECTORY=str(credentials)) as refused:
        assert refused.wait(60) == StoreLocked.exit_status
        assert "cannot open the store's key" in refused.log
    assert not (door / "ostiary.db").exists()


def data_keys_in(path: Path) -> list[int]:
    with closing(sqlite3.connect(path)) as connection:
        return data_keys(connection)


def newer_than(probe: Probe, seq: int) -> dict[str, Any]:
    """The first decision after number `seq`; what is sent again after a restart is passed over."""
    count = 1
    while True:
        heard = probe.wait(LOGIN, count)
        if new := [each.json for each in heard if each.json["seq"] > seq]:
            return dict(new[0])
        count = len(heard) + 1


def test_a_disk_copied_without_its_key_tells_nobody_and_opens_for_nobody(
    tmp_path: Path, broker: Mosquitto, models: Path, at_the_door: Path, probe: Probe
) -> None:
    door = tmp_path / "door"
    door.mkdir()
    key_file = tmp_path / "store.key"
    key_file.write_text(KEY)
    config = write_config(door, broker.port, models, at_the_door, UNHURRIED)
    key = {"OSTIARY_STORE__KEY_FILE": str(key_file)}

    with DaemonProcess(config, **key):
        probe.wait(LOGIN)
        register_at_the_camera(probe, NAME)
        assert probe.wait(LOGIN, 2)[1].json["username"] == NAME
        shutil.copytree(door, tmp_path / "copy")
    with Database.open(door / "ostiary.db", KEY.encode()) as database:
        (_, _, descriptor), *_ = Users(database).templates()
    needles = (NAME.encode(), b"Xyzzy", descriptor.tobytes()[:32], KEY.encode())
    for file in [*door.iterdir(), *(tmp_path / "copy").iterdir()]:
        content = file.read_bytes()
        assert not [needle for needle in needles if needle in content], file.name

    before = max(heard.json["seq"] for heard in probe.wait(LOGIN, 2))
    with DaemonProcess(config) as locked:
        denied = newer_than(probe, before)
        assert (denied["success"], denied["reason"]) == (False, "unknown_face")
        refused = probe.ask(BASE, "register", {"username": "Eve", "source": "camera"})
        assert refused["error"]["code"] == "store_locked"
        state = probe.wait(f"{BASE}/state")[-1].json
        assert state["health"] == "failed"
        assert "store_locked" in state["problems"]
        assert "store_locked" in locked.log

    with DaemonProcess(config, **key):
        granted = newer_than(probe, denied["seq"])
        assert rotate(door / "ostiary.db", KEY.encode(), utc_now()) == 2
        until(lambda: data_keys_in(door / "ostiary.db") == [2])
        assert probe.ask(BASE, "users", {})["data"]["users"][0]["username"] == NAME
    assert (granted["success"], granted["username"]) == (True, NAME)
    with closing(sqlite3.connect(door / "ostiary.db")) as connection:
        assert connection.execute("SELECT COUNT(*) FROM users").fetchone() == (1,)
