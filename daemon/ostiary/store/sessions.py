"""Who is signed in to the console. Sessions outlive a restart, and end with their account."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from ostiary import timestamps
from ostiary.store.accounts import Role
from ostiary.store.database import Database


@dataclass(frozen=True, slots=True)
class Session:
    """`csrf` must come with every change. The role is the account's at this moment."""

    account: str
    role: Role
    csrf: str


class Sessions:
    """The table `sessions`. A cookie is 256 random bits, stored as their SHA-256."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def open(
        self, account: str, now: datetime, lasting: timedelta, *, clock_trusted: bool = True
    ) -> str:
        """A new session of an account; returns its cookie. Sessions that ended are removed, if the
        clock can be trusted."""
        cookie = secrets.token_urlsafe(32)
        with self._database.transaction() as connection:
            if clock_trusted:
                ended = timestamps.to_text(now)
                connection.execute("DELETE FROM sessions WHERE ends_at <= ?", (ended,))
            connection.execute(
                "INSERT INTO sessions VALUES (?, ?, ?, ?)",
                (
                    _digest(cookie),
                    account,
                    secrets.token_urlsafe(32),
                    timestamps.to_text(now + lasting),
                ),
            )
        return cookie

    def find(self, cookie: str, now: datetime) -> Session | None:
        with self._database.reading() as connection:
            row = connection.execute(
                "SELECT account, role, csrf FROM sessions JOIN accounts ON name = account"
                " WHERE digest = ? AND ends_at > ?",
                (_digest(cookie), timestamps.to_text(now)),
            ).fetchone()
        return None if row is None else Session(row[0], Role(row[1]), row[2])

    def close(self, cookie: str) -> None:
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM sessions WHERE digest = ?", (_digest(cookie),))

    def close_all_of(self, account: str) -> None:
        """After a new password."""
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM sessions WHERE account = ?", (account,))


def _digest(cookie: str) -> bytes:
    return hashlib.sha256(cookie.encode("utf-8", errors="surrogatepass")).digest()
