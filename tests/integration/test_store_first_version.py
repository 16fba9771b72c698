"""Databases that the first version wrote: opened as they are, or imported."""

import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from structlog.testing import capture_logs

from ostiary.errors import ImportInvalid
from ostiary.store.database import Database
from ostiary.store.import_v1 import import_database
from ostiary.store.users import Users

pytestmark = pytest.mark.quick

NOW = datetime(2025, 3, 1, 12, 0, tzinfo=UTC)
ANNA = np.random.default_rng(1).normal(0, 0.1, 128)
BEN = np.random.default_rng(2).normal(0, 0.1, 128)

Row = tuple[object, object]


def first_version(path: Path, rows: Sequence[Row]) -> Path:
    connection = sqlite3.connect(path)
    connection.execute(
        "CREATE TABLE users (username TEXT PRIMARY KEY, encoding BLOB NOT NULL,"
        " created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP)"
    )
    connection.executemany(
        "INSERT INTO users VALUES (?, ?, '2024-05-01 08:30:00')",
        rows,
    )
    connection.commit()
    connection.close()
    return path


def add_undecodable_name(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute(
        "INSERT INTO users VALUES (CAST(x'FF41' AS TEXT), ?, NULL)", (ANNA.tobytes(),)
    )
    connection.commit()
    connection.close()


GOOD: list[Row] = [("Anna", ANNA.tobytes()), ("张三", BEN.astype(np.float32).tobytes())]
BAD: list[Row] = [
    ("short", ANNA[:127].tobytes()),
    ("nan", np.full(128, np.nan).tobytes()),
    ("inf", np.full(128, np.inf).tobytes()),
    ("huge", np.full(128, 1e300).tobytes()),
    ("text", "not bytes"),
    ("", ANNA.tobytes()),
    ("two\nlines", ANNA.tobytes()),
    (b"blob", ANNA.tobytes()),
    ("x" * 65, ANNA.tobytes()),
]


@pytest.fixture
def users(tmp_path: Path) -> Iterator[Users]:
    with Database.open(tmp_path / "ostiary.db") as database:
        yield Users(database)


# --- opened as it is ------------------------------------------------------------------------


def test_the_first_versions_database_opens_as_it_is(tmp_path: Path) -> None:
    path = first_version(tmp_path / "user_encodings.db", GOOD)
    with Database.open(path) as database:
        users = Users(database)
        assert [user.username for user in users.list()] == ["Anna", "张三"]
        assert users.get("Anna").created_at == datetime(2024, 5, 1, 8, 30, tzinfo=UTC)
        (_, _, anna), (_, _, ben) = users.templates()
        assert np.array_equal(anna, ANNA.astype(np.float32))
        assert np.array_equal(ben, BEN.astype(np.float32))
        users.delete("Anna")
    with Database.open(path) as database:
        assert [name for name, _, _ in Users(database).templates()] == ["张三"]
    connection = sqlite3.connect(path)
    columns = [name for _, name, *_ in connection.execute("PRAGMA table_info(users)")]
    assert columns[:3] == ["username", "encoding", "created_at"]
    connection.close()


def test_the_first_versions_own_queries_read_and_write_a_plain_database(tmp_path: Path) -> None:
    path = first_version(tmp_path / "user_encodings.db", GOOD)
    Database.open(path).close()
    with closing(sqlite3.connect(path)) as connection, connection:
        rows = connection.execute("SELECT username, encoding FROM users").fetchall()
        assert [name for name, _ in rows] == ["Anna", "张三"]
        assert np.array_equal(np.frombuffer(rows[0][1]), ANNA)
        assert [row[:3] for row in connection.execute("SELECT * FROM users LIMIT 1")] == [
            ("Anna", ANNA.tobytes(), "2024-05-01 08:30:00")
        ]
        connection.execute(
            "INSERT INTO users (username, encoding) VALUES (?, ?)", ("Cleo", ANNA.tobytes())
        )
        connection.execute("DELETE FROM users WHERE username = 'Anna'")
    with Database.open(path) as database:
        users = Users(database)
        assert [user.username for user in users.list()] == ["Cleo", "张三"]
        assert users.rename("Cleo", "Cleopatra").templates == 1


def test_two_rows_of_one_name_that_a_damaged_index_let_in_are_kept(tmp_path: Path) -> None:
    path = first_version(tmp_path / "user_encodings.db", GOOD)
    index = "SELECT * FROM sqlite_master WHERE type = 'index'"
    for damage in (True, False):
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("PRAGMA writable_schema = ON")
            if damage:  # without its index the table takes the name again
                kept = connection.execute(index).fetchone()
                (sql,) = connection.execute("SELECT sql FROM sqlite_master").fetchone()
                connection.execute("DELETE FROM sqlite_master WHERE type = 'index'")
                loose = sql.replace("PRIMARY KEY", "")
                connection.execute("UPDATE sqlite_master SET sql = ?", (loose,))
            else:
                connection.execute("INSERT INTO users SELECT * FROM users WHERE rowid = 1")
                connection.execute("UPDATE sqlite_master SET sql = ?", (sql,))
                connection.execute("INSERT INTO sqlite_master VALUES (?, ?, ?, ?, ?)", kept)
    with capture_logs() as logs, Database.open(path) as database:
        assert [name for name, _, _ in Users(database).templates()] == ["Anna", "张三"]
    assert "user_not_adopted" in {log["event"] for log in logs}
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT COUNT(*) FROM users").fetchone() == (3,)


def test_rows_that_cannot_be_used_are_logged_by_name_left_and_match_nobody(tmp_path: Path) -> None:
    path = first_version(tmp_path / "user_encodings.db", [*GOOD, *BAD])
    add_undecodable_name(path)
    with capture_logs() as logs, Database.open(path) as database:
        users = Users(database)
        assert len(users.templates()) == 2
        assert users.get("short").templates == 0
        users.delete("two\nlines")
        assert len(users.list()) == users.count()
    refused = {log["username"]: log["reason"] for log in logs if log["event"] == "user_not_adopted"}
    assert len(refused) == len(BAD) + 1
    assert "1016 bytes" in refused["short"]
    assert "UTF-8" in refused["\\xffA"]
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT COUNT(*) FROM users").fetchone() == (len(BAD) + 2,)
    connection.close()


def test_a_name_in_another_unicode_form_is_found_after_opening(tmp_path: Path) -> None:
    rows = [("Zoe\u0308", ANNA.tobytes()), ("Zo\u00eb B", BEN.tobytes())]
    path = first_version(tmp_path / "user_encodings.db", [*rows, ("Zoe\u0308 B", ANNA.tobytes())])
    with capture_logs() as logs, Database.open(path) as database:
        users = Users(database)
        assert users.get("Zo\u00eb").templates == 1
        assert users.get("Zo\u00eb B").templates == 1
    assert [log["username"] for log in logs if log["event"] == "user_not_adopted"] == [
        "Zoe\u0308 B"
    ]


def test_what_a_killed_first_version_left_half_written_is_undone(tmp_path: Path) -> None:
    path = first_version(tmp_path / "user_encodings.db", GOOD)
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA cache_size = 1")  # so that unfinished pages reach the file
    connection.executemany(
        "INSERT INTO users VALUES (?, ?, NULL)", [(f"u{n}", ANNA.tobytes()) for n in range(200)]
    )
    killed = tmp_path / "killed"
    killed.mkdir()
    for file in tmp_path.glob("user_encodings.db*"):
        shutil.copy(file, killed)
    connection.close()
    assert (killed / "user_encodings.db-journal").stat().st_size > 0
    with Database.open(killed / "user_encodings.db") as database:
        assert [name for name, _, _ in Users(database).templates()] == ["Anna", "张三"]


# --- imported -------------------------------------------------------------------------------


def test_import_takes_what_is_good_and_reports_the_rest_with_reasons(
    tmp_path: Path, users: Users
) -> None:
    users.add("张三", [ANNA], NOW, recognizer="dlib", source="image")
    source = first_version(tmp_path / "user_encodings.db", [*GOOD, *BAD])
    add_undecodable_name(source)
    before = source.read_bytes()
    report = import_database(source, users, NOW)
    assert report.taken == ("Anna",)
    reasons = {refusal.username: refusal.reason for refusal in report.refused}
    assert len(report.refused) == len(BAD) + 2
    assert "registered already" in reasons["张三"]
    assert "1016 bytes" in reasons["short"]
    assert "finite" in reasons["nan"]
    assert "control characters" in reasons["two\nlines"]
    assert np.array_equal(users.templates()[1][2], ANNA.astype(np.float32))
    assert users.get("Anna").created_at == datetime(2024, 5, 1, 8, 30, tzinfo=UTC)
    assert source.read_bytes() == before


def test_the_same_name_twice_in_the_source_is_taken_once(tmp_path: Path, users: Users) -> None:
    rows = [("Zoe\u0308", ANNA.tobytes()), ("Zo\u00eb", BEN.tobytes())]
    report = import_database(first_version(tmp_path / "v1.db", rows), users, NOW)
    assert report.taken == ("Zo\u00eb",)
    assert len(report.refused) == 1


def test_importing_again_takes_nobody_again(tmp_path: Path, users: Users) -> None:
    source = first_version(tmp_path / "v1.db", GOOD)
    assert len(import_database(source, users, NOW).taken) == 2
    report = import_database(source, users, NOW)
    assert report.taken == ()
    assert len(report.refused) == 2


def test_a_source_that_is_no_first_version_database_changes_nothing(
    tmp_path: Path, users: Users
) -> None:
    other = tmp_path / "other.db"
    connection = sqlite3.connect(other)
    connection.execute("CREATE TABLE users (id INTEGER, name TEXT)")
    connection.commit()
    connection.close()
    text = tmp_path / "text.db"
    text.write_text("hello " * 1000)
    empty = tmp_path / "empty.db"
    empty.touch()
    damaged = first_version(tmp_path / "damaged.db", [(f"u{n}", ANNA.tobytes()) for n in range(99)])
    with damaged.open("r+b") as file:
        file.seek(8192)
        file.write(b"\xff" * 40_000)
    for source in (other, text, empty, damaged, tmp_path / "missing.db", tmp_path):
        with pytest.raises(ImportInvalid, match=source.name):
            import_database(source, users, NOW)
    assert users.count() == 0
    assert not (tmp_path / "missing.db").exists()
