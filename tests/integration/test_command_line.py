"""What an operator types at the door, and what it says."""

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from ostiary.cli.events import told
from ostiary.local.client import A, LocalDoor
from ostiary.messages.commands.base import Request
from ostiary.messages.commands.decisions import EventsRequest
from ostiary.messages.decision import Decision
from ostiary.messages.words import Reason
from ostiary.store.users import Users
from ostiary.version import described
from ostiary.vision.engine import VisionEngine
from testing.command_line import ostiary
from testing.console import ConsoleDoor, console_settings


@pytest.fixture
def door(
    tmp_path: Path, engine: VisionEngine, portraits: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ConsoleDoor]:
    """A door with Barack, which the command line asks by its socket."""
    monkeypatch.setenv("OSTIARY_COMMANDS__SOCKET", str(tmp_path / "commands.sock"))
    monkeypatch.setenv("TZ", "UTC")
    settings = console_settings(tmp_path)
    made = ConsoleDoor(settings, engine, portraits)
    with made.at_its_socket():
        yield made
    made.database.close()


def record(door: ConsoleDoor, username: str | None, reason: Reason, source: str, day: int) -> None:
    door.events.append_login(
        Decision(reason, username, recognizer="sface"),
        source=source,
        now=datetime(2026, 11, day, 12, 0, tzinfo=UTC),
    )


@pytest.mark.usefixtures("door")
def test_somebody_is_registered_given_a_further_picture_and_another_name(portraits: Path) -> None:
    assert ostiary("users", "add", "barack", str(portraits / "obama.jpg")).returncode == 0
    added = ostiary("users", "picture", "barack", str(portraits / "obama3.jpg"))
    assert added.returncode == 0, added.stderr
    renamed = ostiary("users", "rename", "barack", "president")
    assert (renamed.returncode, renamed.stdout) == (0, "barack is president now.\n")
    assert "president" in ostiary("users", "list").stdout
    twin = ("users", "add", "twin", str(portraits / "obama2.jpg"))
    assert "already_registered" in ostiary(*twin).stderr
    assert ostiary(*twin, "--allow-twin").returncode == 0


@pytest.mark.usefixtures("door")
def test_login_says_whether_it_is_who_it_should_be(portraits: Path) -> None:
    for name, photo in (("ada", "obama.jpg"), ("joe", "biden.jpg")):
        assert ostiary("users", "add", name, str(portraits / photo)).returncode == 0
    is_ada = ostiary("login", "ada", str(portraits / "obama2.jpg"))
    assert (is_ada.returncode, is_ada.stdout.splitlines()[0]) == (0, "This is ada.")
    is_joe = ostiary("login", "ada", str(portraits / "biden.jpg"))
    assert (is_joe.returncode, is_joe.stdout.splitlines()[0]) == (1, "This is not ada.")


def test_events_tell_who_and_why_and_are_filtered(door: ConsoleDoor) -> None:
    for name in ("ada", "joe"):
        Users(door.database).add(
            name, [np.full(128, 0.1)], datetime.now(UTC), recognizer="dlib", source="test"
        )
    record(door, "ada", Reason.GRANTED, "front", 21)
    record(door, "joe", Reason.OUTSIDE_SCHEDULE, "back", 22)
    record(door, None, Reason.UNKNOWN_FACE, "front", 23)
    lines = ostiary("events").stdout.splitlines()
    assert "granted  front: ada: Welcome, ada." in lines[0]
    assert "denied   back: joe outside_schedule: Not now, or not here." in lines[1]
    assert "denied   front: - unknown_face: Unknown person." in lines[2]

    def numbers(*asked: str) -> list[str]:
        return [
            line.split("#")[1].split()[0] for line in ostiary("events", *asked).stdout.splitlines()
        ]

    assert numbers("--person", "joe") == ["2"]
    assert numbers("--reason", "unknown_face") == ["3"]
    assert numbers("--since", "2026-11-22 12:00") == ["2", "3"]
    assert numbers("--door", "front") == ["1", "3"]
    assert numbers("--door", "front", "--limit", "1") == ["3"]
    for since in ("soon", "999999d"):
        wrong = ostiary("events", "--since", since)
        assert (wrong.returncode, "2026-11-23 14:00" in wrong.stderr) == (2, True)


def test_what_happens_while_events_are_listed_is_followed(door: ConsoleDoor) -> None:
    class Busy(LocalDoor):
        """At which somebody comes after every answer."""

        def ask(self, command: str, request: Request, answer: type[A]) -> A:
            given = super().ask(command, request, answer)
            record(door, "ada", Reason.GRANTED, "front", 21)
            return given

    record(door, "ada", Reason.GRANTED, "front", 21)
    with Busy(door.settings.commands.socket) as busy:
        followed = told(busy, EventsRequest(), 20, None, follow=True)
        assert [each.seq for each in islice(followed, 6)] == [1, 2, 3, 4, 5, 6]


def test_events_of_one_door_are_not_asked_for_a_few_at_a_time(
    door: ConsoleDoor, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(door, "ada", Reason.GRANTED, "back", 21)
    for _ in range(60):
        record(door, "ada", Reason.GRANTED, "front", 21)
    asked: list[str] = []
    ask = LocalDoor.ask

    def counted(self: LocalDoor, command: str, request: Request, answer: type[A]) -> A:
        asked.append(command)
        return ask(self, command, request, answer)

    monkeypatch.setattr(LocalDoor, "ask", counted)
    assert "back: ada" in ostiary("events", "--door", "back").stdout
    assert asked == ["events"]


@pytest.mark.usefixtures("door")
def test_a_group_that_is_there_already_is_told() -> None:
    assert ostiary("groups", "add", "Staff").returncode == 0
    again = ostiary("groups", "add", "Staff")
    assert (again.returncode, "group_exists" in again.stderr) == (65, True)


def test_the_version_is_told_by_an_option_too() -> None:
    assert ostiary("--version").stdout == f"{described()}\n"
