"""Conversion of a log from before people's keys into rows of today, once, at the door's start.

The chain goes on after an entry that says so. Each row that is as the door wrote it gets a new
entry; an altered one gets none, so that `ostiary verify-log` still finds it. A person who was
deleted and is still named gets a key that is destroyed afterwards. Rows whose name was taken out
name a person whose key is gone.
"""

import json
import sqlite3
import time
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from math import inf

import structlog

from ostiary.crypto.door_key import DoorKey
from ostiary.crypto.seal import Seal
from ostiary.errors import SealBroken
from ostiary.store.audit_rows import (
    AUDIT_COLUMNS,
    NAMELESS,
    opened_audit,
    row_bytes,
    sealed_audit,
    whom_it_names,
)
from ostiary.store.event_rows import Named, naming_row
from ostiary.store.links import (
    CONVERTED,
    EVENT_COLUMNS,
    EventRow,
    Kind,
    Row,
    link_of,
    mac_of,
    newest_link,
    person_note,
)
from ostiary.store.old_rows import (
    OLD_AUDIT_COLUMNS,
    OLD_EVENT_COLUMNS,
    OldEvent,
    OldNames,
    left_until,
    old_event,
    old_fits,
)
from ostiary.store.own_entries import CHAIN, own_end, own_entries
from ostiary.store.person import everybody, marks
from ostiary.store.person_keys import PersonKey, make_key, new_number
from ostiary.store.rows import digest_of_row

log = structlog.get_logger(__name__)

_ROWS_A_STEP = 1000
_DONE_WITH = ("snapshots_before", "events_before", "audit_before", "leaving")
_OLD_EVENTS = (
    f"SELECT {OLD_EVENT_COLUMNS}, delivered_at FROM events_before"
    " WHERE seq > ? ORDER BY seq LIMIT ?"
)
_OLD_DEEDS = f"SELECT {OLD_AUDIT_COLUMNS} FROM audit_before WHERE id > ? ORDER BY id LIMIT ?"
_NEW_EVENT = (
    f"INSERT OR IGNORE INTO events ({EVENT_COLUMNS}, delivered_at) VALUES ({marks(range(16))})"
)
_NEW_DEED = f"INSERT OR IGNORE INTO audit ({AUDIT_COLUMNS}) VALUES ({marks(range(9))})"
_NEW_ENTRY = f"INSERT INTO chain VALUES ({marks(range(7))})"


@dataclass(eq=False, slots=True)
class _Person:
    """A person, as far as the log tells. `id`: 0 for one who is not registered and has no key yet.
    `is_leaving`: the door removed the person."""

    id: int = 0
    is_leaving: bool = False
    key: PersonKey | None = None


@dataclass(slots=True)
class _Spans:
    """Who had which name: each of `people` from the place in `starts` on; `now`: who has it, as far
    as was read; `ended`: where its person was last deleted; `left`: who was deleted, with the last
    name. A place is a position in the chain, or between two."""

    starts: dict[str, list[float]] = field(default_factory=dict)
    people: dict[str, list[_Person]] = field(default_factory=dict)
    now: dict[str, _Person] = field(default_factory=dict)
    ended: dict[str, float] = field(default_factory=dict)
    left: list[tuple[str, _Person]] = field(default_factory=list)

    def begin(self, name: str, at: float, person: _Person) -> _Person:
        starts, people = self.starts.setdefault(name, []), self.people.setdefault(name, [])
        place = bisect_right(starts, at)
        starts.insert(place, at)
        people.insert(place, person)
        return person

    def end(self, name: str, at: float) -> None:
        """The person with that name was deleted."""
        person = self.now.pop(name, None)
        if person is None:
            person = self.whose(name, at)
        if not person.is_leaving:
            person.is_leaving = True
            self.left.append((name, person))
        self.ended[name] = at

    def renamed(self, old: str, new: str, at: float) -> None:
        person = self.now.pop(old, None)
        if person is None:
            person = self.whose(old, at)
        self.now[new] = self.begin(new, at, person)

    def whose(self, name: str, at: float) -> _Person:
        """Who had the name at a place; a new person where the log does not tell."""
        starts = self.starts.get(name)
        place = bisect_right(starts, at) if starts else 0
        return self.people[name][place - 1] if place else self.begin(name, 0, _Person())


def is_unconverted(connection: sqlite3.Connection) -> bool:
    """Whether rows of a log from before people's keys are still to be converted."""
    query = "SELECT 1 FROM sqlite_master WHERE name = 'events_before'"
    return connection.execute(query).fetchone() is not None


def convert(
    connection: sqlite3.Connection, seal: Seal, door_key: DoorKey | None, *, trusts: bool
) -> None:
    """Convert the log. Call it inside a transaction, with a seal that is not locked.

    `trusts`: rows of `leaving` without the door's MAC are believed, since they are of a version
    without such keys. Nothing is done without the door's key where the chain has MACs of one.
    """
    has_key = "SELECT 1 FROM chain WHERE mac IS NOT NULL LIMIT 1"
    if door_key is None and connection.execute(has_key).fetchone():
        return
    (events,) = connection.execute("SELECT COUNT(*) FROM events_before").fetchone()
    (deeds,) = connection.execute("SELECT COUNT(*) FROM audit_before").fetchone()
    if events or deeds:
        begun = time.monotonic()
        log.info("record_converting", events=events, deeds=deeds)
        _Conversion(connection, seal, door_key, trusts=trusts).run()
        log.info("record_converted", seconds=round(time.monotonic() - begun, 1))
    connection.execute(
        "INSERT INTO snapshots SELECT * FROM snapshots_before WHERE seq IN (SELECT seq FROM events)"
    )
    for table in _DONE_WITH:
        connection.execute(f"DROP TABLE {table}")


class _Conversion:
    def __init__(
        self,
        connection: sqlite3.Connection,
        seal: Seal,
        door_key: DoorKey | None,
        *,
        trusts: bool,
    ) -> None:
        self._connection = connection
        self._trusts = trusts
        self._seal = seal
        self._public = b"" if door_key is None else door_key.public
        self._key = b"" if door_key is None else door_key.secret(CHAIN)
        self._names = OldNames(seal)
        self._written: dict[Kind, dict[int, tuple[int, bytes]]] = {"event": {}, "audit": {}}
        for entry in own_entries(connection, self._key):
            if entry.kind in ("event", "audit"):
                of_kind = self._written["event" if entry.kind == "event" else "audit"]
                of_kind[entry.row] = entry.position, entry.digest
        if door_key is None:
            self._last, self._link = newest_link(connection)
        else:
            end = own_end(connection, door_key, None)
            self._last, self._link = end.last, end.link
        self._entries: list[tuple[object, ...]] = []
        self._spans = _Spans()
        self._forgotten = 0  # id of all whose name was taken out; 0: none yet

    def run(self) -> None:
        self._tell_people_apart()
        self._enter("removed", 0, sha256(CONVERTED.encode()).digest(), CONVERTED)
        self._take_events()
        self._take_deeds()
        for name, person in self._spans.left:  # also of whom only an answer tells
            key = self._key_of(person)
            self._remove(key.person, key.sealed([name], "leaving", b""))
        if self._forgotten:
            self._remove(self._forgotten)
        self._connection.executemany(_NEW_ENTRY, self._entries)

    # --- who had which name -----------------------------------------------------------------

    def _tell_people_apart(self) -> None:
        """Fill the spans, by rows that are as the door wrote them: rows put in decide nothing."""
        spans = self._spans
        for at, action, name, previous in sorted(self._changes(), key=lambda each: each[0]):
            if action == "registered":
                spans.now[name] = spans.begin(name, at, _Person())
            elif action == "renamed" and previous is not None:
                spans.renamed(previous, name, at)
            elif action == "deleted":
                spans.end(name, at)
        for number, person in everybody(self._connection, self._seal).items():
            found = spans.now.get(person.name)
            if found is None:  # registered without an event, after the name was free
                start = spans.ended.get(person.name, -2) + 2
                found = spans.begin(person.name, start, _Person())
            found.id = number

    def _changes(self) -> Iterator[tuple[float, str, str, str | None]]:
        """Changes of people: place, action, name and former name."""
        rows = self._connection.execute(
            f"SELECT {OLD_EVENT_COLUMNS} FROM events_before WHERE kind = 'user'"
            " AND action IN ('registered', 'renamed', 'deleted') AND forgotten IS NULL ORDER BY seq"
        ).fetchall()
        for stored in rows:
            row, place = self._opened("event", stored)
            if row is not None and place is not None:
                yield place, str(row[13]), str(row[4]), row[14]  # type: ignore[misc]
        for name, kind, number in left_until(
            self._connection, self._seal, self._key, trusts=self._trusts
        ):
            last = inf if number is None else self._written[kind].get(number, (0, b""))[0]
            yield last + 0.5, "deleted", name, None

    def _opened(self, kind: Kind, stored: Row) -> tuple[Row | None, int | None]:
        """A row opened, None where it does not open; and its place in the chain, None where it is
        not as the door wrote it."""
        seal = self._seal
        try:
            is_event = kind == "event"
            plain = old_event(stored, seal, self._names) if is_event else opened_audit(stored, seal)
        except SealBroken:
            return None, None
        place, digest = self._written[kind].get(stored[0], (None, b""))  # type: ignore[call-overload]
        if place is not None and not old_fits(kind, plain, seal, digest, self._public):
            place = None
        return plain, place

    # --- row by row -------------------------------------------------------------------------

    def _rows(self, query: str) -> Iterator[list[Row]]:
        """All rows in their order, _ROWS_A_STEP at a time."""
        after = -(2**63)
        while rows := self._connection.execute(query, (after, _ROWS_A_STEP)).fetchall():
            yield rows
            after = rows[-1][0]

    def _take_events(self) -> None:
        near = 0
        for rows in self._rows(_OLD_EVENTS):
            values = []
            for *stored, delivered_at in rows:
                plain, place = self._opened("event", stored)
                near = near if place is None else place
                row = self._event(OldEvent._make(stored if plain is None else plain), near)
                if plain is None:  # no door wrote it: it names nobody
                    row = row._replace(person=None, named=None)
                elif place is not None:
                    digest = digest_of_row("event", row, self._seal)
                    self._enter("event", plain[0], digest)
                values.append((*row, delivered_at))
            self._write(_NEW_EVENT, values)

    def _event(self, old: OldEvent, near: int) -> EventRow:
        is_login = old.kind == "login"
        row = EventRow(
            *(old.seq, old.event_id, old.kind, old.timestamp, old.source, old.success),
            *(old.reason, old.distance, old.liveness, old.threshold, old.recognizer),
            action=None if is_login else old.action,
            mode=old.message if old.kind == "door" else None,
        )
        if old.forgotten is not None:
            return row._replace(person=self._nobody(), named=b"")
        if not isinstance(old.username, str) or not isinstance(old.event_id, bytes):
            return row  # it names nobody, or no door wrote it
        key = self._key_of(self._spans.whose(old.username, near))
        is_forced = is_login and old.action == "duress"
        former = old.previous_username if isinstance(old.previous_username, str) else None
        return naming_row(row, Named(old.username, former, is_forced), key)

    def _take_deeds(self) -> None:
        near = 0
        for rows in self._rows(_OLD_DEEDS):
            values = []
            for stored in rows:
                plain, place = self._opened("audit", stored)
                near = near if place is None else place
                row: Row = (*stored[:7], None, None) if plain is None else self._deed(plain, near)
                if place is not None:
                    self._enter("audit", row[0], digest_of_row("audit", row, self._seal))
                if plain is not None:
                    texts = sealed_audit(row[0], [str(each) for each in row[2:7]], self._seal)
                    row = (*row[:2], *texts, *row[7:])
                values.append(row)
            self._write(_NEW_DEED, values)

    def _deed(self, plain: Row, near: int) -> tuple[object, ...]:
        number, at, actor, action, subject, detail, address, _, forgotten = plain
        if forgotten is not None:
            return number, at, actor, action, *NAMELESS, address, self._nobody(), b""
        names: list[str] = []
        with suppress(ValueError, AttributeError, RecursionError):  # JSON that no door wrote
            told = json.loads(str(detail))
            names = whom_it_names(str(action), str(subject), str(detail))
        if not names:
            return number, at, actor, action, subject, detail, address, None, None
        name = next((each for each in names if each in self._spans.starts), names[-1])
        key = self._key_of(self._spans.whose(name, near))
        named = key.sealed([str(subject), told], "audit", row_bytes(number))
        return number, at, actor, action, *NAMELESS, address, key.person, named

    def _write(self, query: str, values: Sequence[Row]) -> None:
        self._connection.executemany(query, values)
        self._connection.executemany(_NEW_ENTRY, self._entries)
        self._entries.clear()

    # --- people and entries -----------------------------------------------------------------

    def _key_of(self, person: _Person) -> PersonKey:
        if person.key is None:
            connection, seal = self._connection, self._seal
            person.id = person.id or new_number(connection)
            person.key = make_key(connection, seal, self._key, person.id)
        return person.key

    def _nobody(self) -> int:
        """The id, without a key, of all whose name was taken out."""
        self._forgotten = self._forgotten or new_number(self._connection)
        return self._forgotten

    def _remove(self, person: int, name: bytes | None = None) -> None:
        """Add the entry of a person whom the door removed, so that their key goes. `name`: the last
        that they had, under it."""
        note = person_note(person)
        self._enter("removed", person, sha256(note.encode()).digest(), note)
        self._connection.execute(
            "UPDATE person_keys SET leaving = ?, name = ? WHERE person = ?",
            (self._last, name, person),
        )

    def _enter(self, kind: str, row: object, digest: bytes, note: str = "") -> None:
        """Queue the next entry: `ostiary.store.links.append` for many, which `_write` writes."""
        assert isinstance(row, int)
        self._last += 1
        about = (self._last, kind, row, digest, note)
        self._link = link_of(self._link, *about)
        mac = mac_of(self._key, self._link, *about) if self._key else None
        self._entries.append((*about, self._link, mac))
