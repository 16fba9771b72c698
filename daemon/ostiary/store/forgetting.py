"""Who was deleted is soon named nowhere in what was recorded; what was done stays.

A row of `events` or `audit` that names them loses the name, and the salt of its digest, so that
nobody can try names against the chain. Before, it is held against the chain; then the door signs
the digest that the chain has together with that of what remains. `ostiary.store.log_check` takes
exactly that for the row, so that a name which somebody else took out, or puts in, is found.

An event keeps its name until the broker has had it for so long that it is not sent again; its
picture goes at once. Answers of commands that name them are replaced by one that says so.
"""

import json
import re
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from ostiary import timestamps
from ostiary.crypto.door_key import DoorKey
from ostiary.crypto.seal import Seal
from ostiary.errors import SealBroken
from ostiary.store.audit import whom_it_names
from ostiary.store.chain import Chain
from ostiary.store.command_log import FORGOTTEN_ANSWER
from ostiary.store.database import Database
from ostiary.store.event_rows import nameless_event, opened_event
from ostiary.store.leaving import COLUMNS, Leaving, is_the_doors, leave_deleted
from ostiary.store.links import (
    AUDIT_COLUMNS,
    EVENT_COLUMNS,
    EventRow,
    Kind,
    Row,
    forgotten_text,
    number_of,
)
from ostiary.store.own_entries import own_digests
from ostiary.store.person import id_of, marks
from ostiary.store.sealed_rows import (
    ROWS,
    command_place,
    digest_of_row,
    emptied_audit,
    nameless_audit,
    opened_audit,
)
from ostiary.store.snapshots import Snapshots

log = structlog.get_logger(__name__)

_BLANK = (
    "CASE typeof({0}) WHEN 'blob' THEN zeroblob(length({0}))"
    " WHEN 'text' THEN CAST(zeroblob(length(CAST({0} AS BLOB))) AS TEXT) ELSE {0} END"
)
_ROWS_A_STEP = 100
_ROWS_READ = 500
_END = "~"  # after every moment
_AGAIN = timedelta(seconds=10)
_SLACK = timedelta(seconds=1)
"""What is written with an event, in one transaction, has a moment of its own."""


@dataclass(frozen=True, slots=True)
class _Span:
    """From when until when somebody had a name: events by `seq`, and their time. Both ends are
    included."""

    name: str
    first: int
    last: int
    since: str
    until: str
    pattern: re.Pattern[str]

    def named(self, text: str, at: str) -> bool:
        """Whether the text, written at that moment, may be of this person."""
        return at <= self.until and self.pattern.search(text) is not None


@dataclass(frozen=True, slots=True)
class _Names:
    """Where rows of a kind name somebody: in the columns `named`. `nameless` gives an opened row
    without; `emptied` is what is stored in those of `assignments` then."""

    nameless: Callable[[Row], Row]
    named: tuple[str, ...]
    assignments: str
    emptied: Callable[[Row, Seal], tuple[object, ...]]


_NAMES: Mapping[Kind, _Names] = {
    "event": _Names(
        nameless_event,
        ("username", "message", "previous_username", "salt"),
        "username = ?, message = ?, previous_username = ?",
        lambda _row, _seal: (None, None, None),
    ),
    "audit": _Names(
        nameless_audit,
        ("subject", "detail", "salt"),
        "subject = ?, detail = ?",
        emptied_audit,
    ),
}


class Forgetting:
    """Works in steps of some rows, so that nobody waits for it. Call `step` again and again."""

    def __init__(self, database: Database, key: DoorKey, settled: timedelta) -> None:
        """`settled`: for how long after its PUBACK an event may be sent once more."""
        self._database = database
        self._key = key
        self._chain = Chain(database)
        self._snapshots = Snapshots(database)
        self._settled = settled
        self._work: Iterator[None] | None = None
        self._due: datetime | None = None
        self._looked_back = False
        self._refused: set[int] = set()
        self._is_quiet = True
        self._to_scrub = False
        self._gone: set[str] = set()  # names as they are stored, of who was forgotten

    def step(self, now: datetime, *, is_quiet: bool = True) -> bool:
        """Whether there is more to do at once. `is_quiet`: nobody stands at a door, so that a
        moment is no matter. Raises DatabaseUnwritable."""
        self._is_quiet = is_quiet
        if self._database.is_locked:
            return False
        if self._work is None:
            if self._due is not None and now < self._due:
                return False
            self._work = self._forget(now)
        try:
            next(self._work)
        except StopIteration:
            self._work = None
            return False
        except BaseException:
            self._work = None
            raise
        return True

    def _forget(self, now: datetime) -> Iterator[None]:
        """Everybody who is leaving, as far as it can be done now."""
        self._due = None
        if not self._looked_back:
            self._look_back()
            self._looked_back = True
        with self._database.reading() as connection:
            rows = connection.execute(f"SELECT {COLUMNS} FROM leaving ORDER BY id").fetchall()
        for *columns, mac in rows:
            try:
                leaving = Leaving(*columns)
                leaving = leaving._replace(name=self._database.seal.opened_name(leaving.name))
                if not is_the_doors(leaving, mac, self._database.chain_key):
                    raise SealBroken("A row of `leaving` that the door did not write.")
                spans = self._spans(leaving.name, leaving.events_from, leaving.events_until)
            except SealBroken as error:
                if leaving.id not in self._refused:
                    log.error("name_not_forgotten", number=leaving.id, code=error.code)
                self._refused.add(leaving.id)
                continue
            yield from self._forget_one(spans, leaving, now)
        if self._to_scrub:
            due, again = self._due, now + _AGAIN
            self._due = again if due is None else min(due, again)
            if self._database.scrub(self._gone, may_take_long=self._is_quiet):
                self._to_scrub, self._gone, self._due = False, set(), due

    def _forget_one(
        self, spans: Sequence[_Span], leaving: Leaving, now: datetime
    ) -> Iterator[None]:
        before = timestamps.to_text(now - self._settled)
        bounds = {span.first for span in spans}
        found = self._events(spans)
        self._to_scrub |= self._snapshots.remove(found) > 0
        settled = [seq for seq, at in found.items() if at is not None and at <= before]
        yield from self._take_out("event", [seq for seq in settled if seq not in bounds])
        yield from self._audit(spans, leaving)
        answers = yield from self._answers(spans, before)
        waiting = [*(at for at in found.values() if at is None or at > before), *answers]
        if waiting:
            due = self._settled_at(waiting, now)
            self._due = due if self._due is None else min(due, self._due)
            return
        with self._database.transaction() as connection:
            # The last, for these tell which events are whose.
            for _ in self._take_out("event", [seq for seq in settled if seq in bounds]):
                pass
            connection.execute("DELETE FROM leaving WHERE id = ?", (leaving.id,))
        self._gone |= {each for span in spans for each in self._database.seal.names(span.name)}
        self._to_scrub = True

    def _settled_at(self, waiting: Sequence[str | None], now: datetime) -> datetime:
        """When to look again at what was told at these moments, or not yet."""
        told = [timestamps.from_text(at) for at in waiting]
        known = [at for at in told if at is not None]
        return max(known) + self._settled if len(known) == len(told) else now + _AGAIN

    def _look_back(self) -> None:
        """Who was deleted by a version that left the names, or in a backup."""
        seal, key = self._database.seal, self._database.chain_key
        with self._database.reading() as connection:
            known = {name for (name,) in connection.execute("SELECT name FROM leaving")}
        deleted = self._user_events("action = 'deleted' AND username IS NOT NULL")
        with self._database.transaction() as connection:
            for event in deleted:
                with suppress(SealBroken):
                    name, number = str(event.username), number_of(event)
                    if not known.isdisjoint(seal.names(name)):
                        continue
                    (deeds,) = connection.execute(
                        "SELECT COALESCE(MAX(id), 0) FROM audit WHERE at <= ?",
                        (_moved(event.timestamp, _SLACK),),
                    ).fetchone()
                    leave_deleted(connection, seal, key, name, number, deeds)

    def _user_events(self, condition: str, *values: object) -> list[EventRow]:
        """What happened to people's names, newest first, as far as the door wrote it down itself:
        whoever put a row in decides nothing."""
        seal = self._database.seal
        with self._database.reading() as connection:
            rows = connection.execute(
                f"SELECT {EVENT_COLUMNS} FROM events WHERE kind = 'user' AND forgotten IS NULL"
                f" AND {condition} ORDER BY seq DESC",
                values,
            ).fetchall()
            own = set(self._chain.as_written(connection, "event", rows)) if rows else set()
        return [opened_event(row, seal) for row in rows if row[0] in own]

    def _spans(self, name: str, first: int, last: int) -> list[_Span]:
        """The names that somebody had, the newest first; they were `name` until event `last`, and
        what is before `first` is done with."""
        changes = self._user_events(
            "action IN ('registered', 'renamed') AND seq BETWEEN ? AND ?", first, last
        )
        with self._database.reading() as connection:
            ends = dict(
                connection.execute(
                    "SELECT seq, timestamp FROM events WHERE seq IN (?, ?)", (first, last)
                )
            )
            is_taken = id_of(connection, self._database.seal, name) is not None
        since = _moved(ends.get(first, ""), -_SLACK)
        until = _moved(ends.get(last, ""), _SLACK) if is_taken else _END
        spans = []
        for change in changes:
            if change.username != name:
                continue
            at, seq = _moved(change.timestamp, -_SLACK), number_of(change)
            spans.append(_Span(name, seq, last, at, until, _word(name)))
            if change.action == "registered" or change.previous_username is None:
                return spans
            name, last = change.previous_username, seq
            until = _moved(change.timestamp, _SLACK)
        return [*spans, _Span(name, first, last, since, until, _word(name))]

    def _events(self, spans: Sequence[_Span]) -> dict[int, str | None]:
        """Those that name them, and since when the broker has had each."""
        found: dict[int, str | None] = {}
        with self._database.reading() as connection:
            for span in spans:
                names = self._database.seal.names(span.name)
                either = marks(names)
                found |= connection.execute(
                    "SELECT seq, delivered_at FROM events WHERE seq BETWEEN ? AND ?"
                    f" AND (username IN ({either}) OR previous_username IN ({either}))",
                    (span.first, span.last, *names, *names),
                )
        return found

    def _audit(self, spans: Sequence[_Span], leaving: Leaving) -> Generator[None, None, None]:
        """What was done to them; a row about an account, a token or a door is not about them,
        whatever word is in it."""
        found, after = [], leaving.audit_from - 1
        while True:
            with self._database.reading() as connection:
                rows = connection.execute(
                    f"SELECT {AUDIT_COLUMNS} FROM audit WHERE id > ? AND id <= ?"
                    " AND forgotten IS NULL ORDER BY id LIMIT ?",
                    (after, leaving.audit_until, _ROWS_READ),
                ).fetchall()
            for row in rows:
                with suppress(SealBroken, ValueError):
                    plain = opened_audit(row, self._database.seal)
                    named, at = whom_it_names(plain), str(plain[1])
                    if any(
                        each.name in named
                        and each.since <= at
                        and (each is spans[0] or at <= each.until)
                        for each in spans
                    ):
                        found.append(row[0])
            if not rows:
                break
            after = rows[-1][0]
            yield
        yield from self._take_out("audit", found)

    def _take_out(self, kind: Kind, numbers: Sequence[int]) -> Iterator[None]:
        """The names of these rows."""
        if not numbers:
            return
        self._to_scrub = True
        with self._database.reading() as connection:  # the chain has no index: once for all
            digests = own_digests(connection, self._database.chain_key, kind, numbers)
        for start in range(0, len(numbers), _ROWS_A_STEP):
            yield
            self._take_out_of(kind, numbers[start : start + _ROWS_A_STEP], digests)

    def _take_out_of(
        self, kind: Kind, numbers: Sequence[int], digests: Mapping[int, bytes]
    ) -> None:
        where, names = ROWS[kind], _NAMES[kind]
        seal = self._database.seal
        with self._database.reading() as connection:
            rows = connection.execute(
                f"SELECT {where.columns} FROM {where.table} WHERE {where.number} IN"
                f" ({marks(numbers)}) AND forgotten IS NULL",
                numbers,
            ).fetchall()
        changed = []
        for row in rows:
            signature = ""
            with suppress(SealBroken):
                plain = where.opened(row, seal)
                before = digests.get(row[0], b"")
                if digest_of_row(kind, plain, seal) == before:
                    after = digest_of_row(kind, names.nameless(plain), seal)
                    signature = self._key.sign(forgotten_text(kind, row[0], before, after))
            if not signature:
                log.error("forgotten_without_proof", kind=kind, row=row[0])
            changed.append((*names.emptied(row, seal), signature, row[0]))
        # First over what is there, byte by byte: SQLite moves rows that shrink, and leaves copies.
        blank = ", ".join(f"{each} = {_BLANK.format(each)}" for each in names.named)
        with self._database.transaction() as connection:
            connection.execute(
                f"UPDATE {where.table} SET {blank} WHERE {where.number} IN"
                f" (SELECT value FROM json_each(?))",
                (json.dumps([row[0] for row in rows]),),
            )
            connection.executemany(
                f"UPDATE {where.table} SET {names.assignments}, salt = NULL, forgotten = ?"
                f" WHERE {where.number} = ?",
                changed,
            )

    def _answers(self, spans: Sequence[_Span], before: str) -> Generator[None, None, list[str]]:
        """When those were given that keep the name: what was answered after `before` may be
        delivered again."""
        waiting: list[str] = []
        seal, after = self._database.seal, 0
        while True:
            with self._database.reading() as connection:
                rows = connection.execute(
                    "SELECT rowid, requester, command, transaction_id, answer, answered_at"
                    " FROM commands WHERE rowid > ? ORDER BY rowid LIMIT ?",
                    (after, _ROWS_READ),
                ).fetchall()
            if not rows:
                return waiting
            changed = []
            for number, requester, command, transaction, answer, at in rows:
                place = command_place(requester, command, transaction, "answer")
                with suppress(SealBroken):
                    plain = seal.opened_value(answer, *place) if answer else b""  # empty: it runs
                    if not any(each.named(plain.decode(errors="replace"), at) for each in spans):
                        continue
                    if at > before:
                        waiting.append(at)
                    else:
                        changed.append((seal.value(FORGOTTEN_ANSWER, *place), number))
            if changed:
                self._to_scrub = True
                with self._database.transaction() as connection:
                    connection.executemany(
                        "UPDATE commands SET digest = x'', answer = ? WHERE rowid = ?", changed
                    )
            after = rows[-1][0]
            yield


def _word(name: str) -> re.Pattern[str]:
    """That name in a text or in JSON, and not as a part of a longer one."""
    forms = sorted({re.escape(name), re.escape(json.dumps(name, ensure_ascii=False)[1:-1])})
    return re.compile(rf"(?<!\w)(?:{'|'.join(forms)})(?!\w)")


def _moved(at: str, by: timedelta) -> str:
    found = timestamps.from_text(at)
    return at if found is None else timestamps.to_text(found + by)
