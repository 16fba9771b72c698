"""Somebody who may write the database's file, and has not the door's key, lets the door itself hide
what was done: it signs, prunes and forgets only what it wrote."""

import hashlib
import sqlite3
import tomllib
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from importlib.resources import files
from pathlib import Path

import pytest

from ostiary.crypto.door_key import DoorKey
from ostiary.store import schema
from ostiary.store.audit_rows import ABOUT_PEOPLE
from ostiary.store.links import append, digest_of, link_of, newest_link
from ostiary.store.old_rows import OLD_EVENT_COLUMNS, OldEvent
from testing.record import ADA, DOOR, KEY, LATER, NOW, House

YEAR = timedelta(days=365)


@pytest.fixture(params=[None, KEY], ids=["plain", "sealed"])
def house(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[House]:
    """Bert was registered and let in twenty times, and all of it is signed."""
    made = House(tmp_path / "door.db", request.param)
    made.register("Bert")
    for _ in range(20):
        made.visit("Bert")
    made.deliver()
    sign(made)
    yield made
    made.database.close()


def sign(house: House) -> None:
    house.events.chain.sign(house.key, DOOR, LATER)


def prune(house: House, keep: int = 1000) -> int:
    limits = {"keep_at_most": keep, "queue_limit": 1000}
    return house.events.prune(LATER, keep_for=YEAR, **limits).deleted


def written_by_hand(house: House) -> sqlite3.Connection:
    return sqlite3.connect(house.path, isolation_level=None)


def append_by_hand(connection: sqlite3.Connection, note: str) -> None:
    """A `removed` entry as the door writes them, but for its key."""
    append(connection, "removed", 1, hashlib.sha256(note.encode()).digest(), note)


def delete_and_say_removed(connection: sqlite3.Connection) -> None:
    connection.execute("DELETE FROM events WHERE seq BETWEEN 5 AND 7")
    append_by_hand(connection, "event 5-7")


def delete_the_oldest_and_say_removed(connection: sqlite3.Connection) -> None:
    connection.execute("DELETE FROM events WHERE seq < 5")
    append_by_hand(connection, "event 1-4")


def delete_the_oldest(connection: sqlite3.Connection) -> None:
    connection.execute("DELETE FROM events WHERE seq <= 10")
    connection.execute("DELETE FROM audit")


def make_look_old(connection: sqlite3.Connection) -> None:
    connection.execute("UPDATE events SET timestamp = '2001-01-01T00:00:00.000Z' WHERE seq <= 10")


def push_out(connection: sqlite3.Connection) -> None:
    """Rows of nobody, so that there are more than are kept."""
    connection.executemany(
        "INSERT INTO events (event_id, kind, timestamp, source, success, delivered_at)"
        " VALUES (randomblob(16), 'login', '2026-05-01T00:00:00.000Z', 'front', 0, 'x')",
        [() for _ in range(1200)],
    )


def take_the_keys_away(connection: sqlite3.Connection) -> None:
    """As if nothing had been written by a version that has them."""
    connection.execute("UPDATE chain SET mac = NULL")
    connection.execute("DELETE FROM chain_heads")
    delete_and_say_removed(connection)


def leave_one_key(connection: sqlite3.Connection) -> None:
    """So that what is before it looks older than the keys."""
    connection.execute("UPDATE chain SET mac = NULL WHERE position < 15")
    connection.execute("DELETE FROM events WHERE seq = 3")
    connection.execute("DELETE FROM chain WHERE position = 3")


def copy_a_key(connection: sqlite3.Connection) -> None:
    delete_and_say_removed(connection)
    connection.execute(
        "UPDATE chain SET mac = (SELECT mac FROM chain WHERE position = 9)"
        " WHERE position = (SELECT MAX(position) FROM chain)"
    )


def pretend_to_adopt(connection: sqlite3.Connection) -> None:
    delete_and_say_removed(connection)
    connection.execute(
        "UPDATE chain SET mac = CAST('adopted' AS BLOB) || zeroblob(32)"
        " WHERE position = (SELECT MAX(position) FROM chain)"
    )


def put_nonsense_in(connection: sqlite3.Connection) -> None:
    """Values of types that no door writes."""
    position, _ = newest_link(connection)
    text = "a text as long as a digest is ..."[:32]
    for number, kind in enumerate(("event", "removed", "audit"), start=1):
        connection.execute(
            "INSERT INTO chain VALUES (?, ?, -1, ?, x'ff00', ?, ?)",
            (position + number, kind, text, text, text),
        )
    connection.execute("INSERT INTO chain_heads VALUES (?, ?, 'x', 'x', 'x')", (2**40, text))
    connection.execute("INSERT INTO chain_heads VALUES (?, ?, 'x', x'00', 7)", (2**41, text))


def chain_it_anew(connection: sqlite3.Connection) -> None:
    """The row is taken out of the chain as well, and all links after it are computed anew."""
    connection.execute("DELETE FROM events WHERE seq = 5")
    rows = connection.execute(
        "SELECT position, kind, row, digest, note FROM chain ORDER BY position"
    ).fetchall()
    connection.execute("DELETE FROM chain")
    connection.execute("DELETE FROM chain_heads")
    for _, kind, row, digest, note in rows:
        if (kind, row) != ("event", 5):
            append(connection, kind, row, digest, note)


def cut_the_end_off(connection: sqlite3.Connection) -> None:
    connection.execute("DELETE FROM events WHERE seq > 10")
    connection.execute("DELETE FROM chain WHERE position > 11")
    connection.execute("DELETE FROM chain_heads")


ERASING: tuple[Callable[[sqlite3.Connection], None], ...] = (
    delete_and_say_removed,
    delete_the_oldest_and_say_removed,
    delete_the_oldest,
    make_look_old,
    push_out,
    take_the_keys_away,
    leave_one_key,
    copy_a_key,
    pretend_to_adopt,
    put_nonsense_in,
    chain_it_anew,
    cut_the_end_off,
)


@pytest.mark.parametrize("erase", ERASING, ids=lambda each: each.__name__)
def test_a_record_is_not_erased_without_the_doors_key(
    house: House, erase: Callable[[sqlite3.Connection], None]
) -> None:
    """The door goes on for a while, prunes and signs, and what was done is still found."""
    with closing(written_by_hand(house)) as connection:
        erase(connection)
    for _ in range(5):
        house.visit("Bert", LATER)
        house.deliver(LATER)
        prune(house)
        sign(house)
    assert house.findings()


@pytest.mark.parametrize("erase", ERASING[:-1], ids=lambda each: each.__name__)
def test_nor_by_a_door_that_was_started_again(
    house: House, erase: Callable[[sqlite3.Connection], None]
) -> None:
    """(An end that was cut off shows by the head that was told then.)"""
    house.database.close()
    with closing(written_by_hand(house)) as connection:
        erase(connection)
    house.open()
    for _ in range(5):
        house.visit("Bert", LATER)
        house.deliver(LATER)
        prune(house)
        sign(house)
    assert house.findings()


def test_the_door_goes_on_from_its_own_last_entry_and_says_that_somebody_was_there(
    house: House,
) -> None:
    with closing(written_by_hand(house)) as connection:
        _, before = newest_link(connection)
        delete_and_say_removed(connection)
        put_in, _ = newest_link(connection)
    seq = house.visit("Bert", LATER)
    assert not house.events.chain.is_altered
    sign(house)
    assert house.events.chain.is_altered
    with closing(written_by_hand(house)) as connection:
        position, kind, row, digest, link = connection.execute(
            "SELECT position, kind, row, digest, link FROM chain ORDER BY position DESC LIMIT 1"
        ).fetchone()
        assert (position, kind, row) == (put_in + 1, "event", seq)
        assert link == link_of(before, position, kind, row, digest, "")
    assert set(house.findings()) == {
        f"entry {put_in} of the chain (removed 1) was put in: no door wrote it",
        *(f"event {number} was taken away" for number in (5, 6, 7)),
    }


def test_what_looks_old_and_what_pushes_others_out_stays_until_somebody_looked(
    house: House,
) -> None:
    with closing(written_by_hand(house)) as connection:
        make_look_old(connection)
        push_out(connection)
    assert prune(house, keep=1000) == 0
    assert len([each for each in house.names() if each == "Bert"]) == 21


def test_what_is_old_is_still_removed_and_the_beginning_forgotten(house: House) -> None:
    for _ in range(3):
        house.visit("Bert", LATER + YEAR)
        house.deliver(LATER)
    limits = {"keep_at_most": 1000, "queue_limit": 1000}
    assert house.events.prune(LATER + YEAR, keep_for=YEAR, **limits).deleted == 21
    assert house.audit.prune(LATER + YEAR, keep_for=YEAR) == 1
    sign(house)
    sign(house)
    assert house.findings() == ()
    with house.database.reading() as connection:
        (first,) = connection.execute("SELECT MIN(position) FROM chain").fetchone()
    assert first > 20
    house.visit("Bert", LATER + YEAR)
    assert house.findings() == ()


def test_that_somebody_was_removed_is_known_as_long_as_a_row_is_of_them(house: House) -> None:
    house.delete("Bert")
    sign(house)
    for _ in range(2):
        house.visit("Bert", LATER + YEAR)  # it was under way
        house.deliver(LATER)
        sign(house)
    house.forget(LATER + YEAR)
    assert house.names() == [None] * 24
    limits = {"keep_at_most": 1000, "queue_limit": 1000}
    assert house.events.prune(LATER + YEAR, keep_for=YEAR, **limits).deleted == 22
    assert house.audit.prune(LATER + YEAR, keep_for=YEAR) == 2
    for _ in range(3):
        sign(house)
    assert house.names() == [None] * 2
    assert house.findings() == ()


def test_a_chain_without_keys_is_taken_over_once_and_goes_on_with_them(tmp_path: Path) -> None:
    path = tmp_path / "door.db"
    key = DoorKey.load_or_make(tmp_path / "door.key")
    with closing(sqlite3.connect(path, isolation_level=None)) as old:
        for script in schema.migrations()[: schema.KEYED_SINCE - 1]:
            old.executescript(script)
        old.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
        old.execute(f"PRAGMA user_version = {schema.KEYED_SINCE - 1}")
        for seq in range(1, 6):
            row = OldEvent(
                seq, bytes([seq] * 16), "user", "2026-04-01T00:00:00.000Z", "Bert", None, "http",
                action="updated",
            )  # fmt: skip
            old.execute(
                f"INSERT INTO events ({OLD_EVENT_COLUMNS}) VALUES ({', '.join('?' * len(row))})",
                row,
            )
            append(old, "event", seq, digest_of(row[:-2]))
    house = House(path, None)
    assert house.key.public == key.public
    assert house.findings() == ()
    house.visit("Bert")
    house.deliver()
    sign(house)
    assert house.findings() == ()
    limits = {"keep_at_most": 2, "queue_limit": 1000}
    assert house.events.prune(LATER, keep_for=YEAR, **limits).deleted == 4
    assert house.findings() == ()
    with closing(written_by_hand(house)) as connection:
        connection.execute("DELETE FROM events WHERE seq = 5")
        append_by_hand(connection, "event 5")
    assert "event 5 was taken away" in house.findings()
    house.database.close()
    house.open()  # it is not taken over again
    assert "event 5 was taken away" in house.findings()
    house.database.close()


def everything_of_bert_is_there(house: House) -> None:
    house.deliver()
    house.forget(LATER + timedelta(minutes=2))
    house.forget(LATER + timedelta(minutes=4))
    assert house.names().count("Bert") == 21
    assert [row.subject for row in house.audit.newest(50)].count("Bert") == 1


@pytest.mark.parametrize("position", [1, 22, 23, 24])
def test_a_mark_of_who_leaves_takes_nobody_out(house: House, position: int) -> None:
    """Whichever entry of the chain it names: Bert's own, Ada's removal, one that was put in."""
    house.register(ADA)
    house.delete(ADA)
    with closing(written_by_hand(house)) as connection:
        append(connection, "removed", 1, hashlib.sha256(b"person 1").digest(), "person 1")
        last, _ = newest_link(connection)
        for each in (position, last):
            connection.execute("UPDATE person_keys SET leaving = ? WHERE person = 1", (each,))
            everything_of_bert_is_there(house)


def test_a_key_that_is_put_in_the_place_of_one_that_goes_is_found(house: House) -> None:
    """The door takes it away, as if it were hers who was removed."""
    house.register(ADA)
    house.delete(ADA)
    with closing(written_by_hand(house)) as connection:
        connection.execute(
            "UPDATE person_keys SET key = (SELECT key FROM person_keys WHERE person = 1)"
            " WHERE person = 2"
        )
        connection.execute("DELETE FROM person_keys WHERE person = 1")
    house.deliver()
    house.forget(LATER + timedelta(minutes=2))
    assert "the key of person 1 was taken away" in house.findings()
    house.visit("Bert", LATER)
    assert house.findings()


def test_an_earlier_key_that_is_put_back_takes_nobody_out_who_has_the_name_now(
    house: House,
) -> None:
    house.register(ADA)
    house.delete(ADA)
    with closing(written_by_hand(house)) as connection:
        rows = connection.execute("SELECT * FROM person_keys WHERE person = 2").fetchall()
    house.deliver()
    house.forget(LATER + timedelta(minutes=1))
    house.register(ADA, LATER)  # another one
    visits = [house.visit(ADA, LATER) for _ in range(3)]
    house.rename(ADA, "Eve", LATER)
    house.deliver(LATER)
    with closing(written_by_hand(house)) as connection:
        marks = ", ".join("?" * len(rows[0]))
        connection.executemany(f"INSERT INTO person_keys VALUES ({marks})", rows)
    house.forget(LATER + timedelta(minutes=2))
    named = {event.seq: event.username for event in house.events.page(limit=1000).events}
    assert [named[seq] for seq in visits] == [ADA] * 3
    assert house.names().count(None) == 2
    assert house.findings() == ()


OFFICE = (
    ("account_added", "operator"),
    ("password_changed", "operator"),
    ("account_deleted", "Bert"),
    ("token_added", "operator"),
    ("door_run", "front: unlock"),
    ("thresholds_set", "access"),
    ("rule_set", "operator"),
    ("group_set", "operator"),
    ("holidays_set", "3 holidays"),
    ("database_restored", "operator.db"),
)


@pytest.mark.parametrize("name", ["operator", "front", "access", "http", "unlock", "operator.db"])
def test_an_operator_does_not_launder_their_own_deeds(house: House, name: str) -> None:
    """By registering somebody of a name that is in them, and deleting them again."""
    for action, subject in OFFICE:
        assert action not in ABOUT_PEOPLE
        house.audit.add(
            actor="operator",
            action=action,
            subject=subject,
            address="::1",
            now=NOW,
            detail={"account": name, "was": name, "door": name},
        )
    house.audit.add(actor="http", action="pin_set", subject="Bert", address="::1", now=NOW)
    house.register("Mallory")
    house.rename("Mallory", name)
    house.rename(name, f"{name} Two")
    house.rename(f"{name} Two", name)
    house.delete(name)
    house.deliver()
    house.forget(LATER + timedelta(minutes=2))
    kept = [row for row in house.audit.newest(100) if not row.forgotten]
    assert {(row.action, row.subject) for row in kept} >= {*OFFICE, ("pin_set", "Bert")}
    assert all(row.detail["account"] == name for row in kept if (row.action, row.subject) in OFFICE)
    gone = [row for row in house.audit.newest(100) if row.forgotten]
    assert {row.action for row in gone} == {"user_registered", "user_renamed", "user_deleted"}
    assert all(row.actor == "anna" for row in gone), "who did it stays"
    assert not house.holds("Mallory")
    assert house.findings() == ()


def test_every_deed_that_the_console_knows_is_about_people_or_is_not() -> None:
    """A new one has to be put into one of the two."""
    page = files("ostiary.http") / "texts" / "en.toml"
    said = tomllib.loads(page.read_text(encoding="utf-8"))["audit"]
    others = {
        "thresholds_set", "thresholds_reset", "account_added", "account_deleted",
        "password_changed", "password_said", "signed_in", "token_added", "token_deleted",
        "group_set", "group_renamed", "group_deleted", "door_run", "rule_set", "rule_deleted",
        "holidays_set", "database_restored", "log_accepted", "store_encrypted", "store_decrypted",
        "reloaded", "users_shared",  # how many
    }  # fmt: skip
    assert set(said) - others <= ABOUT_PEOPLE
