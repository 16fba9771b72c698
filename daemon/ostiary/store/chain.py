"""A record that shows when it was changed: each entry's hash is over the one before it.

An entry stands for one row of `events` or `audit` as it was written, or for rows that were removed
because they were old. Its link is SHA-256 over the link before it, its position, its kind, the row
and the digest of the row's content (as in a certificate log, RFC 9162, but a list). The newest link
is signed regularly with the door's key: `ostiary.store.log_check` says what does not fit.
"""

import hashlib
import sqlite3
from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from ostiary.messages.log import LogHead
from ostiary.store import moment
from ostiary.store.database import Database
from ostiary.store.door_key import DoorKey
from ostiary.store.links import Kind, append, newest_link, number_of, ranges_of
from ostiary.store.sealed_rows import digest_of_row

_HEADS_KEPT = 2000


class Chain:
    """The tables `chain` and `chain_heads`. Entries are written in the transaction of their row."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def event(self, connection: sqlite3.Connection, row: Sequence[object]) -> None:
        """A row of `events`, in EVENT_COLUMNS and opened, was written."""
        digest = digest_of_row("event", row, self._database.seal)
        self._append(connection, "event", number_of(row), digest)

    def audit(self, connection: sqlite3.Connection, row: Sequence[object]) -> None:
        """A row of `audit`, in AUDIT_COLUMNS and opened, was written."""
        digest = digest_of_row("audit", row, self._database.seal)
        self._append(connection, "audit", number_of(row), digest)

    def removed(
        self, connection: sqlite3.Connection, kind: Literal["event", "audit"], rows: Sequence[int]
    ) -> None:
        """Rows were removed because they were old; nothing for no rows."""
        if rows:
            note = f"{kind} {ranges_of(rows)}"
            digest = hashlib.sha256(note.encode()).digest()
            self._append(connection, "removed", max(rows), digest, note)

    def _append(
        self, connection: sqlite3.Connection, kind: Kind, row: int, digest: bytes, note: str = ""
    ) -> None:
        memo = self._database.memo
        memo.newest_link = append(connection, kind, row, digest, note, memo.newest_link)

    def sign(self, key: DoorKey, door: str, now: datetime) -> LogHead | None:
        """Sign the newest link, where it is not signed yet. None where there is nothing new."""
        with self._database.transaction() as connection:
            position, link = newest_link(connection)
            if _signed_up_to(connection) == position:
                return None
            head = signed_head(key, door, position, link, now)
            connection.execute(
                "INSERT OR REPLACE INTO chain_heads VALUES (?, ?, ?, ?, ?)",
                (position, link, door, moment.to_text(now), head.signature),
            )
            _shorten(connection)
        return head

    def newest_head(self) -> LogHead | None:
        """The head that was signed last."""
        with self._database.reading() as connection:
            heads = heads_in(connection, newest=True)
        return heads[0] if heads else None


def signed_head(key: DoorKey, door: str, position: int, link: bytes, now: datetime) -> LogHead:
    """A head as the door tells it."""
    at = moment.from_text(moment.to_text(now))
    assert at is not None
    head = LogHead(door=door, position=position, link=link.hex(), signed_at=at, signature="")
    return head.model_copy(update={"signature": key.sign(head.signed_text())})


def heads_in(connection: sqlite3.Connection, *, newest: bool = False) -> list[LogHead]:
    """The heads that are kept, by position; or only the newest."""
    order = "DESC LIMIT 1" if newest else "ASC"
    rows = connection.execute(
        "SELECT door, position, link, signed_at, signature FROM chain_heads"
        f" ORDER BY position {order}"
    )
    return [
        LogHead.model_validate(
            {
                "door": door,
                "position": position,
                "link": link.hex(),
                "signed_at": moment.from_text(signed_at),
                "signature": signature,
            }
        )
        for door, position, link, signed_at, signature in rows
    ]


def _shorten(connection: sqlite3.Connection) -> None:
    """Forget the beginning, whose rows are all removed, up to a signed head; and old heads."""
    (needed,) = connection.execute(
        "SELECT MIN(position) FROM chain WHERE"
        " (kind = 'event' AND EXISTS (SELECT 1 FROM events WHERE seq = chain.row))"
        " OR (kind = 'audit' AND EXISTS (SELECT 1 FROM audit WHERE id = chain.row))"
    ).fetchone()
    (base,) = connection.execute(
        "SELECT MAX(position) FROM chain_heads WHERE position < ?",
        (0 if needed is None else needed,),
    ).fetchone()
    if base is not None:
        connection.execute("DELETE FROM chain WHERE position <= ?", (base,))
        connection.execute("DELETE FROM chain_heads WHERE position < ?", (base,))
    connection.execute(
        "DELETE FROM chain_heads WHERE position NOT IN"
        " (SELECT position FROM chain_heads ORDER BY position DESC LIMIT ?) AND position != ?",
        (_HEADS_KEPT, base or 0),
    )


def _signed_up_to(connection: sqlite3.Connection) -> int:
    number: int = connection.execute(
        "SELECT COALESCE(MAX(position), 0) FROM chain_heads"
    ).fetchone()[0]
    return number
