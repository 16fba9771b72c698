"""Whose PIN it is, how often one may be wrong, and what time tells about it."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostiary.decision.admission import Need, Waiting
from ostiary.decision.camera_memory import Announcement
from ostiary.errors import PinWeak
from ostiary.hardware.keypad import Entry
from ostiary.limits.lock_out import LockOut
from ostiary.messages.decision import Decision
from ostiary.messages.words import Reason
from ostiary.people.credential_check import (
    CredentialCheck,
    PinHasher,
    check_pin,
    hint_of,
)
from ostiary.store.credentials import Credentials
from ostiary.store.database import Database
from ostiary.store.users import Users

NOW = datetime(2026, 11, 25, tzinfo=UTC)
PINS = {"Anna": "471108", "Bo": "902736"}
DURESS = "815427"


class Keeper:
    """A doorkeeper who lets in whoever is named, and remembers what was told."""

    def __init__(self) -> None:
        self.awaited: str | None = None
        self.let_in: list[tuple[str, Need, bool]] = []
        self.mistakes: list[tuple[str, Reason, str | None]] = []

    def waiting(self, _door: str) -> Waiting | None:
        if self.awaited is None:
            return None
        return Waiting(Announcement(Decision(Reason.GRANTED, self.awaited)), (Need.PIN,), 1e9)

    def presented(
        self, _door: str, need: Need, username: str, _now: float, *, duress: bool = False
    ) -> tuple[Announcement, ...]:
        self.let_in.append((username, need, duress))
        return (Announcement(Decision(Reason.GRANTED, username), duress=duress),)

    def mistaken(
        self, door: str, reason: Reason, _now: float, username: str | None = None
    ) -> tuple[Announcement, ...]:
        self.mistakes.append((door, reason, username))
        return ()


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class CountingHasher(PinHasher):
    """How many hashes were made: what time would tell."""

    def __init__(self) -> None:
        super().__init__()
        self.tried = 0

    def verify(self, pin_hash: str | None, pin: str) -> bool:
        self.tried += 1
        return super().verify(pin_hash, pin)


@pytest.fixture(scope="module")
def hasher() -> CountingHasher:
    return CountingHasher()


@pytest.fixture(scope="module")
def credentials(
    tmp_path_factory: pytest.TempPathFactory, hasher: CountingHasher
) -> Iterator[Credentials]:
    path: Path = tmp_path_factory.mktemp("store") / "door.db"
    with Database.open(path, bytes(32)) as database:
        users, kept = Users(database), Credentials(database)
        for name, pin in PINS.items():
            users.add(name, [np.ones(128)], NOW, recognizer="dlib", source="cli")
            kept.set_pin(name, "pin", hasher.hash(pin), hint_of(pin), NOW)
        kept.set_pin("Anna", "duress", hasher.hash(DURESS), hint_of(DURESS), NOW)
        kept.add_card("Bo", "815", NOW)
        yield kept


class Desk:
    def __init__(self, credentials: Credentials, hasher: PinHasher) -> None:
        self.keeper, self.clock = Keeper(), Clock()
        self.locked = LockOut(3, self.clock)
        self.credential_check = CredentialCheck(
            credentials, self.keeper, hasher, self.locked, monotonic=self.clock
        )

    def pin(self, text: str, door: str = "front", claimed: str | None = None) -> str:
        return self.credential_check.present(door, Entry("pin", text), claimed)

    def card(self, text: str, door: str = "front") -> str:
        return self.credential_check.present(door, Entry("card", text))


@pytest.fixture
def desk(credentials: Credentials, hasher: CountingHasher) -> Desk:
    return Desk(credentials, hasher)


def test_a_pin_says_whose_it_is(desk: Desk) -> None:
    assert desk.pin(PINS["Bo"]) == "granted"
    assert desk.pin(DURESS) == "granted"
    assert desk.keeper.let_in == [("Bo", Need.PIN, False), ("Anna", Need.PIN, True)]


def test_a_pin_is_anothers_while_somebody_is_waited_for(desk: Desk) -> None:
    desk.keeper.awaited = "Anna"
    assert desk.pin(PINS["Bo"]) == "denied"
    assert desk.keeper.mistakes == [("front", Reason.WRONG_CREDENTIAL, "Anna")]
    assert desk.pin(PINS["Anna"]) == "granted"


def test_a_claimed_name_needs_its_own_pin(desk: Desk) -> None:
    assert desk.pin(PINS["Bo"], claimed="Anna") == "denied"
    assert desk.pin(PINS["Bo"], claimed="Nobody") == "denied"
    assert desk.pin(PINS["Anna"], claimed="Anna") == "granted"


@pytest.mark.parametrize("text", ["815", "0000815", "00815"])
def test_a_card_is_the_same_with_the_zeros_that_a_reader_adds(desk: Desk, text: str) -> None:
    assert desk.card(text) == "granted"
    assert desk.card("816") == "denied"
    assert desk.card("no card") == "denied"


def test_wrong_credentials_lock_their_door_and_no_other_for_longer_each_time(desk: Desk) -> None:
    for _ in range(3):
        assert desk.pin("999111") == "denied"
    assert desk.pin(PINS["Anna"]) == "denied"
    assert desk.keeper.mistakes[-1][1] is Reason.LOCKED_OUT
    assert desk.pin(PINS["Anna"], door="back") == "granted"
    desk.clock.now += 61
    assert desk.pin("999111") == "denied"
    desk.clock.now += 61
    assert desk.pin(PINS["Anna"]) == "denied"  # twice as long
    desk.clock.now += 61
    assert desk.pin(PINS["Anna"]) == "granted"


def test_a_person_is_locked_out_though_others_come_and_go(desk: Desk) -> None:
    """Who has a PIN of their own must not clear the count of somebody whose face is lent."""
    for _ in range(3):
        desk.pin("999111", claimed="Anna")
        desk.clock.now += 0.1
    desk.clock.now += 59.0
    assert desk.pin(PINS["Anna"], claimed="Anna") == "denied"
    desk.locked.succeeded("front")  # Bo passed meanwhile
    assert desk.pin(PINS["Anna"], claimed="Anna") == "denied"


def test_a_lock_out_is_told_once_however_often_it_is_tried(desk: Desk) -> None:
    for _ in range(50):
        desk.pin("999111")
    reasons = [reason for _, reason, _ in desk.keeper.mistakes]
    assert reasons.count(Reason.LOCKED_OUT) == 1
    assert reasons.count(Reason.WRONG_CREDENTIAL) == 3


def test_a_flood_from_many_clients_gets_no_more_tries_than_one(
    credentials: Credentials, hasher: CountingHasher
) -> None:
    desk = Desk(credentials, hasher)
    before, gate = hasher.tried, threading.Barrier(8)

    def guess(start: int) -> None:
        gate.wait()
        for guessed in range(start, start + 20):
            desk.pin(f"{guessed:06d}")

    threads = [threading.Thread(target=guess, args=(700_000 + 20 * each,)) for each in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wrong = [reason for _, reason, _ in desk.keeper.mistakes if reason is Reason.WRONG_CREDENTIAL]
    assert len(wrong) == 3
    assert hasher.tried - before <= 3 * 2 * 3  # of each the few candidates with its hint


def test_how_long_it_takes_does_not_tell_who_has_a_pin(desk: Desk, hasher: CountingHasher) -> None:
    counts = []
    tries = [
        (PINS["Anna"], "Anna"),
        (DURESS, "Anna"),
        ("999111", "Anna"),
        ("999111", "Nobody"),
        ("999111", "Bo"),
    ]
    for pin, claimed in tries:
        desk.clock.now += 10_000
        before = hasher.tried
        desk.pin(pin, claimed=claimed)
        counts.append(hasher.tried - before)
    assert set(counts) == {2}


@pytest.mark.parametrize(
    "pin", ["1111", "1234", "4321", "9876", "7890", "1212", "123", "12a4", "", "١٢٣٤", "０８１５"]
)
def test_a_pin_that_is_tried_first_is_refused(pin: str) -> None:
    with pytest.raises(PinWeak):
        check_pin(pin, 4)


@given(st.text(max_size=14))
def test_no_text_breaks_the_check_of_a_pin(pin: str) -> None:
    try:
        check_pin(pin, 4)
    except PinWeak:
        return
    assert pin.isascii()
    assert pin.isdecimal()
    assert len(pin) >= 4


def test_a_keypads_entries_are_decided_on_their_own_thread_and_a_burst_is_bounded(
    desk: Desk,
) -> None:
    for _ in range(100):
        desk.credential_check.submit("front", Entry("pin", "999111"))
    desk.credential_check.start()
    desk.credential_check.stop()
    assert len(desk.keeper.mistakes) <= 4
