"""Databases of earlier schemas, made by the commits that had these (`older/make.py`)."""

import lzma
import multiprocessing
import os
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ostiary.crypto.door_key import DoorKey
from ostiary.messages.decision import Decision
from ostiary.messages.words import Reason
from ostiary.store import schema
from ostiary.store.audit import Audit
from ostiary.store.backup import verify
from ostiary.store.credentials import Credentials
from ostiary.store.database import Database
from ostiary.store.events import Events
from ostiary.store.forgetting import Forgetting
from ostiary.store.log_check import check_log
from ostiary.store.person import known_id
from ostiary.store.restore import restore
from ostiary.store.rules import RuleStore, StoredPerson
from ostiary.store.site import SiteStore
from ostiary.store.templates import stored_templates
from ostiary.store.users import Users
from tests.integration.older.make import DOOR_SECRET, NOW, STORE_KEY

FILES = sorted((Path(__file__).parent / "older").glob("*.xz"))
SEALED = [file for file in FILES if "sealed" in file.name]
LATER = datetime(2026, 12, 24, tzinfo=UTC)
DOOR_KEY = DoorKey(Ed25519PrivateKey.from_private_bytes(DOOR_SECRET))
ADA, ZHANG, EVE = "Ada Xyzzy", "张三", "Eve Xyzzy"
CREDENTIALS_SINCE, RULES_SINCE, SITE_SINCE, AUDIT_SINCE = 8, 9, 10, 4


@dataclass(frozen=True)
class Older:
    path: Path
    schema: int
    key: bytes | None

    def open(self) -> Database:
        return Database.open(self.path, self.key, DOOR_KEY)


def unpacked(file: Path, folder: Path) -> Older:
    _, number, kind = file.name.split(".")[0].split("_")
    path = folder / "ostiary.db"
    path.write_bytes(lzma.decompress(file.read_bytes()))
    return Older(path, int(number), STORE_KEY if kind == "sealed" else None)


def name_of(file: Path) -> str:
    return file.name.split(".")[0]


@pytest.fixture(params=FILES, ids=name_of)
def older(tmp_path: Path, request: pytest.FixtureRequest) -> Older:
    return unpacked(request.param, tmp_path)


def check_people(database: Database, older: Older) -> None:
    faces = [np.random.default_rng(seed).normal(size=128).astype("f4") for seed in range(4)]
    users, credentials = Users(database), Credentials(database)
    assert [(user.username, user.templates) for user in users.list()] == [(ADA, 2), (ZHANG, 1)]
    found = [(name, descriptor.tobytes()) for name, _, descriptor in users.templates()]
    assert found == [
        (ADA, faces[0].tobytes()),
        (ADA, faces[1].tobytes()),
        (ZHANG, faces[3].tobytes()),
    ]
    assert users.had_two(ADA)
    assert not users.had_two(ZHANG)
    if older.schema >= CREDENTIALS_SINCE:
        assert credentials.pins_of(ADA).pin == "$argon2id$ada"
        assert credentials.pins_of(ADA).duress == "$argon2id$forced"
        assert [pins.username for pins in credentials.pins_like(7)] == [ADA, ZHANG]
        assert credentials.owner_of("40960815") == ZHANG
    if older.schema >= RULES_SINCE:
        staff = StoredPerson(frozenset({"staff"}), NOW, None)
        assert RuleStore(database).read().people == {ADA: staff}
    if older.schema >= SITE_SINCE:
        assert SiteStore(database).usernames() == (("p-zhang", ZHANG),)
        assert SiteStore(database).username_of("p-eve") is None


def check_record(database: Database, older: Older, *, more: int = 0) -> None:
    events = Events(database).page(limit=100, newest_first=False).events
    assert [event.seq for event in events] == list(range(1, 9 + more))
    if older.schema >= AUDIT_SINCE:
        deeds = Audit(database).newest(10)
        assert [deed.action for deed in deeds] == ["token_added", "user_registered"]
    with database.reading() as connection:
        key = database.chain_key
        assert check_log(connection, DOOR_KEY.public, (), database.seal, key).findings == ()
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []


def test_an_older_database_opens_with_all_that_was_in_it(older: Older) -> None:
    for _ in range(2):
        with older.open() as database:
            check_people(database, older)
            check_record(database, older)
    assert verify(older.path).schema == len(schema.migrations())


def test_who_was_deleted_before_is_forgotten_after(older: Older) -> None:
    with older.open() as database:
        Events(database).mark_delivered(range(1, 100), NOW)
        names = [event.username for event in Events(database).page(newest_first=False).events]
        forget(database)
        check_people(database, older)
        check_record(database, older)
        for event, name in zip(
            Events(database).page(newest_first=False).events, names, strict=True
        ):
            assert (event.username, event.forgotten) == (
                (None, True) if name in (EVE, None) and event.seq != 7 else (name, False)
            )
        if older.schema >= AUDIT_SINCE:
            assert [deed.forgotten for deed in Audit(database).newest(10)] == [False, True]
    assert EVE.encode() not in older.path.read_bytes()


@pytest.mark.parametrize("name", ["schema_11_plain", "schema_11_sealed"])
def test_who_was_deleted_at_another_door_just_before_is_forgotten_after(
    tmp_path: Path, name: str
) -> None:
    """No event told that, only a row of `leaving`, whose end was open until somebody got the
    name."""
    (file,) = (each for each in FILES if name_of(each) == name)
    older = unpacked(file, tmp_path)
    with closing(sqlite3.connect(older.path)) as connection, connection:
        connection.execute("PRAGMA foreign_keys = ON")
        ((zhang,),) = connection.execute("SELECT username FROM users ORDER BY rowid DESC LIMIT 1")
        connection.execute("DELETE FROM users WHERE username = ?", (zhang,))
        connection.execute("INSERT INTO leaving (name, events_from) VALUES (?, 0)", (zhang,))
    with older.open() as database:
        Events(database).mark_delivered(range(1, 100), NOW)
        forget(database)
        page = Events(database).page(newest_first=False)
        assert {event.username for event in page.events} == {ADA, None}
        check_record(database, older)
    assert ZHANG.encode() not in older.path.read_bytes()


def forget(database: Database) -> None:
    forgetting = Forgetting(database, timedelta(0))
    while forgetting.step(LATER):
        pass


def test_people_of_an_older_database_are_renamed_and_deleted(older: Older) -> None:
    with older.open() as database:
        users, credentials = Users(database), Credentials(database)
        users.rename(ADA, "Augusta")
        assert [name for name, _, _ in users.templates()] == ["Augusta", "Augusta", ZHANG]
        if older.schema >= CREDENTIALS_SINCE:
            assert credentials.pins_of("Augusta").pin == "$argon2id$ada"
        users.delete("Augusta")
        users.delete(ZHANG)
        with database.reading() as connection:
            for table in ("users", "templates", "credentials", "members", "validity", "had_two"):
                query = f"SELECT COUNT(*) FROM {table}"
                assert connection.execute(query).fetchone() == (0,), table


def test_an_older_backup_is_restored(older: Older) -> None:
    path = older.path.with_name("door.db")
    restored = restore(older.path, path, LATER, store_key=older.key, door_key=DOOR_KEY)
    assert restored.contents.users == 2
    with Database.open(path, older.key, DOOR_KEY) as database:
        check_people(database, older)


def test_who_was_deleted_since_an_older_backup_is_left_out_and_named_for_forgetting(
    older: Older,
) -> None:
    path = older.path.with_name("door.db")
    with Database.open(path, older.key, DOOR_KEY) as database:
        Users(database).add(ADA, [np.ones(128)], NOW, recognizer="dlib", source="cli")
    restored = restore(older.path, path, LATER, store_key=older.key, door_key=DOOR_KEY)
    assert restored.deleted_since == (ZHANG,)
    with Database.open(path, older.key, DOOR_KEY) as database:
        assert [user.username for user in Users(database).list()] == [ADA]
        Events(database).mark_delivered(range(1, 100), NOW)
        forget(database)
        page = Events(database).page(newest_first=False)
        assert {event.username for event in page.events} == {ADA, None}
    assert ZHANG.encode() not in path.read_bytes()


def test_after_an_older_backup_nobody_gets_an_id_that_was_given_since(older: Older) -> None:
    path = older.path.with_name("door.db")

    def register(name: str) -> int:
        with Database.open(path, older.key, DOOR_KEY) as database:
            Users(database).add(name, [np.ones(128)], NOW, recognizer="dlib", source="cli")
            with database.reading() as connection:
                return known_id(connection, database.seal, name)

    given = [register(f"Person {number}") for number in range(9)][-1]
    restore(older.path, path, LATER, store_key=older.key, door_key=DOOR_KEY, bring_back=True)
    assert register("Bo") == given + 1


@pytest.mark.parametrize("file", SEALED, ids=name_of)
def test_an_older_database_that_is_opened_without_its_key_first_loses_nothing(
    tmp_path: Path, file: Path
) -> None:
    older = unpacked(file, tmp_path)
    with Database.open(older.path, None, DOOR_KEY) as locked:
        assert locked.is_locked
        assert Users(locked).templates() == ()
        denied = Events(locked).append_login(
            Decision(Reason.UNKNOWN_FACE), source="front", now=LATER
        )
        assert denied.seq == 9
        assert Events(locked).pending(0, 10)[-1] == denied
    assert [name for name, _, _ in stored_templates(older.path, older.key)] == [ADA, ADA, ZHANG]
    with older.open() as database:
        check_people(database, older)
        check_record(database, older, more=1)


# --- killed in the middle -------------------------------------------------------------------


def open_counting(older: Older, at_statement: Callable[[int], object]) -> None:
    """Open it with so little memory that unfinished pages are written, and tell each statement."""
    connect, count = sqlite3.connect, 0

    def traced(_: str) -> None:
        nonlocal count
        count += 1
        at_statement(count)

    def connected(path: Path, **more: object) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(path, **more)  # type: ignore[call-overload]
        connection.execute("PRAGMA cache_size = 4")
        connection.set_trace_callback(traced)
        return connection

    sqlite3.connect = connected  # type: ignore[assignment]
    try:
        older.open().close()
    finally:
        sqlite3.connect = connect


def killed_at(older: Older, last: int) -> None:
    def kill(count: int) -> None:
        if count == last:
            os.kill(os.getpid(), signal.SIGKILL)

    open_counting(older, kill)


@pytest.mark.parametrize("name", ["schema_03_plain", "schema_11_sealed", "schema_16_sealed"])
def test_a_migration_that_is_killed_anywhere_is_done_again(tmp_path: Path, name: str) -> None:
    (file,) = (each for each in FILES if name_of(each) == name)
    counted: list[int] = []
    open_counting(unpacked(file, tmp_path), counted.append)
    processes = multiprocessing.get_context("fork")
    for last in range(len(counted) // 12, len(counted), len(counted) // 12):
        folder = tmp_path / f"{last}"
        folder.mkdir()
        older = unpacked(file, folder)
        child = processes.Process(target=killed_at, args=(older, last))
        child.start()
        child.join(60)
        assert child.exitcode == -signal.SIGKILL
        with closing(sqlite3.connect(f"file:{older.path}?mode=ro", uri=True)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert schema.version(connection) in (older.schema, len(schema.migrations()))
        with older.open() as database:
            check_people(database, older)
            check_record(database, older)
