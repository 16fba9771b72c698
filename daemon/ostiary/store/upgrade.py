"""Brings a database up to date when it is opened: its schema, its keys, and rows of older
versions."""

import sqlite3
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import structlog

from ostiary import timestamps
from ostiary.crypto import keyring
from ostiary.crypto.door_key import DoorKey
from ostiary.crypto.seal import KEY_BYTES, LockedSeal, Seal
from ostiary.errors import DescriptorInvalid, SealBroken, UsernameInvalid
from ostiary.messages.username import checked_username, decoded_username
from ostiary.store import schema
from ostiary.store.conversion import convert, is_unconverted
from ostiary.store.descriptor import from_bytes, to_float32_bytes
from ostiary.store.old_rows import adopt_rows
from ostiary.store.own_entries import CHAIN, adopt, heads_in, is_head_of
from ostiary.store.person import PERSON_COLUMNS, PersonRow, Place, new_key, opened_person
from ostiary.store.person_keys import take_over_keys
from ostiary.store.pin_rows import complete_pins
from ostiary.store.sealed_rows import seal_hints

log = structlog.get_logger(__name__)


def upgrade(
    connection: sqlite3.Connection,
    seal_of: Callable[[sqlite3.Connection], Seal],
    path: Path,
    store_key: bytes | None,
    door_key: DoorKey | None,
    takes_over: bool,
) -> None:
    """Bring the database up to date. Call it inside a transaction. `seal_of` gives the seal of the
    file as it is now; `path` is for what is logged; the others are those of `Database.open`."""
    before = schema.version(connection)
    schema.migrate(connection)
    if before < schema.CHAINED_SINCE <= schema.version(connection):
        adopt_rows(connection)
    seal = seal_of(connection)
    if not seal.is_sealing:
        adopt_users(connection)
        _seal_if_new(connection, path, store_key)
        seal = seal_of(connection)
    chain_key = b"" if door_key is None else door_key.secret(CHAIN)
    takes_over &= door_key is not None
    is_keyed = before < schema.KEYED_SINCE <= schema.version(connection)
    is_taken = takes_over or (is_keyed and _is_of_this_door(connection, door_key))
    if is_taken:
        adopt(connection, chain_key)
    if isinstance(seal, LockedSeal):
        return
    give_keys(connection, seal)
    if seal.is_sealing:
        seal_hints(connection, seal)
        complete_pins(connection, seal)
    if takes_over:
        take_over_keys(connection, seal, chain_key)
    if is_unconverted(connection):
        convert(connection, seal, door_key, trusts=is_taken)


def _is_of_this_door(connection: sqlite3.Connection, door_key: DoorKey | None) -> bool:
    """Whether the door with that key signed the newest head, or there is no head."""
    head = next(iter(heads_in(connection, newest=True)), None)
    return door_key is not None and (head is None or is_head_of(head, door_key.public))


def _seal_if_new(connection: sqlite3.Connection, path: Path, store_key: bytes | None) -> None:
    if store_key is None or schema.version(connection) < schema.SEALED_SINCE:
        return
    (used,) = connection.execute(
        "SELECT EXISTS (SELECT 1 FROM users) OR EXISTS (SELECT 1 FROM chain)"
    ).fetchone()
    if used:
        log.warning("store_not_sealed", path=str(path), advice="ostiary store encrypt")
    else:
        keyring.begin(connection, store_key, datetime.now(UTC))


_WITHOUT_TEMPLATE = """
    SELECT id, CASE typeof(username) WHEN 'text' THEN CAST(username AS BLOB) END,
        username, encoding, created_at
    FROM users
    WHERE NOT EXISTS (SELECT 1 FROM templates WHERE user_id = users.id)
    ORDER BY id
"""


def adopt_users(connection: sqlite3.Connection) -> None:
    """Give each person without a template the one in `encoding`. Call it inside a transaction.

    A name is brought into its stored form (NFC). A row whose name or encoding cannot be used stays
    as it is, matches nobody, and is logged by name.
    """
    for number, name_bytes, shown, encoding, created_at in connection.execute(
        _WITHOUT_TEMPLATE
    ).fetchall():
        try:
            name = decoded_username(name_bytes)
            username = checked_username(name)
            descriptor = from_bytes(encoding)
            if username != name:
                _rename(connection, number, username)
            created = timestamps.from_text(created_at)
            connection.execute(
                "INSERT INTO templates (user_id, descriptor, created_at, source, recognizer)"
                " VALUES (?, ?, ?, ?, 'dlib')",
                (
                    number,
                    to_float32_bytes(descriptor),
                    timestamps.to_text(created) if created else None,
                    "first_version",
                ),
            )
        except (UsernameInvalid, DescriptorInvalid) as error:
            log.warning("user_not_adopted", username=str(shown), reason=error.message)
        else:
            log.info("user_adopted", row=number)


def _rename(connection: sqlite3.Connection, number: int, username: str) -> None:
    if connection.execute("SELECT 1 FROM users WHERE username = ?", (username,)).fetchone():
        raise UsernameInvalid("Another user's name differs only in how it is written.")
    connection.execute("UPDATE users SET username = ? WHERE id = ?", (username, number))


def give_keys(connection: sqlite3.Connection, seal: Seal) -> None:
    """Give a key to everybody who has none. Call it inside a transaction.

    What does not open stays as it is, and opens no more. The key is always a new one. So whoever
    deletes a key from a row gains nothing: only what is bound to that row's name is bound to it.
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
    for table, sealed, kind, place in (
        ("templates", "descriptor", "recognizer", PersonRow.template),
        ("credentials", "secret", "kind", PersonRow.credential),
    ):
        rows = connection.execute(
            f"SELECT {sealed}, id, {kind} FROM {table} WHERE user_id = ?", (person.id,)
        ).fetchall()
        connection.executemany(
            f"UPDATE {table} SET {sealed} = ? WHERE id = ?",
            [
                (_rebound(seal, value, place(named, *which), place(person, *which)), which[0])
                for value, *which in rows
            ],
        )


def _rebound(seal: Seal, value: object, before: Place, after: Place) -> object:
    with suppress(SealBroken):
        if isinstance(value, bytes):
            return seal.value(seal.opened_value(value, *before), *after)
    return value
