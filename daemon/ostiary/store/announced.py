"""The retained topics that this door has published, kept over restarts and changes of settings."""

from collections.abc import Iterable

from ostiary.store.database import Database


class Announced:
    """The table `announced`. Each change is one transaction, or joins the caller's."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def topics(self) -> frozenset[str]:
        """All topics that are remembered."""
        with self._database.reading() as connection:
            rows = connection.execute("SELECT topic FROM announced").fetchall()
        return frozenset(topic for (topic,) in rows)

    def add(self, topics: Iterable[str]) -> None:
        self._for_each("INSERT OR IGNORE INTO announced VALUES (?)", topics)

    def remove(self, topics: Iterable[str]) -> None:
        self._for_each("DELETE FROM announced WHERE topic = ?", topics)

    def _for_each(self, statement: str, topics: Iterable[str]) -> None:
        if rows := [(topic,) for topic in topics]:
            with self._database.transaction() as connection:
                connection.executemany(statement, rows)
