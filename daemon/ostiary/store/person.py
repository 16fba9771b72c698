"""Who somebody is here: an id that is never given again. The name is in one row of `users` only.

In a sealed database what is of a person is bound to a key of theirs, and that to their id and name:
whoever moves a name, a template or a PIN to another row has moved nothing that opens.
"""

import os
import sqlite3
from collections.abc import Sequence, Sized
from typing import NamedTuple

import structlog

from ostiary.crypto.seal import KEY_BYTES, Seal
from ostiary.errors import SealBroken, UserUnknown
from ostiary.messages.username import same_name

log = structlog.get_logger(__name__)

Place = tuple[object, ...]

PERSON_COLUMNS = "users.id, users.username, users.key"


class PersonRow(NamedTuple):
    """`key`: 32 bytes; the name, as long as the database was never open with its store key since
    people have ids."""

    id: int
    name: str
    key: bytes | str

    @property
    def place(self) -> Place:
        """What the key is sealed with."""
        return ("person", self.id, self.name)

    @property
    def encoding(self) -> Place:
        return ("encoding", self.key)

    def template(self, number: object, recognizer: object) -> Place:
        return ("template", number, recognizer, self.key)

    def credential(self, number: object, kind: object) -> Place:
        return ("credential", number, kind, self.key)


def marks(values: Sized) -> str:
    """`?, ?, ?`: their places in a query."""
    return ", ".join("?" * len(values))


def id_of(connection: sqlite3.Connection, seal: Seal, name: str) -> int | None:
    """Whose row in `users` has that name, by whichever key it is sealed; None for nobody."""
    names = seal.names(name)
    row = connection.execute(
        f"SELECT id FROM users WHERE username IN ({marks(names)})", names
    ).fetchone()
    return None if row is None else int(row[0])


def known_id(connection: sqlite3.Connection, seal: Seal, username: str) -> int:
    """Likewise, however the name is written. Raises UserUnknown."""
    name = same_name(username)
    number = id_of(connection, seal, name)
    if number is None:
        raise UserUnknown(f"Nobody is registered as {name}.")
    return number


def known_person(connection: sqlite3.Connection, seal: Seal, username: str) -> PersonRow:
    """Likewise, with their key. Raises UserUnknown, SealBroken."""
    number = known_id(connection, seal, username)
    query = f"SELECT {PERSON_COLUMNS} FROM users WHERE id = ?"
    return opened_person(seal, connection.execute(query, (number,)).fetchone())


def opened_person(seal: Seal, row: Sequence[object]) -> PersonRow:
    """Who is in a row, in PERSON_COLUMNS. Raises SealBroken where it was altered."""
    number, username, key = row
    if not (
        isinstance(number, int) and isinstance(username, str) and isinstance(key, bytes | None)
    ):
        raise SealBroken("A person's row has values that no Ostiary wrote. Restore a backup.")
    named = PersonRow(number, seal.opened_name(username), "")
    if key is None:
        return named._replace(key=named.name)
    return named._replace(key=seal.opened_value(key, *named.place))


def everybody(
    connection: sqlite3.Connection, seal: Seal, condition: str = "TRUE"
) -> dict[int, PersonRow]:
    """By id; without those whose row does not open, which are logged."""
    found = {}
    query = f"SELECT {PERSON_COLUMNS} FROM users WHERE typeof(username) = 'text' AND {condition}"
    for row in connection.execute(query):
        try:
            found[row[0]] = opened_person(seal, row)
        except SealBroken as error:
            log.error("user_not_opened", id=row[0], code=error.code)
    return found


def write_name(connection: sqlite3.Connection, seal: Seal, person: PersonRow, name: str) -> None:
    """Call the person that, who is in this row. Everything else of them stays as it is."""
    place = person._replace(name=name).place
    key = seal.value(person.key, *place) if isinstance(person.key, bytes) else None
    connection.execute(
        "UPDATE users SET username = ?, key = ? WHERE id = ?", (seal.name(name), key, person.id)
    )


def new_key() -> bytes:
    return os.urandom(KEY_BYTES)
