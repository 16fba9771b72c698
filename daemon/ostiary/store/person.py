"""A person: an id that is never given again, and a name in one row of `users` only.

In a sealed database all that is sealed of a person is bound to the key in that row, and the key to
id and name. So a name, template or PIN that is moved to another row does not open.
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
"""What a sealed value is bound to, so that it opens nowhere else."""

PERSON_COLUMNS = "users.id, users.username, users.key"


class PersonRow(NamedTuple):
    """A person's row, opened. `key`: 32 bytes; the name instead, while the database was never open
    with its store key since people have ids."""

    id: int
    name: str
    key: bytes | str

    @property
    def place(self) -> Place:
        """The place of the key."""
        return ("person", self.id, self.name)

    @property
    def encoding(self) -> Place:
        return ("encoding", self.key)

    def template(self, number: object, recognizer: object) -> Place:
        return ("template", number, recognizer, self.key)

    def credential(self, number: object, kind: object) -> Place:
        return ("credential", number, kind, self.key)


def marks(values: Sized) -> str:
    """The parameters for `values` in a query: `?, ?, ?`."""
    return ", ".join("?" * len(values))


def id_of(connection: sqlite3.Connection, seal: Seal, name: str) -> int | None:
    """The id of the person with a name, by whichever data key it is sealed; None for nobody."""
    names = seal.names(name)
    row = connection.execute(
        f"SELECT id FROM users WHERE username IN ({marks(names)})", names
    ).fetchone()
    return None if row is None else int(row[0])


def known_id(connection: sqlite3.Connection, seal: Seal, username: str) -> int:
    """The id of the person with a name, however it is written. Raises UserUnknown."""
    name = same_name(username)
    number = id_of(connection, seal, name)
    if number is None:
        raise UserUnknown(f"Nobody is registered as {name}.")
    return number


def known_person(connection: sqlite3.Connection, seal: Seal, username: str) -> PersonRow:
    """The person with a name. Raises UserUnknown, StoreLocked, SealBroken."""
    number = known_id(connection, seal, username)
    query = f"SELECT {PERSON_COLUMNS} FROM users WHERE id = ?"
    return opened_person(seal, connection.execute(query, (number,)).fetchone())


def opened_person(seal: Seal, row: Sequence[object]) -> PersonRow:
    """Open a row in PERSON_COLUMNS. Raises StoreLocked, or SealBroken where it was altered."""
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
    """All people by id, or those of an SQL condition; without rows that do not open, which are
    logged."""
    found = {}
    query = f"SELECT {PERSON_COLUMNS} FROM users WHERE typeof(username) = 'text' AND {condition}"
    for row in connection.execute(query):
        try:
            found[row[0]] = opened_person(seal, row)
        except SealBroken as error:
            log.error("user_not_opened", id=row[0], code=error.code)
    return found


def write_name(connection: sqlite3.Connection, seal: Seal, person: PersonRow, name: str) -> None:
    """Give a person another name. Nothing else of the person changes. Raises StoreLocked."""
    place = person._replace(name=name).place
    key = seal.value(person.key, *place) if isinstance(person.key, bytes) else None
    connection.execute(
        "UPDATE users SET username = ?, key = ? WHERE id = ?", (seal.name(name), key, person.id)
    )


def new_key() -> bytes:
    """A random key for a row of `users`, 32 bytes."""
    return os.urandom(KEY_BYTES)
