"""What tells whether a PIN is right, besides the door: repeated transactions, other people's
credentials, the refusal of a PIN that is taken."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ostiary.app.building import services_without_cameras
from ostiary.app.core import Core, opened_core
from ostiary.commands import credentials
from ostiary.commands.commands import Commands
from ostiary.commands.registry import MQTT, Asker, Context
from ostiary.decision.rules import Ruling
from ostiary.errors import OstiaryError, PinWeak, TooManyAttempts, TransactionConflict
from ostiary.hardware.keypad import Entry
from ostiary.limits.lock_out import LockOut
from ostiary.messages.commands.credentials import CredentialRequest, SetPinRequest
from ostiary.messages.words import Factor, Reason
from ostiary.people.credential_check import CredentialCheck, PinHasher, hint_of
from ostiary.pipeline.doorkeeper import Doorkeeper
from ostiary.settings import Settings
from ostiary.store.audit import Audit
from ostiary.store.command_log import CommandKey, CommandLog
from ostiary.vision.engine import VisionEngine
from testing.faces import some_look

NOW = datetime(2026, 11, 25, tzinfo=UTC)
PIN, VISITORS = "471108", "902736"
ALONE = Ruling(needs=Factor.PIN, alone=frozenset({Factor.PIN}))
TRIES = 5
ANYBODY = Context("mqtt", Asker(None, MQTT))


class House:
    """Ada passes by her PIN; of Vi, a visitor, the time is over."""

    def __init__(self, core: Core) -> None:
        self.database = core.database
        people = core.people
        self.now = 1000.0
        self.told: list[Reason] = []
        self.keeper = Doorkeeper(
            lambda told, _door: self.told.append(told.decision.reason),
            lambda name, _door: Ruling(Reason.EXPIRED) if name == "Vi" else ALONE,
        )
        hasher = PinHasher()
        self.locked = LockOut(TRIES, lambda: self.now)
        self.credential_check = CredentialCheck(
            people.credentials, self.keeper, hasher, self.locked, lambda: self.now
        )
        for number, (name, pin) in enumerate((("Ada", PIN), ("Vi", VISITORS), ("Eve", None))):
            people.register(name, [some_look(number + 1)], NOW, source="cli")
            if pin is not None:
                people.credentials.set_pin(name, "pin", hasher.hash(pin), hint_of(pin), NOW)
        services = replace(
            services_without_cameras(core),
            doors={"front": _Door()},  # type: ignore[dict-item]
            credential_check=self.credential_check,
            hasher=hasher,
        )
        self.commands = Commands(services, CommandLog(self.database))

    def ask(self, pin: str, transaction: str) -> str:
        """What a keypad on the bus is answered."""
        payload = f'{{"pin": "{pin}", "transaction": "{transaction}"}}'.encode()
        key = CommandKey.of("credential", f"{transaction!r}", payload, secret=True)
        request = CredentialRequest.model_validate_json(payload)
        try:
            answer = self.commands.run(credentials.credential, request, replace(ANYBODY, key=key))
        except OstiaryError as error:
            return error.code
        return str(answer.model_dump()["outcome"])


class _Door:
    """Nothing is done with it."""


@pytest.fixture
def house(tmp_path: Path, engine: VisionEngine) -> Iterator[House]:
    key = tmp_path / "store-key"
    key.write_bytes(bytes(32))
    settings = Settings.model_validate(
        {
            "cameras": [{"name": "front", "source": "nowhere"}],
            "credentials": {"tries": TRIES},
            "store": {"path": tmp_path / "door.db", "key_file": key},
        }
    )
    with opened_core(settings, engine) as core:
        yield House(core)


def test_a_repeated_transaction_is_no_oracle(house: House) -> None:
    """Whoever overheard a transaction guesses the PIN that came with it."""
    assert house.ask(PIN, "overheard") == "granted"
    answers = [house.ask(f"9{number:05}", "overheard") for number in range(50)]
    assert set(answers) == {"transaction_conflict"}
    assert house.told.count(Reason.WRONG_CREDENTIAL) == TRIES
    assert house.told.count(Reason.LOCKED_OUT) == 1
    assert house.ask(PIN, "overheard") == "transaction_conflict", "while it is locked nothing tells"
    assert house.ask(PIN, "another") == "denied", "the guesses lock the door's keypad"
    assert house.told.count(Reason.GRANTED) == 1


def test_the_same_delivered_again_is_answered_as_before_and_is_no_try(house: House) -> None:
    assert [house.ask(PIN, "mine") for _ in range(20)] == ["granted"] * 20
    assert house.told == [Reason.GRANTED]
    assert house.ask("999111", "another") == "denied"
    assert house.ask(PIN, "third") == "granted"


def test_a_repeated_transaction_of_an_operator_is_no_oracle_either(house: House) -> None:
    def again(pin: str) -> str:
        payload = f'{{"username": "Eve", "pin": "{pin}", "transaction": "t"}}'.encode()
        key = CommandKey.of("set_pin", "'t'", payload, secret=True)
        request = SetPinRequest.model_validate_json(payload)
        try:
            house.commands.run(credentials.set_pin, request, replace(ANYBODY, key=key))
        except TransactionConflict as error:
            return error.code
        return "ok"

    assert again("730194") == "ok"
    assert {again(f"8{number:05}") for number in range(20)} == {"transaction_conflict"}
    assert again("730194") == "transaction_conflict"


def test_no_digest_of_a_pin_is_kept(house: House, tmp_path: Path) -> None:
    """With all that is in the file nobody can try PINs against a recorded command."""
    assert house.ask(PIN, "t") == "granted"
    payload = f'{{"pin": "{PIN}", "transaction": "t"}}'.encode()
    known = CommandKey.of("credential", "'t'", payload, secret=True)
    assert CommandLog(house.database).answer(known) is not None
    again = CommandKey.of("credential", "'t'", payload.replace(b"4711", b"0000"), secret=True)
    assert CommandLog(house.database).answer(again) is not None, "a later process compares nothing"
    with closing(sqlite3.connect(tmp_path / "door.db")) as connection:
        (kept,) = connection.execute("SELECT digest FROM commands").fetchone()
    assert known.digest not in kept


def test_who_may_not_pass_any_more_clears_no_count(house: House) -> None:
    """A visitor's own PIN between the guesses gives them no more of these."""
    denied = 0
    for number in range(48):
        house.credential_check.present("front", Entry("pin", f"9{number:05}"))
        house.credential_check.present("front", Entry("pin", VISITORS))
        denied = house.told.count(Reason.WRONG_CREDENTIAL)
        house.now += 0.14
    assert denied <= TRIES
    assert Reason.LOCKED_OUT in house.told


def test_nor_does_who_may_pass(house: House) -> None:
    for number in range(48):
        house.credential_check.present("front", Entry("pin", f"9{number:05}"))
        house.credential_check.present("front", Entry("pin", PIN))
        house.now += 0.14
    assert house.told.count(Reason.WRONG_CREDENTIAL) <= TRIES


def test_right_ones_count_for_nothing_however_many_come(house: House) -> None:
    for _ in range(40):
        assert house.credential_check.present("front", Entry("pin", PIN)) == "granted"


def test_a_wrong_one_is_forgiven_in_time(house: House) -> None:
    for number in range(40):
        house.credential_check.present("front", Entry("pin", f"9{number:05}"))
        house.now += 1000
    assert house.credential_check.present("front", Entry("pin", PIN)) == "granted"


def test_that_a_pin_is_somebodys_is_told_seldom_and_written_down(house: House) -> None:
    def give(pin: str) -> None:
        request = SetPinRequest.model_validate_json(f'{{"username": "Eve", "pin": "{pin}"}}')
        house.commands.run(credentials.set_pin, request, ANYBODY)

    for _ in range(TRIES):
        with pytest.raises(PinWeak):
            give(PIN)
    for pin in (PIN, "730194"):
        with pytest.raises(TooManyAttempts):
            give(pin)
    rows = Audit(house.database).newest(20)
    assert [row.action for row in rows] == ["pin_refused"] * TRIES
    assert not [row for row in rows if PIN in str(row)]
