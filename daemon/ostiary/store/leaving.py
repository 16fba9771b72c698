"""Who was deleted and is still named in what was recorded: the table `leaving`.

Each is an entry of its own: a name can be somebody else's soon, and again.
"""

import sqlite3

from ostiary.store.seal import Seal
from ostiary.store.stored_names import marks, stored_name


def leave(connection: sqlite3.Connection, seal: Seal, name: str, events_from: int = 0) -> None:
    """Somebody was deleted. Call it in the transaction that does it."""
    connection.execute(
        "INSERT INTO leaving (name, events_from) VALUES (?, ?)", (seal.name(name), events_from)
    )


def leave_again(connection: sqlite3.Connection, seal: Seal, name: str, seq: int) -> None:
    """A name that was somebody's who was deleted is in a new event: by what was under way, or
    because somebody else is registered by that name."""
    names = seal.names(name)
    waits = connection.execute(
        f"SELECT 1 FROM leaving WHERE name IN ({marks(names)}) AND events_until IS NULL", names
    ).fetchone()
    if waits is None and stored_name(connection, seal, name) is None:
        leave(connection, seal, name, seq)


def take(connection: sqlite3.Connection, seal: Seal, name: str) -> None:
    """Somebody else has that name from now on."""
    names = seal.names(name)
    connection.execute(
        "UPDATE leaving SET events_until = (SELECT COALESCE(MAX(seq), 0) FROM events),"
        " audit_until = (SELECT COALESCE(MAX(id), 0) FROM audit)"
        f" WHERE events_until IS NULL AND name IN ({marks(names)})",
        names,
    )
