"""The relay: open for a moment, closed whatever happens."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ostiary.errors import RelayUnavailable
from ostiary.hardware.gpio import GpioLine, Relay, lines_of, release
from ostiary.settings import CameraSettings, RelaySettings, Settings
from testing.waiting import wait_until

PULSE_S = 1.0
"""A busy machine gives a thread its turn within a part of it."""


class Wire:
    """A lock's wire that remembers what was on it, and can be cut."""

    def __init__(self) -> None:
        self.levels: list[tuple[float, bool]] = []
        self.released = False
        self.cut = False
        self.changed = threading.Event()

    def set_active(self, active: bool) -> None:
        if self.cut:
            raise OSError(5, "Input/output error")
        self.levels.append((time.monotonic(), active))
        self.changed.set()

    def release(self) -> None:
        self.released = True

    @property
    def active(self) -> bool:
        return bool(self.levels) and self.levels[-1][1]

    def wait(self, active: bool) -> None:
        wait_until(lambda: self.active == active, f"the wire to be {active}", every_s=0.005)


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture
def relay(wire: Wire) -> Iterator[Relay]:
    made = Relay(wire, PULSE_S)
    yield made
    made.close()


def test_a_pulse_opens_at_once_and_closes_after_its_time(relay: Relay, wire: Wire) -> None:
    asked = time.monotonic()
    relay.pulse()
    wire.wait(True)
    wire.wait(False)
    (opened, _), (closed, _) = wire.levels
    assert opened - asked < PULSE_S / 2
    assert closed - asked >= PULSE_S


def test_a_second_pulse_holds_open_and_does_not_close_in_between(relay: Relay, wire: Wire) -> None:
    relay.pulse()
    wire.wait(True)
    time.sleep(PULSE_S / 4)
    relay.pulse()
    wire.wait(False)
    assert [active for _, active in wire.levels] == [True, False]
    assert wire.levels[1][0] - wire.levels[0][0] >= 1.25 * PULSE_S


def test_nothing_opens_without_a_pulse(relay: Relay, wire: Wire) -> None:
    time.sleep(0.1)
    relay.close()
    assert not any(active for _, active in wire.levels)


def test_closing_in_the_middle_of_a_pulse_locks_at_once(relay: Relay, wire: Wire) -> None:
    relay.pulse()
    wire.wait(True)
    relay.close()
    assert not wire.active
    assert wire.released


def test_a_line_that_fails_for_a_moment_is_closed_as_soon_as_it_works(
    relay: Relay, wire: Wire
) -> None:
    relay.pulse()
    wire.wait(True)
    wire.cut = True
    time.sleep(1.5 * PULSE_S)
    assert wire.active
    wire.cut = False
    wire.wait(False)


def test_a_line_that_does_not_work_never_stops_the_door(relay: Relay, wire: Wire) -> None:
    wire.cut = True
    relay.pulse()
    time.sleep(0.05)
    wire.cut = False
    relay.pulse()
    wire.wait(True)


@pytest.mark.parametrize("chip", ["/dev/gpiochip-none", "/dev/null"])
def test_a_chip_that_is_none_is_named(chip: str) -> None:
    with pytest.raises(RelayUnavailable, match=rf"line 17 of {chip}.*gpioinfo"):
        GpioLine.take(RelaySettings(enabled=True, chip=Path(chip)))


def test_release_does_nothing_at_a_door_without_relay() -> None:
    release(Settings(relay=RelaySettings(chip=Path("/dev/gpiochip-none"))))


SIMULATOR = Path("/sys/kernel/config/gpio-sim")


@pytest.mark.skipif(not SIMULATOR.is_dir(), reason="this kernel has no gpio-sim")
def test_a_simulated_line_is_high_during_the_pulse_and_low_after_it() -> None:
    bank = SIMULATOR / "ostiary" / "bank0"
    bank.mkdir(parents=True)
    try:
        (bank / "num_lines").write_text("8")
        (bank.parent / "live").write_text("1")
        chip = (bank / "chip_name").read_text().strip()
        device = (bank.parent / "dev_name").read_text().strip()
        level = Path(f"/sys/devices/platform/{device}/{chip}/sim_gpio3/value")
        settings = RelaySettings(enabled=True, chip=Path("/dev") / chip, line=3, pulse_s=PULSE_S)
        relay = Relay.open(settings)
        try:
            assert level.read_text().strip() == "0"
            relay.pulse()
            time.sleep(PULSE_S / 2)
            assert level.read_text().strip() == "1"
            time.sleep(PULSE_S)
            assert level.read_text().strip() == "0"
        finally:
            relay.close()
    finally:
        (bank.parent / "live").write_text("0")
        bank.rmdir()
        bank.parent.rmdir()


def test_each_camera_opens_its_own_door_or_the_common_one() -> None:
    cameras = (
        CameraSettings(name="in"),
        CameraSettings(name="out", relay_line=27),
        CameraSettings(name="garage", relay_line="GARAGE"),
    )
    relay = RelaySettings(enabled=True, line=17)
    lines = lines_of(Settings(cameras=cameras, relay=relay))
    assert {name: each.line for name, each in lines.items()} == {
        "in": 17,
        "out": 27,
        "garage": "GARAGE",
    }
    assert lines_of(Settings(cameras=cameras)) == {}
