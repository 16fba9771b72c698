"""Who may use the console, who is signed in to it, and which programs may use the API.

Neither a password nor a token is stored: passwords as argon2id hashes, which the caller makes;
tokens as SHA-256, which is enough for 256 random bits.
"""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from ostiary import timestamps
from ostiary.errors import AccountExists, AccountUnknown, LastOperator, TokenExists, TokenUnknown
from ostiary.messages.username import checked_username, same_name
from ostiary.store.database import Database

TOKENS_LAST = timedelta(days=365)
USED_AT_STEP = timedelta(hours=1)
"""How exactly it is known when a token was last used: not each use is worth a write."""


TOKEN = "token:"
"""Stands before the name of a token that does something."""


KIOSK = "kiosk:"
"""Stands before the name of a tablet's token."""


class Role(StrEnum):
    """What somebody may do. An operator may all that a viewer may."""

    VIEWER = "viewer"
    OPERATOR = "operator"

    def includes(self, other: "Role") -> bool:
        return self is other or self is Role.OPERATOR


@dataclass(frozen=True, slots=True)
class Account:
    """One person who signs in."""

    name: str
    role: Role
    created_at: datetime
    password_changed_at: datetime


@dataclass(frozen=True, slots=True)
class ApiToken:
    """One program's access, without the token itself."""

    id: int
    name: str
    role: Role
    created_by: str
    created_at: datetime
    last_used_at: datetime | None

    @property
    def tablet(self) -> tuple[str, str] | None:
        """The door and the name of a tablet's; None of a program's, which may have been called
        alike before there were tablets."""
        kind, *rest = self.name.split(":", 2)
        if f"{kind}:" != KIOSK or len(rest) != 2 or self.role is not Role.VIEWER:
            return None
        return rest[0], rest[1]


class Accounts:
    """The table `accounts`. Names are stored in NFC, as user names are."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def count(self) -> int:
        with self.database.reading() as connection:
            number: int = connection.execute("SELECT COUNT(*) FROM accounts").fetchone()[0]
        return number

    def list(self) -> tuple[Account, ...]:
        """Everybody, by name."""
        with self.database.reading() as connection:
            rows = connection.execute(
                "SELECT name, role, created_at, password_changed_at FROM accounts ORDER BY name"
            ).fetchall()
        return tuple(_account(row) for row in rows)

    def get(self, name: str) -> Account:
        """Raises AccountUnknown."""
        with self.database.reading() as connection:
            row = connection.execute(
                "SELECT name, role, created_at, password_changed_at FROM accounts WHERE name = ?",
                (same_name(name),),
            ).fetchone()
        if row is None:
            raise AccountUnknown(f"There is no account {same_name(name)}.")
        return _account(row)

    def password_hash(self, name: str) -> str | None:
        """None where there is no such account."""
        with self.database.reading() as connection:
            row = connection.execute(
                "SELECT password FROM accounts WHERE name = ?", (same_name(name),)
            ).fetchone()
        return None if row is None else str(row[0])

    def add(self, name: str, password_hash: str, role: Role, now: datetime) -> Account:
        """Raises UsernameInvalid, AccountExists."""
        checked = checked_username(name)
        at = timestamps.to_text(now)
        with self.database.transaction() as connection:
            added = connection.execute(
                "INSERT OR IGNORE INTO accounts VALUES (?, ?, ?, ?, ?)",
                (checked, password_hash, role.value, at, at),
            ).rowcount
            if not added:
                raise AccountExists(f"There is an account {checked} already.")
            return self.get(checked)

    def add_first(self, name: str, password_hash: str, now: datetime) -> Account:
        """The first account, an operator. Raises AccountExists where there is any."""
        with self.database.transaction():
            if self.count():
                raise AccountExists("The console was set up already; sign in.")
            return self.add(name, password_hash, Role.OPERATOR, now)

    def set_password(self, name: str, password_hash: str, now: datetime) -> None:
        """Raises AccountUnknown."""
        with self.database.transaction() as connection:
            account = self.get(name)
            connection.execute(
                "UPDATE accounts SET password = ?, password_changed_at = ? WHERE name = ?",
                (password_hash, timestamps.to_text(now), account.name),
            )

    def delete(self, name: str) -> Account:
        """Raises AccountUnknown, or LastOperator: somebody must be able to let others in."""
        with self.database.transaction() as connection:
            account = self.get(name)
            operators = [each for each in self.list() if each.role is Role.OPERATOR]
            if operators == [account]:
                raise LastOperator(f"{account.name} is the only operator; add another one first.")
            connection.execute("DELETE FROM accounts WHERE name = ?", (account.name,))
            return account

    def delete_all(self) -> int:
        """Begin anew with the set-up page: what to do about a forgotten password. API tokens go as
        well: it may be one of them that is to be got rid of."""
        with self.database.transaction() as connection:
            connection.execute("DELETE FROM api_tokens")
            return connection.execute("DELETE FROM accounts").rowcount


class ApiTokens:
    """The table `api_tokens`. Each ends `lasting` after it was made."""

    def __init__(self, database: Database, lasting: timedelta = TOKENS_LAST) -> None:
        self.database = database
        self._lasting = lasting

    def ends_at(self, token: ApiToken) -> datetime:
        return token.created_at + self._lasting

    def list(self) -> tuple[ApiToken, ...]:
        """All of them, by name."""
        with self.database.reading() as connection:
            rows = connection.execute(
                "SELECT id, name, role, created_by, created_at, last_used_at"
                " FROM api_tokens ORDER BY name"
            ).fetchall()
        return tuple(_token(row) for row in rows)

    def add(self, name: str, token: str, role: Role, created_by: str, now: datetime) -> ApiToken:
        """Raises UsernameInvalid, TokenExists."""
        checked = checked_username(name)
        with self.database.transaction() as connection:
            row = connection.execute(
                "INSERT OR IGNORE INTO api_tokens (name, digest, role, created_by, created_at)"
                " VALUES (?, ?, ?, ?, ?)"
                " RETURNING id, name, role, created_by, created_at, last_used_at",
                (checked, _digest(token), role.value, created_by, timestamps.to_text(now)),
            ).fetchone()
        if row is None:
            raise TokenExists(f"There is a token {checked} already.")
        return _token(row)

    def add_kiosk(
        self, door: str, name: str, token: str, created_by: str, now: datetime
    ) -> ApiToken:
        """Of a tablet at `door`. As it is stored, it is no program's: `find` never finds it by what
        can be sent. Raises UsernameInvalid, TokenExists."""
        secret = _of_kiosk(door, token)
        return self.add(f"{KIOSK}{door}:{name}", secret, Role.VIEWER, created_by, now)

    def is_kiosk(self, door: str, token: str, now: datetime) -> bool:
        """Whether it is the token of a tablet at `door`, and has not ended."""
        return self.find(_of_kiosk(door, token), now) is not None

    def find(self, token: str, now: datetime) -> ApiToken | None:
        """Whose token this is, and note that it was used. None where it has ended."""
        with self.database.reading() as connection:
            row = connection.execute(
                "SELECT id, name, role, created_by, created_at, last_used_at"
                " FROM api_tokens WHERE digest = ?",
                (_digest(token),),
            ).fetchone()
        if row is None:
            return None
        found = _token(row)
        if now >= self.ends_at(found):
            return None
        if found.last_used_at is None or now - found.last_used_at >= USED_AT_STEP:
            with self.database.transaction() as connection:
                connection.execute(
                    "UPDATE api_tokens SET last_used_at = ? WHERE id = ?",
                    (timestamps.to_text(now), found.id),
                )
        return found

    def delete(self, token_id: int) -> ApiToken:
        """Raises TokenUnknown."""
        with self.database.transaction() as connection:
            row = connection.execute(
                "DELETE FROM api_tokens WHERE id = ?"
                " RETURNING id, name, role, created_by, created_at, last_used_at",
                (token_id,),
            ).fetchone()
            if row is None:
                raise TokenUnknown(f"There is no token {token_id}.")
            gone = _token(row)
            self.delete_made_by(f"{TOKEN}{gone.name}")
        return gone

    def delete_made_by(self, maker: str) -> int:
        """Those of an account, or of a token by its `TOKEN` name, and those which they made in
        their turn; how many."""
        with self.database.transaction() as connection:
            return connection.execute(
                "WITH RECURSIVE makers (name) AS (VALUES (?) UNION"
                " SELECT ? || api_tokens.name FROM api_tokens"
                " JOIN makers ON created_by = makers.name)"
                " DELETE FROM api_tokens WHERE created_by IN (SELECT name FROM makers)",
                (maker, TOKEN),
            ).rowcount


def _of_kiosk(door: str, token: str) -> str:
    return f"{KIOSK}{door}\n{token}"  # no header has a line feed


def _moment(text: object) -> datetime:
    known = timestamps.from_text(text)
    assert known is not None  # written by this module
    return known


def _account(row: tuple[str, str, str, str]) -> Account:
    name, role, created_at, changed_at = row
    return Account(name, Role(role), _moment(created_at), _moment(changed_at))


def _token(row: tuple[int, str, str, str, str, str | None]) -> ApiToken:
    number, name, role, created_by, created_at, last_used_at = row
    return ApiToken(
        number,
        name,
        Role(role),
        created_by,
        _moment(created_at),
        timestamps.from_text(last_used_at),
    )


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody who is signed in. `csrf` must come with every change. The role is the account's at
    this moment."""

    account: str
    role: Role
    csrf: str


class Sessions:
    """The table `sessions`: they outlive a restart, and end with their account. A cookie is 256
    random bits, stored as their SHA-256."""

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


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", errors="surrogatepass")).digest()
