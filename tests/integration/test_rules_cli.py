"""Groups, rules and lists of people from the command line, on a real door."""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ostiary.vision.engine import VisionEngine
from testing.broker import Mosquitto
from testing.command_line import ostiary
from testing.doorway import Doorway, door_settings
from testing.faces import some_look


@pytest.fixture
def door(
    tmp_path: Path, broker: Mosquitto, engine: VisionEngine, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Doorway]:
    """A door that the command line asks over its broker: no door has its socket here."""
    monkeypatch.setenv("OSTIARY_COMMANDS__SOCKET", str(tmp_path / "nowhere.sock"))
    monkeypatch.setenv("OSTIARY_MQTT__PORT", str(broker.port))
    monkeypatch.setenv("OSTIARY_DEVICE__ID", "test")
    settings = door_settings(
        tmp_path,
        broker.port,
        rules={"timezone": "Europe/Berlin"},
        clock={"trust": "always"},
    )
    with Doorway(settings, engine) as running:
        yield running


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
        done = ostiary(*command)
        assert done.returncode == 0, done.stderr
    taken = ostiary("users", "import", str(folder / "people.csv"))
    assert taken.returncode == 1
    report = {line.split()[-1] if ":" not in line else line for line in taken.stdout.splitlines()}
    assert "2 taken, 5 not" in taken.stdout
    for code in ("photo_missing", "group_unknown", "period_invalid", "already_registered"):
        assert any(code in line for line in report), taken.stdout
    assert {user.username for user in door.people.list()} == {"Barack", "Joe"}

    port = str(door.services.settings.mqtt.port)
    listed = ostiary("rules", "list", "--port", port, "--device", "test")
    assert listed.stderr == ""
    assert "mon/tue/wed/thu/fri 07:00-19:00" in listed.stdout
    assert "holiday 2026-12-25 Christmas" in listed.stdout
    access = ostiary("users", "access", "Barack")
    assert "until 2030-01-02T00:00+01:00" in access.stdout

    exported = ostiary("users", "export", str(folder / "out.csv"))
    assert exported.returncode == 0, exported.stderr
    again = ostiary("users", "import", str(folder / "out.csv"))
    assert (again.returncode, "2 taken, 0 not" in again.stdout) == (0, True), again.stdout
    kept = ostiary("users", "access", "Barack")
    assert kept.stdout == access.stdout

    refused = ostiary("rules", "set", "Office", "--group", "Staff", "--hours", "mon 9-5")
    assert (refused.returncode, "schedule_invalid" in refused.stderr) == (65, True), refused.stderr
    shut = ostiary("users", "allow", "Joe", "--group", "Nobody")
    assert "group_unknown" in shut.stderr


def test_what_is_not_said_on_the_command_line_stays_and_what_is_empty_is_cleared(
    door: Doorway, tmp_path: Path
) -> None:
    door.people.register("Ann", [some_look(1)], datetime.now(UTC), source="cli")

    def said(*arguments: str) -> str:
        done = ostiary(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    said("groups", "add", "Staff")
    said("rules", "set", "Office", "--group", "Staff", "--hours", "mon-fri 08:00-00:00")
    assert "Ann: Staff" in said("users", "allow", "Ann", "--group", "Staff")
    answered = said("users", "allow", "Ann", "--until", "2030-01-01")
    assert "Ann: Staff" in answered
    assert "until 2030-01-02T00:00+01:00" in answered
    listed = tmp_path / "people.csv"
    listed.write_text("name\nAnn\n", encoding="utf-8")
    said("users", "import", str(listed))
    assert said("users", "access", "Ann") == answered
    listed.write_text("name;until\nAnn;\n", encoding="utf-8")
    said("users", "import", str(listed))
    assert "until" not in said("users", "access", "Ann")
    assert "Ann: Staff" in said("users", "access", "Ann")
    assert "in no group" in said("users", "allow", "Ann", "--group", "")

    said("rules", "set", "Office", "--needs", "face+pin", "--two-person")
    (rule,) = door.services.rules.rules()
    assert rule.hours is not None
    assert (rule.needs, rule.two_person, rule.hours[0].end) == ("face+pin", True, "00:00")
    said("rules", "set", "Office", "--hours", "", "--no-two-person")
    (rule,) = door.services.rules.rules()
    assert (rule.needs, rule.two_person, rule.hours) == ("face+pin", False, None)
    assert ostiary("rules", "holidays").returncode == 78  # not all of them, by an oversight
    said("rules", "holidays", "2026-12-25")
    said("rules", "holidays", "--none")
    assert not door.services.rules.stored.holidays


def test_a_picture_that_cannot_be_read_is_told_and_the_others_are_enrolled(
    door: Doorway, tmp_path: Path, portraits: Path
) -> None:
    people = tmp_path / "people"
    for folder in ("Barack", "Empty", "._hidden"):
        (people / folder).mkdir(parents=True)
    shutil.copy(portraits / "obama.jpg", people / "Barack" / "2.jpg")
    shutil.copy(portraits / "obama2.jpg", people / "Barack" / "10.jpg")
    (people / "Barack" / "1.jpg").touch()
    (people / "Ann.png").touch()
    (people / "._Joe.jpg").write_bytes(b"what a Mac leaves")
    shutil.copy(portraits / "biden.jpg", people / "Joe.jpg")
    enrolled = ostiary("enroll", str(people))
    assert (enrolled.returncode, "Traceback" in enrolled.stderr) == (1, False), enrolled.stderr
    assert [line.split(": ")[0] for line in enrolled.stdout.splitlines()] == [
        "refused     Ann (Ann.png)",
        "refused     Barack (1.jpg)",
        "registered  Barack (2.jpg)",
        "registered  Barack (10.jpg)",
        "refused     Empty (Empty)",
        "registered  Joe (Joe.jpg)",
        "2 registered, 3 pictures refused",
    ]
    assert {user.username: user.templates for user in door.people.list()} == {"Barack": 2, "Joe": 1}
    empty = str(people / "Ann.png")
    for command in (("login", "Joe", empty), ("users", "add", "Ann", empty)):
        refused = ostiary(*command)
        assert "\nostiary: image_invalid: " in refused.stderr, refused.stderr
        assert refused.returncode == 65
    people_csv = tmp_path / "people.csv"
    people_csv.write_text("name,photo\nAnn,people/Ann.png\nJoe,\n", encoding="utf-8")
    taken = ostiary("users", "import", str(people_csv))
    assert "image_invalid" in taken.stdout
    assert "1 taken, 1 not" in taken.stdout


def test_what_is_no_pin_or_card_is_refused_in_words(door: Doorway) -> None:
    door.people.register("Ann", [some_look(1)], datetime.now(UTC), source="cli")
    for command, typed in ((("users", "pin", "Ann"), "12\n12\n"), (("users", "card", "Ann"), "\n")):
        refused = ostiary(*command, typed=typed)
        assert "Traceback" not in refused.stderr
        assert refused.returncode != 0
