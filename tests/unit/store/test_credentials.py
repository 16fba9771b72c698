"""PINs and cards at rest."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from ostiary.crypto.door_key import DoorKey
from ostiary.errors import CardTaken, CredentialUnknown, UserUnknown
from ostiary.messages.decision import Decision
from ostiary.messages.words import DoorWhat, Mode, Reason
from ostiary.store import sealing
from ostiary.store.credentials import Credentials, Holding, Pins
from ostiary.store.database import Database
from ostiary.store.events import EventFilter, Events
from ostiary.store.log_check import check_log
from ostiary.store.users import Users

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
KEY = bytes(range(32))
CARD = "40960815"


def with_people(path: Path, key: bytes | None) -> Database:
    database = Database.open(path, key)
    users = Users(database)
    rng = np.random.default_rng(5)
    for name in ("Ada", "张三"):
        users.add(name, [rng.normal(size=128)], NOW, recognizer="dlib", source="cli")
    return database


@pytest.fixture(params=[None, KEY], ids=["plain", "sealed"])
def database(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Database]:
    with with_people(tmp_path / "door.db", request.param) as opened:
        yield opened


@pytest.fixture
def credentials(database: Database) -> Credentials:
    return Credentials(database)


def test_a_pin_replaces_the_one_before_and_is_found_by_its_hint(credentials: Credentials) -> None:
    credentials.set_pin("Ada", "pin", "first", 7, NOW)
    credentials.set_pin("Ada", "pin", "second", 9, NOW)
    credentials.set_pin("Ada", "duress", "other", 7, NOW)
    assert credentials.pins_of("Ada").pin == "second"
    assert [each.username for each in credentials.pins_like(9)] == ["Ada"]
    assert [each.duress for each in credentials.pins_like(7)] == ["other"]
    assert credentials.pins_like(8) == ()
    assert credentials.holding("Ada") == Holding(pin=True, duress=True, cards=0)


def test_who_has_what_is_told_of_all_at_once(credentials: Credentials) -> None:
    assert credentials.holders() == {}
    credentials.set_pin("Ada", "duress", "other", 7, NOW)
    assert credentials.holders() == {"Ada": {"duress"}}
    credentials.set_pin("Ada", "pin", "first", 7, NOW)
    credentials.add_card("张三", CARD, NOW)
    assert credentials.holders() == {"Ada": {"pin", "duress"}, "张三": {"card"}}
    credentials.remove_pin("Ada", "pin")
    assert credentials.holders()["Ada"] == {"duress"}


def test_a_card_has_one_owner(credentials: Credentials) -> None:
    credentials.add_card("张三", CARD, NOW)
    assert credentials.owner_of(CARD) == "张三"
    assert credentials.owner_of("1") is None
    with pytest.raises(CardTaken):
        credentials.add_card("Ada", CARD, NOW)
    with pytest.raises(CredentialUnknown):
        credentials.remove_card("Ada", CARD)
    credentials.remove_card("张三", CARD)
    assert credentials.owner_of(CARD) is None


def test_nobody_has_no_credentials(credentials: Credentials) -> None:
    with pytest.raises(UserUnknown):
        credentials.set_pin("Nobody", "pin", "hash", 0, NOW)
    with pytest.raises(CredentialUnknown, match="duress PIN"):
        credentials.remove_pin("Ada", "duress")
    assert credentials.pins_of("Nobody").pin is None


def test_a_rename_keeps_them_and_a_deletion_takes_them_away(
    database: Database, credentials: Credentials
) -> None:
    credentials.set_pin("Ada", "pin", "hash", 7, NOW)
    credentials.add_card("Ada", CARD, NOW)
    Users(database).rename("Ada", "Countess")
    assert credentials.pins_of("Countess").pin == "hash"
    assert credentials.owner_of(CARD) == "Countess"
    Users(database).delete("Countess")
    assert credentials.owner_of(CARD) is None
    assert credentials.pins_like(7) == ()


def test_a_stolen_disk_tells_neither_the_hash_of_a_pin_nor_a_cards_number(tmp_path: Path) -> None:
    path = tmp_path / "door.db"
    with with_people(path, KEY) as database:
        Credentials(database).set_pin("Ada", "pin", "$argon2id$secret", 7, NOW)
        Credentials(database).add_card("Ada", CARD, NOW)
    raw = path.read_bytes()
    assert CARD.encode() not in raw
    assert b"argon2id" not in raw


def test_a_credential_that_was_moved_to_somebody_else_opens_nothing(tmp_path: Path) -> None:
    path = tmp_path / "door.db"
    with with_people(path, KEY) as database:
        Credentials(database).set_pin("Ada", "pin", "hash", 7, NOW)
        Credentials(database).add_card("Ada", CARD, NOW)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            "UPDATE credentials SET user_id = (SELECT id FROM users WHERE id != user_id)"
        )
    with Database.open(path, KEY) as database:
        assert Credentials(database).owner_of(CARD) is None
        assert Credentials(database).pins_of("张三").pin is None


def test_who_was_altered_has_no_pins_and_can_be_deleted(tmp_path: Path) -> None:
    with with_people(tmp_path / "door.db", KEY) as database:
        credentials = Credentials(database)
        credentials.set_pin("Ada", "pin", "hash", 7, NOW)
        credentials.add_card("Ada", CARD, NOW)
        with database.transaction() as connection:
            connection.execute("UPDATE users SET key = zeroblob(60) WHERE id = 1")
        assert credentials.pins_of("Ada") == Pins("Ada")
        assert credentials.holding("Ada") == Holding(pin=False, duress=False, cards=1)
        Users(database).delete("Ada")
        assert credentials.owner_of(CARD) is None


def test_a_plain_store_is_sealed_and_opened_for_good_with_its_credentials(tmp_path: Path) -> None:
    path = tmp_path / "door.db"
    door_key = DoorKey.load_or_make(tmp_path / "door.pem")
    with with_people(path, None) as database:
        Credentials(database).set_pin("Ada", "pin", "hash", 7, NOW)
        Credentials(database).add_card("Ada", CARD, NOW)
    assert sealing.encrypt(path, KEY, door_key, "ostiary/door", NOW)
    assert CARD.encode() not in path.read_bytes()
    with Database.open(path, KEY) as database:
        assert Credentials(database).owner_of(CARD) == "Ada"
    assert sealing.decrypt(path, KEY, door_key, "ostiary/door", NOW)
    with Database.open(path) as database:
        assert Credentials(database).owner_of(CARD) == "Ada"
        assert Credentials(database).pins_of("Ada").pin == "hash"


def test_a_new_data_key_seals_credentials_anew(tmp_path: Path) -> None:
    path = tmp_path / "door.db"
    with with_people(path, KEY) as database:
        credentials = Credentials(database)
        credentials.set_pin("Ada", "pin", "hash", 7, NOW)
        credentials.add_card("Ada", CARD, NOW)
        before = rows(path)
        sealing.rotate(path, KEY, NOW)
        assert credentials.owner_of(CARD) == "Ada"
        rotation = sealing.Rotation(database)
        while rotation.step():
            pass
        assert not set(before) & set(rows(path))
        assert credentials.owner_of(CARD) == "Ada"
        assert credentials.pins_of("Ada").pin == "hash"
        assert [each.username for each in credentials.pins_like(7)] == ["Ada"]


def rows(path: Path) -> list[tuple[bytes]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT secret FROM credentials").fetchall()


def test_what_happens_at_a_door_is_recorded_in_the_chain_with_everything_else(
    database: Database,
) -> None:
    events = Events(database)
    events.append_entrance(door="front", what=DoorWhat.FORCED, now=NOW)
    events.append_entrance(door="front", what=DoorWhat.OPENED, username="Ada", now=NOW)
    events.append_entrance(door="front", what=DoorWhat.MODE, mode=Mode.LOCKDOWN, by="mqtt", now=NOW)
    told = events.page(newest_first=False).events
    assert [event.seq for event in told] == [1, 2, 3]
    assert told[1].model_dump()["username"] == "Ada"
    assert told[2].model_dump()["mode"] is Mode.LOCKDOWN
    assert events.pending(0, 10) == told
    with database.reading() as connection:
        assert check_log(connection, bytes(32), (), database.seal).findings == ()


def test_duress_is_shown_only_to_whoever_asks_for_it(database: Database) -> None:
    events = Events(database)
    usual, forced = (
        events.append_login(Decision(Reason.GRANTED, "Ada"), source="front", now=NOW, duress=duress)
        for duress in (False, True)
    )
    shown = [event.model_dump() for event in events.page(newest_first=False).events]
    assert shown == [usual.model_dump(), forced.model_dump()]
    same = set(usual.model_dump()) - {"event_id", "seq"}
    assert all(shown[0][name] == shown[1][name] for name in same)
    (duress,) = events.page(EventFilter(kind="duress")).events
    assert (duress.seq, duress.event_id) == (forced.seq, forced.event_id)
    assert events.forced(forced.seq) == duress
    assert events.forced(usual.seq) is None
    with database.reading() as connection:
        assert check_log(connection, bytes(32), (), database.seal).findings == ()


def test_who_went_in_last_is_known_after_a_restart_until_it_is_forgiven(
    database: Database,
) -> None:
    events = Events(database)

    def let_in(name: str, door: str, ago_h: float, *, success: bool = True) -> None:
        events.append_login(
            Decision(Reason.GRANTED if success else Reason.UNKNOWN_FACE, name),
            source=door,
            now=NOW - timedelta(hours=ago_h),
        )

    let_in("Ada", "in", 30)
    let_in("Ada", "in", 3)
    let_in("Ada", "out", 2)
    let_in("张三", "in", 1)
    let_in("张三", "out", 0.5, success=False)
    let_in("张三", "garage", 0.2)
    day = NOW - timedelta(hours=24)
    assert events.last_passed(("in", "out"), day) == {"Ada": "out", "张三": "in"}
    events.append_entrance(door="in", what=DoorWhat.FORGIVEN, by="mqtt", now=NOW)
    assert events.last_passed(("in", "out"), day) == {}


def test_events_and_their_pictures_of_a_door_without_a_contact_come_along(tmp_path: Path) -> None:
    """The table of events is made anew by the migration; nothing of it may be lost."""
    from ostiary.store import schema

    path = tmp_path / "old.db"
    scripts = schema.migrations()
    at = next(n for n, script in enumerate(scripts) if "events_wider" in script)
    with closing(sqlite3.connect(path, isolation_level=None)) as old:
        for script in scripts[:at]:
            old.executescript(script)
        old.execute(f"PRAGMA user_version = {at}")
        old.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
        for _ in range(3):
            old.execute(
                "INSERT INTO events (event_id, kind, timestamp, source, success, reason, message)"
                " VALUES (?, 'login', '2026-01-01T00:00:00.000Z', 'front', 0, 'no_face', 'x')",
                (os.urandom(16),),
            )
        old.execute("DELETE FROM events WHERE seq = 3")
        old.execute("INSERT INTO snapshots VALUES (2, x'ff', '2026-01-01T00:00:00.000Z')")
    with Database.open(path) as database:
        events = Events(database)
        assert [event.seq for event in events.page().events] == [2, 1]
        with database.reading() as connection:
            assert connection.execute("SELECT seq FROM snapshots").fetchall() == [(2,)]
            assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        event = events.append_entrance(door="front", what=DoorWhat.OPENED, now=NOW)
        assert event.seq == 4  # a number is never given twice
