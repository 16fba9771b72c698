"""Forgetting of deleted people: soon nothing in the log names them; what was done stays.

What names a person is sealed under that person's key (`ostiary.store.person_keys`). The key is
overwritten and removed once the broker has had all of the person's events for so long that none is
sent again; the pictures went at once. No row of the log is changed. Answers of commands that name
the person are replaced.
"""

import json
import re
from collections.abc import Generator, Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta

import structlog

from ostiary import timestamps
from ostiary.errors import SealBroken
from ostiary.store.audit_rows import row_bytes
from ostiary.store.command_log import FORGOTTEN_ANSWER
from ostiary.store.database import Database
from ostiary.store.own_entries import is_own_removal
from ostiary.store.person import id_of
from ostiary.store.person_keys import key_of
from ostiary.store.sealed_rows import command_place

log = structlog.get_logger(__name__)

_ROWS_READ = 500
_AGAIN = timedelta(seconds=10)
_SLACK = timedelta(seconds=1)
"""An answer that is written in one transaction with an event may be a moment later."""
_END = "~"  # sorts after every time


class Forgetting:
    """Forgets deleted people, in steps of some rows so that nobody waits. Call `step` in a loop."""

    def __init__(self, database: Database, settled: timedelta) -> None:
        """`settled`: how long after its PUBACK an event may be sent once more."""
        self._database = database
        self._settled = settled
        self._work: Iterator[None] | None = None
        self._due: datetime | None = None
        self._refused: set[int] = set()
        self._is_quiet = True
        self._to_scrub = False
        self._gone: set[bytes] = set()  # names and keys, as stored, that must leave the file

    def step(self, now: datetime, *, is_quiet: bool = True) -> bool:
        """Do a step; whether there is more to do at once. `is_quiet`: nobody stands at a door, so
        that a step may take long. Raises DatabaseUnwritable."""
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
        """Forget everybody who is leaving, as far as that can be done now."""
        self._due = None
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT person, leaving FROM person_keys WHERE leaving IS NOT NULL ORDER BY person"
            ).fetchall()
        for person, position in rows:
            with self._database.reading() as connection:
                key = self._database.chain_key
                is_removed = is_own_removal(connection, key, person, position)
            if is_removed:
                yield from self._forget_one(person, now)
            elif person not in self._refused:
                log.error("name_not_forgotten", person=person, code="no_entry")
                self._refused.add(person)
        if self._to_scrub:
            due, again = self._due, now + _AGAIN
            self._due = again if due is None else min(due, again)
            if self._database.scrub(self._gone, may_take_long=self._is_quiet):
                self._to_scrub, self._gone, self._due = False, set(), due

    def _forget_one(self, person: int, now: datetime) -> Iterator[None]:
        before = timestamps.to_text(now - self._settled)
        with self._database.reading() as connection:
            waiting = connection.execute(
                "SELECT delivered_at FROM events WHERE person = ?"
                " AND (delivered_at IS NULL OR delivered_at > ?)",
                (person, before),
            ).fetchall()
        if waiting:
            self._wait([at for (at,) in waiting], now)
            return
        names = yield from self._names(person)
        answered = yield from self._answers(person, names, before)
        if answered:
            self._wait(answered, now)
            return
        seal = self._database.seal
        with self._database.transaction() as connection:
            (key,) = connection.execute(
                "SELECT key FROM person_keys WHERE person = ?", (person,)
            ).fetchone()
            connection.execute(  # overwrites it: a deleted row may leave copies
                "UPDATE person_keys SET key = zeroblob(length(key)), name = zeroblob(length(name))"
                " WHERE person = ?",
                (person,),
            )
            connection.execute("DELETE FROM person_keys WHERE person = ?", (person,))
            self._database.memo.keys.clear()
        if isinstance(key, bytes):
            self._gone.add(key)
        self._gone |= {
            each.encode("utf-8", "surrogatepass") for name in names for each in seal.names(name)
        }
        self._to_scrub = True

    def _wait(self, told: Sequence[str | None], now: datetime) -> None:
        """Look again once what was `told` at these times (None: not yet) is settled."""
        moments = [timestamps.from_text(at) for at in told]
        known = [at for at in moments if at is not None]
        due = max(known) + self._settled if len(known) == len(moments) else now + _AGAIN
        self._due = due if self._due is None else min(due, self._due)

    def _names(self, person: int) -> Generator[None, None, set[str]]:
        """All names that the person had, by what is sealed under their key."""
        names: set[str] = set()
        key = None
        with self._database.reading() as connection, suppress(SealBroken):
            key = key_of(connection, self._database.seal, person)
            row = connection.execute(
                "SELECT name FROM person_keys WHERE person = ?", (person,)
            ).fetchone()
            if key is not None and row[0] is not None:
                names.update(map(str, key.opened(row[0], "leaving", b"")))
        if key is None:
            return names
        for kind, query in (
            ("event", "SELECT seq, event_id, named FROM events WHERE person = ? AND seq > ?"),
            ("audit", "SELECT id, NULL, named FROM audit WHERE person = ? AND id > ?"),
        ):
            after = 0
            while True:
                with self._database.reading() as connection:
                    rows = connection.execute(
                        f"{query} ORDER BY 1 LIMIT ?", (person, after, _ROWS_READ)
                    ).fetchall()
                if not rows:
                    break
                for number, event_id, named in rows:
                    with suppress(SealBroken):
                        values = key.opened(named, kind, event_id or row_bytes(number))
                        names.update(_names_in(kind, values))
                after = rows[-1][0]
                yield
        return names

    def _answers(
        self, person: int, names: set[str], before: str
    ) -> Generator[None, None, list[str]]:
        """Replace answers with one of the names; the times of those that stay for now, since what
        was answered after `before` may be delivered again."""
        waiting: list[str] = []
        if not names:
            return waiting
        seal, after, pattern = self._database.seal, 0, _words(names)
        until = self._named_until(person, names)
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
                    if at > until or pattern.search(plain.decode(errors="replace")) is None:
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

    def _named_until(self, person: int, names: set[str]) -> str:
        """The time up to which an answer with one of the names may be about this person."""
        with self._database.reading() as connection:
            is_taken = any(id_of(connection, self._database.seal, name) for name in names)
            (last,) = connection.execute(
                "SELECT MAX(timestamp) FROM events WHERE person = ?", (person,)
            ).fetchone()
        moment = timestamps.from_text(last)
        return timestamps.to_text(moment + _SLACK) if is_taken and moment else _END


def _names_in(kind: str, values: Sequence[object]) -> Iterator[str]:
    """The names among an event's values (user name, former one, whether forced) or an audit row's
    (subject, detail)."""
    named = values if kind == "event" else values[:1]
    yield from (each for each in named if isinstance(each, str))


def _words(names: set[str]) -> re.Pattern[str]:
    """A pattern of any of these names, in a text or in JSON, that is no part of a longer word."""
    forms = {
        re.escape(each)
        for name in names
        for each in (name, json.dumps(name, ensure_ascii=False)[1:-1])
    }
    return re.compile(rf"(?<!\w)(?:{'|'.join(sorted(forms))})(?!\w)")
