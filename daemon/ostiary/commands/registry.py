"""What a command is, who asks for it, and how it comes over a wire.

Each command is written once: its function, with `@command` above it.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar, get_args, get_type_hints

from pydantic import BaseModel, ConfigDict, ValidationError

from ostiary.commands.services import CommandServices
from ostiary.errors import OstiaryError, RequestMalformed, RequestTooLarge, TimedOut
from ostiary.messages.commands.base import Answer, ErrorDetail, ErrorResponse, Request, Transaction
from ostiary.messages.words import by_whom
from ostiary.settings import describe_validation
from ostiary.store.audit import Detail
from ostiary.store.command_log import CommandKey

MQTT = "mqtt"
MQTT_SIGNED = "mqtt, signed"
LOCAL = "local"
SMALL = 256 * 1024
"""Bytes of a command that carries no picture."""


@dataclass(frozen=True, slots=True)
class Asker:
    """Somebody who asks. `name`: an account, `token:…`, `client:…` or `local:…` (a user of this
    machine); None: unknown. `way`: how they came: a network address for HTTP, MQTT, MQTT_SIGNED, or
    LOCAL for the command line. `confirmed`: by more than a session's cookie or access to the
    broker."""

    name: str | None
    way: str
    confirmed: bool = False


@dataclass(frozen=True, slots=True)
class Context:
    """Who asks for a command, and how it is run.

    `key` makes two deliveries the same command (None: each runs). `deadline`: monotonic seconds; a
    command that is not done by then has no effect, unless it acts at once. `nonce` stands for a
    signature, which counts once; with `redelivered` it is the same delivery again. `operator`:
    whether the asker may learn who is registered. `detail`: more for the audit row of a change."""

    source: Literal["mqtt", "http", "cli"]
    asker: Asker
    key: CommandKey | None = None
    deadline: float | None = None
    nonce: CommandKey | None = None
    redelivered: bool = False
    operator: bool = True
    detail: Detail = field(default_factory=dict)

    @property
    def actor(self) -> str:
        """Who asks, as the audit says it."""
        return self.asker.name or self.source

    @property
    def by(self) -> str:
        """Who asks, as an event of a door says it."""
        return by_whom(self.source, self.asker.name)

    def check_deadline(self) -> None:
        """Raises TimedOut."""
        if self.deadline is not None and time.monotonic() > self.deadline:
            raise TimedOut("The command was not done in time and had no effect.")


R = TypeVar("R", bound=Request)
A = TypeVar("A", bound=Answer)

Effect = Callable[[], A]
"""Changes the store and gives the answer; called inside one transaction."""
Handler = Callable[[CommandServices, R, Context], Effect[A]]
"""Does the slow part (images) and returns the effect, so that no transaction waits for a face to be
judged."""


@dataclass(frozen=True, slots=True)
class Deed:
    """The audit row of a change: `action` was done to `subject`."""

    action: str
    subject: str
    detail: Detail = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Command(Generic[R, A]):
    """A command.

    `changes`: it changes something; its answer is kept, and a second delivery gets the same answer.
    `secret`: what is kept of it must not reveal what it said. `admits`: it gives somebody a way in,
    or a wider one. `urgent`: it waits for no other command. `acts`: its handler does it before
    anything is written; other commands do it in their effect. `while_locked`: it runs also while
    the store is locked; nothing is written of it then. `deed`: its audit row; None where nothing
    changes, or an event says it anyway."""

    name: str
    handler: Handler[R, A]
    request: type[R]
    answer: type[A]
    changes: bool
    secret: bool
    admits: bool
    urgent: bool
    acts: bool
    while_locked: bool
    deed: Callable[[R, A], Deed] | None

    def __call__(self, services: CommandServices, request: R, context: Context) -> Effect[A]:
        return self.handler(services, request, context)

    @property
    def takes_pictures(self) -> bool:
        """Whether its requests may carry pictures, and so be large."""
        return "image" in self.request.model_fields

    def parse(self, payload: bytes) -> R:
        """Read a request. Raises RequestMalformed that names each wrong field, or
        UsernameInvalid."""
        try:
            return self.request.model_validate_json(payload or b"{}")
        except ValidationError as error:
            raise RequestMalformed(describe_validation(error)) from None


AnyCommand = Command[Any, Any]


def command(
    name: str,
    *,
    changes: bool = False,
    secret: bool = False,
    admits: bool = False,
    urgent: bool = False,
    acts: bool = False,
    while_locked: bool = False,
    audit: str | Callable[[Any, Any], Deed] | None = None,
    subject: str = "username",
    detail: str | None = None,
) -> Callable[[Handler[R, A]], Command[R, A]]:
    """Make a function the command `name`; its request and answer come from its annotations.
    `audit`: an action, done to the request's field `subject`, with the answer's field `detail`; or
    a function that gives the Deed. The other arguments are those of `Command`."""

    def made(handler: Handler[R, A]) -> Command[R, A]:
        _, request, _, effect = get_type_hints(handler).values()
        _, answer = get_args(effect)
        deed = _deed(audit, subject, detail) if isinstance(audit, str) else audit
        flags = (changes, secret, admits, urgent, acts, while_locked)
        return Command(name, handler, request, answer, *flags, deed)

    return made


def commands_of(*modules: object) -> Mapping[str, AnyCommand]:
    """The commands of these modules by name."""
    return {
        each.name: each
        for module in modules
        for each in vars(module).values()
        if isinstance(each, Command)
    }


def _deed(action: str, subject: str, detail: str | None) -> Callable[[Any, Any], Deed]:
    def deed(request: Request, answer: Answer) -> Deed:
        details = {} if detail is None else {detail: getattr(answer, detail)}
        return Deed(action, getattr(request, subject), details)

    return deed


class _TransactionOnly(BaseModel):
    """The part of a request that is needed to answer it where the rest is wrong."""

    model_config = ConfigDict(extra="ignore", strict=True)
    transaction: Transaction | None = None
    payload: str | None = None  # of a signed command


def most_bytes(command: AnyCommand | None, limit: int) -> int:
    """The most bytes that this command may have; no command may have more than `limit`."""
    return limit if command is None or command.takes_pictures else min(limit, SMALL)


def check_size(command: AnyCommand | None, size: int, limit: int) -> None:
    """Raises RequestTooLarge."""
    if size > (most := most_bytes(command, limit)):
        raise RequestTooLarge(f"This command has at most {most} bytes; it has {size}.")


def failed(payload: bytes, error: OstiaryError, limit: int | None = None) -> bytes:
    """Make the response to a request that failed. `limit`: the bytes that the broker takes."""
    detail = ErrorDetail(code=error.code, message=error.message, limit=limit)
    return ErrorResponse(error=detail, transaction=_transaction_in(payload)).to_json()


def _transaction_in(payload: bytes | str) -> Transaction | None:
    try:
        found = _TransactionOnly.model_validate_json(payload)
    except ValidationError:
        return None
    if found.transaction is None and found.payload is not None:
        return _transaction_in(found.payload)
    return found.transaction
