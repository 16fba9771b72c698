"""Tells which entries of the chain this door wrote, and where the door goes on.

Whoever can write the database can add entries and take some away. Without the door's key they
cannot make an entry that passes for the door's. The door goes on from its own last entry, and never
from what somebody put in.
"""

import json
import sqlite3
from collections.abc import Collection, Iterator
from contextlib import suppress
from typing import NamedTuple

from ostiary import timestamps
from ostiary.crypto.door_key import DoorKey, is_signed
from ostiary.crypto.seal import Seal
from ostiary.messages.events import LogHead
from ostiary.store.links import (
    ADOPTED,
    ENTRY_COLUMNS,
    GENESIS,
    ChainEntry,
    Kind,
    Row,
    follows,
    has_mac,
    mac_of,
    newest_link,
    person_note,
)
from ostiary.store.rows import ROWS

CHAIN = "chain"
"""The purpose of the door's secret that makes the chain's MACs (`DoorKey.secret`)."""


def entries(
    connection: sqlite3.Connection, condition: str = "TRUE", *values: object
) -> Iterator[ChainEntry]:
    """The entries of the chain that fulfil an SQL `condition`, in order."""
    query = f"SELECT {ENTRY_COLUMNS} FROM chain WHERE {condition} ORDER BY position"
    return map(ChainEntry._make, connection.execute(query, values))


def is_own(key: bytes, entry: ChainEntry) -> bool:
    """Whether the door with that key wrote this entry."""
    return has_mac(entry, key)


def is_adopted(key: bytes, entry: ChainEntry) -> bool:
    """Whether the door with that key took over the chain up to this entry."""
    return has_mac(entry, key, ADOPTED)


def adopt(connection: sqlite3.Connection, key: bytes) -> None:
    """Take over the chain as it is: a version without keys wrote it, or another door, whose backup
    an operator restored here. Nothing happens where the newest entry is this door's."""
    newest = next(iter(entries(connection, "position = (SELECT MAX(position) FROM chain)")), None)
    if newest is not None and not is_own(key, newest):
        mac = ADOPTED + mac_of(key, newest.link, *newest[:5])
        connection.execute("UPDATE chain SET mac = ? WHERE position = ?", (mac, newest.position))


def adopted_up_to(connection: sqlite3.Connection, key: bytes) -> int:
    """The position up to which the chain was taken over; 0: it never was."""
    marked = entries(connection, "length(mac) = ?", len(ADOPTED) + 32)
    return max((each.position for each in marked if is_adopted(key, each)), default=0)


class End(NamedTuple):
    """Where the door goes on: after its own last entry, at `position` with that `link`. `last`: the
    newest position in use, whoever wrote the entry there."""

    last: int
    position: int
    link: bytes


def own_end(connection: sqlite3.Connection, key: DoorKey, written: End | None) -> End:
    """Where this door goes on: after the newest of its last entry in the file, the last head that
    it signed, and what it has `written` since it was started, even if somebody took that away."""
    secret = key.secret(CHAIN)
    last, _ = newest_link(connection)
    found = End(last, 0, GENESIS)
    query = f"SELECT {ENTRY_COLUMNS} FROM chain ORDER BY position DESC"
    for entry in map(ChainEntry._make, connection.execute(query)):
        if is_own(secret, entry) or is_adopted(secret, entry):
            found = End(last, entry.position, entry.link)
            break
    head = next(
        (each for each in reversed(heads_in(connection)) if is_head_of(each, key.public)), None
    )
    if head is not None and head.position > found.position:
        found = End(last, head.position, bytes.fromhex(head.link))
    if written is not None and written.position >= found.position:
        found = written
    return found._replace(last=max(last, found.position))


def is_head_of(head: LogHead, public_key: bytes) -> bool:
    """Whether the door with that public key signed the head."""
    return is_signed(head.signed_text(), head.signature, public_key)


def heads_in(connection: sqlite3.Connection, *, newest: bool = False) -> list[LogHead]:
    """The heads that are kept, by position, or only the newest; without rows that are no heads."""
    order = "DESC LIMIT 1" if newest else "ASC"
    rows = connection.execute(
        "SELECT door, position, link, signed_at, signature FROM chain_heads"
        f" ORDER BY position {order}"
    )
    found = []
    for door, position, link, signed_at, signature in rows:
        with suppress(ValueError, AttributeError):  # no door wrote this row
            head = {
                "door": door,
                "position": position,
                "link": link.hex(),
                "signed_at": timestamps.from_text(signed_at),
                "signature": signature,
            }
            found.append(LogHead.model_validate(head))
    return found


def own_entries(connection: sqlite3.Connection, key: bytes) -> Iterator[ChainEntry]:
    """The entries that the door wrote or took over, in order; without a `key`, all."""
    adopted = _taken_over(connection, key) if key else 0
    for entry in entries(connection):
        if not key or entry.position <= adopted or is_own(key, entry):
            yield entry


def own_digests(
    connection: sqlite3.Connection, key: bytes, kind: Kind, rows: Collection[int]
) -> dict[int, bytes]:
    """The digest that the door entered for each of these rows: the last, where a row was converted.
    Rows that it never entered are left out. Without a `key`, all that the chain says."""
    wanted = json.dumps(list(rows))
    found = list(
        entries(connection, "kind = ? AND row IN (SELECT value FROM json_each(?))", kind, wanted)
    )
    if not key:
        return {each.row: each.digest for each in found}
    own = {each.row: each.digest for each in found if is_own(key, each)}
    others = [each for each in found if each.row not in own]
    adopted = _taken_over(connection, key) if others else 0
    return own | {each.row: each.digest for each in others if each.position <= adopted}


def _taken_over(connection: sqlite3.Connection, key: bytes) -> int:
    """The position up to which the door took the chain over; 0 where the entries up to there do not
    hang together."""
    adopted = adopted_up_to(connection, key)
    return adopted if _hangs_together(connection, adopted) else 0


def _hangs_together(connection: sqlite3.Connection, until: int) -> bool:
    """Whether each entry up to the position `until` follows the one before it."""
    before = b""
    for each in entries(connection, "position <= ?", until):
        if before and not follows(each, before):
            return False
        before = each.link
    return True


def fits(kind: Kind, row: Row, seal: Seal, wanted: bytes | None) -> bool:
    """Whether a stored row is as it was written. `wanted`: its digest by the chain; None: False."""
    return wanted is not None and ROWS[kind].is_written(kind, row, seal, wanted, b"")


def is_own_removal(connection: sqlite3.Connection, key: bytes, person: int, position: int) -> bool:
    """Whether the entry at `position` is the door's, and says that it removed that person. Without
    a `key`, whoever wrote the entry."""
    found = next(iter(entries(connection, "position = ?", position)), None)
    if found is None or (found.kind, found.note) != ("removed", person_note(person)):
        return False
    if not key or is_own(key, found):
        return True
    return found.position <= _taken_over(connection, key)
