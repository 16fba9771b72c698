"""Users of the first version, found in its own database file, made matchable."""

import sqlite3

import structlog

from ostiary import timestamps
from ostiary.errors import DescriptorInvalid, UsernameInvalid
from ostiary.messages.username import checked_username, decoded_username
from ostiary.store.descriptor import from_bytes, to_float32_bytes

log = structlog.get_logger(__name__)

_WITHOUT_TEMPLATE = """
    SELECT id, CASE typeof(username) WHEN 'text' THEN CAST(username AS BLOB) END,
        username, encoding, created_at
    FROM users
    WHERE NOT EXISTS (SELECT 1 FROM templates WHERE user_id = users.id)
    ORDER BY id
"""


def adopt_users(connection: sqlite3.Connection) -> None:
    """Give every user without a template the one in `encoding`. Call it inside a transaction.

    A name is brought into its stored form (NFC). A row with a name or an encoding that cannot be
    used is left as it is, matches nobody, and is logged by name.
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
