"""The schema's history: numbered SQL files, each applied once, all or nothing."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from importlib.resources import files
from pathlib import Path

from ostiary.errors import DatabaseVersion

APPLICATION_ID = 0x4F535449  # "OSTI", in the file's header
CHAINED_SINCE = 6
"""The migration that began the chain of `events` and `audit`."""
SEALED_SINCE = 7
"""The migration that made room for sealed values and their keys."""
FORGETTING_SINCE = 11
"""The migration that let names be taken out of `events` and `audit`."""
KEYED_SINCE = 12
"""The migration that gave each entry of the chain a MAC by the door's key."""
IDS_SINCE = 17
"""The migration that gave people ids, and replaced the first version's table by one of ours."""
PERSON_KEYS_SINCE = 18
"""The migration that put what names a person under that person's key."""
FIRST_VERSION_TABLE = ("table", "users")
FIRST_VERSION_COLUMNS = {"username", "encoding", "created_at"}


def migrations() -> list[str]:
    """The SQL of every migration; number N is item N - 1."""
    folder = files("ostiary.store") / "migrations"
    names = sorted(item.name for item in folder.iterdir() if item.name.endswith(".sql"))
    numbers = [int(name.split("_")[0]) for name in names]
    if numbers != list(range(1, len(names) + 1)):
        raise AssertionError(f"migrations are not numbered without a gap: {names}")
    return [(folder / name).read_text(encoding="utf-8") for name in names]


def version(connection: sqlite3.Connection) -> int:
    """How many migrations the database has had; 0 for a new one or the first version's."""
    number: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return number


def refuse_foreign(connection: sqlite3.Connection, path: Path) -> None:
    """Raise DatabaseVersion unless this is an empty database, the first version's, or ours."""
    (owner,) = connection.execute("PRAGMA application_id").fetchone()
    newest = len(migrations())
    if owner == APPLICATION_ID:
        _refuse_strange_objects(connection, path)
        if version(connection) > newest:
            raise DatabaseVersion(
                f"{path}: its schema is number {version(connection)}, this Ostiary knows up to "
                f"{newest}. Install the newer Ostiary again, or restore an older backup."
            )
        return
    if owner != 0 or version(connection) != 0 or not _is_new_or_first_version(connection):
        raise DatabaseVersion(f"{path}: a database, but not one of Ostiary. Choose another path.")
    acting = "SELECT type || ' ' || name FROM sqlite_master WHERE type IN ('trigger', 'view')"
    if found := connection.execute(acting).fetchone():
        raise DatabaseVersion(f"{path}: has the {found[0]}, which no Ostiary made. Drop it first.")
    refuse_computed_columns(connection, path)


def _refuse_strange_objects(connection: sqlite3.Connection, path: Path) -> None:
    """Raise DatabaseVersion for anything in the schema that no migration made: a trigger or a view
    would run with the door's next write or read."""
    known = _objects_of(min(version(connection), len(migrations())))
    is_older = version(connection) < IDS_SINCE
    strange = [
        f"{kind} {name}"
        for kind, name, sql in _objects(connection)
        if (kind, name) not in known
        or (sql != known[kind, name] and not (is_older and (kind, name) == FIRST_VERSION_TABLE))
    ]
    if version(connection) <= len(migrations()) and strange:
        raise DatabaseVersion(
            f"{path}: has what no Ostiary made: {', '.join(strange)}. Somebody changed this file. "
            "Restore another backup, or look at it with `sqlite3` and drop that first."
        )
    refuse_computed_columns(connection, path)


def refuse_computed_columns(connection: sqlite3.Connection, path: Path) -> None:
    """Raise DatabaseVersion where the table `users`, which another program may have defined, has
    computed columns."""
    hidden = "SELECT name FROM pragma_table_xinfo('users') WHERE hidden != 0"
    if connection.execute(hidden).fetchone():
        raise DatabaseVersion(f"{path}: the table users has computed columns; it is not read.")


def _objects_of(number: int) -> dict[tuple[str, str], str]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as made:
        for script in migrations()[:number]:
            for statement in _statements(script):
                made.execute(statement)
        return {(kind, name): sql for kind, name, sql in _objects(made)}


def _objects(connection: sqlite3.Connection) -> list[tuple[str, str, str]]:
    """Type, name and definition of everything that is not SQLite's own."""
    return connection.execute(
        "SELECT type, name, COALESCE(sql, '') FROM sqlite_master"
        " WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
    ).fetchall()


def migrate(connection: sqlite3.Connection) -> None:
    """Apply the missing migrations. Call it inside a transaction."""
    for number, script in enumerate(migrations(), start=1):
        if number > version(connection):
            for statement in _statements(script):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {number}")
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")


def _is_new_or_first_version(connection: sqlite3.Connection) -> bool:
    tables = {
        name
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    }
    if "users" not in tables:
        return not tables
    columns = connection.execute("SELECT name, pk FROM pragma_table_info('users')").fetchall()
    return {name for name, _ in columns} == FIRST_VERSION_COLUMNS and [
        name for name, key in columns if key
    ] == ["username"]


def _statements(script: str) -> Iterator[str]:
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
