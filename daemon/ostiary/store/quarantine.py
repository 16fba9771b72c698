"""Taking a damaged database out of the way, on somebody's order and with all its bytes kept."""

from datetime import datetime
from pathlib import Path

import structlog

from ostiary.errors import DatabaseUnwritable
from ostiary.store.presence import alone, move_aside

log = structlog.get_logger(__name__)


def set_aside(path: Path, now: datetime) -> Path:
    """Rename the database at `path` (and its WAL) so that a new, empty one can begin.

    Nobody is registered then, so the door denies everybody until a backup is restored or people
    enrol again. Returns the new path. Raises DatabaseInUse, DatabaseUnwritable.
    """
    path = path.absolute()
    if not path.exists():
        raise DatabaseUnwritable(f"{path}: no such file, so there is nothing to set aside.")
    with alone(path):
        target = move_aside(path, now, "damaged")
    log.error("database_set_aside", path=str(path), kept_as=str(target))
    return target
