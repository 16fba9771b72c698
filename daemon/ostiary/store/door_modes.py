"""The mode of each physical door, stored so that a lockdown outlives a power cut."""

from dataclasses import dataclass
from datetime import datetime

from ostiary import timestamps
from ostiary.messages.words import Mode
from ostiary.store.database import Database


@dataclass(frozen=True, slots=True)
class StoredMode:
    """A mode, who set it and when; `at` is None where it cannot be read."""

    mode: Mode
    by: str
    at: datetime | None


class DoorModes:
    """The table `doors`. Each change joins the caller's transaction, or is one."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, door: str) -> StoredMode | None:
        """The stored mode of a physical door; None where it was never set."""
        with self._database.reading() as connection:
            row = connection.execute(
                "SELECT mode, set_by, set_at FROM doors WHERE camera = ?", (door,)
            ).fetchone()
        return (
            None if row is None else StoredMode(Mode(row[0]), row[1], timestamps.from_text(row[2]))
        )

    def set(self, door: str, mode: Mode, by: str, now: datetime) -> None:
        """Store the mode of a physical door."""
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO doors VALUES (?, ?, ?, ?)",
                (door, mode.value, by, timestamps.to_text(now)),
            )
