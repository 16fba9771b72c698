"""The tables `site` and `site_people`: what this door knows of its site."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from ostiary import timestamps
from ostiary.store.database import Database
from ostiary.store.person import known_id, marks


@dataclass(frozen=True, slots=True)
class JoinedSite:
    """The site. `authority`: the key-holder's public key, 32 bytes; `members`: its signed list."""

    site: str
    authority: bytes
    members: bytes


@dataclass(frozen=True, slots=True)
class SiteRow:
    """The newest message about a person, without its payload. `version`: as a text that sorts;
    `digest`: SHA-256 of the payload."""

    person: str
    version: str
    deleted: bool
    digest: bytes


class SiteStore:
    """Both tables. Each change is one transaction, or joins the caller's. `person`: the site's id
    of a person."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def joined(self) -> JoinedSite | None:
        """The site of this door; None: it is on its own."""
        with self.database.reading() as connection:
            row = connection.execute("SELECT site, authority, members FROM site").fetchone()
        return None if row is None else JoinedSite(*row)

    def heard_at(self) -> datetime | None:
        with self.database.reading() as connection:
            row = connection.execute("SELECT heard_at FROM site").fetchone()
        return None if row is None else timestamps.from_text(row[0])

    def join(self, joined: JoinedSite, now: datetime) -> None:
        """Belong to a site from now on. People of a former site stay as this door's own."""
        with self.database.transaction() as connection:
            before = connection.execute("SELECT site, authority FROM site").fetchone()
            if before != (joined.site, joined.authority):
                connection.execute("DELETE FROM site_people")
            connection.execute(
                "INSERT OR REPLACE INTO site (id, site, authority, members, joined_at)"
                " VALUES (1, ?, ?, ?, ?)",
                (joined.site, joined.authority, joined.members, timestamps.to_text(now)),
            )

    def leave(self) -> None:
        """Leave the site; its people stay as this door's own."""
        with self.database.transaction() as connection:
            connection.execute("DELETE FROM site_people")
            connection.execute("DELETE FROM site")

    def put_members(self, members: bytes) -> None:
        with self.database.transaction() as connection:
            connection.execute("UPDATE site SET members = ?", (members,))

    def heard(self, now: datetime) -> None:
        """Take note that everything that the broker keeps was heard."""
        with self.database.transaction() as connection:
            connection.execute("UPDATE site SET heard_at = ?", (timestamps.to_text(now),))

    def rows(self) -> tuple[SiteRow, ...]:
        """The rows of everybody, also of people who were deleted."""
        with self.database.reading() as connection:
            found = connection.execute(
                "SELECT person, version, deleted, digest FROM site_people"
            ).fetchall()
        return tuple(
            SiteRow(person, version, bool(deleted), digest)
            for person, version, deleted, digest in found
        )

    def put(
        self,
        row: SiteRow,
        envelope: bytes,
        username: str | None,
        *,
        waiting: bool,
        heard_at: datetime | None,
        former: bool = False,
    ) -> None:
        """Keep a message. `username`: the person's name here, if any. `waiting`: to be published.
        `former`: keep the message that it replaces for a while, too. Raises UserUnknown."""
        with self.database.transaction() as connection:
            before = connection.execute(
                "SELECT envelope, heard_at FROM site_people WHERE person = ?", (row.person,)
            ).fetchone()
            connection.execute(
                "INSERT OR REPLACE INTO site_people"
                " (person, version, deleted, digest, envelope, user_id, waiting, heard_at,"
                " former, former_heard_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    row.person,
                    row.version,
                    row.deleted,
                    row.digest,
                    envelope,
                    None
                    if username is None
                    else known_id(connection, self.database.seal, username),
                    waiting,
                    None if heard_at is None else timestamps.to_text(heard_at),
                    *(before if former and before is not None else (None, None)),
                ),
            )

    def heard_of(self, person: str) -> datetime | None:
        """When the last change of a person was heard; None where that is not known."""
        with self.database.reading() as connection:
            row = connection.execute(
                "SELECT heard_at FROM site_people WHERE person = ?", (person,)
            ).fetchone()
        return None if row is None else timestamps.from_text(row[0])

    def heard_of_all(self) -> dict[str, datetime]:
        """When the last change of each person was heard, where that is known."""
        with self.database.reading() as connection:
            rows = connection.execute(
                "SELECT person, heard_at FROM site_people WHERE heard_at IS NOT NULL"
            ).fetchall()
        found = {person: timestamps.from_text(at) for person, at in rows}
        return {person: at for person, at in found.items() if at is not None}

    def deleted_lately(
        self, since: datetime
    ) -> tuple[tuple[str, str, bytes, datetime | None], ...]:
        """(person, version of the deletion, message before it, when that was heard) of each person
        whose deletion was heard since then, and whose former message is kept."""
        with self.database.reading() as connection:
            rows = connection.execute(
                "SELECT person, version, former, former_heard_at FROM site_people"
                " WHERE former IS NOT NULL AND heard_at >= ? ORDER BY person",
                (timestamps.to_text(since),),
            ).fetchall()
        return tuple((*row, timestamps.from_text(heard_at)) for *row, heard_at in rows)

    def forget_former(self, before: datetime) -> None:
        """Drop the former messages of people whose deletion was heard before then."""
        with self.database.transaction() as connection:
            connection.execute(
                "UPDATE site_people SET former = NULL, former_heard_at = NULL"
                " WHERE former IS NOT NULL AND heard_at < ?",
                (timestamps.to_text(before),),
            )

    def envelope(self, person: str) -> bytes | None:
        with self.database.reading() as connection:
            row = connection.execute(
                "SELECT envelope FROM site_people WHERE person = ?", (person,)
            ).fetchone()
        return None if row is None else row[0]

    def username_of(self, person: str) -> str | None:
        with self.database.reading() as connection:
            row = connection.execute(
                "SELECT username FROM site_people JOIN users ON users.id = user_id"
                " WHERE person = ?",
                (person,),
            ).fetchone()
        return None if row is None else self.database.seal.opened_name(row[0])

    def person_of(self, username: str) -> str | None:
        """The site's id of a person; None for this door's own people, and for unknown names."""
        with self.database.reading() as connection:
            names = self.database.seal.names(username)
            row = connection.execute(
                "SELECT person FROM site_people JOIN users ON users.id = user_id"
                f" WHERE username IN ({marks(names)})",
                names,
            ).fetchone()
        return None if row is None else str(row[0])

    def usernames(self) -> tuple[tuple[str, str], ...]:
        """(person, name here) of the site's people here; none while the store is locked."""
        with self.database.reading() as connection:
            if self.database.is_locked:
                return ()
            rows = connection.execute(
                "SELECT person, username FROM site_people JOIN users ON users.id = user_id"
            ).fetchall()
        seal = self.database.seal
        return tuple((person, seal.opened_name(stored)) for person, stored in rows)

    def waiting(self, limit: int) -> tuple[tuple[str, str, bytes | None], ...]:
        """(person, version, payload) of what is to be published, in the order of the versions.
        Payload None: the broker is to keep nothing there."""
        with self.database.reading() as connection:
            rows = connection.execute(
                "SELECT person, version, envelope FROM site_people WHERE waiting = 1"
                " ORDER BY version LIMIT ?",
                (limit,),
            ).fetchall()
        return tuple(rows)

    def count_waiting(self) -> int:
        with self.database.reading() as connection:
            number: int = connection.execute(
                "SELECT COUNT(*) FROM site_people WHERE waiting = 1"
            ).fetchone()[0]
        return number

    def published(self, done: Iterable[tuple[str, str]]) -> None:
        """Take note that the broker has these (person, version); newer versions still wait."""
        with self.database.transaction() as connection:
            connection.executemany(
                "UPDATE site_people SET waiting = 0 WHERE person = ? AND version = ?", list(done)
            )

    def publish_again(self, people: Iterable[str]) -> None:
        """Let these wait again: the broker has lost them."""
        with self.database.transaction() as connection:
            connection.executemany(
                "UPDATE site_people SET waiting = 1 WHERE person = ?",
                [(person,) for person in people],
            )

    def forget_envelopes(self, older_than: str) -> tuple[str, ...]:
        """Drop the messages of deletions before that version, here and on the broker; whose."""
        with self.database.transaction() as connection:
            old = connection.execute(
                "SELECT person FROM site_people"
                " WHERE deleted = 1 AND envelope IS NOT NULL AND version < ?",
                (older_than,),
            ).fetchall()
            connection.executemany(
                "UPDATE site_people SET envelope = NULL, waiting = 1 WHERE person = ?", old
            )
        return tuple(person for (person,) in old)

    def remove(self, people: Iterable[str]) -> None:
        with self.database.transaction() as connection:
            connection.executemany(
                "DELETE FROM site_people WHERE person = ?", [(person,) for person in people]
            )

    def remove_unplaced(self) -> None:
        """Remove the rows of people who are not at this door although nobody deleted them."""
        with self.database.transaction() as connection:
            connection.execute("DELETE FROM site_people WHERE deleted = 0 AND user_id IS NULL")
