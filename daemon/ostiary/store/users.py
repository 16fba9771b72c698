"""People and their face templates."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from numpy.typing import ArrayLike

from ostiary.errors import LastTemplate, TemplateUnknown, UserExists, UserUnknown
from ostiary.messages.username import checked_username, same_name
from ostiary.store import moment
from ostiary.store.database import Database
from ostiary.store.descriptor import (
    Descriptor,
    checked_descriptor,
    from_bytes,
    to_float32_bytes,
    to_float64_bytes,
)


@dataclass(frozen=True, slots=True)
class User:
    """`created_at` is None where the first version left no readable time; `templates` counts
    what can be matched, 0 for a row of the first version that could not be adopted."""

    username: str
    created_at: datetime | None
    templates: int


@dataclass(frozen=True, slots=True)
class Template:
    """One stored descriptor, without its numbers. `source` tells where it came from."""

    id: int
    created_at: datetime | None
    source: str


_USERS = """
    SELECT username, users.created_at, COUNT(templates.id)
    FROM users LEFT JOIN templates USING (username)
    WHERE typeof(username) = 'text'
"""


class Users:
    """The tables `users` and `templates`. Each change is one transaction, or joins the caller's.

    Names are taken in any Unicode form and stored in NFC (`ostiary.messages.username`).
    """

    def __init__(self, database: Database) -> None:
        self.database = database

    def add(
        self, username: str, descriptors: Sequence[ArrayLike], now: datetime, *, source: str
    ) -> User:
        """Register a person with one or more descriptors, each (128,) and finite.

        Raises UsernameInvalid, UserExists, DescriptorInvalid, DatabaseUnwritable.
        """
        name = checked_username(username)
        checked = [checked_descriptor(values) for values in descriptors]
        if not checked:
            raise ValueError("a user needs at least one descriptor")
        with self.database.transaction() as connection:
            if _exists(connection, name):
                raise UserExists(f"{name} is registered already.")
            connection.execute(
                "INSERT INTO users (username, encoding, created_at) VALUES (?, ?, ?)",
                (name, to_float64_bytes(checked[0]), moment.to_text(now)),
            )
            for descriptor in checked:
                _insert_template(connection, name, descriptor, now, source)
            return self.get(name)

    def add_template(
        self, username: str, descriptor: ArrayLike, now: datetime, *, source: str
    ) -> Template:
        """Give a person one more descriptor. Raises UserUnknown, DescriptorInvalid."""
        checked = checked_descriptor(descriptor)
        with self.database.transaction() as connection:
            name = _known(connection, username)
            number = _insert_template(connection, name, checked, now, source)
            _keep_encoding_in_step(connection, name)
        return Template(number, moment.from_text(moment.to_text(now)), source)

    def remove_template(self, username: str, template_id: int) -> None:
        """Raises UserUnknown, TemplateUnknown, or LastTemplate for the only one."""
        with self.database.transaction() as connection:
            name = _known(connection, username)
            numbers = [template.id for template in self.templates_of(name)]
            if template_id not in numbers:
                raise TemplateUnknown(f"{name} has no template {template_id}.")
            if len(numbers) == 1:
                raise LastTemplate(f"It is the only template of {name}; delete the user instead.")
            connection.execute("DELETE FROM templates WHERE id = ?", (template_id,))
            _keep_encoding_in_step(connection, name)

    def delete(self, username: str) -> None:
        """Remove a person and all templates; the events stay. Raises UserUnknown."""
        with self.database.transaction() as connection:
            name = _known(connection, username)
            connection.execute("DELETE FROM users WHERE username = ?", (name,))

    def rename(self, old: str, new: str) -> User:
        """Raises UserUnknown, UsernameInvalid, UserExists. Events keep the old name."""
        name = checked_username(new)
        with self.database.transaction() as connection:
            known = _known(connection, old)
            if name != known and _exists(connection, name):
                raise UserExists(f"{name} is registered already.")
            connection.execute("UPDATE users SET username = ? WHERE username = ?", (name, known))
            return self.get(name)

    def get(self, username: str) -> User:
        """Raises UserUnknown."""
        with self.database.reading() as connection:
            name = _known(connection, username)
            row = connection.execute(f"{_USERS} AND username = ?", (name,)).fetchone()
        return _user(row)

    def list(self) -> tuple[User, ...]:
        """Everybody, by name."""
        with self.database.reading() as connection:
            rows = connection.execute(f"{_USERS} GROUP BY username ORDER BY username").fetchall()
        return tuple(_user(row) for row in rows)

    def count(self) -> int:
        """How many people are registered."""
        with self.database.reading() as connection:
            number: int = connection.execute(
                "SELECT COUNT(*) FROM users WHERE typeof(username) = 'text'"
            ).fetchone()[0]
        return number

    def templates(self) -> tuple[tuple[str, Descriptor], ...]:
        """Every (username, descriptor) to match against, oldest first."""
        with self.database.reading() as connection:
            rows = connection.execute(
                "SELECT username, descriptor FROM templates ORDER BY id"
            ).fetchall()
        return tuple((username, from_bytes(data)) for username, data in rows)

    def templates_of(self, username: str) -> tuple[Template, ...]:
        """One person's templates, oldest first; empty for nobody."""
        with self.database.reading() as connection:
            rows = connection.execute(
                "SELECT id, created_at, source FROM templates WHERE username = ? ORDER BY id",
                (same_name(username),),
            ).fetchall()
        return tuple(Template(number, moment.from_text(at), source) for number, at, source in rows)


def _exists(connection: sqlite3.Connection, name: str) -> bool:
    row = connection.execute("SELECT 1 FROM users WHERE username = ?", (name,)).fetchone()
    return row is not None


def _known(connection: sqlite3.Connection, username: str) -> str:
    name = same_name(username)
    if not _exists(connection, name):
        raise UserUnknown(f"Nobody is registered as {name}.")
    return name


def _insert_template(
    connection: sqlite3.Connection, name: str, descriptor: Descriptor, now: datetime, source: str
) -> int:
    number = connection.execute(
        "INSERT INTO templates (username, descriptor, created_at, source) VALUES (?, ?, ?, ?)",
        (name, to_float32_bytes(descriptor), moment.to_text(now), source),
    ).lastrowid
    assert number is not None
    return number


def _keep_encoding_in_step(connection: sqlite3.Connection, name: str) -> None:
    """`users.encoding` is the oldest template, which is all the first version could hold."""
    (data,) = connection.execute(
        "SELECT descriptor FROM templates WHERE username = ? ORDER BY id LIMIT 1", (name,)
    ).fetchone()
    connection.execute(
        "UPDATE users SET encoding = ? WHERE username = ?",
        (to_float64_bytes(from_bytes(data)), name),
    )


def _user(row: tuple[str, object, int]) -> User:
    username, created_at, templates = row
    return User(username, moment.from_text(created_at), templates)
