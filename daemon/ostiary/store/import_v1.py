"""Import of the people of a first-version database."""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ostiary import timestamps
from ostiary.errors import (
    DescriptorInvalid,
    ImportInvalid,
    RecognizerMismatch,
    UserExists,
    UsernameInvalid,
)
from ostiary.messages.username import decoded_username
from ostiary.store.descriptor import from_bytes
from ostiary.store.schema import FIRST_VERSION_COLUMNS, refuse_computed_columns
from ostiary.store.sqlite_file import readable
from ostiary.store.users import Users

LARGEST_VALUE = 1_000_000
"""Bytes that a value may have; SQLite refuses a longer one. An encoding has 1,024."""

_DAMAGED = (sqlite3.Error, UnicodeDecodeError, MemoryError)
"""What Python's sqlite3 raises for a damaged file: also where SQLite's message quotes the file's
bytes, or a size in the file is beyond all memory."""

_IS_A_TABLE = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'users'"


@dataclass(frozen=True, slots=True)
class RefusedPerson:
    """A person who was not imported, and why."""

    username: str
    reason: str


@dataclass(frozen=True, slots=True)
class ImportReport:
    """The result of an import: each row of the source is either taken or refused."""

    taken: tuple[str, ...]
    refused: tuple[RefusedPerson, ...]


def import_database(path: Path, users: Users, now: datetime) -> ImportReport:
    """Register everybody in the table `users` of the database at `path`, which is only read.

    Encodings are dlib's: 128 float64 or 128 float32. A row is refused, with a reason, if its
    encoding has another size or a number that is not finite, or if its name is not allowed, or is
    that of a registered person or an earlier row. All others are taken in one transaction. Raises
    ImportInvalid, RecognizerMismatch for a door's database with templates of another recogniser, or
    DatabaseUnwritable; nothing was taken then.
    """
    rows = _rows(path.absolute())
    taken: list[str] = []
    refused: list[RefusedPerson] = []
    with users.database.transaction():
        for name_bytes, encoding, created_at in rows:
            registered = timestamps.from_text(created_at) or now
            try:
                name = decoded_username(name_bytes)
                user = users.add(
                    name, [from_bytes(encoding)], registered, recognizer="dlib", source="import"
                )
            except (DescriptorInvalid, UserExists, UsernameInvalid) as error:
                shown = (name_bytes or b"").decode("utf-8", errors="backslashreplace")
                refused.append(RefusedPerson(shown, error.message))
            else:
                taken.append(user.username)
    return ImportReport(tuple(taken), tuple(refused))


def _rows(path: Path) -> list[tuple[bytes | None, object, object]]:
    if not path.is_file():
        raise ImportInvalid(f"{path}: no such file.")
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
            connection.text_factory = readable
            connection.execute("PRAGMA trusted_schema = OFF")
            connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LARGEST_VALUE)
            if not connection.execute(_IS_A_TABLE).fetchone():
                raise ImportInvalid(f"{path}: has no table users.")
            refuse_computed_columns(connection, path)
            columns = {
                name
                for (name,) in connection.execute("SELECT name FROM pragma_table_info('users')")
            }
            if not columns >= FIRST_VERSION_COLUMNS:
                raise ImportInvalid(f"{path}: has no table users (username, encoding, created_at).")
            _refuse_other_recognizers(connection, path)
            return connection.execute(
                "SELECT CASE typeof(username) WHEN 'text' THEN CAST(username AS BLOB) END,"
                " encoding, created_at FROM users"
            ).fetchall()
    except _DAMAGED as error:
        raise ImportInvalid(f"{path}: cannot be read as a database: {error}.") from error


def _refuse_other_recognizers(connection: sqlite3.Connection, path: Path) -> None:
    """Refuse a door's own database whose `users.encoding` may be of another recogniser."""
    columns = connection.execute("SELECT name FROM pragma_table_info('templates')").fetchall()
    if ("recognizer",) not in columns:
        return
    others = connection.execute(
        "SELECT DISTINCT recognizer FROM templates WHERE recognizer != 'dlib' ORDER BY recognizer"
    ).fetchall()
    if others:
        names = ", ".join(str(name) for (name,) in others)
        raise RecognizerMismatch(
            f"{path}: a door's own database with templates of {names}, where dlib's encodings are "
            "expected. Move it with `ostiary backup` and `ostiary restore`."
        )
