"""Small pictures of the moments of decisions, kept for as long as the configuration says."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from ostiary import timestamps
from ostiary.store.database import Database
from ostiary.store.person import marks


class Snapshots:
    """The table `snapshots`: at most one JPEG an event, by `seq`. It goes with the event."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def keep(self, seq: int, jpeg: bytes, now: datetime) -> None:
        """Keep the picture of the event `seq`, unless it has one. An event that was removed
        meanwhile, or whose person was, gets none."""
        with self._database.transaction() as connection:
            sealed = self._database.seal.value(jpeg, "snapshot", seq)
            connection.execute(
                "INSERT OR IGNORE INTO snapshots SELECT ?, ?, ?"
                " WHERE EXISTS (SELECT 1 FROM events WHERE seq = ? AND (person IS NULL OR person IN"
                " (SELECT person FROM person_keys WHERE leaving IS NULL)))",
                (seq, sealed, timestamps.to_text(now), seq),
            )

    def get(self, seq: int) -> bytes | None:
        with self._database.reading() as connection:
            row = connection.execute("SELECT jpeg FROM snapshots WHERE seq = ?", (seq,)).fetchone()
        return None if row is None else self._database.seal.opened_value(row[0], "snapshot", seq)

    def present(self, seqs: Iterable[int]) -> frozenset[int]:
        """Those of `seqs` that have a picture."""
        wanted = tuple(seqs)
        with self._database.reading() as connection:
            rows = connection.execute(
                f"SELECT seq FROM snapshots WHERE seq IN ({marks(wanted)})", wanted
            ).fetchall()
        return frozenset(seq for (seq,) in rows)

    def remove(self, seq: int) -> None:
        """Remove the picture of an event."""
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM snapshots WHERE seq = ?", (seq,))

    def prune(self, now: datetime, *, keep_for: timedelta) -> int:
        """Remove pictures older than `keep_for`; how many."""
        with self._database.transaction() as connection:
            over = timestamps.to_text(now - keep_for)
            return connection.execute(
                f"DELETE FROM snapshots WHERE {timestamps.older('snapshots', 'seq', 'taken_at')}",
                (over, over, timestamps.to_text(now)),
            ).rowcount
