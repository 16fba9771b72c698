"""Opens the database, also where it is damaged, or its key is missing."""

from datetime import UTC, datetime

import structlog

from ostiary.errors import DatabaseCorrupt, StoreLocked
from ostiary.mqtt.security import door_key, store_key
from ostiary.settings import Settings
from ostiary.store.backup import set_aside
from ostiary.store.database import Database

log = structlog.get_logger(__name__)


def open_database(settings: Settings) -> tuple[Database, tuple[str, ...]]:
    """The database, and stable words for what keeps everybody out.

    A damaged database is set aside, and the door begins without people and denies everybody.
    Without its key the door knows nobody either, and changes nothing. Raises StoreLocked where
    there is no database yet and the key cannot be read, because a new one would not be sealed.
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
