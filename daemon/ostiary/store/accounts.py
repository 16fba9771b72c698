"""Accounts of the console, their sessions, and the API's tokens for programs and tablets.

A password is stored as its argon2id hash, which the caller makes. A token or cookie is stored as
its SHA-256, which is enough for 256 random bits.
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
"""`last_used_at` is written at most once in this time: not each use is worth a write."""
TOKEN = "token:"
"""Prefix of a token's name where the token acts: in the audit, and as the maker of another."""
KIOSK = "kiosk:"
"""Prefix of the name of a tablet's token, before its door and name."""
_ACCOUNT_COLUMNS = "name, role, created_at, password_changed_at"
_TOKEN_COLUMNS = "id, name, role, created_by, created_at, last_used_at"


class Role(StrEnum):
    """What an account or a token may do. An operator may do all that a viewer may."""

    VIEWER = "viewer"
    OPERATOR = "operator"

    def includes(self, other: "Role") -> bool:
        return self is other or self is Role.OPERATOR


@dataclass(frozen=True, slots=True)
class Account:
    """An account, without its password."""

    name: str
    role: Role
    created_at: datetime
    password_changed_at: datetime


@dataclass(frozen=True, slots=True)
class ApiToken:
    """A program's or a tablet's token, without its secret. `created_by`: an account's name, or a
    token's behind TOKEN."""

    id: int
    name: str
    role: Role
    created_by: str
    created_at: datetime
    last_used_at: datetime | None

    @property
    def tablet(self) -> tuple[str, str] | None:
        """The tablet's door and name; None for a program's token. The role is asked because an
        operator's token may have had such a name before there were tablets."""
        kind, *rest = self.name.split(":", 2)
        if f"{kind}:" != KIOSK or len(rest) != 2 or self.role is not Role.VIEWER:
            return None
        return rest[0], rest[1]


class Accounts:
    """The table `accounts`. Names are stored in NFC, like user names."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def count(self) -> int:
        with self.database.reading() as connection:
            number: int = connection.execute("SELECT COUNT(*) FROM accounts").fetchone()[0]
        return number

    def list(self) -> tuple[Account, ...]:
        """All accounts, by name."""
        with self.database.reading() as connection:
            rows = connection.execute(
                f"SELECT {_ACCOUNT_COLUMNS} FROM accounts ORDER BY name"
            ).fetchall()
        return tuple(_account(row) for row in rows)

    def get(self, name: str) -> Account:
        """The account of that name. Raises AccountUnknown."""
        with self.database.reading() as connection:
            row = connection.execute(
                f"SELECT {_ACCOUNT_COLUMNS} FROM accounts WHERE name = ?",
                (same_name(name),),
            ).fetchone()
        if row is None:
            raise AccountUnknown(f"There is no account {same_name(name)}.")
        return _account(row)

    def password_hash(self, name: str) -> str | None:
        """The hash of an account's password; None where there is no such account."""
        with self.database.reading() as connection:
            row = connection.execute(
                "SELECT password FROM accounts WHERE name = ?", (same_name(name),)
            ).fetchone()
        return None if row is None else str(row[0])

    def add(self, name: str, password_hash: str, role: Role, now: datetime) -> Account:
        """Add an account. Raises UsernameInvalid, AccountExists."""
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
        """Add the first account, an operator. Raises UsernameInvalid; AccountExists where there is
        any account."""
        with self.database.transaction():
            if self.count():
                raise AccountExists("The console was set up already; sign in.")
            return self.add(name, password_hash, Role.OPERATOR, now)

    def set_password(self, name: str, password_hash: str, now: datetime) -> None:
        """Give an account another password. Raises AccountUnknown."""
        with self.database.transaction() as connection:
            account = self.get(name)
            connection.execute(
                "UPDATE accounts SET password = ?, password_changed_at = ? WHERE name = ?",
                (password_hash, timestamps.to_text(now), account.name),
            )

    def delete(self, name: str) -> Account:
        """Delete an account. Raises AccountUnknown, or LastOperator: somebody must be able to let
        others in."""
        with self.database.transaction() as connection:
            account = self.get(name)
            operators = [each for each in self.list() if each.role is Role.OPERATOR]
            if operators == [account]:
                raise LastOperator(f"{account.name} is the only operator; add another one first.")
            connection.execute("DELETE FROM accounts WHERE name = ?", (account.name,))
            return account

    def delete_all(self) -> int:
        """Delete all accounts, so that the console begins with its set-up page; how many. For a
        forgotten password. API tokens go as well: one of them may be in wrong hands."""
        with self.database.transaction() as connection:
            connection.execute("DELETE FROM api_tokens")
            return connection.execute("DELETE FROM accounts").rowcount


class ApiTokens:
    """The table `api_tokens`. A token ends `lasting` after it was made."""

    def __init__(self, database: Database, lasting: timedelta = TOKENS_LAST) -> None:
        self.database = database
        self._lasting = lasting

    def ends_at(self, token: ApiToken) -> datetime:
        return token.created_at + self._lasting

    def list(self) -> tuple[ApiToken, ...]:
        """All tokens, by name."""
        with self.database.reading() as connection:
            rows = connection.execute(
                f"SELECT {_TOKEN_COLUMNS} FROM api_tokens ORDER BY name"
            ).fetchall()
        return tuple(_token(row) for row in rows)

    def add(self, name: str, token: str, role: Role, created_by: str, now: datetime) -> ApiToken:
        """Add a program's token. Raises UsernameInvalid, TokenExists."""
        checked = checked_username(name)
        with self.database.transaction() as connection:
            row = connection.execute(
                "INSERT OR IGNORE INTO api_tokens (name, digest, role, created_by, created_at)"
                f" VALUES (?, ?, ?, ?, ?) RETURNING {_TOKEN_COLUMNS}",
                (checked, _digest(token), role.value, created_by, timestamps.to_text(now)),
            ).fetchone()
        if row is None:
            raise TokenExists(f"There is a token {checked} already.")
        return _token(row)

    def add_kiosk(
        self, door: str, name: str, token: str, created_by: str, now: datetime
    ) -> ApiToken:
        """Add the token of a tablet at `door`. Its digest is over door and token: it works at that
        door only, and for no program, since `find` never gets such a text from outside. Raises
        UsernameInvalid, TokenExists."""
        secret = _of_kiosk(door, token)
        return self.add(f"{KIOSK}{door}:{name}", secret, Role.VIEWER, created_by, now)

    def is_kiosk(self, door: str, token: str, now: datetime) -> bool:
        """Whether `token` is that of a tablet at `door` and has not ended; notes its use."""
        return self.find(_of_kiosk(door, token), now) is not None

    def find(self, token: str, now: datetime) -> ApiToken | None:
        """Find a token by its secret and note its use; None where it is unknown or has ended."""
        with self.database.reading() as connection:
            row = connection.execute(
                f"SELECT {_TOKEN_COLUMNS} FROM api_tokens WHERE digest = ?",
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
        """Delete a token, and all that were made with it. Raises TokenUnknown."""
        with self.database.transaction() as connection:
            row = connection.execute(
                f"DELETE FROM api_tokens WHERE id = ? RETURNING {_TOKEN_COLUMNS}",
                (token_id,),
            ).fetchone()
            if row is None:
                raise TokenUnknown(f"There is no token {token_id}.")
            gone = _token(row)
            self.delete_made_by(f"{TOKEN}{gone.name}")
        return gone

    def delete_made_by(self, maker: str) -> int:
        """Delete the tokens that `maker` made, and those made with them in turn; how many. `maker`
        is an account's name, or a token's behind TOKEN."""
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
    """A session of an account. `csrf` must come with every change. `role` is the account's at the
    moment of `Sessions.find`."""

    account: str
    role: Role
    csrf: str


class Sessions:
    """The table `sessions`. A session outlives a restart, and ends with its account. Its cookie is
    256 random bits."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def open(
        self, account: str, now: datetime, lasting: timedelta, *, clock_trusted: bool = True
    ) -> str:
        """Open a session of an account; its cookie. Sessions that have ended are removed if the
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
        """The session of a cookie; None where there is none, or it has ended."""
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
        """Close all sessions of an account, as after a new password."""
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM sessions WHERE account = ?", (account,))


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", errors="surrogatepass")).digest()
