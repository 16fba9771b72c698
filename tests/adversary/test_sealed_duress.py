"""Whoever reads a sealed file does not learn who was forced, who could say so, and whose PINs are
like each other's."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ostiary.commands.log_check import check
from ostiary.crypto.door_key import DoorKey
from ostiary.errors import CredentialUnknown
from ostiary.messages.decision import Decision
from ostiary.messages.words import Reason
from ostiary.store.backup import backup
from ostiary.store.credentials import Credentials, Pins
from ostiary.store.database import Database
from ostiary.store.events import EventFilter, Events
from ostiary.store.sealing import Rotation, decrypt, encrypt, rotate
from ostiary.store.users import Users

KEY = b"k" * 32
NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
HASH = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$" + "h" * 43
OTHER = HASH.replace("h" * 43, "o" * 43)


@pytest.fixture
def door_key(tmp_path: Path) -> DoorKey:
    return DoorKey.load_or_make(tmp_path / "door.key")


@pytest.fixture
def sealed(tmp_path: Path, door_key: DoorKey) -> Iterator[Database]:
    with Database.open(tmp_path / "door.db", KEY, door_key) as database:
        for number, name in enumerate(("Ada", "Ben")):
            Users(database).add(
                name, [np.full(128, 0.1 + number)], NOW, recognizer="dlib", source="test"
            )
        yield database


def visit(database: Database, name: str, *, duress: bool) -> int:
    return (
        Events(database)
        .append_login(Decision(Reason.GRANTED, name), source="front", now=NOW, duress=duress)
        .seq
    )


def rows(database: Database, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(database.path)) as connection:
        return connection.execute(query).fetchall()


def everything(database: Database) -> bytes:
    """The bytes of the file and of a backup."""
    database.scrub()
    copy = database.path.with_name("copy.db")
    backup(database.path, copy, replace=True)
    files = (database.path, database.path.with_name(database.path.name + "-wal"), copy)
    return b"".join(file.read_bytes() for file in files if file.exists())


def test_a_granted_login_looks_alike_whether_somebody_was_forced_or_not(sealed: Database) -> None:
    forced = [visit(sealed, "Ada", duress=number % 3 == 0) for number in range(12)]
    shapes = "SELECT DISTINCT action, length(named) FROM events WHERE kind = 'login'"
    assert len(rows(sealed, shapes)) == 1
    assert rows(sealed, "SELECT COUNT(DISTINCT named) FROM events") == [(12,)]
    events = Events(sealed)
    told = [event.seq for event in events.page(EventFilter(kind="duress")).events]
    assert told == [seq for number, seq in enumerate(forced) if number % 3 == 0][::-1]
    assert events.forced(forced[0]) is not None
    assert events.forced(forced[1]) is None


def test_a_name_of_no_length_shows_who_was_forced(sealed: Database) -> None:
    for letters in range(1, 65):
        name = "a" * letters
        Users(sealed).add(name, [np.full(128, 0.1)], NOW, recognizer="dlib", source="test")
        for duress in (False, True):
            visit(sealed, name, duress=duress)
    per_person = "SELECT COUNT(DISTINCT length(named)) FROM events WHERE kind = 'login'"
    assert set(rows(sealed, f"{per_person} GROUP BY person")) == {(1,)}


def test_pages_of_duress_are_as_of_everything_else(sealed: Database) -> None:
    seqs = [visit(sealed, "Ada", duress=number % 7 == 0) for number in range(50)]
    wanted = [seq for number, seq in enumerate(seqs) if number % 7 == 0]
    events, found, cursor = Events(sealed), [], None
    for _ in range(20):
        page = events.page(EventFilter(kind="duress"), cursor=cursor, limit=3, newest_first=False)
        found += [event.seq for event in page.events]
        cursor = page.cursor
        if cursor is None:
            break
    assert found == wanted


def test_the_record_still_fits_and_is_turned_both_ways(sealed: Database, door_key: DoorKey) -> None:
    forced, free = visit(sealed, "Ada", duress=True), visit(sealed, "Ben", duress=False)
    path = sealed.path
    assert check(path, door_key.public_text, (), KEY, door_key).findings == ()
    rotate(path, KEY, NOW, door_key)
    rotation = Rotation(sealed)
    while rotation.step():
        pass
    assert check(path, door_key.public_text, (), KEY, door_key).findings == ()
    sealed.close()
    assert decrypt(path, KEY, door_key, "door", NOW)
    with Database.open(path, None, door_key) as plain:
        assert Events(plain).forced(forced) is not None
        assert Events(plain).forced(free) is None
    assert encrypt(path, KEY, door_key, "door", NOW + timedelta(seconds=1))
    with Database.open(path, KEY, door_key) as again:
        assert Events(again).forced(forced) is not None
        assert Events(again).forced(free) is None
    assert check(path, door_key.public_text, (), KEY, door_key).findings == ()


def test_what_an_earlier_version_left_open_is_sealed_at_the_next_start(
    sealed: Database, door_key: DoorKey
) -> None:
    Credentials(sealed).set_pin("Ada", "pin", HASH, 5, NOW)
    path, lookup = sealed.path, sealed.seal.name("pin 5")
    sealed.close()
    with closing(sqlite3.connect(path, isolation_level=None)) as old:  # as it was written then
        old.execute("DELETE FROM credentials WHERE kind = 'duress'")
        old.execute("UPDATE credentials SET lookup = ?", (lookup,))
    with Database.open(path, KEY, door_key) as database:
        assert lookup.encode() not in everything(database)
        assert rows(database, "SELECT kind FROM credentials ORDER BY kind") == [
            ("duress",), ("pin",),
        ]  # fmt: skip
        assert Credentials(database).pins_like(5) == (Pins("Ada", HASH),)
    assert check(path, door_key.public_text, (), KEY, door_key).findings == ()


def shape(database: Database) -> list[tuple[Any, ...]]:
    """All that the file shows of each person's PINs, without what is sealed."""
    return rows(
        database,
        "SELECT COUNT(*), SUM(length(lookup)) / 2, MIN(length(secret)), MAX(length(secret)),"
        " COUNT(DISTINCT created_at), MAX(id) - MIN(id) FROM credentials GROUP BY user_id",
    )


def test_who_has_a_pin_for_duress_looks_like_who_has_none(sealed: Database) -> None:
    pins = Credentials(sealed)
    pins.set_pin("Ada", "pin", HASH, 5, NOW)
    pins.set_pin("Ben", "pin", HASH, 5, NOW)
    pins.set_pin("Ada", "duress", OTHER, 9, NOW + timedelta(days=3))
    ada, ben = shape(sealed)
    assert ada[0] == ben[0] == 2
    assert ada[2:] == ben[2:]
    assert pins.pins_of("Ada") == Pins("Ada", HASH, OTHER)
    assert pins.pins_of("Ben") == Pins("Ben", HASH)
    assert (pins.holding("Ada").duress, pins.holding("Ben").duress) == (True, False)
    with pytest.raises(CredentialUnknown):
        pins.remove_pin("Ben", "duress")
    pins.remove_pin("Ada", "duress")
    assert pins.pins_of("Ada") == Pins("Ada", HASH)
    assert shape(sealed)[0][0] == 2
    pins.remove_pin("Ada", "pin")
    assert pins.pins_of("Ada") == Pins("Ada")
    assert len(shape(sealed)) == 1


def test_one_for_duress_alone_looks_alike_too(sealed: Database) -> None:
    pins = Credentials(sealed)
    pins.set_pin("Ada", "duress", OTHER, 9, NOW)
    pins.set_pin("Ben", "pin", HASH, 5, NOW)
    ada, ben = shape(sealed)
    assert (ada[0], ada[2:]) == (ben[0], ben[2:])
    assert pins.pins_of("Ada") == Pins("Ada", None, OTHER)
    assert [each.username for each in pins.pins_like(9)] == ["Ada"]


def test_a_row_that_is_filled_with_nothing_is_nobodys_pin(sealed: Database) -> None:
    pins = Credentials(sealed)
    pins.set_pin("Ada", "pin", HASH, 5, NOW)
    assert [hint for hint in range(64) if pins.pins_like(hint)] == [5]


def test_both_rows_change_whichever_is_set(sealed: Database) -> None:
    """Two copies of the disk do not tell which PIN was changed in between."""
    pins = Credentials(sealed)
    pins.set_pin("Ada", "pin", HASH, 5, NOW)
    query = "SELECT id, created_at, lookup, secret FROM credentials ORDER BY id"
    before = rows(sealed, query)
    for kind in ("duress", "pin"):
        pins.set_pin("Ada", kind, OTHER, 7, NOW + timedelta(hours=1))
        after = rows(sealed, query)
        for old, new in zip(before, after, strict=True):
            assert old[:2] == new[:2]
            assert old[2] != new[2]
            assert old[3] != new[3]
        before = after


def test_pins_that_are_like_each_other_do_not_look_alike(sealed: Database) -> None:
    pins = Credentials(sealed)
    pins.set_pin("Ada", "pin", HASH, 5, NOW)
    pins.set_pin("Ben", "pin", HASH, 5, NOW)
    lookups = [lookup for (lookup,) in rows(sealed, "SELECT lookup FROM credentials")]
    assert len(set(lookups)) == 4
    assert len({len(each) for each in lookups}) == 1
    assert [each.username for each in pins.pins_like(5)] == ["Ada", "Ben"]
