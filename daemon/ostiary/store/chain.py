"""The chain: it binds each row of the log to the row before it, so that a changed row shows.

An entry stands for one row of `events` or `audit` as it was written, for rows that were removed
because they were old or too many, or for a person who was removed. Its link is SHA-256 over the
link before it, its position, its kind, the row's number, the digest of the row's content and a note
(as in a certificate log, RFC 9162, but a list). Beside it is a MAC of the door's key: only what the
door wrote is an entry. The newest link is signed regularly with the same key, so that others can
check it. `ostiary.store.log_check` tells what does not fit.
"""

import hashlib
import sqlite3
from collections.abc import Collection, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial

import structlog

from ostiary import timestamps
from ostiary.crypto.door_key import DoorKey
from ostiary.crypto.seal import LockedSeal
from ostiary.messages.events import LogHead
from ostiary.store.audit_rows import AUDIT_COLUMNS, opened_audit
from ostiary.store.database import Database
from ostiary.store.links import (
    ENTRY_COLUMNS,
    ChainEntry,
    Kind,
    Row,
    append,
    follows,
    newest_link,
    number_of,
    person_note,
    ranges_in,
    ranges_of,
)
from ostiary.store.own_entries import (
    End,
    adopted_up_to,
    entries,
    fits,
    heads_in,
    is_own,
    own_digests,
    own_end,
)
from ostiary.store.rows import ROWS, digest_of_row

log = structlog.get_logger(__name__)

_HEADS_KEPT = 2000
RESTORED = "database_restored"
ACCEPTED = "log_accepted"
ACCEPTING = frozenset({RESTORED, ACCEPTED})
"""Actions after which the log may differ from what the door signed before them."""

_ANY = 2**63 - 1
_ROWS_A_LOOK = 2000
_LOOKED_AT = 20_000
"""Entries that `sign` checks at most in one call, so that nobody waits for all of them."""


class Chain:
    """The tables `chain` and `chain_heads`. Entries are written in the transaction of their row."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.is_altered = False
        """Whether somebody else has changed the chain, as far as `sign` has checked it."""
        self._looked_up_to = 0
        self._link = b""

    def event(self, connection: sqlite3.Connection, row: Sequence[object]) -> None:
        """Add the entry of a row of `events`. `row`: EVENT_COLUMNS, as stored."""
        digest = digest_of_row("event", row, self._database.seal)
        self._append(connection, "event", number_of(row), digest)

    def audit(self, connection: sqlite3.Connection, row: Sequence[object]) -> None:
        """Add the entry of a row of `audit`. `row`: AUDIT_COLUMNS, not sealed by the store. Raises
        StoreLocked."""
        digest = digest_of_row("audit", row, self._database.seal)
        self._append(connection, "audit", number_of(row), digest)

    def person_removed(self, connection: sqlite3.Connection, person: int) -> int:
        """Add the entry of a person whom the door removed, and whose key goes; its position."""
        return self._append_removal(connection, person, person_note(person))

    def remove_oldest(
        self,
        connection: sqlite3.Connection,
        kind: Kind,
        *,
        before: str,
        now: str,
        surplus: int = 0,
        besides: Collection[int] = (),
    ) -> int:
        """Remove the oldest rows of a kind; how many. A row goes if it is from before `before`, is
        one of the first `surplus` that go, or has its number in `besides`. Removing ends at the
        first row that stays. Passed over are rows that the broker has not got yet, rows that are
        not as the door wrote them (`ostiary verify-log` finds these), and rows from after `now`, of
        a clock that was ahead. `before` and `now` are texts of `timestamps`."""
        where = ROWS[kind]
        gone: list[int] = []
        after = -(2**63)
        wanted = f"FROM {where.table} WHERE NOT {where.waits} AND"
        (is_any_old,) = connection.execute(
            f"SELECT EXISTS (SELECT 1 {wanted} {where.at} < ?)", (before,)
        ).fetchone()
        is_over = not (is_any_old or surplus or besides)
        while not is_over:
            rows = connection.execute(
                f"SELECT {where.at}, {where.columns} {wanted} {where.number} > ?"
                f" ORDER BY {where.number} LIMIT ?",
                (after, _ROWS_A_LOOK),
            ).fetchall()
            times = {number: at for at, number, *_ in rows}
            for number in self.as_written(connection, kind, [row[1:] for row in rows]):
                if number in besides or times[number] < before or len(gone) < surplus:
                    gone.append(number)
                elif times[number] <= now:
                    is_over = True
                    break
            is_over = is_over or not rows
            after = max(times, default=after)
        connection.executemany(
            f"DELETE FROM {where.table} WHERE {where.number} = ?", [(each,) for each in gone]
        )
        if gone:
            self._append_removal(connection, max(gone), f"{kind} {ranges_of(gone)}")
        return len(gone)

    def _append_removal(self, connection: sqlite3.Connection, row: int, note: str) -> int:
        digest = hashlib.sha256(note.encode()).digest()
        return self._append(connection, "removed", row, digest, note)

    def _append(
        self, connection: sqlite3.Connection, kind: Kind, row: int, digest: bytes, note: str = ""
    ) -> int:
        database = self._database
        end = database.memo.end or self._end(connection)
        key = database.chain_key
        position, link = append(connection, kind, row, digest, note, (end.last, end.link), key)
        database.memo.end = written = End(position, position, link)
        database.on_commit(partial(database.remember, written))
        return position

    def _end(self, connection: sqlite3.Connection) -> End:
        """Where the chain goes on, by what is in the file."""
        key = self._database.door_key
        if key is None:
            position, link = newest_link(connection)
            return End(position, position, link)
        return own_end(connection, key, self._database.written)

    def as_written(
        self, connection: sqlite3.Connection, kind: Kind, rows: Sequence[Row]
    ) -> list[int]:
        """The numbers of those stored rows that are as this door wrote them; of all rows where the
        database was opened without a door's key. `rows` have the columns of their kind."""
        key = self._database.door_key
        if key is None:
            return [number_of(row) for row in rows]
        numbers = [number_of(row) for row in rows]
        wanted = own_digests(connection, self._database.chain_key, kind, numbers)
        seal = self._database.seal
        return [
            number
            for number, row in zip(numbers, rows, strict=True)
            if fits(kind, row, seal, wanted.get(number))
        ]

    def sign(self, key: DoorKey, door: str, now: datetime) -> LogHead | None:
        """Sign this door's newest entry; None where it is signed already. Checks some more entries
        of the chain, and drops its beginning where nothing needs it any more."""
        self._look()
        with self._database.transaction() as connection:
            end = self._database.memo.end or self._end(connection)
            if end.position <= _signed_up_to(connection):
                return None
            head = signed_head(key, door, end.position, end.link, now)
            connection.execute(
                "INSERT OR REPLACE INTO chain_heads VALUES (?, ?, ?, ?, ?)",
                (end.position, end.link, door, timestamps.to_text(now), head.signature),
            )
            _shorten(connection, self._database.chain_key)
        return head

    def _look(self) -> None:
        """Check some more entries: this door wrote each, and each follows the one before it."""
        key, written = self._database.chain_key, self._database.written
        if not key or self.is_altered:
            return
        with self._database.reading() as connection:
            adopted = adopted_up_to(connection, key)
            query = (
                f"SELECT {ENTRY_COLUMNS} FROM chain WHERE position > ? ORDER BY position LIMIT ?"
            )
            rows = connection.execute(query, (self._looked_up_to, _LOOKED_AT)).fetchall()
            if written is not None:
                (kept,) = connection.execute(
                    "SELECT COUNT(*) FROM chain WHERE position = ? AND link = ?", written[1:]
                ).fetchone()
                self.is_altered = not kept
        for entry in map(ChainEntry._make, rows):
            position, before = self._looked_up_to, self._link
            is_mine = is_own(key, entry) or entry.position <= adopted
            hangs = not before or follows(entry, before)
            if not is_mine or not hangs or (before and entry.position != position + 1):
                self.is_altered = True
            self._looked_up_to, self._link = entry.position, entry.link
        if self.is_altered:
            log.error("log_altered", advice="ostiary verify-log")

    def contradicts(self, head: LogHead) -> bool:
        """Whether `head`, which this door signed, tells of more than is here, or of something else.
        False where an operator has restored a backup or accepted the log since."""
        position = head.position
        with self._database.reading() as connection:
            end = self._end(connection)
            found = connection.execute(
                "SELECT link FROM chain WHERE position = ?", (position,)
            ).fetchone()
            is_here = position <= end.position and (found is None or found[0].hex() == head.link)
            return not is_here and not self._is_accepted(connection, head.signed_at)

    def _is_accepted(self, connection: sqlite3.Connection, signed_at: datetime) -> bool:
        rows = connection.execute(
            f"SELECT {AUDIT_COLUMNS} FROM audit WHERE at >= ? ORDER BY id DESC",
            (timestamps.to_text(signed_at),),
        ).fetchall()
        seal = self._database.seal
        if not isinstance(seal, LockedSeal):
            own = set(self.as_written(connection, "audit", rows)) if rows else set()
            for row in rows:
                if row[0] in own and opened_audit(row, seal)[3] in ACCEPTING:
                    return True
        return False

    def newest_head(self) -> LogHead | None:
        """The head with the highest position; None where nothing was signed."""
        with self._database.reading() as connection:
            heads = heads_in(connection, newest=True)
        return heads[0] if heads else None


def signed_head(key: DoorKey, door: str, position: int, link: bytes, now: datetime) -> LogHead:
    """Make and sign the head for an entry, as the door publishes it."""
    at = timestamps.from_text(timestamps.to_text(now))
    assert at is not None
    head = LogHead(door=door, position=position, link=link.hex(), signed_at=at, signature="")
    return head.model_copy(update={"signature": key.sign(head.signed_text())})


def _shorten(connection: sqlite3.Connection, key: bytes) -> None:
    """Remove the beginning of the chain up to a signed head, where the door itself removed all rows
    of it; and heads beyond the newest _HEADS_KEPT."""
    base = _head_before_rows(connection, event=_ANY, audit=_ANY)
    if base is not None:  # a row may also be gone because somebody took it away
        base = _head_before_rows(connection, **_removed_up_to(connection, key))
    if base is not None:
        connection.execute("DELETE FROM chain WHERE position <= ?", (base,))
        connection.execute("DELETE FROM chain_heads WHERE position < ?", (base,))
    connection.execute(
        "DELETE FROM chain_heads WHERE position NOT IN"
        " (SELECT position FROM chain_heads ORDER BY position DESC LIMIT ?) AND position != ?",
        (_HEADS_KEPT, base or 0),
    )


def _head_before_rows(connection: sqlite3.Connection, *, event: int, audit: int) -> int | None:
    """The position of the newest head before all entries that are needed: those whose row is there,
    or has a higher number than `event` or `audit` and so was not removed by the door, and those of
    a removed person whom a row or a key still names. None where there is none or none is needed."""
    (needed,) = connection.execute(
        "SELECT MIN(position) FROM chain WHERE (kind = 'event'"
        " AND (row > ? OR EXISTS (SELECT 1 FROM events WHERE seq = chain.row)))"
        " OR (kind = 'audit' AND (row > ? OR EXISTS (SELECT 1 FROM audit WHERE id = chain.row)))"
        " OR (kind = 'removed' AND note LIKE 'person %'"  # why its rows name nobody
        " AND (EXISTS (SELECT 1 FROM events WHERE person = chain.row)"
        " OR EXISTS (SELECT 1 FROM audit WHERE person = chain.row)"
        " OR EXISTS (SELECT 1 FROM person_keys WHERE person = chain.row)))",
        (event, audit),
    ).fetchone()
    (base,) = connection.execute(
        "SELECT MAX(position) FROM chain_heads WHERE position < ?",
        (0 if needed is None else needed,),
    ).fetchone()
    number: int | None = base
    return number


def _removed_up_to(connection: sqlite3.Connection, key: bytes) -> dict[str, int]:
    """The highest number of a removed row of each kind, by the door's own entries."""
    adopted = adopted_up_to(connection, key) if key else 0
    found = {"event": 0, "audit": 0}
    for entry in entries(connection, "kind = 'removed'"):
        if not key or entry.position <= adopted or is_own(key, entry):
            with suppress(ValueError, KeyError):
                kind, ranges = ranges_in(entry.note)
                found[kind] = max(found[kind], *(each[-1] for each in ranges))
    return found


def _signed_up_to(connection: sqlite3.Connection) -> int:
    number: int = connection.execute(
        "SELECT COALESCE(MAX(position), 0) FROM chain_heads"
    ).fetchone()[0]
    return number
