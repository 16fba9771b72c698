"""Opens the database, however it is found: damaged, or without its key."""

from datetime import UTC, datetime

import structlog

from ostiary.errors import DatabaseCorrupt, StoreLocked
from ostiary.mqtt.security import door_key, store_key
from ostiary.settings import Settings
from ostiary.store.database import Database
from ostiary.store.quarantine import set_aside

log = structlog.get_logger(__name__)


def open_database(settings: Settings) -> tuple[Database, tuple[str, ...]]:
    """The database, and what keeps everybody out, as stable words.

    A damaged one is put aside, and the door begins with nobody: it denies. Without its key the
    door knows nobody either, and leaves all as it is. Raises StoreLocked where there is no
    database yet and the key cannot be read, because a new one would be plain.
    """
    path, door = settings.store.path, door_key(settings)
    try:
        key = store_key(settings)
    except StoreLocked:
        if not path.exists():
            raise
        return _looked_at(Database.open(path, None, door))
    try:
        return _looked_at(Database.open(path, key, door))
    except DatabaseCorrupt as error:
        aside = set_aside(path, datetime.now(UTC))
        log.critical("database_set_aside", reason=error.message, kept_as=str(aside))
        return Database.open(path, key, door), ("database_set_aside",)


def _looked_at(database: Database) -> tuple[Database, tuple[str, ...]]:
    try:
        database.seal.check()
    except StoreLocked as error:
        log.critical("store_locked", reason=error.message)
        return database, ("store_locked",)
    return database, ()
