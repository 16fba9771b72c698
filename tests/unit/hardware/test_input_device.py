"""Keypads and readers: the kernel's own records, through a pipe where there is no real device."""

import os
import struct
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ostiary.errors import InputUnavailable
from ostiary.hardware.controller import DoorController, Outputs
from ostiary.hardware.gpio import Edge
from ostiary.hardware.input_device import EV_SYN, EVENT, SYN_DROPPED, InputDevice, Keys
from ostiary.hardware.keypad import Entry
from ostiary.hardware.physical_door import PhysicalDoor
from ostiary.hardware.watching import KeyboardReader, Watching, WiegandReader
from ostiary.settings.doors import ReaderSettings
from testing.keyboard import SHIFT, THREE, pressed, record
from testing.waiting import wait_until
from tests.unit.hardware.test_controller import Wires
from tests.unit.hardware.test_keypad_wiegand import framed


def test_a_record_is_the_kernels_own() -> None:
    assert EVENT.size == struct.calcsize("llHHi")


def test_keys_are_read_once_each_however_long_they_are_held() -> None:
    assert [key for _, key in Keys().of(pressed("4711\n"))] == [*"4711", "\n"]


def test_records_that_come_in_pieces_are_put_together() -> None:
    keys, found = Keys(), []
    for byte in pressed("42\n"):
        found += keys.of(bytes([byte]))
    assert [key for _, key in found] == ["4", "2", "\n"]


def test_a_shifted_three_is_the_hash_key() -> None:
    data = record(SHIFT, 1, 0) + record(THREE, 1, 0) + record(SHIFT, 0, 0) + record(THREE, 1, 1)
    assert [key for _, key in Keys().of(data)] == ["#", "3"]


def test_keys_that_the_kernel_lost_void_what_was_typed() -> None:
    data = record(2, 1, 0) + record(SYN_DROPPED, 0, 1, EV_SYN)
    assert Keys().of(data)[-1][1] is None


class Desk:
    """A door with a keypad on a pipe; `entries` are what was presented."""

    def __init__(self, folder: Path, kind: str = "auto") -> None:
        self.path = folder / "keypad"
        os.mkfifo(self.path)
        self.entries: list[tuple[str, Entry]] = []
        self.guard = DoorController(
            "front",
            PhysicalDoor(),
            Outputs(lambda *_: None),
            lambda: 0.0,
            lambda: datetime.now(UTC),
        )
        settings = ReaderSettings(device=self.path, kind=kind)
        self._reader = KeyboardReader(self.guard, settings, lambda *each: self.entries.append(each))
        self._watching = Watching(self._reader, "keypad-front")
        self.cable: int | None = None

    def plug(self) -> None:
        self.cable = os.open(self.path, os.O_RDWR)  # as Linux permits for a pipe

    def type(self, data: bytes) -> None:
        assert self.cable is not None
        os.write(self.cable, data)

    def __enter__(self) -> "Desk":
        self.plug()
        self._watching.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._watching.stop()
        if self.cable is not None:
            os.close(self.cable)

    def pull_out(self) -> None:
        assert self.cable is not None
        os.close(self.cable)
        self.cable = None


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with Desk(tmp_path) as running:
        yield running


def test_a_pin_typed_at_a_keypad_is_presented_at_its_door(desk: Desk) -> None:
    desk.type(pressed("4711\n"))
    wait_until(lambda: desk.entries == [("front", Entry("pin", "4711"))], "the entry")


def test_a_card_that_a_reader_types_is_a_credential_of_the_other_kind(desk: Desk) -> None:
    desk.type(pressed("0008154711\n", pace_s=0.005))
    wait_until(lambda: desk.entries == [("front", Entry("card", "0008154711"))], "the entry")


def test_a_reader_may_end_with_tab_or_with_nothing(desk: Desk) -> None:
    desk.type(pressed("0008154711\t", pace_s=0.005))
    wait_until(lambda: desk.entries == [("front", Entry("card", "0008154711"))], "the first")
    desk.type(pressed("0008154712", pace_s=0.005))
    wait_until(lambda: desk.entries[1:] == [("front", Entry("card", "0008154712"))], "the second")


def test_a_keypad_pulled_out_in_the_middle_is_told_and_its_half_credential_forgotten(
    desk: Desk,
) -> None:
    desk.type(pressed("0\n47"))
    wait_until(lambda: len(desk.entries) == 1, "the entry")
    desk.pull_out()
    wait_until(lambda: desk.guard.state().faults == ("keypad",), "the fault")
    desk.plug()
    wait_until(lambda: desk.guard.state().faults == (), "no fault any more")
    desk.type(pressed("11\n", start=101.0))
    wait_until(lambda: len(desk.entries) == 2, "the entry")
    assert desk.entries[1] == ("front", Entry("pin", "11"))


def test_a_device_that_is_not_there_is_named_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(InputUnavailable, match="by-id"):
        InputDevice.open(tmp_path / "none")


def test_a_wiegand_reader_presents_cards_and_pins(tmp_path: Path) -> None:
    desk, wires = Desk(tmp_path), Wires()
    wires.levels = {"d0": False, "d1": False}
    settings = ReaderSettings(d0=5, d1=6)
    entries: list[tuple[str, Entry]] = []
    reader = WiegandReader(
        desk.guard,
        settings,
        lambda *each: entries.append(each),
        wires.take,
    )
    reader.open()

    def send(bits: list[bool], start: float) -> None:
        for place, bit in enumerate(bits):
            name, at = "d1" if bit else "d0", start + place * 0.002
            wires.edges += [Edge(name, True, at), Edge(name, False, at + 5e-5)]

    send(framed(815, 26), 10.0)
    for place, digit in enumerate((4, 7, 1, 1, 11)):
        send([bool(digit >> bit & 1) for bit in (3, 2, 1, 0)], 20.0 + place)
    reader.read()
    reader.read()  # nothing comes any more: the last word is over
    assert entries == [("front", Entry("card", "815")), ("front", Entry("pin", "4711"))]


def test_whoever_leans_on_a_keypad_keeps_no_other_door_from_working(desk: Desk) -> None:
    for _ in range(40):
        desk.type(pressed("1" * 60))
        threading.Event().wait(0.005)
    desk.type(pressed("*4711\n", start=1000.0))
    wait_until(lambda: desk.entries == [("front", Entry("pin", "4711"))], "the entry")
