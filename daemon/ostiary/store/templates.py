"""All templates of a database, as galleries are made of them."""

import sqlite3
from pathlib import Path

import structlog

from ostiary.crypto.keyring import seal_of
from ostiary.crypto.seal import Seal
from ostiary.errors import SealBroken
from ostiary.store.descriptor import Descriptor, all_from_bytes
from ostiary.store.person import everybody
from ostiary.store.schema import IDS_SINCE, version
from ostiary.store.sqlite_file import read_only

log = structlog.get_logger(__name__)


def stored_templates(
    path: Path, store_key: bytes | None
) -> tuple[tuple[str, str, Descriptor], ...]:
    """Read the templates of the database at `path`, as `templates_in`; none where the file does not
    exist or its schema is older than people's ids. The file is only read. Raises StoreLocked,
    DatabaseUnwritable, DatabaseCorrupt, DescriptorInvalid."""
    if not path.exists():
        return ()
    with read_only(path.absolute()) as connection:
        if version(connection) < IDS_SINCE:
            return ()
        seal = seal_of(connection, store_key)
        seal.check()
        return templates_in(connection, seal)


def templates_in(
    connection: sqlite3.Connection, seal: Seal
) -> tuple[tuple[str, str, Descriptor], ...]:
    """User name, recogniser and descriptor of each template that opens, oldest first; others are
    logged. Raises StoreLocked, DescriptorInvalid."""
    people = everybody(connection, seal)
    whose: list[tuple[str, str]] = []
    opened: list[bytes] = []
    rows = connection.execute(
        "SELECT id, user_id, recognizer, descriptor FROM templates ORDER BY id"
    )
    for number, user_id, recognizer, data in rows:
        try:
            person = people[user_id]
            plain = seal.opened_value(data, *person.template(number, recognizer))
        except (KeyError, SealBroken):
            log.error("template_not_opened", template=number, code=SealBroken.code)
            continue
        whose.append((person.name, recognizer))
        opened.append(plain)
    descriptors = all_from_bytes(opened)
    return tuple((*each, one) for each, one in zip(whose, descriptors, strict=True))


def templates_by_recognizer(path: Path) -> dict[str, int]:
    """Count the templates in the database at `path`, which is only read, by recogniser. A file that
    does not exist has none; before templates had a recogniser, each person counts as one of dlib.
    Raises DatabaseUnwritable, DatabaseCorrupt."""
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
