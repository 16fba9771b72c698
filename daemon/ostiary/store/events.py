"""Events, stored before they are sent: audit trail and outbox in one table.

An event is committed with the decision it tells of, and stays undelivered until the broker has
acknowledged it. So it can be sent twice, with the same id, but is never lost.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice
from sqlite3 import Connection
from typing import Literal, TypeVar

import structlog

from ostiary import timestamps
from ostiary.errors import SealBroken
from ostiary.messages.decision import Decision
from ostiary.messages.events import AnyEvent, DuressEvent, EntranceEvent, LoginEvent, UserEvent
from ostiary.messages.words import DoorWhat, Mode
from ostiary.store.chain import Chain
from ostiary.store.database import Database
from ostiary.store.event_rows import (
    NOBODY,
    Action,
    Named,
    duress_event,
    entrance_event,
    entrance_row,
    event_of,
    login_event,
    login_row,
    named_in,
    naming_row,
    user_event,
    user_row,
)
from ostiary.store.links import EVENT_COLUMNS, EventRow, Row
from ostiary.store.naming import Naming
from ostiary.store.person import everybody, id_of, marks
from ostiary.store.person_keys import PersonKeys

log = structlog.get_logger(__name__)

EventKind = Literal["login", "user", "door", "duress"]

E = TypeVar("E", LoginEvent, UserEvent, EntranceEvent)

_READABLE = "person IS NULL"
"""The rows that a locked store can open: they name nobody, and nothing of them is sealed."""
QUARTER_S = 900  # every time zone differs from UTC by a multiple of it
_WRITTEN = EventRow._fields[1:]
_INSERT = f"INSERT INTO events ({', '.join(_WRITTEN)}) VALUES ({marks(_WRITTEN)})"


@dataclass(frozen=True, slots=True)
class EventFilter:
    """The events asked for; None asks nothing. `since` is included, `until` is not. Kind `duress`
    gives a DuressEvent for each login of a person who was forced; no other kind shows that."""

    kind: EventKind | None = None
    reason: str | None = None
    username: str | None = None
    success: bool | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Some events and the `cursor` to ask for the next with, None after the last."""

    events: tuple[AnyEvent, ...]
    cursor: int | None


@dataclass(frozen=True, slots=True)
class Recorded:
    """An event that is on disk; `forced`: the event beside it, where its person was forced."""

    event: AnyEvent
    forced: DuressEvent | None = None


@dataclass(frozen=True, slots=True)
class Tally:
    """How many decisions had one outcome in the quarter of an hour from `since` on."""

    since: datetime
    success: bool
    reason: str
    count: int


@dataclass(frozen=True, slots=True)
class Pruned:
    """How many old events were removed, and how many of those had never been delivered."""

    deleted: int
    dropped: int


class Events:
    """The table `events`. Each change is one transaction, or joins the caller's."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.chain = Chain(database)
        self._naming = Naming(database)
        self._followers: list[Callable[[Recorded], object]] = []

    def append_login(
        self, decision: Decision, *, source: str, now: datetime, duress: bool = False
    ) -> LoginEvent:
        """Record a decision; it is on disk when this, or the caller's transaction, ends. Raises
        ValueError for a number that is not finite; StoreLocked where it names somebody."""
        row = login_row(decision, source=source, now=now)
        return self._append(row, login_event, Named(decision.username, forced=duress))

    def append_user(
        self,
        *,
        action: Action,
        username: str,
        source: str,
        now: datetime,
        previous_username: str | None = None,
    ) -> UserEvent:
        """Record that a person was registered, changed or removed. Raises StoreLocked."""
        row = user_row(action=action, source=source, now=now)
        return self._append(row, user_event, Named(username, previous_username))

    def append_entrance(
        self,
        *,
        door: str,
        what: DoorWhat,
        now: datetime,
        username: str | None = None,
        mode: Mode | None = None,
        by: str | None = None,
    ) -> EntranceEvent:
        """Record what happened at a physical door. `by`: see `messages.words.by_whom`. Raises
        StoreLocked where it names somebody."""
        row = entrance_row(door=door, what=what, now=now, mode=mode, by=by)
        return self._append(row, entrance_event, Named(username))

    def follow(self, follower: Callable[[Recorded], object]) -> None:
        """Hand every event from now on to `follower`, in order, once it is on disk. Decisions wait
        for it."""
        self._followers.append(follower)

    def _append(
        self, row: EventRow, told: Callable[[EventRow, Named | None], E], named: Named
    ) -> E:
        """Write a row and its entry. RETURNING is not used: SQLite keeps a journal for it."""
        database = self.database
        with database.transaction() as connection:
            if named.username is not None:
                is_removal = row.action == "deleted"
                key = self._naming.key(connection, named.username, is_removal=is_removal)
                row = naming_row(row, named, key)
            else:
                named = NOBODY
            row = row._replace(seq=connection.execute(_INSERT, row[1:]).lastrowid)
            self.chain.event(connection, row)
            event = told(row, named)
            recorded = Recorded(event, duress_event(row, named))
            for follower in self._followers:
                database.on_commit(partial(follower, recorded))
        return event

    def forced(self, seq: int) -> DuressEvent | None:
        """The event that tells that a login's person was forced; None: not so, or forgotten. Raises
        SealBroken, StoreLocked, TypeError."""
        with self.database.reading() as connection:
            stored = connection.execute(
                f"SELECT {EVENT_COLUMNS} FROM events"
                " WHERE seq = ? AND kind = 'login' AND success = 1",
                (seq,),
            ).fetchone()
            if stored is None:
                return None
            row = EventRow._make(stored)
            return duress_event(row, named_in(row, PersonKeys(connection, self.database.seal)))

    def last_passed(self, doors: Collection[str], since: datetime) -> Mapping[str, str]:
        """By user name, the last of `doors` where the person was let in, since `since` and since
        passages were last forgiven; empty in a locked store."""
        with self.database.reading() as connection:
            if self.database.is_locked:
                return {}
            rows = connection.execute(
                "SELECT person, source FROM events WHERE kind = 'login' AND success = 1"
                f" AND person IS NOT NULL AND source IN ({marks(doors)}) AND timestamp >= ?"
                " AND seq > (SELECT COALESCE(MAX(seq), 0) FROM events"
                " WHERE kind = 'door' AND action = 'forgiven') ORDER BY seq",
                (*doors, timestamps.to_text(since)),
            ).fetchall()
            newest = {person: source for person, source in rows if isinstance(person, int)}
            wanted = f"id IN ({', '.join(map(str, newest))})"
            people = everybody(connection, self.database.seal, wanted)
        return {people[each].name: source for each, source in newest.items() if each in people}

    def pending(self, after_seq: int, limit: int) -> tuple[AnyEvent, ...]:
        """The undelivered events after `after_seq`, in order, of at most `limit` rows. Rows that do
        not open are left out; in a locked store, those that name somebody."""
        with self.database.reading() as connection:
            readable = f" AND {_READABLE}" if self.database.is_locked else ""
            rows = connection.execute(
                f"SELECT {EVENT_COLUMNS} FROM events"
                f" WHERE delivered_at IS NULL AND seq > ?{readable} ORDER BY seq LIMIT ?",
                (after_seq, limit),
            ).fetchall()
            return self._events(connection, rows)

    def is_pending(self, seq: int) -> bool:
        """Whether an event is there and undelivered."""
        query = f"SELECT COUNT(*) FROM events WHERE seq = {seq:d} AND delivered_at IS NULL"
        return self._number(query) > 0

    def mark_delivered(self, seqs: Iterable[int], now: datetime) -> None:
        """Mark events that the broker has. One marked before, or pruned, is left alone."""
        at = timestamps.to_text(now)
        with self.database.transaction() as connection:
            connection.executemany(
                "UPDATE events SET delivered_at = ? WHERE seq = ? AND delivered_at IS NULL",
                [(at, seq) for seq in seqs],
            )

    def locked_down_after(self, seq: int, door: str) -> bool:
        """Whether a lockdown of a physical door was recorded after the event `seq`."""
        with self.database.reading() as connection:
            found = connection.execute(
                "SELECT 1 FROM events WHERE seq > ? AND kind = 'door' AND source = ? AND mode = ?",
                (seq, door, Mode.LOCKDOWN.value),
            ).fetchone()
        return found is not None

    def queue_length(self) -> int:
        """How many events are undelivered."""
        return self._number("SELECT COUNT(*) FROM events WHERE delivered_at IS NULL")

    def dropped(self) -> int:
        """How many events were removed undelivered since the database was made."""
        return self._number("SELECT value FROM counters WHERE name = 'events_dropped'")

    def last_seq(self) -> int:
        """The newest event's `seq`; 0 where there is none."""
        return self._number("SELECT COALESCE(MAX(seq), 0) FROM events")

    def page(
        self,
        where: EventFilter = EventFilter(),
        *,
        cursor: int | None = None,
        limit: int = 100,
        newest_first: bool = True,
    ) -> Page:
        """One page of events. Going from cursor to cursor meets every matching event once, whatever
        is appended meanwhile. Those that do not open are left out; in a locked store, those that
        name somebody. `limit` is 1 or more."""
        if limit < 1:
            raise ValueError("a page holds at least one event")
        with self.database.reading() as connection:
            conditions, values = _conditions(where)
            if where.username is not None:
                conditions.append("person = ?")
                values.append(id_of(connection, self.database.seal, where.username))
            if self.database.is_locked:
                conditions.append(_READABLE)
            if cursor is not None:
                conditions.append("seq < ?" if newest_first else "seq > ?")
                values.append(cursor)
            keys = PersonKeys(connection, self.database.seal)
            found = connection.execute(
                f"SELECT {EVENT_COLUMNS} FROM events WHERE {' AND '.join(conditions) or 'TRUE'}"
                f" ORDER BY seq {'DESC' if newest_first else 'ASC'} LIMIT ?",
                (*values, -1 if where.kind == "duress" else limit + 1),
            )
            is_told = partial(_tells_of_duress, keys)
            wanted = found if where.kind != "duress" else filter(is_told, found)
            rows = list(islice(wanted, limit + 1))
            found.close()
            as_told = duress_event if where.kind == "duress" else event_of
            events = self._events(connection, rows[:limit], as_told)
        return Page(events, rows[limit - 1][0] if len(rows) > limit else None)

    def tallies(self, since: datetime) -> tuple[Tally, ...]:
        """Count the decisions since then. A locked store leaves out those that name somebody."""
        readable = f" AND {_READABLE}" if self.database.is_locked else ""
        with self.database.reading() as connection:
            rows = connection.execute(
                f"SELECT CAST(strftime('%s', timestamp) AS INTEGER) / {QUARTER_S} AS quarter,"
                " success, reason, COUNT(*) FROM events"
                f" WHERE kind = 'login' AND timestamp >= ?{readable}"
                " GROUP BY quarter, success, reason",
                (timestamps.to_text(since),),
            ).fetchall()
        return tuple(
            Tally(datetime.fromtimestamp(quarter * QUARTER_S, UTC), bool(success), reason, count)
            for quarter, success, reason, count in rows
            if quarter is not None  # a time that cannot be read
        )

    def prune(
        self, now: datetime, *, keep_for: timedelta | None, keep_at_most: int, queue_limit: int
    ) -> Pruned:
        """Remove delivered events that are older than `keep_for` (None: the clock is not trusted),
        and the oldest of more than `keep_at_most`. Undelivered ones stay whatever their age, until
        there are more than `queue_limit`: then the oldest are removed, counted in `dropped()` and
        logged."""
        with self.database.transaction() as connection:
            dropped = {
                seq
                for (seq,) in connection.execute(
                    "UPDATE events SET delivered_at = ? WHERE seq IN (SELECT seq FROM events"
                    " WHERE delivered_at IS NULL ORDER BY seq DESC LIMIT -1 OFFSET ?)"
                    " RETURNING seq",
                    (timestamps.to_text(now), queue_limit),
                ).fetchall()
            }
            connection.execute(
                "UPDATE counters SET value = value + ? WHERE name = 'events_dropped'",
                (len(dropped),),
            )
            gone = self.chain.remove_oldest(
                connection,
                "event",
                before="" if keep_for is None else timestamps.to_text(now - keep_for),
                now=timestamps.to_text(now),
                surplus=self._surplus(keep_at_most + len(dropped)),
                besides=dropped,
            )
        if dropped:
            log.error("undelivered_events_dropped", count=len(dropped), queue_limit=queue_limit)
        return Pruned(deleted=gone, dropped=len(dropped))

    def _surplus(self, keep_at_most: int) -> int:
        """How many rows are over `keep_at_most`, of those in the chain: rows that somebody put in
        push none out."""
        if self.chain.is_altered or self._number("SELECT COUNT(*) FROM events") <= keep_at_most:
            return 0
        known = self._number(
            "SELECT COUNT(*) FROM events WHERE seq IN (SELECT row FROM chain WHERE kind = 'event')"
        )
        return max(0, known - keep_at_most)

    def _events(
        self,
        connection: Connection,
        rows: Iterable[Row],
        as_told: Callable[[EventRow, Named | None], AnyEvent | None] = event_of,
    ) -> tuple[AnyEvent, ...]:
        """Read the rows that open: one that was altered must not hold up the others."""
        keys, events = PersonKeys(connection, self.database.seal), []
        for row in map(EventRow._make, rows):
            try:
                event = as_told(row, named_in(row, keys))
            except SealBroken as error:
                log.error("event_not_opened", seq=row.seq, code=error.code)
            except (TypeError, ValueError):  # no door writes such values
                log.error("event_not_opened", seq=row.seq, code="malformed")
            else:
                events += [] if event is None else [event]
        return tuple(events)

    def _number(self, query: str) -> int:
        with self.database.reading() as connection:
            number: int = connection.execute(query).fetchone()[0]
        return number


def _tells_of_duress(keys: PersonKeys, row: Row) -> bool:
    """Whether a login's person was forced, which no query can tell."""
    opened = EventRow._make(row)
    try:
        named = named_in(opened, keys)
        return named is not None and named.forced
    except (SealBroken, TypeError, ValueError):
        return False


def _conditions(where: EventFilter) -> tuple[list[str], list[object]]:
    conditions: list[str] = []
    values: list[object] = []
    for condition, value in (
        ("kind = ?", "login" if where.kind == "duress" else where.kind),
        ("reason = ?", where.reason),
        ("success = ?", True if where.kind == "duress" else where.success),
        ("timestamp >= ?", where.since and timestamps.to_text(where.since)),
        ("timestamp < ?", where.until and timestamps.to_text(where.until)),
    ):
        if value is not None:
            conditions.append(condition)
            values.append(value)
    return conditions, values
