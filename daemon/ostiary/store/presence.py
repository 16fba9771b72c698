"""Locks that tell whether the database is open somewhere, and the files that make it up."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from ostiary.errors import DatabaseInUse, DatabaseUnwritable


def announce(path: Path) -> int:
    """Take a shared lock on `path`.lock, which ends with this process, however it ends.

    It is on a file of its own, since closing any handle of the database itself would drop the locks
    that SQLite holds. Returns the handle to close. Raises DatabaseInUse, DatabaseUnwritable.
    """
    return _lock(path, fcntl.LOCK_SH)


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Keep the database closed to everybody during the block. Raises DatabaseInUse where somebody
    has it open, DatabaseUnwritable."""
    handle = _lock(path, fcntl.LOCK_EX)
    try:
        yield
    finally:
        os.close(handle)


def create(path: Path) -> None:
    """Make an empty file where there is none, for its owner only: it will hold biometric data.
    Raises DatabaseUnwritable."""
    try:
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
            sync(path.parent)
    except OSError as error:
        raise _unwritable(path, error) from error


def move_aside(path: Path, now: datetime, label: str) -> Path:
    """Rename the database with its WAL to a free name with `label` and the time. Call it while
    `alone`. Returns the new path. Raises DatabaseUnwritable."""
    stamp = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    target = path.with_name(f"{path.name}.{label}-{stamp}")
    again = 1
    while any(_with(target, end).exists() for end in ("", "-wal", "-shm")):
        again += 1
        target = path.with_name(f"{path.name}.{label}-{stamp}-{again}")
    try:
        for end in ("-wal", "-shm", ""):  # the WAL first: it must never meet another database
            with suppress(FileNotFoundError):
                _with(path, end).rename(_with(target, end))
        sync(path.parent)
    except OSError as error:
        raise _unwritable(path, error) from error
    return target


def sync(path: Path) -> None:
    """Sync a file's content, or a folder's names, to disk, so that they survive a power cut."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _lock(path: Path, kind: int) -> int:
    lock = _with(path, ".lock")
    try:
        handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise _unwritable(path, error) from error
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(handle)
        raise DatabaseInUse(f"{path}: another program has it open; stop that first.") from error
    return handle


def _with(path: Path, end: str) -> Path:
    return path.with_name(path.name + end)


def _unwritable(path: Path, error: OSError) -> DatabaseUnwritable:
    return DatabaseUnwritable(
        f"{path}: {error.strerror}. The folder must exist and be writable for this user."
    )
