"""What a command is. Each is written once: its function, with `command` above it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar, get_args, get_type_hints

from pydantic import ValidationError

from ostiary.commands.context import Context
from ostiary.commands.services import CommandServices
from ostiary.errors import RequestMalformed
from ostiary.messages.commands.base import Answer, Request
from ostiary.settings import describe_validation
from ostiary.store.audit import Detail

R = TypeVar("R", bound=Request)
A = TypeVar("A", bound=Answer)

Effect = Callable[[], A]
"""Changes the store and gives the answer, inside one transaction."""
Handler = Callable[[CommandServices, R, Context], Effect[A]]
"""Does the slow part (images) at once, and returns the effect: so the database is never held while
a face is looked at."""


@dataclass(frozen=True, slots=True)
class Deed:
    """What the audit says of a change: `action` was done to `subject`."""

    action: str
    subject: str
    detail: Detail = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Command(Generic[R, A]):
    """`changes`: it changes something, so that its answer is kept and a second delivery is answered
    from there. `secret`: what it says must not be guessed from what is kept of it. `admits`: it
    gives somebody a way in, or a wider one. `urgent`: it waits for no other command. `acts`: its
    handler does it, before anything is written; others only do by their effect. `while_locked`: it
    runs also while the store is locked, and nothing is written of it then. `deed`: what the audit
    says of it; None where nothing changes, or where what happened is an event anyway."""

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
        """Whether its requests may be large."""
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
    """Make a function the command `name`, with the request and answer of its annotations. `audit`:
    an action that was done to the request's `subject`, with a `detail` of the answer; or a function
    that tells the deed."""

    def made(handler: Handler[R, A]) -> Command[R, A]:
        _, request, _, effect = get_type_hints(handler).values()
        _, answer = get_args(effect)
        deed = _deed(audit, subject, detail) if isinstance(audit, str) else audit
        flags = (changes, secret, admits, urgent, acts, while_locked)
        return Command(name, handler, request, answer, *flags, deed)

    return made


def commands_of(*modules: object) -> Mapping[str, AnyCommand]:
    """The commands that are written in these modules, by name."""
    return {
        each.name: each
        for module in modules
        for each in vars(module).values()
        if isinstance(each, Command)
    }


def _deed(action: str, subject: str, detail: str | None) -> Callable[[Any, Any], Deed]:
    def deed(request: Request, answer: Answer) -> Deed:
        told = {} if detail is None else {detail: getattr(answer, detail)}
        return Deed(action, getattr(request, subject), told)

    return deed
