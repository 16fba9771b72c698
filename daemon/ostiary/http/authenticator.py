"""Finds out who asks and whether they may: passwords, confirmations, sessions, tokens."""

import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyCookie, HTTPBearer
from starlette.requests import HTTPConnection

from ostiary.commands.commands import SAY_PASSWORD
from ostiary.commands.registry import LOCAL, Asker
from ostiary.crypto.argon import Hasher
from ostiary.errors import ConfirmationNeeded, NotAllowed, NotSignedIn, PasswordWeak
from ostiary.http.connections import neighbourhood
from ostiary.http.parts import ConsoleParts
from ostiary.store.accounts import TOKEN, ApiTokens, Role, Session, Sessions
from ostiary.store.audit import Audit, Detail

SHORTEST_PASSWORD = 10
LONGEST_PASSWORD = 200
CODE_ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"  # no 0 O 1 I
CODE_LENGTH = 12  # 60 bits
TOKEN_PREFIX = "ostiary_"
CSRF_HEADER = "X-CSRF-Token"
SAFE = {"GET", "HEAD", "OPTIONS"}


class Passwords(Hasher):
    """Hashes passwords with the parameters that RFC 9106 recommends for little memory."""

    def __init__(self) -> None:
        super().__init__(time_cost=3, memory_cost=64 * 1024, parallelism=4)


def check_strength(password: str, account: str) -> None:
    """Raises PasswordWeak. Length is what counts (NIST SP 800-63B, 5.1.1.2)."""
    if len(password) < SHORTEST_PASSWORD:
        raise PasswordWeak(f"A password has at least {SHORTEST_PASSWORD} characters.")
    if len(password) > LONGEST_PASSWORD:
        raise PasswordWeak(f"A password has at most {LONGEST_PASSWORD} characters.")
    if password.casefold() == account.casefold() or len(set(password)) < 4:
        raise PasswordWeak("This password is too easy to guess.")


def guesses_of(account: str, address: str) -> tuple[str, str]:
    """The keys under which wrong passwords are counted. Not the account alone: whoever guesses
    would lock its owner out elsewhere. `address` counts as its neighbourhood, which one host
    has."""
    address = neighbourhood(address)
    return f"account:{account.casefold()}@{address}", f"address:{address}"


def new_code() -> str:
    """Make a one-time set-up code to be read from the journal: ABCD-EFGH-JKLM."""
    letters = "".join(secrets.choice(CODE_ALPHABET) for _ in range(CODE_LENGTH))
    return "-".join(letters[at : at + 4] for at in range(0, CODE_LENGTH, 4))


def same_code(given: str, code: str) -> bool:
    """Whether somebody typed the code, however they wrote it."""
    typed = "".join(letter for letter in given.upper() if letter.isalnum())
    return secrets.compare_digest(
        typed.encode("utf-8", "replace"), code.replace("-", "").encode("ascii")
    )


class Confirmations:
    """The sessions whose password was typed a moment ago. Whoever stole a cookie has no password,
    and so can do nothing that needs a confirmation. A restart forgets them: the password is asked
    for again."""

    def __init__(self, lasting: timedelta, clock: Callable[[], datetime]) -> None:
        self._lasting = lasting
        self._clock = clock
        self._lock = threading.Lock()
        self._said: dict[tuple[str, str], datetime] = {}

    def confirm(self, session: Session, address: str) -> None:
        """Note that the password of this session's account was typed just now, at `address`."""
        with self._lock:
            self._said = {key: at for key, at in self._said.items() if self._is_fresh(at)}
            self._said[session.csrf, address] = self._clock()

    def holds(self, session: Session, address: str) -> bool:
        """Whether it was typed lately at `address`. The cookie may be in use elsewhere, too."""
        with self._lock:
            at = self._said.get((session.csrf, address))
        return at is not None and self._is_fresh(at)

    def _is_fresh(self, at: datetime) -> bool:
        return timedelta(0) <= self._clock() - at <= self._lasting


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who asks. `session`: None for a program with a token. `anonymous`: nobody knows who
    it is."""

    name: str
    role: Role
    address: str
    session: Session | None = None
    anonymous: bool = False

    @property
    def knows_people(self) -> bool:
        """Whether they may learn whose a face is."""
        return self.role is Role.OPERATOR and not self.anonymous


class Authenticator:
    """Identifies callers by their session cookie or bearer token."""

    def __init__(self, parts: ConsoleParts, *, at_unix_socket: bool = False) -> None:
        """`at_unix_socket`: the permissions of the socket's file let callers in."""
        self._parts = parts
        self._sessions = Sessions(parts.database)
        self._audit = Audit(parts.database)
        http = parts.settings.http
        self.tokens = ApiTokens(parts.database, timedelta(days=http.token_days))
        self.secure = http.tls_certificate is not None
        # The __Host- prefix binds the cookie to this host and to TLS (RFC 6265bis, 4.1.3.2).
        self.cookie = "__Host-ostiary" if self.secure else "ostiary"
        self._at_unix_socket = at_unix_socket
        self.confirmations = Confirmations(timedelta(seconds=http.confirm_after_s), parts.clock)

    def caller(self, connection: HTTPConnection) -> Caller | None:
        """Identify who asks; None: nobody known. May read the database."""
        header = connection.headers.get("authorization", "")
        kind, _, token = header.partition(" ")
        if kind.lower() == "bearer":
            found = self.tokens.find(token.strip(), self._parts.clock())
            if found is None:
                return None
            return Caller(f"{TOKEN}{found.name}", found.role, address_of(connection))
        session = self.session(connection)
        if session is None:
            return None
        return Caller(session.account, session.role, address_of(connection), session)

    def is_kiosk(self, door: str, token: str) -> bool:
        """Whether it is the token of a tablet at that door. May read the database."""
        return self.tokens.is_kiosk(door, token, self._parts.clock())

    def session(self, connection: HTTPConnection) -> Session | None:
        cookie = connection.cookies.get(self.cookie)
        return None if cookie is None else self._sessions.find(cookie, self._parts.clock())

    def require(self, connection: HTTPConnection, role: Role) -> Caller:
        """Identify a caller who has `role`. Raises NotSignedIn, or NotAllowed for a lesser role and
        for a change without its CSRF token."""
        caller = self.caller(connection)
        if caller is None:
            raise NotSignedIn("Sign in, or send an API token: Authorization: Bearer …")
        if caller.session is not None and connection.scope.get("method", "GET") not in SAFE:
            sent = connection.headers.get(CSRF_HEADER, "")
            if not same_text(sent, caller.session.csrf):
                raise NotAllowed(f"The page is out of date: {CSRF_HEADER} is wrong. Load it again.")
        if not caller.role.includes(role):
            raise NotAllowed("Only an operator may do this.")
        return caller

    def asker(self, caller: Caller) -> Asker:
        """The asker of a command. A token and the Unix socket count as confirmed: no browser sends
        them by itself."""
        session = caller.session
        confirmed = session is None or self.confirmations.holds(session, caller.address)
        return Asker(caller.name, caller.address, confirmed)

    def require_legacy(self, connection: HTTPConnection) -> Caller:
        """Identify a client of the first version: by an operator's token, or the Unix socket."""
        if self._at_unix_socket:
            return Caller("legacy", Role.OPERATOR, LOCAL, anonymous=True)
        return self.require(connection, Role.OPERATOR)

    def note(self, caller: Caller, action: str, subject: str, detail: Detail | None = None) -> None:
        """Write the audit row of a change, in the caller's transaction where there is one."""
        self._audit.add(
            actor=caller.name,
            action=action,
            subject=subject,
            address=caller.address,
            now=self._parts.clock(),
            detail=detail,
        )


def address_of(connection: HTTPConnection) -> str:
    return "" if connection.client is None else connection.client.host


def same_text(given: str, expected: str) -> bool:
    """Compared in constant time."""
    return secrets.compare_digest(given.encode("utf-8", "replace"), expected.encode())


_bearer = HTTPBearer(auto_error=False, description="An API token, made on the page Accounts.")
_cookie = APIKeyCookie(
    name="ostiary", auto_error=False, description="A session; changes also need X-CSRF-Token."
)


def _authenticator(request: Request) -> Authenticator:
    authenticator = request.app.state.authenticator
    assert isinstance(authenticator, Authenticator)
    return authenticator


def _viewer(
    request: Request,
    _token: Annotated[object, Security(_bearer)],
    _session: Annotated[object, Security(_cookie)],
) -> Caller:
    return _authenticator(request).require(request, Role.VIEWER)


def _operator(
    request: Request,
    _token: Annotated[object, Security(_bearer)],
    _session: Annotated[object, Security(_cookie)],
) -> Caller:
    return _authenticator(request).require(request, Role.OPERATOR)


def _confirmed(caller: Annotated[Caller, Depends(_operator)], request: Request) -> Caller:
    if not _authenticator(request).asker(caller).confirmed:
        raise ConfirmationNeeded(SAY_PASSWORD)
    return caller


def _legacy(request: Request, _token: Annotated[object, Security(_bearer)]) -> Caller:
    return _authenticator(request).require_legacy(request)


Viewer = Annotated[Caller, Depends(_viewer)]
Operator = Annotated[Caller, Depends(_operator)]
Confirmed = Annotated[Caller, Depends(_confirmed)]
Legacy = Annotated[Caller, Depends(_legacy)]
"""Parameters of a route: the caller, whose right was checked."""
