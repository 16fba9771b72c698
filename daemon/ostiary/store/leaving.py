"""Who was deleted and is still named in what was recorded: the table `leaving`.

Each row is the door's own word, by a MAC of its key, and names a span that is over when it is
written: whoever puts an earlier row back has forgotten only what is forgotten already.
"""

import hmac
import sqlite3
from typing import NamedTuple

from ostiary.crypto.seal import Seal
from ostiary.store.own_entries import newest_own_row
from ostiary.store.person import id_of


class Leaving(NamedTuple):
    """A name, and the events and audit rows in which it is somebody's who was deleted, by their
    numbers, both ends included."""

    id: int
    name: str
    events_from: int
    events_until: int
    audit_from: int
    audit_until: int


COLUMNS = "id, name, events_from, events_until, audit_from, audit_until, mac"


def leave(connection: sqlite3.Connection, seal: Seal, key: bytes, name: str) -> None:
    """Somebody was deleted: all rows until now. Call it in the transaction that does it."""
    until = newest_own_row(connection, key, "event")
    _put(connection, seal, key, name, (0, until), _all_deeds(connection, key))


def leave_deleted(
    connection: sqlite3.Connection, seal: Seal, key: bytes, name: str, seq: int, audit_until: int
) -> None:
    """Likewise, somebody whose deletion the event `seq` tells."""
    _put(connection, seal, key, name, (0, seq), (0, audit_until))


def leave_event(
    connection: sqlite3.Connection, seal: Seal, key: bytes, name: str, seq: int
) -> None:
    """A name that was somebody's who was deleted is in that new event, by what was under way;
    nothing where somebody has that name now."""
    if id_of(connection, seal, name) is None:
        _put(connection, seal, key, name, (seq, seq), _all_deeds(connection, key))


def leave_deed(
    connection: sqlite3.Connection, seal: Seal, key: bytes, name: str, number: int
) -> None:
    """Likewise, in that new row of `audit`."""
    if id_of(connection, seal, name) is None:
        _put(connection, seal, key, name, (0, -1), (number, number))


def is_the_doors(row: Leaving, mac: bytes | None, key: bytes) -> bool:
    """Whether the door with that key wrote the row, whose name is opened. Without a key, every
    one."""
    return not key or (mac is not None and hmac.compare_digest(mac, _mac(row, key)))


def adopt_leaving(connection: sqlite3.Connection, seal: Seal, key: bytes) -> None:
    """Take over what a version without such keys wrote. Call it in the transaction of the
    migration."""
    newest = newest_own_row(connection, key, "event"), newest_own_row(connection, key, "audit")
    for row in connection.execute(f"SELECT {COLUMNS} FROM leaving").fetchall():
        *_, first, events_until, audit_from, audit_until, _ = row
        until = newest[0] if events_until is None else events_until
        audit = newest[1] if audit_until is None else audit_until
        name = seal.opened_name(row[1])
        mac = _mac(Leaving(row[0], name, first, until, audit_from, audit), key)
        connection.execute(
            "UPDATE leaving SET events_until = ?, audit_until = ?, mac = ? WHERE id = ?",
            (until, audit, mac, row[0]),
        )


def _put(
    connection: sqlite3.Connection,
    seal: Seal,
    key: bytes,
    name: str,
    events: tuple[int, int],
    audit: tuple[int, int],
) -> None:
    columns = ", ".join(Leaving._fields[1:])
    written = connection.execute(
        f"INSERT INTO leaving ({columns}) VALUES (?, ?, ?, ?, ?)",
        (seal.name(name), *events, *audit),
    )
    if key:
        row = Leaving(written.lastrowid or 0, name, *events, *audit)
        connection.execute("UPDATE leaving SET mac = ? WHERE id = ?", (_mac(row, key), row.id))


def _mac(row: Leaving, key: bytes) -> bytes:
    text = "\n".join(("ostiary-leaving-1", *map(str, row)))
    return hmac.digest(key, text.encode("utf-8", errors="surrogatepass"), "sha256")


def _all_deeds(connection: sqlite3.Connection, key: bytes) -> tuple[int, int]:
    return 0, newest_own_row(connection, key, "audit")
