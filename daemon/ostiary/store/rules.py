"""Stores groups, rules, holidays, and people's groups and periods."""

import sqlite3
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

import structlog

from ostiary import timestamps
from ostiary.errors import GroupInUse, SealBroken
from ostiary.store.database import Database
from ostiary.store.person import everybody, known_id, marks
from ostiary.store.sqlite_file import next_number

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class StoredRule:
    """A rule. `content`: JSON of all but the groups, whose form only the caller knows."""

    id: int
    content: str
    groups: frozenset[str]


@dataclass(frozen=True, slots=True)
class StoredPerson:
    """A person's groups and period. None: the period has no such end."""

    groups: frozenset[str] = frozenset()
    valid_from: datetime | None = None
    valid_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Stored:
    """Everything at once. `people`: by name, those who have a group or a period."""

    groups: frozenset[str] = frozenset()
    rules: tuple[StoredRule, ...] = ()
    holidays: Mapping[date, str] = field(default_factory=dict)
    people: Mapping[str, StoredPerson] = field(default_factory=dict)


class RuleStore:
    """The tables of rules. Each change is one transaction, or joins the caller's. A group's name is
    kept as it was written, and no two groups have the same."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def read(self) -> Stored:
        """Everything; nothing while the store is locked, since nobody is known then either.

        What does not open was altered, and is logged. Such a rule, holiday or person is left out;
        such a group stays, under a name that nobody gave it.
        """
        with self._database.reading() as connection:
            if self._database.is_locked:
                return Stored()
            groups = self._groups(connection)
            return Stored(
                frozenset(groups.values()),
                self._rules(connection, groups),
                self._holidays(connection),
                self._people(connection, groups),
            )

    def add_group(self, name: str) -> None:
        """Add a group; one that is there already stays."""
        with self._database.transaction() as connection:
            if self._group(connection, name) is None:
                connection.execute(
                    "INSERT INTO groups (name) VALUES (?)", (self._database.seal.name(name),)
                )

    def rename_group(self, old: str, new: str) -> None:
        """Rename a group. The caller sees to it that `old` is there, and `new` is not."""
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE groups SET name = ? WHERE id = ?",
                (self._database.seal.name(new), self._group(connection, old)),
            )

    def delete_group(self, name: str) -> None:
        """Delete a group. Raises GroupInUse where somebody is in it, or a rule names it, even a
        rule that cannot be read."""
        with self._database.transaction() as connection:
            try:
                connection.execute(
                    "DELETE FROM groups WHERE id = ?", (self._group(connection, name),)
                )
            except sqlite3.IntegrityError as error:
                raise GroupInUse(f"Somebody is in {name}, or a rule is about it.") from error

    def put_rule(self, number: int | None, content: str, groups: Collection[str]) -> int:
        """Add a rule (`number` None), or replace the content and groups of one; its number."""
        with self._database.transaction() as connection:
            if number is None:
                number = next_number(connection, "rules")
                sealed = self._database.seal.text(content, "rule", number)
                connection.execute("INSERT INTO rules VALUES (?, ?)", (number, sealed))
            else:
                sealed = self._database.seal.text(content, "rule", number)
                connection.execute("UPDATE rules SET content = ? WHERE id = ?", (sealed, number))
            connection.execute("DELETE FROM rule_groups WHERE rule_id = ?", (number,))
            connection.executemany(
                "INSERT INTO rule_groups VALUES (?, ?)",
                [(number, self._group(connection, group)) for group in groups],
            )
            return number

    def delete_rule(self, number: int) -> None:
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM rules WHERE id = ?", (number,))

    def put_holidays(self, holidays: Mapping[date, str]) -> None:
        """Replace all holidays by these."""
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM holidays")
            for on, name in sorted(holidays.items()):
                number = next_number(connection, "holidays")
                sealed = self._database.seal.text(name, "holiday", number)
                connection.execute(
                    "INSERT INTO holidays VALUES (?, ?, ?)", (number, on.isoformat(), sealed)
                )

    def person(self, username: str) -> StoredPerson:
        """One person's groups and period. Raises UserUnknown, SealBroken."""
        with self._database.reading() as connection:
            user_id = known_id(connection, self._database.seal, username)
            groups = connection.execute(
                "SELECT name FROM members JOIN groups ON id = group_id WHERE user_id = ?",
                (user_id,),
            ).fetchall()
            ends = connection.execute(
                "SELECT valid_from, valid_until FROM validity WHERE user_id = ?", (user_id,)
            ).fetchone()
        names = frozenset(self._database.seal.opened_name(name) for (name,) in groups)
        return StoredPerson(names, *((None, None) if ends is None else _ends(*ends)))

    def put_person(self, username: str, person: StoredPerson) -> None:
        """Replace a person's groups and period. Raises UserUnknown."""
        with self._database.transaction() as connection:
            user_id = known_id(connection, self._database.seal, username)
            connection.execute("DELETE FROM members WHERE user_id = ?", (user_id,))
            connection.executemany(
                "INSERT INTO members VALUES (?, ?)",
                [(user_id, self._group(connection, group)) for group in person.groups],
            )
            connection.execute("DELETE FROM validity WHERE user_id = ?", (user_id,))
            if person.valid_from is not None or person.valid_until is not None:
                connection.execute(
                    "INSERT INTO validity VALUES (?, ?, ?)",
                    (user_id, _text(person.valid_from), _text(person.valid_until)),
                )

    def _groups(self, connection: sqlite3.Connection) -> dict[int, str]:
        names = {}
        for number, stored in connection.execute("SELECT id, name FROM groups").fetchall():
            try:
                names[number] = self._database.seal.opened_name(stored)
            except SealBroken as error:
                log.error("group_not_opened", group=number, code=error.code)
                names[number] = f"? {number}"
        return names

    def _rules(
        self, connection: sqlite3.Connection, groups: Mapping[int, str]
    ) -> tuple[StoredRule, ...]:
        of: dict[int, set[str]] = {}
        for rule, group in connection.execute("SELECT * FROM rule_groups").fetchall():
            of.setdefault(rule, set()).add(groups[group])
        found = []
        for number, sealed in connection.execute("SELECT * FROM rules ORDER BY id").fetchall():
            try:
                content = self._database.seal.opened_text(sealed, "rule", number)
            except SealBroken as error:
                log.error("rule_not_opened", rule=number, code=error.code)
                continue
            found.append(StoredRule(number, content, frozenset(of.get(number, ()))))
        return tuple(found)

    def _holidays(self, connection: sqlite3.Connection) -> dict[date, str]:
        found = {}
        for number, on, sealed in connection.execute("SELECT * FROM holidays ORDER BY date"):
            try:
                found[date.fromisoformat(on)] = self._database.seal.opened_text(
                    sealed, "holiday", number
                )
            except (SealBroken, ValueError):
                log.error("holiday_not_opened", holiday=number)
        return found

    def _people(
        self, connection: sqlite3.Connection, groups: Mapping[int, str]
    ) -> dict[str, StoredPerson]:
        memberships: dict[int, set[str]] = {}
        for user_id, group in connection.execute("SELECT user_id, group_id FROM members"):
            memberships.setdefault(user_id, set()).add(groups[group])
        validity = {
            user_id: _ends(since, until)
            for user_id, since, until in connection.execute("SELECT * FROM validity")
        }
        people = {}
        some = "id IN (SELECT user_id FROM members UNION SELECT user_id FROM validity)"
        for user_id, person in everybody(connection, self._database.seal, some).items():
            since, until = validity.get(user_id, (None, None))
            groups_of = frozenset(memberships.get(user_id, ()))
            people[person.name] = StoredPerson(groups_of, since, until)
        return people

    def _group(self, connection: sqlite3.Connection, name: str) -> int | None:
        names = self._database.seal.names(name)
        row = connection.execute(
            f"SELECT id FROM groups WHERE name IN ({marks(names)})", names
        ).fetchone()
        return None if row is None else int(row[0])


def _ends(since: object, until: object) -> tuple[datetime | None, datetime | None]:
    """Beginning and end of a stored period. Where one cannot be read, the period is over."""
    first, last = timestamps.from_text(since), timestamps.from_text(until)
    if (since is not None and first is None) or (until is not None and last is None):
        return None, datetime.min.replace(tzinfo=UTC)
    return first, last


def _text(at: datetime | None) -> str | None:
    return None if at is None else timestamps.to_text(at)
