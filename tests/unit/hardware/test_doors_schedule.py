"""Doors that stand unlocked by the hour, sensors' words, and settings that cannot be meant."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostiary.cli.rules import week_hours
from ostiary.decision.rules import Calendar, moment_of, text_of
from ostiary.errors import ConfigError
from ostiary.hardware.doors import Doors, Hardware
from ostiary.hardware.physical_door import Contact
from ostiary.messages.commands.rules import AccessRule
from ostiary.messages.times import Hours
from ostiary.messages.words import WEEK, Mode
from ostiary.people.rulebook import hours_of
from ostiary.settings import CameraSettings, DoorSettings, Settings, load_settings

CALENDAR = Calendar(ZoneInfo("Europe/Berlin"), frozenset({datetime(2026, 12, 25).date()}))
WEDNESDAY_NOON = datetime(2026, 11, 25, 11, tzinfo=UTC)
OFFICE = ("mon-fri 08:00-17:30",)


class Street:
    def __init__(
        self, unlocked: tuple[str, ...] = OFFICE, stored: tuple[Mode, datetime] | None = None
    ) -> None:
        self.now = WEDNESDAY_NOON
        settings = Settings(
            cameras=(CameraSettings(),), doors=(DoorSettings(unlocked=unlocked, contact="mqtt"),)
        )
        self.doors = Doors(
            settings,
            Hardware(),
            lambda *_: None,
            lambda _state: None,
            before={},
            modes={} if stored is None else {"front": stored},
            clock=lambda: self.now,
            beat=lambda: None,
        )
        self.guard = self.doors.controllers["front"]
        self.guard.saw(Contact.CLOSED)

    def pass_by(self, *, trusted: bool = True) -> Mode:
        self.doors.keep_hours(CALENDAR, clock_trusted=trusted)
        return self.guard.mode


def test_a_door_unlocks_and_locks_by_its_schedule() -> None:
    street = Street()
    assert street.pass_by() is Mode.UNLOCKED
    street.now += timedelta(hours=6)
    assert street.pass_by() is Mode.NORMAL


def test_a_holiday_is_no_day_of_the_week() -> None:
    street = Street()
    street.now = datetime(2026, 12, 25, 11, tzinfo=UTC)  # a Friday
    assert street.pass_by() is Mode.NORMAL
    festive = Street(("holiday 10:00-14:00",))
    festive.now = street.now
    assert festive.pass_by() is Mode.UNLOCKED


def test_who_locks_a_door_within_its_schedule_has_locked_it() -> None:
    street = Street()
    street.pass_by()
    street.guard.set_mode(Mode.NORMAL, "mqtt")
    street.now += timedelta(minutes=5)
    assert street.pass_by() is Mode.NORMAL


def test_a_door_locked_by_hand_is_so_after_a_restart_within_the_same_schedule() -> None:
    street = Street(stored=(Mode.NORMAL, WEDNESDAY_NOON - timedelta(hours=1)))
    assert street.pass_by() is Mode.NORMAL


def test_a_door_that_was_down_when_its_schedule_ended_is_locked_when_it_comes_back() -> None:
    street = Street(stored=(Mode.UNLOCKED, WEDNESDAY_NOON - timedelta(hours=2)))
    street.now += timedelta(hours=9)
    assert street.pass_by() is Mode.NORMAL


def test_a_schedule_never_ends_a_lockdown() -> None:
    street = Street(stored=(Mode.LOCKDOWN, WEDNESDAY_NOON - timedelta(days=1)))
    assert street.pass_by() is Mode.LOCKDOWN
    street.now += timedelta(hours=6)
    assert street.pass_by() is Mode.LOCKDOWN


def test_by_a_clock_that_is_not_trusted_a_schedule_unlocks_nothing_and_locks() -> None:
    street = Street()
    assert street.pass_by(trusted=False) is Mode.NORMAL
    assert street.pass_by() is Mode.UNLOCKED
    assert street.pass_by(trusted=False) is Mode.NORMAL


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("mo-fr 08:00-17:00", "days are"),
        ("mon-fri 17:00-17:00", "end as they begin"),
        ("mon-fri 00:00-00:00", "end as they begin"),
        ("mon 24:00-06:00", "between 00:00 and 24:00"),
        ("mon 25:00-26:00", "no such time"),
        ("mon 08:60-09:00", "no such time"),
        ("every day", "are no hours"),
        ("holiday-mon 08:00-09:00", "days are"),
    ],
)
def test_a_schedule_that_is_none_is_refused_with_how_to_write_it(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        DoorSettings(unlocked=(text,))


@given(st.text(max_size=30))
def test_no_text_breaks_the_reading_of_a_schedule(text: str) -> None:
    try:
        hours = Hours.read(text)
    except ValueError:
        return
    assert hours.days
    assert hours.start != hours.end


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("mon-fri 08:00-00:00", 480, 1440),
        ("mon-fri 08:00-24:00", 480, 1440),
        ("Mon-Fri 8:00-18:00", 480, 1080),
        ("mon - fri  22:00 – 06:00", 1320, 360),
        ("mon-wed, thu,fri 00:00-24:00", 0, 1440),
    ],
)
def test_hours_mean_the_same_in_the_settings_on_the_command_line_and_in_a_rule(
    text: str, start: int, end: int
) -> None:
    hours = Hours.read(text)
    assert (hours.days, hours.start, hours.end) == (frozenset(WEEK[:5]), start, end)
    assert DoorSettings(unlocked=(text,)).unlocked == (text,)
    rule = AccessRule(name="R", groups=("G",), hours=(week_hours(text),))
    assert hours_of(rule) == (hours,)


def test_a_sensor_that_chatters_a_thousand_times_ends_as_what_it_said_last() -> None:
    street = Street(())
    for turn in range(1001):
        street.guard.heard(Contact.OPEN if turn % 2 else Contact.CLOSED)
    street.guard.attend()
    assert street.guard.state().contact == "closed"
    assert "door_forced" not in street.guard.problems  # shut by now; the alarm goes on
    assert street.guard.state().alarm


@given(
    st.datetimes(datetime(1971, 1, 1), datetime(2200, 1, 1)).map(
        lambda at: at.replace(second=0, microsecond=0, tzinfo=UTC)
    ),
    st.sampled_from(("Europe/Berlin", "Asia/Shanghai", "America/Sao_Paulo", "Asia/Kathmandu")),
    st.booleans(),
)
def test_a_moment_that_is_written_and_read_again_is_the_same(
    at: datetime, zone: str, is_end: bool
) -> None:
    clocks = ZoneInfo(zone)
    once = text_of(at, clocks, is_end=is_end)
    if at.astimezone(clocks).fold == 0:  # of the hour that comes twice, the first
        assert moment_of(once, clocks, is_end=is_end) == at
    assert text_of(moment_of(once, clocks, is_end=is_end), clocks, is_end=is_end) == once


@pytest.mark.parametrize(
    ("text", "is_end"),
    [("2026-11-30", True), ("2026-11-30", False), ("2026-11-30T18:00", True)],
)
def test_a_day_stays_that_day(text: str, is_end: bool) -> None:
    for zone in (ZoneInfo("UTC"), ZoneInfo("Asia/Shanghai"), ZoneInfo("America/New_York")):
        assert text_of(moment_of(text, zone, is_end=is_end), zone, is_end=is_end) == text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[[doors]]\ncamera = "back"', "no camera back"),
        ('[[doors]]\n[[doors]]\ncamera = "front"', "one table a camera"),
        ('[[doors]]\ncontact = "gpio"', "needs contact_line"),
        ("[[doors]]\ncontact_line = 4", 'contact = "gpio"'),
        ('[[doors]]\ncontact_topic = "a/+"\ncontact = "mqtt"', "contact_topic"),
        ("[[readers]]\nd0 = 4", "two wires"),
        ("[[readers]]", "set device, or d0 and d1"),
        ('[[readers]]\ndevice = "/dev/null"\nd0 = 1\nd1 = 2', "and not both"),
        ('[[readers]]\ndoor = "back"\ndevice = "/dev/null"', "no camera back"),
        ("[credentials]\npin_digits = 3", "pin_digits"),
    ],
)
def test_a_door_or_credential_setting_that_cannot_be_meant_is_named(
    tmp_path: Path, text: str, said: str
) -> None:
    path = tmp_path / "ostiary.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=said):
        load_settings(path)
