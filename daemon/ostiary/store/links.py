"""Links, digests and MACs of the chain's entries; `ostiary.store.chain` says what it is for."""

import hashlib
import hmac
import sqlite3
import struct
from collections.abc import Sequence
from json.encoder import encode_basestring
from typing import Literal, NamedTuple

Kind = Literal["event", "audit", "removed"]
Row = Sequence[object]

GENESIS = bytes(32)
"""The link before the first entry."""


class ChainEntry(NamedTuple):
    """An entry of the chain. `digest`, `link`: 32 bytes. `mac`: 32 bytes by the door's key, after
    ADOPTED where the door took over the chain up to here; None: nobody can tell who wrote it."""

    position: int
    kind: str
    row: int
    digest: bytes
    note: str
    link: bytes
    mac: bytes | None


class EventRow(NamedTuple):
    """A row of `events` as it is stored. What a column means depends on the kind. `named`: what
    names `person` (an id), sealed under that person's key."""

    seq: int | None
    event_id: bytes
    kind: str
    timestamp: str
    source: str
    success: int | None = None
    reason: str | None = None
    distance: float | None = None
    liveness: float | None = None
    threshold: float | None = None
    recognizer: str | None = None
    action: str | None = None
    mode: str | None = None
    person: int | None = None
    named: bytes | None = None


EVENT_COLUMNS = ", ".join(EventRow._fields)
ENTRY_COLUMNS = ", ".join(ChainEntry._fields)
ADOPTED = b"adopted"
CONVERTED = "converted"
"""Note of the entry that a conversion writes: the entries after it are of rows as stored today."""


def digest_of(content: Sequence[object], key: bytes = b"") -> bytes:
    """The SHA-256 of a row's content, 32 bytes: of its JSON, with bytes in hexadecimal. With a key
    it is HMAC-SHA256, so that nobody without that key can try names against it."""
    text = f"[{', '.join(map(_json, content))}]"
    plain = text.encode("utf-8", errors="surrogatepass")
    return hmac.digest(key, plain, "sha256") if key else hashlib.sha256(plain).digest()


def _json(value: object) -> str:
    """The JSON of a value. json.dumps makes a new encoder for each row, and every event waits."""
    if value is None:
        return "null"
    if isinstance(value, str):
        return encode_basestring(value)
    if isinstance(value, bytes):
        return f'"{value.hex()}"'
    # SQLite keeps 1.0 as 1; RETURNING tells it as that, a SELECT from a REAL column as 1.0.
    is_whole = isinstance(value, float) and value.is_integer()
    return repr(int(value) if is_whole else value)  # type: ignore[call-overload]


def link_of(before: bytes, position: int, kind: str, row: int, digest: bytes, note: str) -> bytes:
    """The link of an entry, 32 bytes: SHA-256 over the link before it and the entry itself."""
    return hashlib.sha256(before + _text_of(position, kind, row, digest, note)).digest()


def mac_of(
    key: bytes, link: bytes, position: int, kind: str, row: int, digest: bytes, note: str
) -> bytes:
    """The MAC of an entry, 32 bytes (HMAC-SHA256). Only a holder of the door's key can make it."""
    return hmac.digest(key, link + _text_of(position, kind, row, digest, note), "sha256")


def follows(entry: ChainEntry, before: bytes) -> bool:
    """Whether the entry follows the one with the link `before`; False for values of wrong types."""
    try:
        return link_of(before, *entry[:5]) == entry.link
    except (AttributeError, TypeError, struct.error):  # values of other types
        return False


def has_mac(entry: ChainEntry, key: bytes, prefix: bytes = b"") -> bool:
    """Whether the entry has the MAC of that key, with `prefix` before it."""
    try:
        wanted = prefix + mac_of(key, entry.link, *entry[:5])
    except (AttributeError, TypeError, struct.error):
        return False
    return isinstance(entry.mac, bytes) and hmac.compare_digest(entry.mac, wanted)


def _text_of(position: int, kind: str, row: int, digest: bytes, note: str) -> bytes:
    text = b"\0".join((kind.encode(), note.encode("utf-8", errors="surrogatepass")))
    return struct.pack(">QQ", position, row) + digest + text


def append(
    connection: sqlite3.Connection,
    kind: Kind,
    row: int,
    digest: bytes,
    note: str = "",
    newest: tuple[int, bytes] | None = None,
    key: bytes = b"",
) -> tuple[int, bytes]:
    """Write the next entry. Returns its position and link: the `newest` of the entry after it
    (None: they are read). `key`: the door's secret for the chain; empty: the entry gets no MAC.
    Call it in the transaction of the row."""
    position, before = newest or newest_link(connection)
    position += 1
    link = link_of(before, position, kind, row, digest, note)
    values = [position, kind, row, digest, note, link]
    if key:
        values.append(mac_of(key, link, position, kind, row, digest, note))
    columns = ", ".join(ChainEntry._fields[: len(values)])
    connection.execute(
        f"INSERT INTO chain ({columns}) VALUES ({', '.join('?' * len(values))})", values
    )
    return position, link


def newest_link(connection: sqlite3.Connection) -> tuple[int, bytes]:
    """Position and link of the last entry; 0 and GENESIS before the first."""
    row: tuple[int, bytes] | None = connection.execute(
        "SELECT position, link FROM chain ORDER BY position DESC LIMIT 1"
    ).fetchone()
    return (0, GENESIS) if row is None else row


def number_of(row: Row) -> int:
    """The row's own number: its first column."""
    number = row[0]
    assert isinstance(number, int)
    return number


def ranges_of(rows: Sequence[int]) -> str:
    """Row numbers as text, such as `3-7,9`: short, however many were removed."""
    ordered = sorted(rows)
    parts: list[list[int]] = []
    for each in ordered:
        if parts and each == parts[-1][1] + 1:
            parts[-1][1] = each
        else:
            parts.append([each, each])
    return ",".join(f"{first}-{last}" if first < last else f"{first}" for first, last in parts)


def person_note(person: int) -> str:
    """The note of the entry by which the door removed a person."""
    return f"person {person}"


def ranges_in(note: str) -> tuple[str, list[range]]:
    """The kind and rows that a note of `removed` names. Raises ValueError where it names none."""
    kind, _, text = note.partition(" ")
    found = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        found.append(range(int(first), int(last or first) + 1))
    return kind, found
