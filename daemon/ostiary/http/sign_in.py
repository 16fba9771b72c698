"""First start, signing in and out, and the choice of language. Plain forms; they need no script."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Annotated
from urllib.parse import unquote, urlsplit

import structlog
from fastapi import APIRouter, Form, Request
from fastapi.responses import Response

from ostiary.errors import (
    NotAllowed,
    OstiaryError,
    PasswordsDiffer,
    SetUpCodeWrong,
    SignInFailed,
)
from ostiary.http.authenticator import (
    Authenticator,
    Caller,
    Passwords,
    address_of,
    check_strength,
    guesses_of,
    new_code,
    same_code,
    same_text,
)
from ostiary.http.connections import neighbourhood
from ostiary.http.parts import ConsoleParts
from ostiary.http.problems import STATUS, headers_of
from ostiary.http.render import LANGUAGE_COOKIE, Renderer, to_page
from ostiary.http.texts import LANGUAGES
from ostiary.limits.lock_out import LockOut
from ostiary.messages.username import checked_username
from ostiary.store.accounts import Account, Accounts, Sessions

log = structlog.get_logger(__name__)

Text = Annotated[str, Form(max_length=1000)]
YEAR_S = 365 * 24 * 3600


@dataclass(slots=True)
class SetUp:
    """One-time code of the first start: who has it reads the journal. None: there is an account."""

    code: str | None = field(default=None, repr=False)

    def begin_if(self, needed: bool) -> None:
        """Make a code, unless there is one; forget it where there is an account."""
        if needed and self.code is None:
            self.code = new_code()
            log.warning("console_set_up_needed", code=self.code, page="/setup")
        elif not needed:
            self.code = None

    def check(self, given: str) -> None:
        """Check a code that was typed. Raises SetUpCodeWrong."""
        if self.code is None or not same_code(given, self.code):
            raise SetUpCodeWrong(
                "The set-up code is wrong. Take the newest from the daemon's journal."
            )


def sign_in_router(
    parts: ConsoleParts,
    authenticator: Authenticator,
    renderer: Renderer,
    passwords: Passwords,
    lock_out: LockOut,
) -> APIRouter:
    router = APIRouter(include_in_schema=False)
    accounts, sessions, set_up = Accounts(parts.database), Sessions(parts.database), SetUp()
    lasting = timedelta(hours=parts.settings.http.session_hours)
    set_up.begin_if(not accounts.count())

    def keep(answer: Response, cookie: str, value: str, seconds: int) -> None:
        answer.set_cookie(
            cookie,
            value,
            max_age=seconds,
            # __Host- wants "/". Unset it is where the console is: a proxy's other pages get none.
            path="/" if authenticator.secure else None,
            secure=authenticator.secure,
            httponly=True,
            samesite="strict",
        )

    def welcome(request: Request, account: Account, page: str) -> Response:
        answer = to_page(page)
        cookie = sessions.open(
            account.name, parts.clock(), lasting, clock_trusted=parts.rules.clock_trusted()
        )
        if (session := sessions.find(cookie, parts.clock())) is not None:
            authenticator.confirmations.confirm(session, address_of(request))
        keep(answer, authenticator.cookie, cookie, round(lasting.total_seconds()))
        return answer

    def refused(request: Request, page: str, error: OstiaryError, **values: str) -> Response:
        return renderer.page(
            request,
            page,
            None,
            {"failure": error.code, "detail": error.message, **values},
            STATUS.get(error.code, 500),
            # A browser would ask for a password of its own, were it told 401 with this header.
            {key: value for key, value in headers_of(error).items() if key == "Retry-After"},
        )

    @router.get("/setup")
    def set_up_page(request: Request) -> Response:
        needed = not accounts.count()
        set_up.begin_if(needed)
        if not needed:
            return to_page("/sign-in")
        return renderer.page(request, "setup", None, {"failure": None, "name": ""})

    @router.post("/setup")
    def first_account(
        request: Request,
        code: Text = "",
        name: Text = "",
        password: Text = "",
        again: Annotated[str | None, Form(max_length=1000)] = None,
    ) -> Response:
        """Make the first account. The page asks for the password twice; a program may send it
        once."""
        address = f"address:{neighbourhood(address_of(request))}"
        try:
            lock_out.attempt(address)
            set_up.check(code)
            lock_out.succeeded(address)
            checked_username(name)
            check_strength(password, name)
            if again not in (None, password):
                raise PasswordsDiffer("The two passwords are not the same. Type both again.")
            hashed = passwords.hash(password)
            with parts.database.transaction():
                account = accounts.add_first(name, hashed, parts.clock())
                caller = Caller(account.name, account.role, address_of(request))
                authenticator.note(
                    caller, "account_added", account.name, {"role": account.role.value}
                )
        except OstiaryError as error:
            return refused(request, "setup", error, name=name)
        set_up.code = None
        return welcome(request, account, "/")

    @router.get("/sign-in")
    def sign_in_page(request: Request, next: str = "/") -> Response:
        if not accounts.count():
            return to_page("/setup")
        values = {"failure": None, "name": "", "next": own_page(next)}
        return renderer.page(request, "sign_in", None, values)

    @router.post("/sign-in")
    def sign_in(
        request: Request,
        name: Text = "",
        password: Text = "",
        next: Text = "/",
    ) -> Response:
        address = address_of(request)
        keys = guesses_of(name, address)
        try:
            lock_out.attempt(*keys)
            if not passwords.verify(accounts.password_hash(name), password):
                log.warning("console_sign_in_failed", address=address)
                raise SignInFailed("Wrong name or password.")
        except OstiaryError as error:
            return refused(request, "sign_in", error, name=name, next=own_page(next))
        lock_out.succeeded(*keys)
        account = accounts.get(name)
        log.info("console_signed_in", address=address)
        authenticator.note(Caller(account.name, account.role, address), "signed_in", account.name)
        return welcome(request, account, own_page(next))

    @router.post("/sign-out")
    def sign_out(request: Request, csrf: Text = "") -> Response:
        session = authenticator.session(request)
        answer = to_page("/sign-in")
        if session is not None:
            if not same_text(csrf, session.csrf):
                raise NotAllowed("The page is out of date. Load it again.")
            sessions.close(request.cookies[authenticator.cookie])
            keep(answer, authenticator.cookie, "", 0)
        return answer

    @router.post("/language")
    def language(language: Text = "", back: Text = "/") -> Response:
        answer = to_page(own_page(back))
        if language in LANGUAGES:
            keep(answer, LANGUAGE_COOKIE, language, YEAR_S)
        return answer

    return router


def own_page(url: str) -> str:
    """Give `url` if it is a page of this console, otherwise the first page."""
    parts = urlsplit(url)
    own = url.startswith("/") and not url.startswith("//") and "\\" not in url
    # Below a proxy's path a step up leads to another page of the same origin.
    own = own and not {".", ".."} & set(unquote(parts.path).split("/"))
    return url if own and not parts.scheme and not parts.netloc and url.isprintable() else "/"
