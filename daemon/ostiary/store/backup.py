"""Backups of the database, made while the door runs and checked; setting a damaged one aside.

A backup holds biometric data. Only its owner may read it, and it is sealed like the database: the
same store key opens it, or the recovery words.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Literal

import structlog

from ostiary.crypto.keyring import data_keys, has_recovery
from ostiary.errors import BackupRefused, DatabaseCorrupt, DatabaseUnwritable, DatabaseVersion
from ostiary.store import schema
from ostiary.store.presence import alone, create, move_aside, sync
from ostiary.store.sqlite_file import check, explained, read_only

log = structlog.get_logger(__name__)

OpensWith = Literal["nothing", "store_key", "recovery_words"]
"""What opens a database: `nothing` where it is not sealed; where the recovery words do, its store
key does, too."""


@dataclass(frozen=True, slots=True)
class Contents:
    """How many people and events a database or backup holds, its schema, and what opens it."""

    users: int
    events: int
    schema: int
    opens_with: OpensWith = "nothing"


def backup(path: Path, target: Path, *, replace: bool = False) -> Contents:
    """Write a verified copy of the database at `path`, which may be in use, to `target`.

    `target` appears whole or not at all. Raises BackupRefused where it exists (unless `replace`)
    or is the database itself, and whatever `verify` raises.
    """
    path, target = path.absolute(), target.absolute()
    if target.exists() and (target.samefile(path) or not replace):
        raise BackupRefused(f"{target}: exists already. Choose another name.")
    verify(path)
    with beside(target) as copy:
        copy_of(path, copy)
        contents = verify(copy)
        put(copy, target)
    log.info("backup_written", path=str(target), users=contents.users, events=contents.events)
    return contents


def verify(path: Path) -> Contents:
    """Check every page, index and reference of a database or backup. The file is only read.

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
        opens_with: OpensWith = "nothing"
        if number >= schema.SEALED_SINCE and data_keys(connection):
            opens_with = "recovery_words" if has_recovery(connection) else "store_key"
    return Contents(users, events, number, opens_with)


@contextmanager
def beside(target: Path) -> Iterator[Path]:
    """Give a path for a file in the making, on the file system of `target`; what is left there is
    removed afterwards. It lies in a new folder, so that nobody can have put a link there. Raises
    DatabaseUnwritable."""
    try:
        folder = Path(mkdtemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent))
    except OSError as error:
        raise DatabaseUnwritable(f"{target}: {error.strerror}.") from error
    try:
        yield folder / target.name
    finally:
        rmtree(folder, ignore_errors=True)


def copy_of(source: Path, copy: Path) -> None:
    """Copy a database that may be in use, by SQLite's online backup: one consistent state, as a
    single file without a WAL."""
    create(copy)
    with (
        read_only(source) as old,
        explained(copy),
        closing(sqlite3.connect(copy, isolation_level=None)) as new,
    ):
        old.backup(new)
        new.execute("PRAGMA journal_mode = DELETE")


def put(copy: Path, target: Path) -> None:
    """Put a file in the place of `target`, so that it survives a power cut. Raises
    DatabaseUnwritable."""
    try:
        sync(copy)
        copy.replace(target)
        sync(target.parent)
    except OSError as error:
        raise DatabaseUnwritable(f"{target}: {error.strerror}.") from error


def set_aside(path: Path, now: datetime) -> Path:
    """Rename the database at `path`, with its WAL, so that a new one can be made.

    Nobody is registered then, so the door denies everybody until a backup is restored or people
    enrol again. Returns the new path. Raises DatabaseInUse, DatabaseUnwritable.
    """
    path = path.absolute()
    if not path.exists():
        raise DatabaseUnwritable(f"{path}: no such file, so there is nothing to set aside.")
    with alone(path):
        target = move_aside(path, now, "damaged")
    log.error("database_set_aside", path=str(path), kept_as=str(target))
    return target
