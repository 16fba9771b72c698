"""Was the log changed? What does not fit its chain, or what the door has signed, and where."""

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ostiary.errors import SealBroken
from ostiary.messages.log import LogHead
from ostiary.store import schema
from ostiary.store.chain import heads_in
from ostiary.store.door_key import is_signed
from ostiary.store.links import (
    AUDIT_COLUMNS,
    EVENT_COLUMNS,
    FORGOTTEN,
    GENESIS,
    Kind,
    forgotten_text,
    link_of,
    number_of,
    ranges_in,
)
from ostiary.store.seal import Seal
from ostiary.store.sealed_rows import Row, digest_of_row, opened_audit, opened_event

PLAIN = Seal()
TABLES: Mapping[Kind, tuple[str, str, Callable[[Row, Seal], Row]]] = {
    "event": ("events", EVENT_COLUMNS, opened_event),
    "audit": ("audit", AUDIT_COLUMNS, opened_audit),
}


@dataclass(frozen=True, slots=True)
class LogReport:
    """`findings` is empty for a log that is as it was written. `unsigned`: entries newer than the
    newest signed head, which the key's owner has not vouched for yet."""

    entries: int
    heads: int
    unsigned: int
    findings: tuple[str, ...]


@dataclass(slots=True)
class _Read:
    """What the chain says there is."""

    links: dict[int, bytes] = field(default_factory=dict)
    digests: dict[str, dict[int, bytes]] = field(default_factory=lambda: {"event": {}, "audit": {}})
    removed: dict[str, list[range]] = field(default_factory=lambda: {"event": [], "audit": []})


def check_log(
    connection: sqlite3.Connection,
    public_key: bytes,
    told: Sequence[LogHead] = (),
    seal: Seal = PLAIN,
) -> LogReport:
    """Check every entry, row and head. `told` are heads that the door published, kept elsewhere:
    only with one of those a cut off end is seen. Raises StoreLocked for a sealed log without its
    key."""
    seal.check()
    read = _Read()
    kept = heads_in(connection)
    findings = [*_entries(connection, kept, read), *_heads([*kept, *told], public_key, read)]
    for kind in TABLES:
        findings += _rows(connection, kind, read, seal, public_key)
    newest = max(read.links, default=0)
    signed = max((head.position for head in kept), default=0)
    return LogReport(len(read.links), len(kept), max(0, newest - signed), tuple(findings))


def _entries(connection: sqlite3.Connection, kept: list[LogHead], read: _Read) -> Iterator[str]:
    expected, before = 1, GENESIS
    rows = connection.execute(
        "SELECT position, kind, row, digest, note, link FROM chain ORDER BY position"
    )
    for position, kind, row, digest, note, link in rows:
        if expected == 1 and position > 1:  # what is older was removed, up to a signed head
            base = next((head for head in kept if head.position == position - 1), None)
            if base is None:
                yield f"the beginning of the chain, up to entry {position - 1}, is missing"
            else:
                before = bytes.fromhex(base.link)
                read.links[base.position] = before
        elif position != expected:
            yield f"entries {expected} to {position - 1} of the chain are missing"
            before = b""
        if before and link_of(before, position, kind, row, digest, note) != link:
            yield f"entry {position} of the chain ({kind} {row}) does not follow the one before it"
        expected, before = position + 1, link
        read.links[position] = link
        if kind == "removed":
            yield from _removed(position, note, read)
        elif row in read.digests[kind]:
            yield f"entry {position} of the chain: {kind} {row} is in it twice"
        else:
            read.digests[kind][row] = digest


def _removed(position: int, note: str, read: _Read) -> Iterator[str]:
    try:
        kind, ranges = ranges_in(note)
        read.removed[kind] += ranges
    except (KeyError, ValueError):
        yield f"entry {position} of the chain names no rows that were removed"


def _rows(
    connection: sqlite3.Connection, kind: Kind, read: _Read, seal: Seal, public_key: bytes
) -> Iterator[str]:
    table, columns, opened = TABLES[kind]
    if schema.version(connection) < schema.FORGETTING_SINCE:
        columns = columns.replace("salt, forgotten", "NULL, NULL")
    present: set[int] = set()
    for row in connection.execute(f"SELECT {columns} FROM {table} ORDER BY 1"):
        present.add(row[0])
        wanted = read.digests[kind].get(row[0])
        if wanted is None:
            yield f"{kind} {row[0]} was put in: the chain does not know it"
        elif not _fits(kind, row, opened, seal, wanted, public_key):
            yield f"{kind} {row[0]} was altered"
    for number in read.digests[kind].keys() - present:
        if not any(number in each for each in read.removed[kind]):
            yield f"{kind} {number} was taken away"


def _fits(
    kind: Kind,
    row: Row,
    opened: Callable[[Row, Seal], Row],
    seal: Seal,
    wanted: bytes,
    public_key: bytes,
) -> bool:
    try:
        digest = digest_of_row(kind, opened(row, seal), seal)
    except SealBroken:
        return False
    if row[FORGOTTEN] is None:
        return digest == wanted
    text = forgotten_text(kind, number_of(row), wanted, digest)
    return is_signed(text, str(row[FORGOTTEN]), public_key)


def _heads(heads: Sequence[LogHead], public_key: bytes, read: _Read) -> Iterator[str]:
    newest, oldest = max(read.links, default=0), min(read.links, default=0)
    for head in heads:
        if not is_signed(head.signed_text(), head.signature, public_key):
            yield f"the head of entry {head.position} is not signed by this door's key"
        elif head.position > newest:
            yield (
                f"the end is cut off: the chain ends with entry {newest}, and the door signed "
                f"entry {head.position}"
            )
        elif head.position >= oldest and read.links.get(head.position) != bytes.fromhex(head.link):
            yield f"entry {head.position} of the chain is not the one that the door signed"
