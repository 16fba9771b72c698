"""Somebody who may write the database's file changes what was recorded."""

import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from ostiary.commands.log_check import check, told_heads
from ostiary.crypto.door_key import DoorKey
from ostiary.crypto.keyring import seal_of
from ostiary.errors import ConfigError
from ostiary.messages.decision import Decision
from ostiary.messages.events import LogHead
from ostiary.messages.words import Reason
from ostiary.mqtt.security import door_key
from ostiary.store.audit import Audit
from ostiary.store.chain import Chain
from ostiary.store.database import Database
from ostiary.store.events import Events
from ostiary.store.forgetting import Forgetting
from ostiary.store.links import EVENT_COLUMNS, digest_of, link_of
from ostiary.store.log_check import check_log
from ostiary.store.own_entries import CHAIN
from ostiary.store.users import Users
from ostiary.vision.engine import VisionEngine
from testing.broker import Mosquitto
from testing.doorway import BASE, Doorway, door_settings
from testing.probe import Probe

NOW = datetime(2026, 5, 1, tzinfo=UTC)
DOOR = "ostiary/test"
KEY = b"the key of a store, 32 bytes long"
EVENTS = 60
DELETED = 10
NAMED = "person IN (SELECT person FROM person_keys)"
FORGOTTEN = "person NOT IN (SELECT person FROM person_keys)"


def register(database: Database, *numbers: int) -> None:
    for number in numbers:
        Users(database).add(
            f"person {number}", [np.full(128, 0.1)], NOW, recognizer="dlib", source="test"
        )


def record(database: Database, number: int, now: datetime = NOW) -> None:
    """Two logins and a deed of an operator."""
    events, audit = Events(database), Audit(database)
    for name, reason in ((f"person {number}", Reason.GRANTED), (None, Reason.UNKNOWN_FACE)):
        events.append_login(
            Decision(
                reason, name, distance=0.5 + number / 1000, liveness=1.0 if number % 3 else 0.9
            ),
            source="front",
            now=now,
        )
    audit.add(
        actor="anna",
        action="pin_set",
        subject=f"person {number}",
        address="10.0.0.1",
        now=now,
    )


@pytest.fixture(scope="module", params=[None, KEY], ids=["plain", "sealed"])
def written(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, DoorKey, LogHead]:
    """A log of two months, of which the first was removed for its age, and ten people were deleted
    since; and its newest head."""
    folder = tmp_path_factory.mktemp("log")
    key = DoorKey.load_or_make(folder / "door.key")
    path = folder / "door.db"
    with Database.open(path, request.param, key) as database:
        register(database, *range(EVENTS))
        for number in range(EVENTS):
            record(database, number, NOW - timedelta(days=60))
        events, chain = Events(database), Chain(database)
        chain.sign(key, DOOR, NOW)
        events.mark_delivered(range(1, 2 * EVENTS + 1), NOW)
        events.prune(NOW, keep_for=timedelta(days=30), keep_at_most=1000, queue_limit=1000)
        Audit(database).prune(NOW, keep_for=timedelta(days=30))
        for number in range(EVENTS):
            record(database, number)
            if number % 20 == 0:
                chain.sign(key, DOOR, NOW)
        events.mark_delivered(range(1, events.last_seq() + 1), NOW)
        for number in range(0, EVENTS, EVENTS // DELETED):
            Users(database).delete(f"person {number}")
        head = chain.sign(key, DOOR, NOW)
        forgetting = Forgetting(database, timedelta(0))
        while forgetting.step(NOW + timedelta(minutes=1)):
            pass
    assert head is not None
    return path, key, head


def test_a_log_as_it_was_written_has_nothing_to_find(
    written: tuple[Path, DoorKey, LogHead],
) -> None:
    path, key, head = written
    report = check(path, key.public_text, [head], KEY, key)
    assert report.findings == ()
    assert report.unsigned == 0
    with closing(sqlite3.connect(path)) as connection:
        for table in ("events", "audit"):
            forgotten = f"SELECT COUNT(*) FROM {table} WHERE {FORGOTTEN}"
            assert connection.execute(forgotten).fetchone() == (DELETED,)
        (entries,) = connection.execute("SELECT COUNT(*) FROM chain").fetchone()
    assert report.entries == entries
    assert report.entries > 3 * EVENTS
    assert report.entries < 6 * EVENTS, "the beginning was forgotten, up to a signed head"


Edit = Callable[[sqlite3.Connection, random.Random], None]


def some(connection: sqlite3.Connection, chance: random.Random, query: str) -> int:
    number: int = chance.choice(connection.execute(query).fetchall())[0]
    return number


def alter_event(connection: sqlite3.Connection, chance: random.Random) -> None:
    seq = some(connection, chance, "SELECT seq FROM events")
    column, value = chance.choice(
        [
            ("person", 1),
            ("named", b"Eve"),
            ("success", None),
            ("reason", "no_face"),
            ("timestamp", "2026-05-02T00:00:00.000Z"),
            ("distance", 0.123),
            ("source", "back"),
        ]
    )
    connection.execute(f"UPDATE events SET {column} = ? WHERE seq = ?", (value, seq))


def take_name_out(connection: sqlite3.Connection, chance: random.Random) -> None:
    """As if nobody had been named, or somebody whose key is gone."""
    table, number = chance.choice([("events", "seq"), ("audit", "id")])
    row = some(connection, chance, f"SELECT {number} FROM {table} WHERE {NAMED}")
    gone = some(connection, chance, f"SELECT person FROM {table} WHERE {FORGOTTEN}")
    values = chance.choice(
        ["person = NULL", "named = NULL", "person = NULL, named = NULL", f"person = {gone}"]
    )
    connection.execute(f"UPDATE {table} SET {values} WHERE {number} = ?", (row,))


def alter_forgotten(connection: sqlite3.Connection, chance: random.Random) -> None:
    """A row of somebody whose key is gone: another is named, or something else is changed."""
    table, number = chance.choice([("events", "seq"), ("audit", "id")])
    row = some(connection, chance, f"SELECT {number} FROM {table} WHERE {FORGOTTEN}")
    other = some(connection, chance, f"SELECT person FROM {table} WHERE {NAMED}")
    changes = [f"person = {other}", "named = x''", "person = NULL"]
    if table == "events":
        changes += ["reason = 'no_face'", "source = 'back'"]
    else:
        changes += ["actor = 'Eve'", "subject = 'Eve'", "action = 'nothing'", "address = ''"]
    connection.execute(f"UPDATE {table} SET {chance.choice(changes)} WHERE {number} = ?", (row,))


def alter_key(connection: sqlite3.Connection, chance: random.Random) -> None:
    """A key is taken away, changed, or another's."""
    one, other = chance.sample(connection.execute("SELECT person FROM person_keys").fetchall(), 2)
    edit = chance.choice(
        [
            "DELETE FROM person_keys WHERE person = ?",
            "UPDATE person_keys SET key = randomblob(length(key)) WHERE person = ?",
            "UPDATE person_keys SET mac = randomblob(32) WHERE person = ?",
            f"UPDATE person_keys SET (key, mac) = (SELECT key, mac FROM person_keys"
            f" WHERE person = {other[0]}) WHERE person = ?",
        ]
    )
    connection.execute(edit, one)


def alter_deed(connection: sqlite3.Connection, chance: random.Random) -> None:
    number = some(connection, chance, "SELECT id FROM audit")
    column = chance.choice(["actor", "action", "subject", "address"])
    connection.execute(f"UPDATE audit SET {column} = 'nobody' WHERE id = ?", (number,))


def drop_row(connection: sqlite3.Connection, chance: random.Random) -> None:
    table, column = chance.choice([("events", "seq"), ("audit", "id")])
    number = some(connection, chance, f"SELECT {column} FROM {table}")
    connection.execute(f"DELETE FROM {table} WHERE {column} = ?", (number,))


def insert_row(connection: sqlite3.Connection, _chance: random.Random) -> None:
    connection.execute(
        "INSERT INTO audit (at, actor, action, subject, detail, address)"
        " VALUES ('2026-05-01T00:00:00.000Z', 'anna', 'user_deleted', 'Bo', '{}', '10.0.0.1')"
    )


def reorder(connection: sqlite3.Connection, chance: random.Random) -> None:
    seqs = [seq for (seq,) in connection.execute("SELECT seq FROM events")]
    one, other = chance.sample(seqs, 2)
    for old, new in ((one, -1), (other, one), (-1, other)):
        connection.execute("UPDATE events SET seq = ? WHERE seq = ?", (new, old))


def drop_entry(connection: sqlite3.Connection, chance: random.Random) -> None:
    position = some(connection, chance, "SELECT position FROM chain")
    connection.execute("DELETE FROM chain WHERE position = ?", (position,))


def alter_entry(connection: sqlite3.Connection, chance: random.Random) -> None:
    position = some(connection, chance, "SELECT position FROM chain")
    column = chance.choice(["digest", "link"])
    value = chance.randbytes(32)
    connection.execute(f"UPDATE chain SET {column} = ? WHERE position = ?", (value, position))


def truncate(connection: sqlite3.Connection, chance: random.Random) -> None:
    """Everything from some entry on: rows, entries and heads."""
    position = some(connection, chance, "SELECT position FROM chain")
    for kind, table, column in (("event", "events", "seq"), ("audit", "audit", "id")):
        connection.execute(
            f"DELETE FROM {table} WHERE {column} IN"
            " (SELECT row FROM chain WHERE kind = ? AND position >= ?)",
            (kind, position),
        )
    connection.execute("DELETE FROM chain WHERE position >= ?", (position,))
    connection.execute("DELETE FROM chain_heads WHERE position >= ?", (position,))


def rewrite(connection: sqlite3.Connection, chance: random.Random) -> None:
    """An event is altered, and the whole chain computed anew; only the key is missing."""
    alter_event(connection, chance)
    seqs = {row[0]: row for row in connection.execute(f"SELECT {EVENT_COLUMNS} FROM events")}
    first, before = connection.execute(
        "SELECT position, link FROM chain ORDER BY position LIMIT 1"
    ).fetchone()
    entries = connection.execute(
        "SELECT position, kind, row, digest, note FROM chain WHERE position > ? ORDER BY position",
        (first,),
    ).fetchall()
    for position, kind, row, old, note in entries:
        digest = digest_of(seqs[row]) if kind == "event" and row in seqs else old
        before = link_of(before, position, kind, row, digest, note)
        connection.execute(
            "UPDATE chain SET digest = ?, link = ? WHERE position = ?", (digest, before, position)
        )


EDITING: tuple[Edit, ...] = (
    alter_event,
    take_name_out,
    alter_forgotten,
    alter_key,
    alter_deed,
    drop_row,
    insert_row,
    reorder,
    drop_entry,
    alter_entry,
    truncate,
    rewrite,
)


@pytest.mark.parametrize("edits", [200, pytest.param(1000, marks=pytest.mark.long)])
def test_of_so_many_edits_every_one_is_found(
    tmp_path: Path, written: tuple[Path, DoorKey, LogHead], edits: int
) -> None:
    path, key, head = written
    chance = random.Random(20260501)
    copy = tmp_path / "edited.db"
    unseen = []
    with (
        closing(sqlite3.connect(path)) as original,
        closing(sqlite3.connect(copy, isolation_level=None)) as edited,
    ):
        original.backup(edited)
        for number in range(edits):
            edit = EDITING[number % len(EDITING)]
            edited.execute("BEGIN")
            before = edited.total_changes
            edit(edited, chance)
            assert edited.total_changes > before
            if not found(edited, key, head):
                unseen.append((number, edit.__name__))
            edited.execute("ROLLBACK")
        assert not found(edited, key, head), "nothing is found where nothing was changed"
    assert unseen == []


def found(connection: sqlite3.Connection, key: DoorKey, head: LogHead) -> bool:
    seal = seal_of(connection, KEY)
    secret = key.secret(CHAIN)
    return bool(check_log(connection, key.public, [head], seal, secret).findings)


def test_another_key_and_a_forged_head_are_told(
    tmp_path: Path, written: tuple[Path, DoorKey, LogHead]
) -> None:
    path, key, head = written
    other = DoorKey.load_or_make(tmp_path / "other.key")
    assert any(
        "not signed by" in each for each in check(path, other.public_text, store_key=KEY).findings
    )
    forged = head.model_copy(update={"position": head.position + 5})
    assert any(
        "not signed by" in each
        for each in check(path, key.public_text, [forged], store_key=KEY).findings
    )
    (tmp_path / "head.json").write_text("{}")
    with pytest.raises(ConfigError, match="not a head"):
        told_heads([tmp_path / "head.json"])
    with pytest.raises(ConfigError, match="32 bytes"):
        check(path, "short", store_key=KEY)


def test_the_door_signs_its_log_and_tells_the_head(
    tmp_path: Path, broker: Mosquitto, engine: VisionEngine
) -> None:
    settings = door_settings(tmp_path, broker.port)
    with Database.open(settings.store.path, None, door_key(settings)) as database:
        register(database, 1)
        record(database, 1)
    with Doorway(settings, engine), Probe(broker.port, f"{BASE}/log") as probe:
        heard = probe.wait(f"{BASE}/log")[0]
    head = LogHead.model_validate_json(heard.payload)
    key = DoorKey.load(settings.store.path.with_suffix(".key"))
    report = check(settings.store.path, key.public_text, [head])
    assert (report.findings, report.entries, head.door) == ((), 3, BASE)
