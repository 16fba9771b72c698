"""The database file itself: transactions, threads, damage, read-only and full disks."""

import os
import random
import shutil
import sqlite3
import subprocess
import sys
import threading
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ostiary.errors import (
    DatabaseCorrupt,
    DatabaseInUse,
    DatabaseUnwritable,
    DatabaseVersion,
    UserExists,
)
from ostiary.messages.decision import Decision
from ostiary.messages.words import Reason
from ostiary.store import schema
from ostiary.store.backup import set_aside
from ostiary.store.command_log import CommandKey, CommandLog
from ostiary.store.database import Database
from ostiary.store.events import Events
from ostiary.store.users import Users

NOW = datetime(2025, 3, 1, 12, 0, tzinfo=UTC)
FACE = np.linspace(-0.2, 0.2, 128)


def deny(events: Events, now: datetime = NOW) -> int:
    return events.append_login(Decision(Reason.UNKNOWN_FACE), source="front", now=now).seq


# --- transactions ---------------------------------------------------------------------------


def test_a_command_its_event_and_its_answer_commit_together(database: Database) -> None:
    users, events, log = Users(database), Events(database), CommandLog(database)
    key = CommandKey.of("register", "t-1", b"{}")

    def register(*, fail: bool) -> None:
        with database.transaction():
            users.add("Anna", [FACE], NOW, recognizer="dlib", source="image")
            events.append_user(action="registered", username="Anna", source="mqtt", now=NOW)
            log.record(key, b"done", NOW)
            if fail:
                raise RuntimeError("power")

    with pytest.raises(RuntimeError):
        register(fail=True)
    assert (users.count(), events.queue_length(), log.answer(key)) == (0, 0, None)
    register(fail=False)
    assert (users.count(), events.queue_length(), log.answer(key)) == (1, 1, b"done")


def test_a_failed_step_undoes_itself_and_leaves_the_rest(database: Database) -> None:
    users, log = Users(database), CommandLog(database)
    users.add("Anna", [FACE], NOW, recognizer="dlib", source="image")
    key = CommandKey.of("register", "t-2", b"{}")
    with database.transaction():
        with pytest.raises(UserExists):
            users.add("Anna", [FACE], NOW, recognizer="dlib", source="image")
        log.record(key, b"user_exists", NOW)
    assert log.answer(key) == b"user_exists"
    assert len(users.templates()) == 1


def test_a_transaction_sees_what_it_wrote_and_others_see_what_is_committed(
    database: Database,
) -> None:
    users = Users(database)
    seen_by_other: list[int] = []
    with database.transaction():
        users.add("Anna", [FACE], NOW, recognizer="dlib", source="image")
        other = threading.Thread(target=lambda: seen_by_other.append(users.count()))
        other.start()
        other.join(timeout=60)
        assert users.count() == 1
    assert seen_by_other == [0]
    assert users.count() == 1


def test_threads_write_at_the_same_time_without_losing_or_mixing(database: Database) -> None:
    events = Events(database)
    numbers: list[list[int]] = [[] for _ in range(6)]

    def decide(mine: list[int]) -> None:
        for _ in range(40):
            mine.append(deny(events))
            events.queue_length()

    threads = [threading.Thread(target=decide, args=(mine,)) for mine in numbers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert sorted(seq for mine in numbers for seq in mine) == list(range(1, 241))
    assert all(mine == sorted(mine) for mine in numbers)


def test_the_reader_cannot_write(database: Database) -> None:
    with database.reading() as connection, pytest.raises(sqlite3.OperationalError):
        connection.execute("DELETE FROM events")


def test_a_commit_is_on_disk_when_it_returns(database: Database) -> None:
    with database.transaction() as connection:
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("PRAGMA foreign_keys").fetchone() == (1,)


def test_the_files_are_for_their_owner_only(database: Database, path: Path) -> None:
    deny(Events(database))
    files = sorted(path.parent.iterdir())
    assert {file.name for file in files} >= {"ostiary.db", "ostiary.db-wal", "ostiary.db.lock"}
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}


# --- schema ---------------------------------------------------------------------------------


def test_a_database_of_a_newer_ostiary_is_refused_and_left(path: Path) -> None:
    Database.open(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 999")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(DatabaseVersion, match="999"):
        Database.open(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "script",
    [
        "CREATE TABLE songs (title TEXT)",
        "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT)",
        "CREATE TABLE users (username TEXT, encoding BLOB, created_at TIMESTAMP)",
        "PRAGMA application_id = 7; CREATE TABLE t (x)",
        "PRAGMA user_version = 3; CREATE TABLE t (x)",
    ],
)
def test_a_database_of_something_else_is_refused_and_left(path: Path, script: str) -> None:
    connection = sqlite3.connect(path)
    connection.executescript(script)
    connection.close()
    before = path.read_bytes()
    with pytest.raises(DatabaseVersion, match="not one of Ostiary"):
        Database.open(path)
    assert path.read_bytes() == before


def test_no_two_migrations_have_one_number() -> None:
    folder = files("ostiary.store") / "migrations"
    numbers = [int(each.name[:4]) for each in folder.iterdir() if each.name.endswith(".sql")]
    assert sorted(numbers) == list(range(1, len(numbers) + 1))


def test_every_step_of_the_schema_can_be_upgraded_from(path: Path) -> None:
    newest = len(schema.migrations())
    for number in range(newest):
        path.unlink(missing_ok=True)
        connection = sqlite3.connect(path)
        for script in schema.migrations()[:number]:
            connection.executescript(script)
        connection.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {number}")
        connection.commit()
        connection.close()
        with Database.open(path) as database, database.reading() as reader:
            assert schema.version(reader) == newest
            deny(Events(database))


def test_a_migration_that_fails_leaves_the_database_as_it_was(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = schema.migrations()
    Database.open(path).close()
    broken = "CREATE TABLE late (a);\nCREATE TABLE late (b);\n"
    monkeypatch.setattr(schema, "migrations", lambda: [*good, broken])
    with pytest.raises(sqlite3.OperationalError, match="late"):
        Database.open(path)
    connection = sqlite3.connect(path)
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
    assert "late" not in tables
    assert schema.version(connection) == len(good)
    connection.close()


# --- damage ---------------------------------------------------------------------------------


def damage(path: Path) -> None:
    """Overwrite the middle of the file, as a dying card does."""
    with Database.open(path) as database:
        for _ in range(200):
            deny(Events(database))
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(size // 2)
        file.write(random.Random(1).randbytes(size // 4))


def test_a_damaged_database_is_refused_with_what_to_do_and_left_untouched(path: Path) -> None:
    damage(path)
    before = path.read_bytes()
    with pytest.raises(DatabaseCorrupt, match="Restore a good backup") as caught:
        Database.open(path)
    assert str(path) in caught.value.message
    assert path.read_bytes() == before


def test_a_damaged_database_with_a_wal_is_left_untouched_too(path: Path) -> None:
    with Database.open(path) as database:
        for _ in range(200):
            deny(Events(database))
    with Database.open(path) as database:
        deny(Events(database))
        files = {end: path.with_name(path.name + end).read_bytes() for end in ("", "-wal")}
    half = len(files[""]) // 2
    files[""] = files[""][:half] + b"\xff" * 20_000 + files[""][half + 20_000 :]
    for end, content in files.items():
        path.with_name(path.name + end).write_bytes(content)
    with pytest.raises(DatabaseCorrupt):
        Database.open(path)
    assert {end: path.with_name(path.name + end).read_bytes() for end in files} == files


@pytest.mark.parametrize("content", [b"SQLite format 3\0" + b"\xff" * 5000, b"hello " * 2000])
def test_a_file_that_is_no_database_is_refused_and_left_untouched(
    path: Path, content: bytes
) -> None:
    path.write_bytes(content)
    with pytest.raises(DatabaseCorrupt):
        Database.open(path)
    assert path.read_bytes() == content


def test_set_aside_keeps_every_byte_and_lets_an_empty_database_begin(path: Path) -> None:
    damage(path)
    wal = path.with_name("ostiary.db-wal")
    wal.write_bytes(b"left by a power cut")
    before = path.read_bytes()
    kept_as = set_aside(path, NOW)
    assert kept_as.name == "ostiary.db.damaged-20250301T120000Z"
    assert kept_as.read_bytes() == before
    assert kept_as.with_name(kept_as.name + "-wal").read_bytes() == b"left by a power cut"
    with Database.open(path) as database:
        assert Users(database).templates() == ()


def test_setting_aside_twice_in_a_second_overwrites_nothing(path: Path) -> None:
    path.write_bytes(b"one")
    first = set_aside(path, NOW)
    path.write_bytes(b"two")
    second = set_aside(path, NOW)
    assert (first.read_bytes(), second.read_bytes()) == (b"one", b"two")


def test_a_database_in_use_is_not_set_aside(database: Database, path: Path) -> None:
    with pytest.raises(DatabaseInUse):
        set_aside(path, NOW)
    deny(Events(database))
    database.close()
    set_aside(path, NOW)
    with pytest.raises(DatabaseUnwritable, match="no such file"):
        set_aside(path, NOW)


@pytest.fixture(scope="module")
def cut_off(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with 30 events in the WAL only, as a power cut leaves it."""
    folder = tmp_path_factory.mktemp("cut") / "db"
    folder.mkdir()
    database = Database.open(folder / "ostiary.db")
    for _ in range(30):
        deny(Events(database))
    copy = folder.with_name("copy")
    shutil.copytree(folder, copy)
    database.close()
    assert (copy / "ostiary.db-wal").stat().st_size > 0
    return copy


@settings(max_examples=40)
@given(data=st.data())
def test_a_power_cut_that_tears_the_last_write_leaves_a_whole_prefix(
    cut_off: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("torn") / "db"
    shutil.copytree(cut_off, folder)
    wal = folder / "ostiary.db-wal"
    size = data.draw(st.integers(0, wal.stat().st_size))
    os.truncate(wal, size)
    if garbage := data.draw(st.binary(max_size=64)):
        with wal.open("ab") as file:
            file.write(garbage)
    with Database.open(folder / "ostiary.db") as database:
        seqs = [event.seq for event in Events(database).pending(0, 100)]
        assert seqs == list(range(1, len(seqs) + 1))
        assert deny(Events(database)) == len(seqs) + 1
        with database.reading() as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


# --- a disk that cannot be written ----------------------------------------------------------


def test_a_full_disk_is_an_error_and_nothing_is_half_written(database: Database) -> None:
    users, events = Users(database), Events(database)
    users.add("Anna", [FACE], NOW, recognizer="dlib", source="image")
    with database.transaction() as connection:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages}")

    def fill() -> None:
        for number in range(1000):
            with database.transaction():
                deny(events)
                users.add(f"user {number}", [FACE], NOW, recognizer="dlib", source="image")

    with pytest.raises(DatabaseUnwritable, match="full"):
        fill()
    assert users.count() == events.queue_length() + 1 == len(users.templates())
    with database.transaction() as connection:
        connection.execute("PRAGMA max_page_count = 1000000")
    users.add("Ben", [FACE], NOW, recognizer="dlib", source="image")


def test_after_a_full_disk_the_rest_of_the_step_writes_nothing(database: Database) -> None:
    """SQLite may end the whole transaction itself; what follows must not commit on its own."""
    events = Events(database)

    def step() -> None:
        with database.transaction() as connection:
            deny(events)
            connection.execute("ROLLBACK")  # as SQLite does
            with pytest.raises(DatabaseUnwritable):
                deny(events)

    with pytest.raises(DatabaseUnwritable):
        step()
    assert events.queue_length() == 0
    assert deny(events) == 1


OPEN = """
import sys
from pathlib import Path
from ostiary.errors import OstiaryError
from ostiary.store.database import Database
try:
    Database.open(Path(sys.argv[1]))
except OstiaryError as error:
    print(error.code, error.message)
"""


def open_without_privileges(path: Path) -> str:
    """Root may write anywhere, so root gives that up first."""
    drop = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
    return subprocess.run(
        [*(drop if os.getuid() == 0 else []), sys.executable, "-c", OPEN, str(path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout


def test_a_read_only_file_or_folder_is_an_error_that_names_it(path: Path) -> None:
    Database.open(path).close()
    assert open_without_privileges(path) == ""
    path.chmod(0o400)
    said = open_without_privileges(path)
    assert said.startswith("database_unwritable")
    assert str(path) in said
    path.chmod(0o600)
    path.parent.chmod(0o500)
    try:
        assert open_without_privileges(path).startswith("database_unwritable")
    finally:
        path.parent.chmod(0o700)


def test_a_missing_folder_is_an_error_that_says_so(tmp_path: Path) -> None:
    with pytest.raises(DatabaseUnwritable, match="folder must exist"):
        Database.open(tmp_path / "missing" / "ostiary.db")


def test_a_folder_is_no_database(tmp_path: Path) -> None:
    with pytest.raises(DatabaseUnwritable):
        Database.open(tmp_path)


def test_closing_twice_is_closing_once(path: Path) -> None:
    database = Database.open(path)
    database.close()
    database.close()
    assert not path.with_name("ostiary.db-wal").exists()


def test_looking_for_who_is_gone_leaves_the_file_locked(tmp_path: Path) -> None:
    """Else another process that reads takes the WAL away, and what is committed then is lost."""
    path = tmp_path / "ostiary.db"
    reading = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]);"
    reading += "c.execute('SELECT COUNT(*) FROM users').fetchall(); c.close()"
    with Database.open(path) as database:
        assert database.scrub({b"Bert"})
        with database.transaction() as connection:
            connection.execute("INSERT INTO counters VALUES ('a', 1)")
        subprocess.run([sys.executable, "-c", reading, path], check=True)
        assert path.with_name("ostiary.db-wal").exists()
