"""Puts a backup in the place of the database: of this door, or of one whose machine is gone."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import structlog

from ostiary.crypto import keyring
from ostiary.crypto.door_key import DoorKey
from ostiary.crypto.seal import LockedSeal, Seal
from ostiary.errors import (
    BackupRefused,
    DatabaseCorrupt,
    DatabaseUnwritable,
    OstiaryError,
    StoreLocked,
    UserUnknown,
)
from ostiary.store import schema
from ostiary.store.audit import Audit
from ostiary.store.backup import Contents, beside, copy_of, put, verify
from ostiary.store.chain import RESTORED
from ostiary.store.database import Database
from ostiary.store.presence import alone, move_aside
from ostiary.store.sqlite_file import explained, read_only
from ostiary.store.users import Users

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Restored:
    """The result of a restore. `contents`: what is there now. `kept_as`: where the database before
    it is kept (None: there was none). `deleted_since`: names that are in the backup and were not in
    that database (None: it could not be read, or was not there). `words_of`: when the recovery
    words were made that open what is there now. `words_lost`: when those were made that opened only
    what was there before. None: there are none."""

    contents: Contents
    kept_as: Path | None
    deleted_since: tuple[str, ...] | None
    words_of: str | None = None
    words_lost: str | None = None


def restore(
    source: Path,
    path: Path,
    now: datetime,
    *,
    store_key: bytes | None = None,
    words: Callable[[], str] | None = None,
    bring_back: bool = False,
    door_key: DoorKey | None = None,
) -> Restored:
    """Put the backup `source` in the place of the database at `path`, which must not be in use.

    The backup is verified first. What was at `path` is kept under another name. People who were
    deleted since are left out unless `bring_back`. A sealed backup that `store_key` does not open
    is opened with the recovery `words`, and sealed by `store_key` from then on. Numbers of events
    and people continue those of the old database, where that can be read: consumers see `seq` grow,
    and no id is given again. With the `door_key` the log goes on as this door's, and says that it
    was restored. Raises DatabaseInUse, BackupRefused, StoreLocked, RecoveryWordsWrong, and what
    `verify` raises; then nothing was changed.
    """
    source, path = source.absolute(), path.absolute()
    verify(source)
    with alone(path), beside(path) as copy:
        if path.exists() and path.samefile(source):
            raise BackupRefused(f"{source}: is the database itself, not a backup of it.")
        copy_of(source, copy)
        _unlock(copy, store_key, words)
        deleted = _deleted_since(copy, path, store_key)
        left_out = () if bring_back else tuple(deleted or ())
        if door_key is not None or left_out:
            _take_over(copy, source, store_key, door_key, left_out, now)
        _continue_numbers(copy, _numbers_given(path))  # after the migration, which gives people ids
        contents = verify(copy)
        words_of, words_lost = _words(copy, path)
        kept_as = move_aside(path, now, "replaced") if path.exists() else None
        put(copy, path)
    log.warning("database_restored", path=str(path), kept_as=str(kept_as), users=contents.users)
    since = None if deleted is None else tuple(deleted)
    return Restored(contents, kept_as, since, words_of, words_lost)


def _unlock(copy: Path, store_key: bytes | None, words: Callable[[], str] | None) -> None:
    with _writing(copy) as connection:
        if not isinstance(_seal_of(connection, store_key), LockedSeal):
            return
        if store_key is None:
            raise StoreLocked(
                "The backup is sealed, and this door has no store key to seal it by: set "
                "store.key_file, or give systemd's credential store-key."
            )
        if not keyring.has_recovery(connection) or words is None:
            raise StoreLocked("Another door's store key sealed this backup; it has no other.")
        connection.execute("BEGIN")
        keyring.recover(connection, words(), store_key)
        connection.execute("COMMIT")


def _words(copy: Path, path: Path) -> tuple[str | None, str | None]:
    """When the words were made that open the copy, and when those that open the database only."""
    now, before = _recovery_key(copy), _recovery_key(path)
    is_lost = before is not None and (now is None or now[0] != before[0])
    return now and now[1], before[1] if before is not None and is_lost else None


def _recovery_key(path: Path) -> tuple[bytes, str] | None:
    """The recovery key and when it was made; None: there is none, or it cannot be read."""
    try:
        with read_only(path) as connection:
            is_older = schema.version(connection) < schema.SEALED_SINCE
            return None if is_older else keyring.recovery_key(connection)
    except (sqlite3.Error, OstiaryError):
        return None


def _deleted_since(copy: Path, path: Path, store_key: bytes | None) -> dict[str, int] | None:
    """Name and row in the backup of those who are not in the database; None where that is not
    there, or cannot be read."""
    if not path.exists():
        return None
    try:
        present = _people(path, store_key)
    except (sqlite3.Error, OstiaryError) as error:
        log.warning("deleted_since_unknown", path=str(path), error=type(error).__name__)
        return None
    return {name: row for name, row in _people(copy, store_key).items() if name not in present}


def _people(path: Path, store_key: bytes | None) -> dict[str, int]:
    with read_only(path) as connection:
        seal = _seal_of(connection, store_key)
        rows = connection.execute(
            "SELECT rowid, username FROM users WHERE typeof(username) = 'text' ORDER BY username"
        ).fetchall()
        return dict(sorted((seal.opened_name(name), row) for row, name in rows))


def _take_over(
    copy: Path,
    source: Path,
    store_key: bytes | None,
    door_key: DoorKey | None,
    left_out: tuple[str, ...],
    now: datetime,
) -> None:
    """Make the log this door's from here on, and note in it that a backup was restored: that allows
    a head below one that the door published before. Delete the people who are left out; the log
    loses their names once the door runs."""
    with (
        Database.open(copy, store_key, door_key, takes_over=True) as database,
        database.transaction() as connection,
    ):
        for name in left_out:
            try:
                Users(database).delete(name)
            except UserUnknown:  # a row of the first version that could not be adopted
                connection.execute("DELETE FROM users WHERE username = ?", (name,))
        if door_key is not None:
            Audit(database).add(
                actor="cli", action=RESTORED, subject=source.name, address="local", now=now
            )
    with _writing(copy) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")


def _seal_of(connection: sqlite3.Connection, store_key: bytes | None) -> Seal:
    if schema.version(connection) < schema.SEALED_SINCE:
        return Seal()
    return keyring.seal_of(connection, store_key)


@contextmanager
def _writing(copy: Path) -> Iterator[sqlite3.Connection]:
    with explained(copy), closing(sqlite3.connect(copy, isolation_level=None)) as connection:
        yield connection


def _numbers_given(path: Path) -> dict[str, int]:
    """The highest numbers of events and of people that a readable database at `path` has given."""
    if not path.exists():
        return {}
    try:
        with read_only(path) as connection:
            return dict(
                connection.execute(
                    "SELECT name, seq FROM sqlite_sequence WHERE name IN ('events', 'users')"
                ).fetchall()
            )
    except (sqlite3.Error, DatabaseCorrupt, DatabaseUnwritable):
        log.warning("sequence_not_continued", path=str(path))
        return {}


def _continue_numbers(copy: Path, given: dict[str, int]) -> None:
    with _writing(copy) as connection:
        if schema.version(connection) < schema.IDS_SINCE:
            given = {name: number for name, number in given.items() if name != "users"}
        for name, number in given.items():
            connection.execute(
                "INSERT INTO sqlite_sequence (name, seq) SELECT ?, 0"
                " WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = ?)",
                (name, name),
            )
            connection.execute(
                "UPDATE sqlite_sequence SET seq = MAX(seq, ?) WHERE name = ?", (number, name)
            )
