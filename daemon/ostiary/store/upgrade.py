"""A database that is opened is brought up to date: its schema, its keys, and what an older version
left as it was then."""

import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import structlog

from ostiary.crypto import keyring
from ostiary.crypto.door_key import DoorKey
from ostiary.crypto.seal import LockedSeal, Seal
from ostiary.store import schema
from ostiary.store.adopt import adopt_users
from ostiary.store.binding import give_keys
from ostiary.store.conversion import convert, is_unconverted
from ostiary.store.old_rows import adopt_rows
from ostiary.store.own_entries import CHAIN, adopt, heads_in, is_head_of
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
    """Call it inside a transaction. `seal_of` tells by what the file is sealed now, `path` is for
    the log; the others are as of `Database.open`."""
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
    """Whether the door whose key this is has signed what is here, where anybody has."""
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
