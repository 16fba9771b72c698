"""Stores people and their templates."""

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog
from numpy.typing import ArrayLike

from ostiary import timestamps
from ostiary.errors import (
    DescriptorInvalid,
    LastTemplate,
    TemplateUnknown,
    UserExists,
)
from ostiary.messages.username import checked_username, same_name
from ostiary.messages.words import RECOGNIZERS, RecognizerName
from ostiary.store.database import Database
from ostiary.store.descriptor import (
    Descriptor,
    checked_descriptor,
    from_bytes,
    to_float32_bytes,
    to_float64_bytes,
)
from ostiary.store.naming import Naming
from ostiary.store.person import (
    PersonRow,
    everybody,
    id_of,
    known_id,
    known_person,
    new_key,
    write_name,
)
from ostiary.store.sqlite_file import next_number
from ostiary.store.templates import templates_in

log = structlog.get_logger(__name__)

VISIT = "visit"
"""The source of the one template that a door takes from a person's visits."""


@dataclass(frozen=True, slots=True)
class User:
    """A person. `created_at`: None where the first version left no readable time. `templates`: how
    many there are; 0 for a row of the first version that could not be adopted. `recognizers`: those
    of the templates, sorted."""

    username: str
    created_at: datetime | None
    templates: int
    recognizers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Template:
    """A template without its descriptor. `source`: where it came from. `quality`: of the picture,
    above 0 to 1; None: not known."""

    id: int
    created_at: datetime | None
    source: str
    recognizer: str
    quality: float | None


@dataclass(frozen=True, slots=True)
class StoredTemplate:
    """A template with its descriptor, without its id."""

    recognizer: str
    descriptor: Descriptor
    source: str
    quality: float | None


_USERS = """
    SELECT users.id, users.created_at, COUNT(templates.id), group_concat(DISTINCT recognizer)
    FROM users LEFT JOIN templates ON user_id = users.id
"""


class Users:
    """The tables `users` and `templates`. Each change is one transaction, or joins the caller's.

    Names are taken in any Unicode form and stored in NFC (`ostiary.messages.username`).
    """

    def __init__(self, database: Database) -> None:
        self.database = database
        self._naming = Naming(database)

    def add(
        self,
        username: str,
        descriptors: Sequence[ArrayLike],
        now: datetime,
        *,
        recognizer: RecognizerName,
        source: str,
        qualities: Iterable[float | None] | None = None,
    ) -> User:
        """Register a person with one or more descriptors of one recogniser: each (128,), finite,
        and of length 1 where that recogniser's are. `qualities`: one a descriptor.

        Raises UsernameInvalid, UserExists, DescriptorInvalid, DatabaseUnwritable.
        """
        name = checked_username(username)
        checked = [checked_descriptor(values, recognizer) for values in descriptors]
        if not checked:
            raise ValueError("a user needs at least one descriptor")
        known = list(qualities) if qualities is not None else [None] * len(checked)
        with self.database.transaction() as connection:
            seal = self.database.seal
            if id_of(connection, seal, name) is not None:
                raise UserExists(f"{name} is registered already.")
            key = new_key()
            self._naming.changed(name)
            person = PersonRow(next_number(connection, "users"), name, key)
            connection.execute(
                "INSERT INTO users (id, username, encoding, created_at, key)"
                " VALUES (?, ?, ?, ?, ?)",
                (
                    person.id,
                    seal.name(name),
                    seal.value(to_float64_bytes(checked[0]), *person.encoding),
                    timestamps.to_text(now),
                    seal.value(key, *person.place),
                ),
            )
            for descriptor, quality in zip(checked, known, strict=True):
                self._insert(connection, person, descriptor, now, source, recognizer, quality)
            return self.get(name)

    def add_all(self, username: str, templates: Sequence[StoredTemplate], now: datetime) -> None:
        """Register a person with templates of any recognisers that this version knows. Raises as
        `add`."""
        first, *others = templates
        with self.database.transaction():
            self.add(
                username,
                [first.descriptor],
                now,
                recognizer=_recognizer(first.recognizer),
                source=first.source,
                qualities=[first.quality],
            )
            for each in others:
                self.add_template(
                    username,
                    each.descriptor,
                    now,
                    recognizer=_recognizer(each.recognizer),
                    source=each.source,
                    quality=each.quality,
                )

    def add_template(
        self,
        username: str,
        descriptor: ArrayLike,
        now: datetime,
        *,
        recognizer: RecognizerName,
        source: str,
        quality: float | None = None,
    ) -> Template:
        """Give a person one more template. Raises UserUnknown, DescriptorInvalid."""
        checked = checked_descriptor(descriptor, recognizer)
        with self.database.transaction() as connection:
            person = self._known(connection, username)
            number = self._insert(connection, person, checked, now, source, recognizer, quality)
            self._keep_encoding_in_step(connection, person)
        at = timestamps.from_text(timestamps.to_text(now))
        return Template(number, at, source, recognizer, quality)

    def remove_template(self, username: str, template_id: int) -> None:
        """Remove a template. Raises UserUnknown, TemplateUnknown; LastTemplate for the only one."""
        with self.database.transaction() as connection:
            person = self._known(connection, username)
            name = person.name
            numbers = [template.id for template in self.templates_of(name)]
            if template_id not in numbers:
                raise TemplateUnknown(f"{name} has no template {template_id}.")
            if len(numbers) == 1:
                raise LastTemplate(f"It is the only template of {name}; delete the user instead.")
            connection.execute("DELETE FROM templates WHERE id = ?", (template_id,))
            self._keep_encoding_in_step(connection, person)

    def delete(self, username: str) -> None:
        """Remove a person with all templates and pictures. The events stay, and lose the name after
        they were sent (`ostiary.store.forgetting`). Raises UserUnknown."""
        with self.database.transaction() as connection:
            number = known_id(connection, self.database.seal, username)
            connection.execute(
                "DELETE FROM snapshots WHERE seq IN (SELECT seq FROM events WHERE person = ?)",
                (number,),
            )
            connection.execute("DELETE FROM users WHERE id = ?", (number,))
            self._naming.leave(connection, number, same_name(username))

    def rename(self, old: str, new: str) -> User:
        """Give a person another name; old events keep the old one. Raises UserUnknown,
        UsernameInvalid, UserExists."""
        name = checked_username(new)
        with self.database.transaction() as connection:
            seal = self.database.seal
            person = self._known(connection, old)
            if id_of(connection, seal, name) not in (None, person.id):
                raise UserExists(f"{name} is registered already.")
            write_name(connection, seal, person, name)
            self._naming.changed(person.name, name)
            return self.get(name)

    def had_two(self, username: str) -> bool:
        """Whether a person ever had two templates of one recogniser. Raises UserUnknown."""
        with self.database.reading() as connection:
            number = known_id(connection, self.database.seal, username)
            row = connection.execute(
                "SELECT 1 FROM had_two WHERE user_id = ?", (number,)
            ).fetchone()
        return row is not None

    def get(self, username: str) -> User:
        """The person of that name. Raises UserUnknown."""
        with self.database.reading() as connection:
            number = known_id(connection, self.database.seal, username)
            row = connection.execute(f"{_USERS} WHERE users.id = ?", (number,)).fetchone()
        return _user(same_name(username), *row[1:])

    def list(self) -> tuple[User, ...]:
        """Everybody, by name; nobody while the store is locked. A row whose name was altered is
        left out, and logged."""
        with self.database.reading() as connection:
            if self.database.is_locked:
                return ()
            people = everybody(connection, self.database.seal)
            rows = connection.execute(f"{_USERS} GROUP BY users.id").fetchall()
        users = [_user(people[id].name, *rest) for id, *rest in rows if id in people]
        return tuple(sorted(users, key=lambda user: user.username))

    def count(self) -> int:
        """How many people are registered."""
        with self.database.reading() as connection:
            number: int = connection.execute(
                "SELECT COUNT(*) FROM users WHERE typeof(username) = 'text'"
            ).fetchone()[0]
        return number

    def templates(self) -> tuple[tuple[str, str, Descriptor], ...]:
        """Every template as (user name, recogniser, descriptor), oldest first; none while the store
        is locked. One that was altered is left out, and logged."""
        with self.database.reading() as connection:
            if self.database.is_locked:
                return ()
            return templates_in(connection, self.database.seal)

    def descriptors_of(self, username: str) -> tuple[tuple[str, Descriptor], ...]:
        """One person's (recogniser, descriptor), oldest first; empty for an unknown name."""
        with self.database.reading() as connection:
            if id_of(connection, self.database.seal, same_name(username)) is None:
                return ()
            rows = self._descriptors(connection, self._known(connection, username))
        return tuple((recognizer, from_bytes(data)) for _, recognizer, data in rows)

    def templates_of(self, username: str) -> tuple[Template, ...]:
        """One person's templates, oldest first; empty for an unknown name."""
        with self.database.reading() as connection:
            rows = connection.execute(
                "SELECT id, created_at, source, recognizer, quality FROM templates"
                " WHERE user_id = ? ORDER BY id",
                (id_of(connection, self.database.seal, same_name(username)),),
            ).fetchall()
        return tuple(
            Template(number, timestamps.from_text(at), source, name, quality)
            for number, at, source, name, quality in rows
        )

    def all_of(self, username: str) -> tuple[StoredTemplate, ...]:
        """One person's templates with descriptors, oldest first; empty for an unknown name."""
        with self.database.reading():
            about = self.templates_of(username)
            descriptors = self.descriptors_of(username)
        return tuple(
            StoredTemplate(recognizer, descriptor, each.source, each.quality)
            for each, (recognizer, descriptor) in zip(about, descriptors, strict=True)
        )

    def replace(
        self, username: str, templates: Sequence[StoredTemplate], now: datetime, *, keep: str
    ) -> None:
        """Give a person these templates instead. Those whose source is `keep` stay, unless the new
        ones have one of the same recogniser. Raises UserUnknown, DescriptorInvalid."""
        with self.database.transaction() as connection:
            person = self._known(connection, username)
            new = {each.recognizer for each in templates}
            for old in self.templates_of(person.name):
                if old.source != keep or old.recognizer in new:
                    connection.execute("DELETE FROM templates WHERE id = ?", (old.id,))
            for each in templates:
                recognizer = _recognizer(each.recognizer)
                checked = checked_descriptor(each.descriptor, recognizer)
                self._insert(
                    connection, person, checked, now, each.source, recognizer, each.quality
                )
            self._keep_encoding_in_step(connection, person)

    def _known(self, connection: sqlite3.Connection, username: str) -> PersonRow:
        return known_person(connection, self.database.seal, username)

    def _descriptors(
        self, connection: sqlite3.Connection, person: PersonRow
    ) -> Sequence[tuple[int, str, bytes]]:
        """Number, recogniser and descriptor's bytes of one person's templates, oldest first."""
        rows = connection.execute(
            "SELECT id, recognizer, descriptor FROM templates WHERE user_id = ? ORDER BY id",
            (person.id,),
        ).fetchall()
        seal = self.database.seal
        return [
            (number, used, seal.opened_value(data, *person.template(number, used)))
            for number, used, data in rows
        ]

    def _insert(
        self,
        connection: sqlite3.Connection,
        person: PersonRow,
        descriptor: Descriptor,
        now: datetime,
        source: str,
        recognizer: RecognizerName,
        quality: float | None,
    ) -> int:
        number = next_number(connection, "templates")
        place = person.template(number, recognizer)
        sealed = self.database.seal.value(to_float32_bytes(descriptor), *place)
        connection.execute(
            "INSERT INTO templates"
            " (id, user_id, descriptor, created_at, source, recognizer, quality)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (number, person.id, sealed, timestamps.to_text(now), source, recognizer, quality),
        )
        connection.execute(
            "INSERT OR IGNORE INTO had_two SELECT user_id FROM templates"
            " WHERE user_id = ? AND recognizer = ? GROUP BY user_id HAVING COUNT(*) > 1",
            (person.id, recognizer),
        )
        return number

    def _keep_encoding_in_step(self, connection: sqlite3.Connection, person: PersonRow) -> None:
        """Let `users.encoding` hold the oldest template, as in the first version, which had one a
        person; the oldest of dlib where there is one, since those were the first version's."""
        templates = self._descriptors(connection, person)
        (_, _, data) = min(templates, key=lambda each: (each[1] != "dlib", each[0]))
        encoding = to_float64_bytes(from_bytes(data))
        connection.execute(
            "UPDATE users SET encoding = ? WHERE id = ?",
            (self.database.seal.value(encoding, *person.encoding), person.id),
        )


def _recognizer(name: str) -> RecognizerName:
    """The name, checked. Raises DescriptorInvalid for one that this version does not know."""
    for known in RECOGNIZERS:
        if name == known:
            return known
    raise DescriptorInvalid(f"This version knows no recogniser {name}.")


def _user(username: str, created_at: object, templates: int, recognizers: str | None) -> User:
    names = tuple(sorted(recognizers.split(","))) if recognizers else ()
    return User(username, timestamps.from_text(created_at), templates, names)
