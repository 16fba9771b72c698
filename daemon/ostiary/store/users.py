"""People and their face templates."""

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from numpy.typing import ArrayLike

from ostiary.errors import LastTemplate, TemplateUnknown, UserExists, UserUnknown
from ostiary.messages.recognizer import RecognizerName
from ostiary.messages.username import checked_username, same_name
from ostiary.store import moment
from ostiary.store.database import Database, read_only
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
    what can be matched, 0 for a row of the first version that could not be adopted, and
    `recognizers` are those whose templates they are, in order."""

    username: str
    created_at: datetime | None
    templates: int
    recognizers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Template:
    """One stored descriptor, without its numbers. `source` tells where it came from, `quality` how
    good the picture was (above 0 to 1), if that is known."""

    id: int
    created_at: datetime | None
    source: str
    recognizer: str
    quality: float | None


_USERS = """
    SELECT username, users.created_at, COUNT(templates.id), group_concat(DISTINCT recognizer)
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
        self,
        username: str,
        descriptors: Sequence[ArrayLike],
        now: datetime,
        *,
        recognizer: RecognizerName,
        source: str,
        qualities: Iterable[float | None] | None = None,
    ) -> User:
        """Register a person with one or more descriptors of one recogniser, each (128,), finite,
        and of length 1 where that recogniser's are.

        Raises UsernameInvalid, UserExists, DescriptorInvalid, DatabaseUnwritable.
        """
        name = checked_username(username)
        checked = [checked_descriptor(values, recognizer) for values in descriptors]
        if not checked:
            raise ValueError("a user needs at least one descriptor")
        known = list(qualities) if qualities is not None else [None] * len(checked)
        with self.database.transaction() as connection:
            if _exists(connection, name):
                raise UserExists(f"{name} is registered already.")
            connection.execute(
                "INSERT INTO users (username, encoding, created_at) VALUES (?, ?, ?)",
                (name, to_float64_bytes(checked[0]), moment.to_text(now)),
            )
            for descriptor, quality in zip(checked, known, strict=True):
                _insert_template(connection, name, descriptor, now, source, recognizer, quality)
            return self.get(name)

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
        """Give a person one more descriptor. Raises UserUnknown, DescriptorInvalid."""
        checked = checked_descriptor(descriptor, recognizer)
        with self.database.transaction() as connection:
            name = _known(connection, username)
            number = _insert_template(connection, name, checked, now, source, recognizer, quality)
            _keep_encoding_in_step(connection, name)
        at = moment.from_text(moment.to_text(now))
        return Template(number, at, source, recognizer, quality)

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

    def templates(self) -> tuple[tuple[str, str, Descriptor], ...]:
        """Every (username, recogniser's name, descriptor) to match against, oldest first."""
        with self.database.reading() as connection:
            rows = connection.execute(
                "SELECT username, recognizer, descriptor FROM templates ORDER BY id"
            ).fetchall()
        return tuple((username, name, from_bytes(data)) for username, name, data in rows)

    def descriptors_of(self, username: str) -> tuple[tuple[str, Descriptor], ...]:
        """One person's (recogniser's name, descriptor), oldest first; empty for nobody."""
        with self.database.reading() as connection:
            rows = connection.execute(
                "SELECT recognizer, descriptor FROM templates WHERE username = ? ORDER BY id",
                (same_name(username),),
            ).fetchall()
        return tuple((name, from_bytes(data)) for name, data in rows)

    def templates_of(self, username: str) -> tuple[Template, ...]:
        """One person's templates, oldest first; empty for nobody."""
        with self.database.reading() as connection:
            rows = connection.execute(
                "SELECT id, created_at, source, recognizer, quality FROM templates"
                " WHERE username = ? ORDER BY id",
                (same_name(username),),
            ).fetchall()
        return tuple(
            Template(number, moment.from_text(at), source, name, quality)
            for number, at, source, name, quality in rows
        )


def templates_by_recognizer(path: Path) -> dict[str, int]:
    """How many templates of each recogniser the database at `path` holds, which is only read. In an
    older one all are dlib's; one that is not there has none."""
    if not path.exists():
        return {}
    with read_only(path.absolute()) as connection:
        columns = connection.execute("SELECT name FROM pragma_table_info('templates')").fetchall()
        if ("recognizer",) not in columns:
            (people,) = connection.execute("SELECT COUNT(*) FROM users").fetchone()
            return {"dlib": people} if people else {}
        return dict(
            connection.execute(
                "SELECT recognizer, COUNT(*) FROM templates GROUP BY recognizer"
            ).fetchall()
        )


def _exists(connection: sqlite3.Connection, name: str) -> bool:
    row = connection.execute("SELECT 1 FROM users WHERE username = ?", (name,)).fetchone()
    return row is not None


def _known(connection: sqlite3.Connection, username: str) -> str:
    name = same_name(username)
    if not _exists(connection, name):
        raise UserUnknown(f"Nobody is registered as {name}.")
    return name


def _insert_template(
    connection: sqlite3.Connection,
    name: str,
    descriptor: Descriptor,
    now: datetime,
    source: str,
    recognizer: RecognizerName,
    quality: float | None,
) -> int:
    number = connection.execute(
        "INSERT INTO templates (username, descriptor, created_at, source, recognizer, quality)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        (
            name,
            to_float32_bytes(descriptor),
            moment.to_text(now),
            source,
            recognizer,
            quality,
        ),
    ).lastrowid
    assert number is not None
    return number


def _keep_encoding_in_step(connection: sqlite3.Connection, name: str) -> None:
    """`users.encoding` is the oldest template, which is all the first version could hold; dlib's
    where there is one, for those were the first version's."""
    (data,) = connection.execute(
        "SELECT descriptor FROM templates WHERE username = ?"
        " ORDER BY recognizer != 'dlib', id LIMIT 1",
        (name,),
    ).fetchone()
    connection.execute(
        "UPDATE users SET encoding = ? WHERE username = ?",
        (to_float64_bytes(from_bytes(data)), name),
    )


def _user(row: tuple[str, object, int, str | None]) -> User:
    username, created_at, templates, recognizers = row
    names = tuple(sorted(recognizers.split(","))) if recognizers else ()
    return User(username, moment.from_text(created_at), templates, names)
