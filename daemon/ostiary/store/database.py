"""The database: one SQLite file with a writer, and a reader that never waits for it.

Every write happens in `Database.transaction()`. A commit has reached the disk when the block ends
(WAL with synchronous=FULL), so what was acknowledged survives a power cut.
"""

import os
import sqlite3
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import structlog

from ostiary.crypto import keyring
from ostiary.crypto.door_key import DoorKey
from ostiary.crypto.seal import LockedSeal, Seal
from ostiary.errors import DatabaseCorrupt, DatabaseUnwritable, OstiaryError
from ostiary.store import schema
from ostiary.store.own_entries import CHAIN, End
from ostiary.store.person_keys import PersonKey
from ostiary.store.presence import announce, create
from ostiary.store.sqlite_file import (
    CHECKPOINT,
    check,
    connect,
    emptied_wal,
    explained,
    holds,
    is_read_only,
    prepare_writer,
    read_only,
)
from ostiary.store.upgrade import upgrade

log = structlog.get_logger(__name__)

_CHECKPOINT_PAGES = 1000  # pages of the WAL at which SQLite itself makes a checkpoint
_GIVES_WAY_AFTER_S = 0.02
_ROOM = 64 * 1024  # bytes that an event may need


@dataclass(slots=True)
class Memo:
    """A cache for the writer. It is emptied where another connection has written or a transaction
    was undone."""

    end: End | None = None
    """Where the chain goes on."""
    keys: dict[str, PersonKey] = field(default_factory=dict)
    """The key by a name, under which what names that person is recorded."""


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
        """The end of the chain as this process committed it last; None where it wrote nothing."""
        self._store_key = store_key
        self._seal_mark = (0, 0)
        self._has_seals = False
        self.memo = Memo()  # for whoever is in a transaction
        self.left: dict[str, int] = {}
        """Ids of people deleted since it was opened, by name: what is under way may record them."""
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

        `store_key` seals a new database (`ostiary.crypto.seal`); a sealed one without its key is
        open, but locked. One of the first version is adopted (`ostiary.store.upgrade`).
        `door_key` makes the chain's MACs; without it there are none. `takes_over`: the log so far
        becomes this door's. Raises DatabaseCorrupt (nothing is changed; see
        `ostiary.store.backup`), DatabaseVersion, DatabaseUnwritable, or DatabaseInUse while the
        file is being replaced.
        """
        path = path.absolute()
        with ExitStack() as undo:
            presence = announce(path)
            undo.callback(os.close, presence)
            create(path)
            with read_only(path) as connection:  # a writer would alter a damaged file on closing
                check(connection, path)
                schema.refuse_foreign(connection, path)
            with explained(path):
                writer = undo.enter_context(closing(connect(path)))
                prepare_writer(writer, path)
                reader = undo.enter_context(closing(connect(path)))
                reader.execute("PRAGMA query_only = ON")
            database = cls(path, writer, reader, presence, store_key, door_key)
            with database.transaction() as connection:
                upgrade(connection, database._seal_of, path, store_key, door_key, takes_over)
            undo.pop_all()
        return database

    @property
    def is_locked(self) -> bool:
        """Whether the database is sealed, and its key is not here."""
        return isinstance(self.seal, LockedSeal)

    def _seal_of(self, connection: sqlite3.Connection) -> Seal:
        self._has_seals = schema.version(connection) >= schema.SEALED_SINCE
        if self._has_seals:
            self._refresh_seal(connection)
        return self.seal

    def refresh_seal(self) -> None:
        """Read the keys anew, where this thread's transaction changed them and what they seal."""
        self.memo = Memo()
        with self.reading() as connection:
            self._refresh_seal(connection)

    def _refresh_seal(self, connection: sqlite3.Connection) -> None:
        """Read the keys anew where they have changed: another process may do that."""
        mark = keyring.mark_of(connection)
        if mark != self._seal_mark:
            self.seal = keyring.seal_of(connection, self._store_key)
            self._seal_mark = mark

    def close(self) -> None:
        """Write the WAL back into the file and close it. It may be called twice."""
        self._take_turn()
        try:
            if self._presence < 0:
                return
            with self._read_lock:
                self._reader.close()
            with suppress(sqlite3.Error):  # it stays in the WAL, from where it is read next time
                self._writer.execute(CHECKPOINT)
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
        """Why a write failed; None again once `try_again` could write."""
        return self._failure

    def on_failure(self, call: Callable[[], object]) -> None:
        """Have `call` called, on any thread, when writes begin to fail. It must do little and raise
        nothing."""
        self._on_failure = call

    def try_again(self) -> None:
        """Try to write, where writes fail or the file system is read-only: as much as an event may
        need, since less might find room where no event does, and delete it."""
        if self._failure is None and not is_read_only(self.path):
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
        """Commit to disk at the block's end what was written in it; on an exception, nothing.

        Blocks in one thread may be nested and commit together at the end of the outermost; an
        inner one that fails undoes only its own part. Other threads wait. Raises
        DatabaseUnwritable (nothing was written) or DatabaseCorrupt.
        """
        return _Transaction(self)

    def remember(self, written: End) -> None:
        """Note the end of the chain that is on disk now."""
        self.written = written

    def on_commit(self, call: Callable[[], object]) -> None:
        """Have `call` called once this thread's transaction is on disk, in the order of commits;
        never, if it is undone. It must do little and raise nothing: the writer waits."""
        self._on_commit.append(call)

    def _begin(self) -> int:
        """Begin a transaction, or one inside it; what to hand to `_commit` or `_undo`."""
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
        """Empty the memo where another connection has written: SQLite counts that in a version."""
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
        """Give a connection for SELECTs: in this thread's transaction the writer, which sees what
        was written so far; otherwise the reader, which sees what is committed."""
        if self._owns_transaction():
            with explained(self.path):
                yield self._writer
            return
        with self._read_lock, explained(self.path):
            if self._has_seals:
                self._refresh_seal(self._reader)
            yield self._reader

    def scrub(self, gone: Collection[bytes] = (), *, may_take_long: bool = True) -> bool:
        """Remove what was deleted from the WAL and the file's pages now; whether it is done.
        Deleted content is overwritten (`secure_delete`), but only a checkpoint writes that to the
        file, and only truncating the WAL removes its old pages. Where rows grew, SQLite moved some
        to other pages and left copies in the gaps of the old ones: a file that holds one of `gone`
        (names, keys) is written anew. That takes seconds where it is large, so it is done only if
        it `may_take_long`, and gives way to whoever wants to write, except at its end."""
        with self._write_lock, explained(self.path):
            if self._depth > 0:
                return False
            with self._read_lock:
                if not emptied_wal(self._writer):
                    return False
        if not gone:
            return True
        if not may_take_long:
            return False
        return not holds(self.path, gone) or (self._written_anew() and self.scrub())

    def _written_anew(self) -> bool:
        """Write the whole file anew; whether it is done. Others can write during its checkpoint."""
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
        with explained(self.path), closing(connect(self.path)) as another:
            another.execute("PRAGMA wal_checkpoint(PASSIVE)")
        return True

    def _take_turn(self) -> None:
        """Wait for the write lock; interrupt a writer that gives way."""
        while not self._write_lock.acquire(timeout=_GIVES_WAY_AFTER_S):
            with self._giving_way:
                if self._gives_way:
                    self._writer.interrupt()

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
