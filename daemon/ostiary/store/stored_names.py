"""Finding a person's row: a name may be sealed by any key of the database."""

import sqlite3
from collections.abc import Sized

from ostiary.errors import UserUnknown
from ostiary.messages.username import same_name
from ostiary.store.seal import Seal


def marks(values: Sized) -> str:
    """`?, ?, ?`: their places in a query."""
    return ", ".join("?" * len(values))


def stored_name(connection: sqlite3.Connection, seal: Seal, name: str) -> str | None:
    """The name as its row in `users` has it; None for nobody."""
    names = seal.names(name)
    row = connection.execute(
        f"SELECT username FROM users WHERE username IN ({marks(names)})", names
    ).fetchone()
    return None if row is None else str(row[0])


def known_name(connection: sqlite3.Connection, seal: Seal, username: str) -> str:
    """Likewise, however it is written. Raises UserUnknown."""
    name = same_name(username)
    stored = stored_name(connection, seal, name)
    if stored is None:
        raise UserUnknown(f"Nobody is registered as {name}.")
    return stored
