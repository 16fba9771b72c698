"""Checks the log: what does not fit its chain, or the heads that the door signed, and where."""

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from ostiary.crypto.seal import Seal
from ostiary.errors import SealBroken
from ostiary.messages.events import LogHead
from ostiary.store import schema
from ostiary.store.audit_rows import row_bytes
from ostiary.store.links import (
    CONVERTED,
    ENTRY_COLUMNS,
    GENESIS,
    ChainEntry,
    Kind,
    follows,
    person_note,
    ranges_in,
)
from ostiary.store.old_rows import ROWS_BEFORE
from ostiary.store.own_entries import adopted_up_to, heads_in, is_head_of, is_own
from ostiary.store.person_keys import PersonKey, is_the_doors, opened_secret
from ostiary.store.rows import ROWS, RowsOf

PLAIN = Seal()


@dataclass(frozen=True, slots=True)
class LogReport:
    """The result of a check. `entries`: how many the chain has. `findings`: a sentence for each
    thing that does not fit; none for a log that is as it was written. `unsigned`: how many entries
    are newer than the newest head."""

    entries: int
    heads: int
    unsigned: int
    findings: tuple[str, ...]


@dataclass(slots=True)
class _Read:
    """What the chain says. `removed`: rows that may be missing anywhere. `pruned`: rows that may be
    missing only before all others. `entered`: rows that have an entry since the last conversion.
    `people`: ids of those whom the door removed."""

    links: dict[int, bytes] = field(default_factory=dict)
    digests: dict[str, dict[int, bytes]] = field(default_factory=lambda: {"event": {}, "audit": {}})
    removed: dict[str, list[range]] = field(default_factory=lambda: {"event": [], "audit": []})
    pruned: dict[str, list[range]] = field(default_factory=lambda: {"event": [], "audit": []})
    entered: set[tuple[str, int]] = field(default_factory=set)
    people: set[int] = field(default_factory=set)


def check_log(
    connection: sqlite3.Connection,
    public_key: bytes,
    told: Sequence[LogHead] = (),
    seal: Seal = PLAIN,
    chain_key: bytes = b"",
) -> LogReport:
    """Check every entry, row and head. `told`: heads that the door published, kept elsewhere. Only
    these show that the end was cut off together with its heads. With the door's own `chain_key`
    each entry must be this door's. Without it (an auditor has none) only a signature shows that an
    entry is. Raises StoreLocked for a sealed log without its key."""
    seal.check()
    read = _Read()
    kept = heads_in(connection)
    findings = [
        *_entries(connection, kept, read, chain_key),
        *_heads([*kept, *told], public_key, read),
    ]
    (entries,) = connection.execute("SELECT COUNT(*) FROM chain").fetchone()
    (rows,) = connection.execute("SELECT COUNT(*) FROM chain_heads").fetchone()
    if rows > len(kept):
        findings.append(f"{rows - len(kept)} heads are none that a door can have signed")
    people = _People(connection, seal, chain_key, read.people)
    for kind in ROWS:
        findings += _rows(connection, kind, read, seal, public_key, people)
    findings += people.findings
    newest = max(read.links, default=0)
    signed = max((head.position for head in kept), default=0)
    return LogReport(entries, len(kept), max(0, newest - signed), tuple(findings))


def _entries(
    connection: sqlite3.Connection, kept: list[LogHead], read: _Read, key: bytes
) -> Iterator[str]:
    expected, before = 1, GENESIS
    has_keys = schema.version(connection) >= schema.KEYED_SINCE
    columns = ENTRY_COLUMNS if has_keys else ENTRY_COLUMNS.replace(", mac", ", NULL")
    adopted = adopted_up_to(connection, key) if key and has_keys else 0
    rows = connection.execute(f"SELECT {columns} FROM chain ORDER BY position")
    for entry in map(ChainEntry._make, rows):
        position, kind, row, digest, note, link, _ = entry
        if expected == 1 and position > 1:  # what is older was removed, up to a signed head
            base = next((head for head in kept if head.position == position - 1), None)
            if base is None:
                yield f"the beginning of the chain, up to entry {position - 1}, is missing"
                before = b""
            else:
                before = bytes.fromhex(base.link)
                read.links[base.position] = before
        elif position != expected:
            yield f"entries {expected} to {position - 1} of the chain are missing"
            before = b""
        expected = position + 1
        is_keyed = bool(key) and has_keys and position > adopted
        if is_keyed and not is_own(key, entry):
            yield f"entry {position} of the chain ({kind} {row}) was put in: no door wrote it"
            continue
        if before and not follows(entry, before):
            yield f"entry {position} of the chain ({kind} {row}) does not follow the one before it"
        before = link
        read.links[position] = link
        if kind == "removed" and note == CONVERTED:
            read.entered.clear()
        elif kind == "removed" and note == person_note(row):
            read.people.add(row)
        elif kind == "removed":
            yield from _removed(position, note, read.pruned if is_keyed else read.removed)
        elif kind not in read.digests:
            yield f"entry {position} of the chain is of no kind that there is"
        elif (kind, row) in read.entered:
            yield f"entry {position} of the chain: {kind} {row} is in it twice"
        else:
            read.entered.add((kind, row))
            read.digests[kind][row] = digest


def _removed(position: int, note: str, removed: dict[str, list[range]]) -> Iterator[str]:
    try:
        kind, ranges = ranges_in(note)
        removed[kind] += ranges
    except (KeyError, ValueError):
        yield f"entry {position} of the chain names no rows that were removed"


class _People:
    """The people's keys. `findings`: what does not fit of the keys, each once."""

    def __init__(
        self, connection: sqlite3.Connection, seal: Seal, chain_key: bytes, removed: set[int]
    ) -> None:
        self.findings: list[str] = []
        self._removed = removed
        self._keys: dict[int, PersonKey | None] = {}
        if schema.version(connection) < schema.PERSON_KEYS_SINCE:
            return
        for person, stored, mac in connection.execute("SELECT person, key, mac FROM person_keys"):
            self._keys[person] = None
            try:
                secret = opened_secret(seal, person, stored)
            except SealBroken:
                self.findings.append(f"the key of person {person} was altered")
                continue
            self._keys[person] = PersonKey.of(person, secret)
            if not is_the_doors(chain_key, person, secret, mac):
                self.findings.append(f"the key of person {person} was put in: no door made it")

    def opens(self, kind: Kind, person: int, named: object, row: bytes) -> bool:
        """Whether what names a person opens. True also where that person has no key: either the
        door removed the person, or a finding tells of the key."""
        if person not in self._keys and person not in self._removed:
            self._keys[person] = None
            self.findings.append(f"the key of person {person} was taken away")
        key = self._keys.get(person)
        if key is None:
            return True
        try:
            key.opened(named, kind, row)
        except SealBroken:
            return False
        return True


def _tables(connection: sqlite3.Connection, kind: Kind) -> Iterator[tuple[str, RowsOf, str]]:
    """The tables that hold rows of a kind: name, description, and columns in this schema."""
    version, before = schema.version(connection), ROWS_BEFORE[kind]
    if version < schema.PERSON_KEYS_SINCE:
        columns = before.columns
        if version < schema.FORGETTING_SINCE:
            columns = columns.replace("salt, forgotten", "NULL, NULL")
        yield before.table, before, columns
        return
    waits = f"{before.table}_before"  # until the database is opened with the keys to convert it
    if connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (waits,)).fetchone():
        yield waits, before, before.columns
    yield ROWS[kind].table, ROWS[kind], ROWS[kind].columns


def _rows(
    connection: sqlite3.Connection,
    kind: Kind,
    read: _Read,
    seal: Seal,
    public_key: bytes,
    people: _People,
) -> Iterator[str]:
    wanted = read.digests[kind]
    present: set[int] = set()
    oldest: int | None = None  # of those that may be removed for their age
    for table, where, columns in _tables(connection, kind):
        newest = f"(SELECT {where.at} FROM {table} ORDER BY {where.number} DESC LIMIT 1)"
        stays = f"{where.at} > {newest} OR {where.waits}"
        query = f"SELECT {columns}, {stays} FROM {table} ORDER BY 1"
        for *row, is_kept in connection.execute(query):
            present.add(row[0])
            if row[0] not in wanted:
                yield f"{kind} {row[0]} was put in: the chain does not know it"
            elif not where.is_written(kind, row, seal, wanted[row[0]], public_key):
                yield f"{kind} {row[0]} was altered"
            elif where is ROWS[kind] and not _names_rightly(kind, row, people):
                yield f"{kind} {row[0]} names somebody by what does not open"
            elif oldest is None and not is_kept:
                oldest = row[0]
    for number in wanted.keys() - present:
        is_removed = any(number in each for each in read.removed[kind])
        is_pruned = any(number in each for each in read.pruned[kind])
        if not is_removed and not (is_pruned and (oldest is None or number < oldest)):
            yield f"{kind} {number} was taken away"


def _names_rightly(kind: Kind, row: Sequence[object], people: _People) -> bool:
    number, place, *_, person, named = row
    bound = place if kind == "event" and isinstance(place, bytes) else row_bytes(number)
    return not isinstance(person, int) or people.opens(kind, person, named, bound)


def _heads(heads: Sequence[LogHead], public_key: bytes, read: _Read) -> Iterator[str]:
    newest, oldest = max(read.links, default=0), min(read.links, default=0)
    for head in heads:
        if not is_head_of(head, public_key):
            yield f"the head of entry {head.position} is not signed by this door's key"
        elif head.position > newest:
            yield (
                f"the end is cut off: the chain ends with entry {newest}, and the door signed "
                f"entry {head.position}"
            )
        elif head.position >= oldest and read.links.get(head.position) != bytes.fromhex(head.link):
            yield f"entry {head.position} of the chain is not the one that the door signed"
