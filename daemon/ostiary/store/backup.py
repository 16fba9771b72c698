"""Copies of the database: taken while the door runs, checked before they are trusted.

A backup holds biometric data: it is readable by its owner only, and a person deleted after it was
taken comes back when it is restored.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import structlog

from ostiary.errors import BackupRefused, DatabaseCorrupt, DatabaseUnwritable, DatabaseVersion
from ostiary.store import schema
from ostiary.store.database import check, explained, read_only
from ostiary.store.presence import alone, create, move_aside, sync

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Contents:
    """What is in a database or a backup."""

    users: int
    events: int
    schema: int


@dataclass(frozen=True, slots=True)
class Restored:
    """What is there now, and where the database that was there before is kept (None: there was
    none)."""

    contents: Contents
    kept_as: Path | None


def backup(path: Path, target: Path, *, replace: bool = False) -> Contents:
    """Write a verified copy of the database at `path`, which may be in use, to `target`.

    `target` appears whole or not at all. Raises BackupRefused where it exists (unless `replace`)
    or is the database itself, and what `verify` raises.
    """
    path, target = path.absolute(), target.absolute()
    if target.exists() and (target.samefile(path) or not replace):
        raise BackupRefused(f"{target}: exists already. Choose another name.")
    verify(path)
    with _beside(target) as copy:
        _copy(path, copy)
        contents = verify(copy)
        _put(copy, target)
    log.info("backup_written", path=str(target), users=contents.users, events=contents.events)
    return contents


def restore(source: Path, path: Path, now: datetime) -> Restored:
    """Put the backup `source` in the place of the database at `path`, which must not be in use.

    The backup is verified first. What was at `path` is kept under another name. Sequence numbers
    of events go on after those of the old database where that can be read, so that consumers
    see them grow. Raises DatabaseInUse, BackupRefused, and what `verify` raises; then nothing was
    changed.
    """
    source, path = source.absolute(), path.absolute()
    verify(source)
    with alone(path), _beside(path) as copy:
        if path.exists() and path.samefile(source):
            raise BackupRefused(f"{source}: is the database itself, not a backup of it.")
        _copy(source, copy)
        _continue_sequence(copy, _last_seq(path))
        contents = verify(copy)
        kept_as = move_aside(path, now, "replaced") if path.exists() else None
        _put(copy, path)
    log.warning("database_restored", path=str(path), kept_as=str(kept_as), users=contents.users)
    return Restored(contents, kept_as)


def verify(path: Path) -> Contents:
    """Check every page, index and reference of a database or backup, which is only read.

    Raises DatabaseCorrupt, DatabaseVersion, or DatabaseUnwritable where it cannot be opened.
    """
    with read_only(path) as connection:
        check(connection, path, thorough=True)
        schema.refuse_foreign(connection, path)
        number = schema.version(connection)
        if not number:
            raise DatabaseVersion(f"{path}: has no schema of Ostiary. `ostiary import` reads it.")
        if connection.execute("PRAGMA foreign_key_check").fetchone():
            raise DatabaseCorrupt(f"{path}: a template belongs to nobody.")
        users, events = connection.execute(
            "SELECT (SELECT COUNT(*) FROM users), (SELECT COUNT(*) FROM events)"
        ).fetchone()
    return Contents(users, events, number)


@contextmanager
def _beside(target: Path) -> Iterator[Path]:
    """A name for a file in the making, in the same file system, gone afterwards."""
    copy = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        yield copy
    finally:
        copy.unlink(missing_ok=True)


def _copy(source: Path, copy: Path) -> None:
    """SQLite's online backup: one consistent state, as a single file without a WAL."""
    create(copy)
    with (
        read_only(source) as old,
        explained(copy),
        closing(sqlite3.connect(copy, isolation_level=None)) as new,
    ):
        old.backup(new)
        new.execute("PRAGMA journal_mode = DELETE")


def _put(copy: Path, target: Path) -> None:
    try:
        sync(copy)
        copy.replace(target)
        sync(target.parent)
    except OSError as error:
        raise DatabaseUnwritable(f"{target}: {error.strerror}.") from error


def _last_seq(path: Path) -> int:
    """The newest sequence number a readable database at `path` has given, otherwise 0."""
    if not path.exists():
        return 0
    try:
        with read_only(path) as connection:
            row = connection.execute(
                "SELECT COALESCE(MAX(seq), 0) FROM sqlite_sequence WHERE name = 'events'"
            ).fetchone()
    except (sqlite3.Error, DatabaseCorrupt, DatabaseUnwritable):
        log.warning("sequence_not_continued", path=str(path))
        return 0
    number: int = row[0]
    return number


def _continue_sequence(copy: Path, last_seq: int) -> None:
    with (
        explained(copy),
        closing(sqlite3.connect(copy, isolation_level=None)) as connection,
    ):
        connection.execute(
            "INSERT INTO sqlite_sequence (name, seq) SELECT 'events', 0"
            " WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'events')"
        )
        connection.execute(
            "UPDATE sqlite_sequence SET seq = MAX(seq, ?) WHERE name = 'events'", (last_seq,)
        )
