"""Who watches over a door: outputs first, then the record; nothing is lost, nobody waits."""

import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from ostiary.errors import DatabaseUnwritable, InputUnavailable
from ostiary.hardware.controller import DoorController, Outputs
from ostiary.hardware.gpio import Edge, Inputs
from ostiary.hardware.physical_door import Contact, DoorChange, EntranceRules, PhysicalDoor
from ostiary.hardware.watching import DoorLines, Watching
from ostiary.messages.state import EntranceState
from ostiary.messages.words import DoorState, DoorWhat, Mode
from ostiary.settings.doors import DoorSettings
from testing.waiting import wait_until

NOW = datetime(2026, 11, 25, tzinfo=UTC)


class House:
    """What hangs on a door, as a test sees it."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.full = False
        self.cut = False
        self.recorded: list[DoorWhat] = []
        self.shown: list[EntranceState] = []
        self.held_until = 0.0
        self.sounding = False
        outputs = Outputs(self.record, self.shown.append, self, self)
        self.guard = DoorController(
            "front", PhysicalDoor(EntranceRules()), outputs, lambda: self.now, lambda: NOW
        )

    def record(self, _door: str, happening: DoorChange, _at: datetime) -> None:
        if self.full:
            raise DatabaseUnwritable("disk full")
        self.recorded.append(happening.what)

    def hold(self, _door: str, until: float) -> None:
        self.held_until = until

    def set_active(self, active: bool) -> None:
        if self.cut:
            raise OSError(5, "Input/output error")
        self.sounding = active

    def release(self) -> None:
        self.sounding = False

    @property
    def is_unlocked(self) -> bool:
        return self.now < self.held_until


@pytest.fixture
def house() -> House:
    return House()


def test_a_grant_releases_the_lock_and_shows_it(house: House) -> None:
    house.guard.granted("Ada")
    assert house.is_unlocked
    assert house.shown[-1].state is DoorState.UNLOCKED
    house.now += 3
    assert not house.is_unlocked
    house.guard.attend()
    assert house.shown[-1].lock == "locked"


def test_a_forced_contact_sounds_the_alarm_though_nothing_can_be_recorded(house: House) -> None:
    house.guard.saw(Contact.CLOSED)
    house.full = True
    house.guard.saw(Contact.OPEN)
    assert house.sounding
    assert house.shown[-1].alarm
    assert house.guard.due_in() == 1.0
    house.guard.saw(Contact.CLOSED)
    house.full = False
    house.guard.attend()
    assert house.recorded == [DoorWhat.FORCED, DoorWhat.CLOSED]


def test_an_alarm_output_that_fails_is_told_and_tried_again(house: House) -> None:
    house.guard.saw(Contact.CLOSED)
    house.cut = True
    house.guard.saw(Contact.OPEN)
    assert "alarm_unreadable" in house.guard.problems
    house.cut = False
    house.guard.attend()
    assert house.sounding
    assert house.guard.problems == ("door_forced",)


def test_a_button_that_cannot_be_read_is_told_once(house: House) -> None:
    house.guard.fault("exit_button", is_there=True)
    house.guard.fault("exit_button", is_there=True)
    assert house.shown[-1].faults == ("exit_button",)
    house.guard.fault("exit_button", is_there=False)
    assert house.recorded == [DoorWhat.FAULT, DoorWhat.FAULT_OVER]


def test_a_lockdown_is_not_opened_from_afar(house: House) -> None:
    house.guard.set_mode(Mode.LOCKDOWN, "mqtt")
    assert not house.guard.released("mqtt")
    assert not house.is_unlocked
    house.guard.set_mode(Mode.NORMAL, "mqtt")
    assert house.guard.released("mqtt")
    assert house.is_unlocked


def test_closing_locks_and_silences(house: House) -> None:
    house.guard.set_mode(Mode.UNLOCKED, "mqtt")
    assert house.is_unlocked
    house.guard.close()
    assert not house.is_unlocked


# --- its lines --------------------------------------------------------------------------------


class Wires:
    """Lines whose levels a test sets; `Inputs` over them."""

    def __init__(self) -> None:
        self.levels = {"contact": True, "exit_button": False}
        self.edges: list[Edge] = []
        self.broken = False
        self._changed = threading.Condition()

    def take(self, *_: Any, **__: Any) -> Inputs:
        self._check()
        return self

    def set(self, name: str, *, active: bool) -> None:
        with self._changed:
            self.levels[name] = active
            self.edges.append(Edge(name, active, 0.0))
            self._changed.notify()

    def breaks(self, *, broken: bool) -> None:
        with self._changed:
            self.broken = broken
            self._changed.notify()

    def values(self) -> Mapping[str, bool]:
        self._check()
        return dict(self.levels)

    def wait(self, timeout_s: float) -> list[Edge]:
        with self._changed:
            self._changed.wait_for(lambda: self.edges or self.broken, timeout_s)
            self._check()
            edges, self.edges = self.edges, []
            return edges

    def close(self) -> None:
        pass

    def _check(self) -> None:
        if self.broken:
            raise InputUnavailable("the chip was pulled out")


LINES = DoorSettings(contact="gpio", contact_line=22, exit_line=23)


def test_a_contact_on_a_line_opens_shuts_and_fails_closed_when_its_chip_is_pulled_out(
    house: House,
) -> None:
    wires = Wires()
    house.guard.set_mode(Mode.UNLOCKED, "mqtt")
    watching = Watching(DoorLines(house.guard, LINES, wires.take), "lines-front")
    watching.start()
    try:
        wait_until(lambda: house.guard.state().contact == "closed", "the contact")
        wires.set("contact", active=False)
        wait_until(lambda: house.guard.state().contact == "open", "the contact")
        wires.breaks(broken=True)
        wait_until(lambda: house.guard.state().faults == ("contact", "exit_button"), "the fault")
        assert not house.is_unlocked
        wires.breaks(broken=False)
        wait_until(lambda: house.guard.state().faults == (), "no fault any more")
    finally:
        watching.stop()


def test_the_exit_button_releases_when_it_is_pressed_and_not_when_it_is_let_go(
    house: House,
) -> None:
    wires = Wires()
    lines = DoorLines(house.guard, LINES, wires.take)
    lines.open()
    wires.set("exit_button", active=True)
    wires.set("exit_button", active=False)
    lines.read()
    assert house.recorded == [DoorWhat.EXIT_BUTTON]


def test_a_bouncing_contact_ends_as_what_it_is(house: House) -> None:
    wires = Wires()
    lines = DoorLines(house.guard, LINES, wires.take)
    lines.open()
    for turn in range(1000):
        wires.set("contact", active=turn % 2 == 0)
    wires.levels["contact"] = True  # the last edges were lost
    lines.read()
    assert house.guard.state().contact == "closed"
    assert DoorWhat.FORCED in house.recorded


def test_a_button_held_down_when_the_daemon_starts_opens_nothing(house: House) -> None:
    wires = Wires()
    wires.levels["exit_button"] = True
    DoorLines(house.guard, LINES, wires.take).open()
    assert not house.is_unlocked
