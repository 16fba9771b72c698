"""The tables `site` and `site_people`: what this door knows of its site."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from ostiary import timestamps
from ostiary.store.database import Database
from ostiary.store.person import known_id, marks


@dataclass(frozen=True, slots=True)
class JoinedSite:
    """`authority`: 32 bytes; `members`: the signed list as it was published."""

    site: str
    authority: bytes
    members: bytes


@dataclass(frozen=True, slots=True)
class SiteRow:
    """One person's newest message, without the payload. `version` as a text that sorts."""

    person: str
    version: str
    deleted: bool
    digest: bytes


class SiteStore:
    """Each change is one transaction, or joins the caller's."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def joined(self) -> JoinedSite | None:
        """None: this door is on its own."""
        with self.database.reading() as connection:
            row = connection.execute("SELECT site, authority, members FROM site").fetchone()
        return None if row is None else JoinedSite(*row)

    def heard_at(self) -> datetime | None:
        with self.database.reading() as connection:
            row = connection.execute("SELECT heard_at FROM site").fetchone()
        return None if row is None else timestamps.from_text(row[0])

    def join(self, joined: JoinedSite, now: datetime) -> None:
        """Belong to a site from now on. People of another one stay as this door's own."""
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
        """Be on one's own again; the people stay."""
        with self.database.transaction() as connection:
            connection.execute("DELETE FROM site_people")
            connection.execute("DELETE FROM site")

    def put_members(self, members: bytes) -> None:
        with self.database.transaction() as connection:
            connection.execute("UPDATE site SET members = ?", (members,))

    def heard(self, now: datetime) -> None:
        """Everything that the broker keeps was heard."""
        with self.database.transaction() as connection:
            connection.execute("UPDATE site SET heard_at = ?", (timestamps.to_text(now),))

    def rows(self) -> tuple[SiteRow, ...]:
        """Everybody, also who was deleted."""
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
        """Keep a message; `username` is who it is at this door. `former`: what it takes the place
        of is kept for a while, too."""
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
        """When the last change of somebody was heard; None where that is not known."""
        with self.database.reading() as connection:
            row = connection.execute(
                "SELECT heard_at FROM site_people WHERE person = ?", (person,)
            ).fetchone()
        return None if row is None else timestamps.from_text(row[0])

    def heard_of_all(self) -> dict[str, datetime]:
        """Likewise, of everybody of whom it is known, by the id."""
        with self.database.reading() as connection:
            rows = connection.execute(
                "SELECT person, heard_at FROM site_people WHERE heard_at IS NOT NULL"
            ).fetchall()
        found = {person: timestamps.from_text(at) for person, at in rows}
        return {person: at for person, at in found.items() if at is not None}

    def deleted_lately(
        self, since: datetime
    ) -> tuple[tuple[str, str, bytes, datetime | None], ...]:
        """(id, version of the deletion, message before it, when that was heard) of those of whose
        deletion was heard since then."""
        with self.database.reading() as connection:
            rows = connection.execute(
                "SELECT person, version, former, former_heard_at FROM site_people"
                " WHERE former IS NOT NULL AND heard_at >= ? ORDER BY person",
                (timestamps.to_text(since),),
            ).fetchall()
        return tuple((*row, timestamps.from_text(heard_at)) for *row, heard_at in rows)

    def forget_former(self, before: datetime) -> None:
        """Of whom a deletion was heard before then nothing is kept any more."""
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
        """The id of somebody of the site; None for this door's own people, and for nobody."""
        with self.database.reading() as connection:
            names = self.database.seal.names(username)
            row = connection.execute(
                "SELECT person FROM site_people JOIN users ON users.id = user_id"
                f" WHERE username IN ({marks(names)})",
                names,
            ).fetchone()
        return None if row is None else str(row[0])

    def usernames(self) -> tuple[tuple[str, str], ...]:
        """(id, who it is here) of everybody of the site."""
        with self.database.reading() as connection:
            if self.database.is_locked:
                return ()
            rows = connection.execute(
                "SELECT person, username FROM site_people JOIN users ON users.id = user_id"
            ).fetchall()
        seal = self.database.seal
        return tuple((person, seal.opened_name(stored)) for person, stored in rows)

    def waiting(self, limit: int) -> tuple[tuple[str, str, bytes | None], ...]:
        """(id, version, payload) of what is to be published; None: nothing is to be kept there."""
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
        """The broker has these (id, version); what was changed meanwhile still waits."""
        with self.database.transaction() as connection:
            connection.executemany(
                "UPDATE site_people SET waiting = 0 WHERE person = ? AND version = ?", list(done)
            )

    def publish_again(self, people: Iterable[str]) -> None:
        """The broker has lost these."""
        with self.database.transaction() as connection:
            connection.executemany(
                "UPDATE site_people SET waiting = 1 WHERE person = ?",
                [(person,) for person in people],
            )

    def forget_envelopes(self, older_than: str) -> tuple[str, ...]:
        """Of deletions before that version only the id stays, and nothing on the broker; whose."""
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
        """Who is not at this door although nobody deleted them."""
        with self.database.transaction() as connection:
            connection.execute("DELETE FROM site_people WHERE deleted = 0 AND user_id IS NULL")
