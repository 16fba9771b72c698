"""Opens, checks and searches a database's file, and explains SQLite's errors about it."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import structlog

from ostiary.errors import DatabaseCorrupt, DatabaseUnwritable

log = structlog.get_logger(__name__)

CHECKPOINT = "PRAGMA wal_checkpoint(TRUNCATE)"

_BUSY_TIMEOUT_S = 5.0
_FOUND = 10
_SEARCH = f"""
import sys
wanted = [bytes.fromhex(each) for each in sys.stdin.read().split()]
end = b""
with open(sys.argv[1], "rb") as file:
    while piece := file.read({1024 * 1024}):
        if any(each in end + piece for each in wanted):
            sys.exit({_FOUND})
        end = piece[-max(map(len, wanted)) :]
"""
_WAL_LIMIT_BYTES = 16 * 1024 * 1024
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_UNWRITABLE = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOLFS,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_READONLY,
}


def is_read_only(path: Path) -> bool:
    """Whether the file system of `path` says that it is read-only, or cannot be asked."""
    try:
        return bool(os.statvfs(path.parent).f_flag & os.ST_RDONLY)
    except OSError:
        return True


def next_number(connection: sqlite3.Connection, table: str) -> int:
    """The number that the next row of an AUTOINCREMENT table gets, to which its sealed values are
    bound. Call it in the transaction that writes the row."""
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = ?", (table,)).fetchone()
    return 1 if row is None else row[0] + 1


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn SQLite's errors about the file itself into DatabaseCorrupt and DatabaseUnwritable."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in _DAMAGED:
            raise _corrupt(path, str(error)) from error
        if code in _UNWRITABLE:
            raise DatabaseUnwritable(
                f"{path}: {error}. Check free space, permissions, and that nothing else writes it."
            ) from error
        raise


@contextmanager
def read_only(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a connection that leaves the file as it is, also where a WAL is to be written back.

    Only where a killed writer left a `-journal`, SQLite must first undo what that had half done.
    Raises DatabaseUnwritable, DatabaseCorrupt.
    """
    if not path.is_file():
        raise DatabaseUnwritable(f"{path}: no such file.")
    mode = "rw" if path.with_name(path.name + "-journal").exists() else "ro"
    with (
        explained(path),
        closing(sqlite3.connect(f"{path.as_uri()}?mode={mode}", uri=True)) as connection,
    ):
        connection.text_factory = readable
        try:
            connection.execute("PRAGMA trusted_schema = OFF")
            yield connection
        except (UnicodeDecodeError, MemoryError) as error:
            # SQLite's message quotes the file's own bytes; a size in the file is beyond all memory.
            raise _corrupt(path, f"SQLite cannot read it ({type(error).__name__})") from error


def check(connection: sqlite3.Connection, path: Path, *, thorough: bool = False) -> None:
    """Run SQLite's own check of the file: quick, or thorough (also every index). Raises
    DatabaseCorrupt, which names the first finding."""
    pragma = "integrity_check(1)" if thorough else "quick_check(1)"
    try:
        (finding,) = connection.execute(f"PRAGMA {pragma}").fetchone()
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_ERROR:
            raise
        finding = str(error)  # of a header or a schema that SQLite itself cannot read
    if finding != "ok":
        raise _corrupt(path, finding)


def _corrupt(path: Path, finding: str) -> DatabaseCorrupt:
    finding = " ".join(finding.split())
    return DatabaseCorrupt(
        f"{path}: damaged or not a database ({finding}). It was left as it is. Restore a good "
        "backup, or set this file aside to begin with nobody registered."
    )


def connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path, timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
    )
    connection.text_factory = readable
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA trusted_schema = OFF")  # the file may have been anybody's
    return connection


def readable(data: bytes) -> str:
    """Decode a database's text, with bad bytes escaped: one bad row must not hide the rest."""
    return data.decode("utf-8", errors="backslashreplace")


def prepare_writer(writer: sqlite3.Connection, path: Path) -> None:
    (mode,) = writer.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        log.warning("database_without_wal", path=str(path), journal_mode=mode)
    writer.execute("PRAGMA synchronous = FULL")
    writer.execute("PRAGMA secure_delete = ON")  # a deleted descriptor is overwritten
    writer.execute(f"PRAGMA journal_size_limit = {_WAL_LIMIT_BYTES}")


def emptied_wal(writer: sqlite3.Connection) -> bool:
    """Write the WAL into the file, without a wait for those who read; whether all of it is."""
    writer.execute("PRAGMA busy_timeout = 0")
    try:
        (busy, _, _) = writer.execute(CHECKPOINT).fetchone()
    finally:
        writer.execute(f"PRAGMA busy_timeout = {round(1000 * _BUSY_TIMEOUT_S)}")
    return not busy


def holds(path: Path, wanted: Collection[bytes]) -> bool:
    """Whether the file holds any of these bytes. Another process searches: one that closes the file
    gives up all its POSIX locks on it, and then SQLite elsewhere takes the WAL away. Raises
    DatabaseUnwritable."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", _SEARCH, path],
        input=" ".join(each.hex() for each in wanted),
        text=True,
        stderr=subprocess.DEVNULL,
        check=False,
    )
    if done.returncode not in (0, _FOUND):
        raise DatabaseUnwritable(f"{path}: could not be searched for who was deleted.")
    return done.returncode == _FOUND
