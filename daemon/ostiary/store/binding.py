"""Binding what a version without ids has sealed to its person's key, instead of to the name."""

import sqlite3
from contextlib import suppress

from ostiary.crypto.seal import KEY_BYTES, Seal
from ostiary.errors import SealBroken
from ostiary.store.person import PERSON_COLUMNS, PersonRow, Place, new_key, opened_person


def give_keys(connection: sqlite3.Connection, seal: Seal) -> None:
    """Give everybody a key who has none. Call it inside a transaction.

    What does not open stays as it is, and opens no more. A key is always a new one: whoever takes
    one out of a row binds nothing to it that is not sealed with that row's name.
    """
    if not seal.is_sealing:
        connection.execute(f"UPDATE users SET key = randomblob({KEY_BYTES}) WHERE key IS NULL")
        return
    rows = connection.execute(
        f"SELECT {PERSON_COLUMNS}, encoding FROM users"
        " WHERE key IS NULL AND typeof(username) = 'text'"
    ).fetchall()
    for *row, encoding in rows:
        with suppress(SealBroken):
            _bind(connection, seal, opened_person(seal, row), encoding)


def _bind(connection: sqlite3.Connection, seal: Seal, named: PersonRow, encoding: object) -> None:
    key = new_key()
    person = named._replace(key=key)
    connection.execute(
        "UPDATE users SET key = ?, encoding = ? WHERE id = ?",
        (
            seal.value(key, *person.place),
            _rebound(seal, encoding, named.encoding, person.encoding),
            person.id,
        ),
    )
    connection.executemany(
        "UPDATE templates SET descriptor = ? WHERE id = ?",
        [
            (_rebound(seal, value, named.template(*place), person.template(*place)), place[0])
            for value, *place in connection.execute(
                "SELECT descriptor, id, recognizer FROM templates WHERE user_id = ?", (person.id,)
            ).fetchall()
        ],
    )
    connection.executemany(
        "UPDATE credentials SET secret = ? WHERE id = ?",
        [
            (_rebound(seal, value, named.credential(*place), person.credential(*place)), place[0])
            for value, *place in connection.execute(
                "SELECT secret, id, kind FROM credentials WHERE user_id = ?", (person.id,)
            ).fetchall()
        ],
    )


def _rebound(seal: Seal, value: object, before: Place, after: Place) -> object:
    with suppress(SealBroken):
        if isinstance(value, bytes):
            return seal.value(seal.opened_value(value, *before), *after)
    return value
