"""Reads rows of `events` and `audit` as versions before people's keys stored them: with names in
columns, and with the door's signature where it took a name out. They are checked as they were
written, and read once more when they are converted (`ostiary.store.conversion`)."""

import hmac
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import NamedTuple

from ostiary.crypto.door_key import is_signed
from ostiary.crypto.seal import Seal
from ostiary.errors import SealBroken, StoreLocked
from ostiary.store.audit_rows import opened_audit
from ostiary.store.links import Kind, Row, append, digest_of, number_of
from ostiary.store.rows import RowsOf

FREELY = "freely"
"""What was sealed where nobody was forced, in the place of `duress`."""
_SALT, _FORGOTTEN = -2, -1


class OldEvent(NamedTuple):
    """A row of `events`. What a column means depends on the kind."""

    seq: int
    event_id: bytes
    kind: str
    timestamp: str
    username: str | None
    message: str | None
    source: str
    success: int | None = None
    reason: str | None = None
    distance: float | None = None
    liveness: float | None = None
    threshold: float | None = None
    recognizer: str | None = None
    action: str | None = None
    previous_username: str | None = None
    salt: bytes | None = None
    forgotten: str | None = None


OLD_EVENT_COLUMNS = ", ".join(OldEvent._fields)
OLD_AUDIT_COLUMNS = "id, at, actor, action, subject, detail, address, salt, forgotten"


class OldNames:
    """Opens sealed names, each name once: the same people come every day."""

    def __init__(self, seal: Seal) -> None:
        self._seal = seal
        self._opened: dict[object, str] = {}

    def opened(self, stored: object) -> str | None:
        """The name in plain text; None stays None. Raises StoreLocked, SealBroken."""
        if stored is None:
            return None
        if stored not in self._opened:
            self._opened[stored] = self._seal.opened_name(str(stored))
        return self._opened[stored]


def old_event(row: Row, seal: Seal, names: OldNames) -> OldEvent:
    """The stored row as it was before it was sealed. Raises StoreLocked, SealBroken."""
    stored = OldEvent._make(row)
    action: object = stored.action
    names_somebody = stored.username is not None or stored.previous_username is not None
    if not seal.is_sealing or not (names_somebody or isinstance(action, bytes)):
        return stored
    if isinstance(action, bytes):
        opened = seal.opened_text(action, "event action", stored.event_id)
        action = None if opened == FREELY else opened
    message = stored.message
    if message is not None:
        message = seal.opened_text(message, "event", stored.event_id)
    before, between, after = stored[:4], stored[6:13], stored[15:]
    previous = names.opened(stored.previous_username)
    plain = (*before, names.opened(stored.username), message, *between, action, previous, *after)
    return OldEvent._make(plain)


def old_digest(kind: Kind, plain: Row, seal: Seal) -> bytes:
    """The digest of an opened row, 32 bytes; it is keyed where the row names somebody."""
    content = plain[:_SALT] if plain[_SALT] is None else plain[:_FORGOTTEN]
    is_named = kind == "audit" or plain[4] is not None or plain[14] is not None
    return digest_of(content, seal.log_key if is_named else b"")


def old_fits(kind: Kind, plain: Row, seal: Seal, wanted: bytes, public_key: bytes) -> bool:
    """Whether an opened row is as it was written (`wanted`: its digest in the chain), or as the
    door left it when it took a name out."""
    digest = old_digest(kind, plain, seal)
    if plain[_FORGOTTEN] is None:
        return digest == wanted
    text = forgotten_text(kind, number_of(plain), wanted, digest)
    return is_signed(text, str(plain[_FORGOTTEN]), public_key)


def _fits_of(kind: Kind, row: Row, seal: Seal, wanted: bytes, public_key: bytes) -> bool:
    try:
        is_event = kind == "event"
        plain = old_event(row, seal, OldNames(seal)) if is_event else opened_audit(row, seal)
    except (SealBroken, StoreLocked):
        return False
    return old_fits(kind, plain, seal, wanted, public_key)


ROWS_BEFORE: Mapping[Kind, RowsOf] = {
    "event": RowsOf(
        *("events", "seq", "timestamp", "delivered_at IS NULL", OLD_EVENT_COLUMNS, _fits_of)
    ),
    "audit": RowsOf("audit", "id", "at", "FALSE", OLD_AUDIT_COLUMNS, _fits_of),
}


def forgotten_text(kind: Kind, row: int, before: bytes, after: bytes) -> bytes:
    """The text that the door signed when it took a name out of a row. `before`: the row's digest in
    the chain; `after`: the digest of what remains."""
    return "\n".join(("ostiary-forgotten-v1", kind, str(row), before.hex(), after.hex())).encode()


def adopt_rows(connection: sqlite3.Connection) -> None:
    """Begin the chain with the rows that are older than it. Call it once, in the transaction of the
    migrations."""
    for kind, where in ROWS_BEFORE.items():
        query = f"SELECT {where.columns} FROM {where.table}_before ORDER BY 1"
        for row in connection.execute(query).fetchall():
            append(connection, kind, number_of(row), old_digest(kind, row, Seal()))


def left_until(
    connection: sqlite3.Connection, seal: Seal, key: bytes, *, trusts: bool
) -> Iterator[tuple[str, Kind, int | None]]:
    """The people who were deleted and are still named: the name, and the kind and number of the
    last row in which the name is theirs (None: all rows). A row of `leaving` counts if it has the
    MAC of `key`. `trusts`: rows without a MAC, of a version without such keys, count too. An empty
    `key`: all rows count."""
    columns = "id, name, events_from, events_until, audit_from, audit_until, mac"
    for row in connection.execute(f"SELECT {columns} FROM leaving ORDER BY id").fetchall():
        number, stored, first, events_until, audit_from, audit_until, mac = row
        with suppress(SealBroken):
            name = seal.opened_name(str(stored))
            about = (number, name, first, events_until, audit_from, audit_until)
            text = "\n".join(("ostiary-leaving-1", *map(str, about)))
            wanted = hmac.digest(key, text.encode("utf-8", "surrogatepass"), "sha256")
            is_trusted = trusts and mac is None
            if (
                not key
                or is_trusted
                or (isinstance(mac, bytes) and hmac.compare_digest(mac, wanted))
            ):
                is_audit = events_until == -1
                until = audit_until if is_audit else events_until
                yield name, ("audit" if is_audit else "event"), until
