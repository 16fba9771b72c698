"""One SQLite file: a writer that commits to the disk, and a reader that never waits for it.

Every write happens in `Database.transaction()`. A commit has reached the disk when the block ends
(WAL with synchronous=FULL), so what was acknowledged survives a power cut.
"""

import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

import structlog

from ostiary.crypto import keyring
from ostiary.crypto.door_key import DoorKey
from ostiary.crypto.seal import LockedSeal, Seal
from ostiary.errors import DatabaseCorrupt, DatabaseUnwritable, OstiaryError
from ostiary.store import schema
from ostiary.store.adopt import adopt_users
from ostiary.store.binding import give_keys
from ostiary.store.conversion import convert, is_unconverted
from ostiary.store.old_rows import adopt_rows
from ostiary.store.own_entries import CHAIN, End, adopt, heads_in, is_head_of
from ostiary.store.person_keys import PersonKey, take_over_keys
from ostiary.store.pin_rows import complete_pins
from ostiary.store.presence import announce, create
from ostiary.store.sealed_rows import seal_hints

log = structlog.get_logger(__name__)

_BUSY_TIMEOUT_S = 5.0
_CHECKPOINT = "PRAGMA wal_checkpoint(TRUNCATE)"
_CHECKPOINT_PAGES = 1000  # of the WAL, after which SQLite itself does it
_GIVES_WAY_AFTER_S = 0.02
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
_ROOM = 64 * 1024  # bytes
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


@dataclass(slots=True)
class Memo:
    """What the writer knows of the file without asking it; nothing, once somebody else has written
    or a transaction was undone."""

    end: End | None = None
    """Where the chain goes on."""
    keys: dict[str, PersonKey] = field(default_factory=dict)
    """Under which what names somebody is recorded."""


class Database:
    """An open database. Safe to use from several threads; make one for each process."""

    def __init__(
        self,
        path: Path,
        writer: sqlite3.Connection,
        reader: sqlite3.Connection,
        presence: int,
        store_key: bytes | None,
        door_key: DoorKey | None = None,
    ) -> None:
        self.path = path
        self.seal = Seal()
        self.door_key = door_key
        self.chain_key = b"" if door_key is None else door_key.secret(CHAIN)
        self.written: End | None = None
        """What this process has written last to the chain."""
        self._store_key = store_key
        self._seal_mark = (0, 0)
        self._has_seals = False
        self.memo = Memo()  # for whoever is in a transaction
        self.left: dict[str, int] = {}
        """Who was deleted since it was opened, by name: what is under way may record them."""
        self._version = -1  # of the file, as the writer saw it last
        self._on_commit: list[Callable[[], object]] = []
        self._failure: OstiaryError | None = None
        self._on_failure: Callable[[], object] = lambda: None
        self._writer = writer
        self._reader = reader
        self._presence = presence
        self._write_lock = threading.RLock()
        self._read_lock = threading.RLock()
        self._depth = 0  # of nested transactions; guarded by _write_lock
        self._giving_way = threading.Lock()
        self._gives_way = False  # what the writer does now is interrupted for whoever waits

    @classmethod
    def open(
        cls,
        path: Path,
        store_key: bytes | None = None,
        door_key: DoorKey | None = None,
        *,
        takes_over: bool = False,
    ) -> Self:
        """Open or create the database at `path`, check it and bring its schema up to date.

        With a `store_key` a new one is sealed (`ostiary.crypto.seal`); a sealed one without its
        key is open, but locked. One of the first version becomes ours (`ostiary.store.adopt`).
        What is recorded is the door's whose key is given; without one, nobody's. `takes_over`: what
        was recorded before is taken for that door's, too. Raises
        DatabaseCorrupt (nothing is changed; see `ostiary.store.quarantine`), DatabaseVersion,
        DatabaseUnwritable, or DatabaseInUse while it is being replaced.
        """
        path = path.absolute()
        presence = announce(path)
        connections: list[sqlite3.Connection] = []
        try:
            create(path)
            with read_only(path) as connection:  # a writer would alter a damaged file on closing
                check(connection, path)
                schema.refuse_foreign(connection, path)
            with explained(path):
                writer = _connect(path)
                connections.append(writer)
                _prepare_writer(writer, path)
                reader = _connect(path)
                connections.append(reader)
                reader.execute("PRAGMA query_only = ON")
            database = cls(path, writer, reader, presence, store_key, door_key)
            database._bring_up_to_date(takes_over=takes_over and door_key is not None)
        except BaseException:
            for connection in connections:
                connection.close()
            os.close(presence)
            raise
        return database

    @property
    def is_locked(self) -> bool:
        """Whether it is sealed, and its key is not here."""
        return isinstance(self.seal, LockedSeal)

    def _bring_up_to_date(self, *, takes_over: bool) -> None:
        with self.transaction() as connection:
            before = schema.version(connection)
            schema.migrate(connection)
            if before < schema.CHAINED_SINCE <= schema.version(connection):
                adopt_rows(connection)
            self._has_seals = schema.version(connection) >= schema.SEALED_SINCE
            if self._has_seals:
                self._refresh_seal(connection)
            if not self.seal.is_sealing:
                adopt_users(connection)
                self._seal_if_new(connection)
            if not self.is_locked:
                give_keys(connection, self.seal)
            if self.seal.is_sealing and not self.is_locked:
                seal_hints(connection, self.seal)
                complete_pins(connection, self.seal)
            is_keyed = before < schema.KEYED_SINCE <= schema.version(connection)
            is_ours = self._is_of_this_door(connection)
            if takes_over or (is_keyed and is_ours):
                adopt(connection, self.chain_key)
            if not self.is_locked:
                if takes_over:
                    take_over_keys(connection, self.seal, self.chain_key)
                if is_unconverted(connection):
                    trusts = takes_over or (is_keyed and is_ours)
                    convert(connection, self.seal, self.door_key, trusts=trusts)

    def _is_of_this_door(self, connection: sqlite3.Connection) -> bool:
        """Whether the door whose key this is has signed what is here, where anybody has."""
        head = next(iter(heads_in(connection, newest=True)), None)
        key = self.door_key
        return key is not None and (head is None or is_head_of(head, key.public))

    def _seal_if_new(self, connection: sqlite3.Connection) -> None:
        if self._store_key is None or not self._has_seals:
            return
        (used,) = connection.execute(
            "SELECT EXISTS (SELECT 1 FROM users) OR EXISTS (SELECT 1 FROM chain)"
        ).fetchone()
        if used:
            log.warning("store_not_sealed", path=str(self.path), advice="ostiary store encrypt")
        else:
            keyring.begin(connection, self._store_key, datetime.now(UTC))
            self._refresh_seal(connection)

    def refresh_seal(self) -> None:
        """The keys were changed, and what they seal, in this thread's transaction."""
        self.memo = Memo()
        with self.reading() as connection:
            self._refresh_seal(connection)

    def _refresh_seal(self, connection: sqlite3.Connection) -> None:
        """Another process may have begun to change the keys."""
        mark = keyring.mark_of(connection)
        if mark != self._seal_mark:
            self.seal = keyring.seal_of(connection, self._store_key)
            self._seal_mark = mark

    def close(self) -> None:
        """Write the WAL back into the file and let go of it. May be called twice."""
        self._take_turn()
        try:
            if self._presence < 0:
                return
            with self._read_lock:
                self._reader.close()
            with suppress(sqlite3.Error):  # it stays in the WAL, from where it is read next time
                self._writer.execute(_CHECKPOINT)
            self._writer.close()
            os.close(self._presence)
            self._presence = -1
        finally:
            self._write_lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def failure(self) -> OstiaryError | None:
        """Why a write failed, until `try_again` finds that the next one would not."""
        return self._failure

    def on_failure(self, call: Callable[[], object]) -> None:
        """Call it, from whichever thread, when writes begin to fail. It must do little and raise
        nothing."""
        self._on_failure = call

    def try_again(self) -> None:
        """Where writes fail, or the file system is read-only: write as much as an event may need,
        and take it out. Less might still find room where events do not."""
        if self._failure is None and not _is_read_only(self.path):
            return
        if not self._write_lock.acquire(blocking=False):
            return
        try:
            with self.transaction() as connection:
                connection.execute("INSERT INTO counters VALUES ('room', zeroblob(?))", (_ROOM,))
                connection.execute("DELETE FROM counters WHERE name = 'room'")
            self._note(None)
        except OstiaryError:
            return
        finally:
            self._write_lock.release()

    def _note(self, failure: OstiaryError | None) -> None:
        is_new = failure is not None and self._failure is None
        self._failure = failure
        if is_new:
            self._on_failure()

    @contextmanager
    def _noting(self) -> Iterator[None]:
        try:
            with explained(self.path):
                yield
        except (DatabaseCorrupt, DatabaseUnwritable) as error:
            self._note(error)
            raise

    def transaction(self) -> AbstractContextManager[sqlite3.Connection]:
        """Everything in the block is committed to disk at its end, or, on an exception, nothing.

        Blocks in one thread may be nested and commit together at the end of the outermost; an
        inner one that fails undoes only its own part. Other threads wait. Raises
        DatabaseUnwritable (nothing was written) or DatabaseCorrupt.
        """
        return _Transaction(self)

    def remember(self, written: End) -> None:
        """What was written last to the chain, and is on disk."""
        self.written = written

    def on_commit(self, call: Callable[[], object]) -> None:
        """Call it, in the order of the commits, once what this thread's transaction wrote is on
        disk; never, if it is undone. It must do little and raise nothing: the writer waits."""
        self._on_commit.append(call)

    def _begin(self) -> int:
        """Of the outermost transaction, or of one in it; what to hand to the end of it."""
        if self._depth == 0:
            self._writer.execute("BEGIN IMMEDIATE")
        elif self._writer.in_transaction:
            self._writer.execute(f"SAVEPOINT level{self._depth}")
        else:
            raise DatabaseUnwritable(f"{self.path}: an earlier write of this step failed.")
        self._depth += 1
        begun = len(self._on_commit)
        if self._depth == 1:
            try:
                self._look_for_others()
            except BaseException:
                self._undo(begun)
                raise
        return begun

    def _look_for_others(self) -> None:
        """The file's version, as SQLite counts it, changes when another connection has written."""
        (version,) = self._writer.execute("PRAGMA data_version").fetchone()
        if version != self._version:
            self.memo = Memo()
            if self._has_seals:
                self._refresh_seal(self._writer)
            self._version = version

    def _commit(self, begun: int) -> None:
        try:
            if not self._writer.in_transaction:  # SQLite gave up on all of it (disk full)
                raise DatabaseUnwritable(f"{self.path}: a write of this step failed.")
            inner = self._depth - 1
            self._writer.execute(f"RELEASE level{inner}" if inner else "COMMIT")
        except BaseException:
            self._undo(begun)
            raise
        self._depth = inner
        if not inner:
            calls, self._on_commit = self._on_commit, []
            for call in calls:
                call()

    def _undo(self, begun: int) -> None:
        self._depth -= 1
        self.memo = Memo()
        del self._on_commit[begun:]
        if self._writer.in_transaction and self._depth:
            self._writer.execute(f"ROLLBACK TO level{self._depth}")
            self._writer.execute(f"RELEASE level{self._depth}")
        elif self._writer.in_transaction:
            self._writer.execute("ROLLBACK")

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection for SELECTs: inside this thread's transaction its own, which sees what it
        has written so far; otherwise the reader, which sees what is committed."""
        if self._owns_transaction():
            with explained(self.path):
                yield self._writer
            return
        with self._read_lock, explained(self.path):
            if self._has_seals:
                self._refresh_seal(self._reader)
            yield self._reader

    def scrub(self, gone: Collection[bytes] = (), *, may_take_long: bool = True) -> bool:
        """Bring what was deleted out of the WAL and the file's pages now, not at the next restart;
        whether it is done. Deleted content is overwritten (`secure_delete`), but only a checkpoint
        writes that to the file, and only truncating the WAL takes the old pages from it. Where rows
        grew, SQLite has moved some to other pages and left copies in the gaps of the old ones: a
        file that holds what is `gone`, a name or a key, is written anew. That takes seconds of a
        large one, and is given up for whoever wants to write, but for its end."""
        with self._write_lock, explained(self.path):
            if self._depth > 0 or not self._emptied():
                return False
        if not gone:
            return True
        if not may_take_long:
            return False
        return not self._holds(gone) or (self._written_anew() and self.scrub())

    def _emptied(self) -> bool:
        """Whether all of the WAL is in the file now. Nobody waits for other processes that read."""
        with self._read_lock:
            self._writer.execute("PRAGMA busy_timeout = 0")
            try:
                (busy, _, _) = self._writer.execute(_CHECKPOINT).fetchone()
            finally:
                self._writer.execute(f"PRAGMA busy_timeout = {round(1000 * _BUSY_TIMEOUT_S)}")
        return not busy

    def _written_anew(self) -> bool:
        """Whether the whole file was. Nobody waits while that goes from the WAL to the disk."""
        with self._write_lock, explained(self.path):
            if self._depth > 0:
                return False
            self._writer.execute("PRAGMA wal_autocheckpoint = 0")
            self._gives_way = True
            try:
                self._writer.execute("VACUUM")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
                    raise
                return False
            finally:
                with self._giving_way:
                    self._gives_way = False
                self._writer.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
        with explained(self.path), closing(_connect(self.path)) as another:
            another.execute("PRAGMA wal_checkpoint(PASSIVE)")
        return True

    def _take_turn(self) -> None:
        """To write; what gives way is interrupted."""
        while not self._write_lock.acquire(timeout=_GIVES_WAY_AFTER_S):
            with self._giving_way:
                if self._gives_way:
                    self._writer.interrupt()

    def _holds(self, wanted: Collection[bytes]) -> bool:
        """Whether the file holds any of them. Another process looks: who closes the file gives up
        all POSIX locks that the process has on it, and then SQLite elsewhere takes the WAL away."""
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", _SEARCH, self.path],
            input=" ".join(each.hex() for each in wanted),
            text=True,
            stderr=subprocess.DEVNULL,
            check=False,
        )
        if done.returncode not in (0, _FOUND):
            raise DatabaseUnwritable(f"{self.path}: could not be searched for who was deleted.")
        return done.returncode == _FOUND

    def _owns_transaction(self) -> bool:
        if not self._write_lock.acquire(blocking=False):
            return False
        try:
            return self._depth > 0
        finally:
            self._write_lock.release()


class _Transaction(AbstractContextManager[sqlite3.Connection]):
    """`Database.transaction`, as a class: a generator takes three times as long, every time."""

    __slots__ = ("_begun", "_database")

    def __init__(self, database: Database) -> None:
        self._database = database

    def __enter__(self) -> sqlite3.Connection:
        database = self._database
        if not database._write_lock.acquire(blocking=False):
            database._take_turn()
        try:
            self._begun = database._begin()
        except BaseException as error:
            database._write_lock.release()
            with database._noting():
                raise error
        return database._writer

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        database = self._database
        try:
            if error is None:
                database._commit(self._begun)
            else:
                database._undo(self._begun)
        except DatabaseUnwritable as failure:  # SQLite had given up before
            database._note(failure)
            raise
        except sqlite3.DatabaseError as failure:
            error = failure
        finally:
            database._write_lock.release()
        if isinstance(error, sqlite3.DatabaseError):
            with database._noting():
                raise error


def _is_read_only(path: Path) -> bool:
    """Whether the file system is, by what it says of itself."""
    try:
        return bool(os.statvfs(path.parent).f_flag & os.ST_RDONLY)
    except OSError:
        return True


def next_number(connection: sqlite3.Connection, table: str) -> int:
    """The number that the next row of an AUTOINCREMENT table gets: what is sealed is bound to it.
    Call it in the transaction that writes the row."""
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = ?", (table,)).fetchone()
    return 1 if row is None else row[0] + 1


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn SQLite's errors about the file itself into ours, which say what to do."""
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
    """A connection that leaves the file as it is, also when that has a WAL to be written back.

    Except where SQLite itself must first undo what a killed writer left half done (`-journal`).
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
    """SQLite's own check of the file: quick, or thorough (also every index). Raises
    DatabaseCorrupt that names the first thing found."""
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


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path, timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
    )
    connection.text_factory = readable
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA trusted_schema = OFF")  # the file may have been anybody's
    return connection


def readable(data: bytes) -> str:
    """Text as a database has it: one bad row must not hide the rest."""
    return data.decode("utf-8", errors="backslashreplace")


def _prepare_writer(writer: sqlite3.Connection, path: Path) -> None:
    (mode,) = writer.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        log.warning("database_without_wal", path=str(path), journal_mode=mode)
    writer.execute("PRAGMA synchronous = FULL")
    writer.execute("PRAGMA secure_delete = ON")  # a deleted descriptor is overwritten
    writer.execute(f"PRAGMA journal_size_limit = {_WAL_LIMIT_BYTES}")
