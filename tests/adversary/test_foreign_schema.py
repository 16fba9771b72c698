"""Databases that somebody prepared: what acts by itself in them is not let in."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ostiary.errors import DatabaseVersion, ImportInvalid
from ostiary.store.backup import backup
from ostiary.store.database import Database
from ostiary.store.import_v1 import import_database
from ostiary.store.restore import restore
from ostiary.store.users import Users

NOW = datetime(2026, 5, 1, tzinfo=UTC)
FIRST_VERSION = """
    CREATE TABLE users (
        username TEXT PRIMARY KEY, encoding BLOB NOT NULL,
        created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
    )
"""
PREPARED = {
    "trigger": """
        CREATE TRIGGER quiet AFTER INSERT ON events WHEN NEW.success = 0
        BEGIN DELETE FROM events WHERE seq = NEW.seq; END
    """,
    "view": "CREATE VIEW everybody AS SELECT * FROM templates",
    "another table": "CREATE TABLE loot (encoding BLOB)",
    "another index": "CREATE INDEX twice ON events (reason)",
}


def run(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


@pytest.mark.parametrize("what", PREPARED)
def test_a_backup_with_something_of_its_own_is_not_restored(tmp_path: Path, what: str) -> None:
    path, copy = tmp_path / "door.db", tmp_path / "copy.db"
    Database.open(path).close()
    backup(path, copy)
    run(copy, PREPARED[what])
    before = path.read_bytes()
    with pytest.raises(DatabaseVersion, match="no Ostiary made"):
        restore(copy, path, NOW)
    assert path.read_bytes() == before
    with pytest.raises(DatabaseVersion, match="no Ostiary made"):
        Database.open(copy)


def test_a_table_of_ours_with_another_definition_is_not_opened(tmp_path: Path) -> None:
    path = tmp_path / "door.db"
    Database.open(path).close()
    run(path, "ALTER TABLE events ADD COLUMN loot TEXT DEFAULT 'x'")
    with pytest.raises(DatabaseVersion, match="table events"):
        Database.open(path)


@pytest.mark.parametrize("kind", ["trigger", "view", "computed"])
def test_a_first_version_database_that_acts_by_itself_is_not_adopted(
    tmp_path: Path, kind: str
) -> None:
    path = tmp_path / "first.db"
    prepared = {
        "trigger": "CREATE TRIGGER t AFTER UPDATE ON users BEGIN DELETE FROM users; END",
        "view": "CREATE VIEW v AS SELECT * FROM users",
        "computed": "ALTER TABLE users ADD COLUMN more AS (zeroblob(900000000))",
    }
    run(path, FIRST_VERSION, prepared[kind])
    with pytest.raises(DatabaseVersion):
        Database.open(path)


@pytest.mark.parametrize(
    "statements",
    [
        [
            "CREATE VIEW users AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
            " SELECT i AS username, zeroblob(1024) AS encoding, i AS created_at FROM n"
        ],
        [
            "CREATE TABLE users (username TEXT PRIMARY KEY, created_at TEXT,"
            " encoding AS (zeroblob(1000000000)))",
            "INSERT INTO users (username) VALUES ('Anna')",
        ],
        [FIRST_VERSION, "INSERT INTO users VALUES ('Anna', zeroblob(50000000), '')"],
    ],
    ids=["recursive view", "computed column", "fifty megabytes"],
)
def test_an_import_reads_one_plain_table_and_nothing_that_runs(
    tmp_path: Path, statements: list[str]
) -> None:
    source = tmp_path / "first.db"
    run(source, *statements)
    with Database.open(tmp_path / "door.db") as database:
        with pytest.raises((ImportInvalid, DatabaseVersion)):
            import_database(source, Users(database), NOW)
        assert Users(database).count() == 0
