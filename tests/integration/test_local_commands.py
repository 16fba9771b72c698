"""The command line on the door itself, where there is no broker."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ostiary.errors import ConfigError, DoorNotRunning
from ostiary.local.client import LocalDoor
from ostiary.local.server import bound
from ostiary.messages.commands.device import PingAnswer, PingRequest
from ostiary.store.database import Database
from ostiary.vision.engine import VisionEngine
from testing.command_line import ostiary
from testing.console import ConsoleDoor, console_settings
from testing.daemon import DaemonProcess, write_config
from testing.ports import free_port
from testing.waiting import wait_until


@pytest.fixture
def socket_path(tmp_path: Path) -> Path:
    return tmp_path / "commands.sock"


@pytest.fixture
def config(tmp_path: Path, socket_path: Path, models: Path, portraits: Path) -> Path:
    """A door before which Obama stands, with no broker anywhere."""
    at_the_door = tmp_path / "camera"
    at_the_door.mkdir()
    shutil.copy(portraits / "obama.jpg", at_the_door)
    more = f'[commands]\nsocket = "{socket_path}"\n'
    return write_config(tmp_path, free_port(), models, at_the_door, more)


def test_a_reload_that_is_refused_fails_and_says_why(config: Path, socket_path: Path) -> None:
    good = config.read_text(encoding="utf-8")
    with DaemonProcess(config) as daemon:
        wait_until(socket_path.exists, "the socket")
        for wrong, status, said in (
            ("[access]\nnonsense = 1\n", 78, "access.nonsense: unknown key"),
            ("[relay]\nenabled = true\nchip = '/dev/nowhere'\n", 69, "/dev/nowhere"),
        ):
            config.write_text(good + wrong, encoding="utf-8")
            refused = ostiary("reload", config=config)
            assert refused.returncode == status, refused.stderr
            assert said in refused.stderr
        assert daemon.log.count('"started"') == 1
        config.write_text(good + "[access]\nvotes = 2\n", encoding="utf-8")
        taken = ostiary("reload", config=config)
        assert (taken.returncode, taken.stderr) == (0, "")
        wait_until(lambda: daemon.log.count('"started"') == 2, "the new door")


def test_a_locked_door_takes_the_settings_that_name_its_key(
    config: Path, socket_path: Path, tmp_path: Path
) -> None:
    key = tmp_path / "store.key"
    key.write_bytes(b"k" * 32)
    key.chmod(0o600)
    with Database.open(tmp_path / "ostiary.db", b"k" * 32):
        pass
    good = config.read_text(encoding="utf-8")
    with DaemonProcess(config) as daemon:
        wait_until(socket_path.exists, "the socket")
        assert "store_locked" in ostiary("users", "list", config=config).stderr
        config.write_text(good.replace("[store]\n", f'[store]\nkey_file = "{key}"\n'), "utf-8")
        taken = ostiary("reload", config=config)
        assert taken.returncode == 0, taken.stderr
        wait_until(lambda: daemon.log.count('"started"') == 2, "the new door")
        assert ostiary("users", "list", config=config).returncode == 0


def test_people_events_rules_and_the_door_without_a_broker(
    config: Path, socket_path: Path, portraits: Path
) -> None:
    with DaemonProcess(config) as daemon:
        wait_until(socket_path.exists, "the socket")
        assert socket_path.stat().st_mode & 0o777 == 0o660
        added = ostiary("users", "add", "barack", str(portraits / "obama2.jpg"), config=config)
        assert added.returncode == 0, added.stderr
        assert added.stderr == ""
        assert "barack" in ostiary("users", "list", config=config).stdout
        again = ostiary("users", "add", "barack", str(portraits / "obama2.jpg"), config=config)
        assert (again.returncode, "user_exists" in again.stderr) == (65, True)

        def granted() -> bool:
            return "granted" in ostiary("events", config=config).stdout

        wait_until(granted, "the first grant", every_s=0.5)
        assert ostiary("groups", "add", "Staff", config=config).returncode == 0
        opened = ostiary("door", "set", "open", config=config)
        assert opened.returncode == 0, opened.stderr
        assert "released cli" in ostiary("events", config=config).stdout
        with subprocess.Popen(
            [sys.executable, "-m", "ostiary.cli.main", "events", "-f", "--limit", "1"],
            env={**os.environ, "OSTIARY_CONFIG": str(config)},
            stdout=subprocess.PIPE,
            text=True,
        ) as following:
            lines = following.stdout
            assert lines is not None
            lines.readline()
            assert ostiary("door", "set", "lockdown", config=config).returncode == 0
            wait_until(lambda: "lockdown" in lines.readline(), "the event")
            following.kill()
        assert "commands_not_served" not in daemon.log


def test_a_door_that_does_not_run_is_told_at_once_and_not_after_the_brokers_patience(
    config: Path, socket_path: Path
) -> None:
    tried = ostiary("users", "list", config=config)
    assert tried.returncode == 69
    assert "no door runs on this machine" in tried.stderr
    bound(socket_path).close()  # as a killed daemon leaves it
    with LocalDoor(socket_path, away_s=0.2) as door, pytest.raises(DoorNotRunning, match="start"):
        door.ask("ping", PingRequest(), PingAnswer)


def test_what_is_no_socket_is_neither_replaced_nor_removed(
    tmp_path: Path, engine: VisionEngine
) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("mine")
    with pytest.raises(OSError, match="no socket"):
        bound(file)
    http = {"legacy_api": "socket", "legacy_socket": file}
    door = ConsoleDoor(console_settings(tmp_path, http=http), engine)
    try:
        with pytest.raises(ConfigError, match="no socket"):
            door.console.start()
    finally:
        door.__exit__()
    assert file.read_text() == "mine"


def test_a_second_door_does_not_take_the_first_ones_socket(config: Path, socket_path: Path) -> None:
    with DaemonProcess(config):
        wait_until(socket_path.exists, "the socket")
        with pytest.raises(OSError, match="listens"):
            bound(socket_path)
        assert ostiary("users", "list", config=config).returncode == 0
