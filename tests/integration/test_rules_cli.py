"""Groups, rules and lists of people from the command line, on a real door."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ostiary.vision.engine import VisionEngine
from testing.broker import Mosquitto
from testing.doorway import Doorway, door_settings


@pytest.fixture
def door(tmp_path: Path, broker: Mosquitto, engine: VisionEngine) -> Iterator[Doorway]:
    settings = door_settings(tmp_path, broker.port, site={"timezone": "Europe/Berlin"})
    with Doorway(settings, engine) as running:
        yield running


def ostiary(door: Doorway, *arguments: str) -> subprocess.CompletedProcess[str]:
    port = str(door.room.settings.mqtt.port)
    return subprocess.run(
        [sys.executable, "-m", "ostiary.cli", *arguments, "--port", port, "--device", "test"],
        env={**os.environ, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_first_week_of_an_installer_on_the_command_line(
    door: Doorway, tmp_path: Path, portraits: Path
) -> None:
    folder = tmp_path / "list"
    folder.mkdir()
    shutil.copy(portraits / "obama.jpg", folder / "barack.jpg")
    shutil.copy(portraits / "biden.jpg", folder / "joe.jpg")
    (folder / "people.csv").write_text(
        "name,groups,from,until,photo\n"
        "Barack,Staff,,2030-01-01,barack.jpg\n"
        "Joe,Cleaners,,,joe.jpg\n"
        "Eve,Staff,,,../secret.jpg\n"
        "Ada,Nobody,,,barack.jpg\n"
        "Bob,Staff,2030-01-01,2029-01-01,barack.jpg\n"
        "Cyd,Staff,,,\n"
        "Twin,Staff,,,barack.jpg\n",
        encoding="utf-8",
    )
    for command in (
        ("groups", "add", "Staff"),
        ("groups", "add", "Cleaners"),
        ("rules", "set", "Office", "--group", "Staff", "--hours", "mon-fri 07:00-19:00"),
        ("rules", "set", "Cleaning", "--group", "Cleaners", "--hours", "mon-fri 18:00-20:00"),
        ("rules", "holidays", "2026-12-25=Christmas", "2026-12-26"),
    ):
        done = ostiary(door, *command)
        assert done.returncode == 0, done.stderr
    taken = ostiary(door, "users", "import", str(folder / "people.csv"))
    assert taken.returncode == 1
    report = {line.split()[-1] if ":" not in line else line for line in taken.stdout.splitlines()}
    assert "2 taken, 5 not" in taken.stdout
    for code in ("photo_missing", "group_unknown", "period_invalid", "already_registered"):
        assert any(code in line for line in report), taken.stdout
    assert {user.username for user in door.people.list()} == {"Barack", "Joe"}

    listed = ostiary(door, "rules", "list")
    assert "mon/tue/wed/thu/fri 07:00-19:00" in listed.stdout
    assert "holiday 2026-12-25 Christmas" in listed.stdout
    access = ostiary(door, "users", "access", "Barack")
    assert "until 2030-01-02T00:00+01:00" in access.stdout

    exported = ostiary(door, "users", "export", str(folder / "out.csv"))
    assert exported.returncode == 0, exported.stderr
    again = ostiary(door, "users", "import", str(folder / "out.csv"))
    assert (again.returncode, "2 taken, 0 not" in again.stdout) == (0, True), again.stdout
    kept = ostiary(door, "users", "access", "Barack")
    assert kept.stdout == access.stdout

    refused = ostiary(door, "rules", "set", "Office", "--group", "Staff", "--hours", "mon 9-5")
    assert (refused.returncode, "schedule_invalid" in refused.stderr) == (65, True), refused.stderr
    shut = ostiary(door, "users", "allow", "Joe", "--group", "Nobody")
    assert "group_unknown" in shut.stderr
