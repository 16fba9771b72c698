"""Commands as routes: some fields stand in the path or the query, the others in the body. Few run
at a time, and each in time.
"""

import inspect
import re
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError, create_model

from ostiary.commands.registry import A, AnyCommand, Command, Context, R
from ostiary.errors import Busy
from ostiary.http.authenticator import Authenticator, Caller, Operator
from ostiary.http.parts import ConsoleParts
from ostiary.http.problems import responses
from ostiary.messages.commands.base import Answer, Request
from ostiary.messages.events import Message
from ostiary.store.audit import Detail

AT_ONCE = 2
"""Commands that look at images at the same time; more would only slow the door."""
Name = Annotated[
    str,
    Path(description="The person's name, percent-encoded.", min_length=1, examples=["张三"]),
]
_LABEL = Annotated[str, Path(min_length=1, description="Its name, percent-encoded.")]
PARAMETERS: Mapping[str, Any] = {
    "username": Name,
    "template": Annotated[int, Path(ge=1, le=2**62)],
    "name": _LABEL,
    "group": _LABEL,
    "door": Annotated[str, Path(description="Its camera's name.", min_length=1, max_length=64)],
    "duress": Annotated[bool, Query(description="The one for when they are forced.")],
    "confirm": Annotated[bool, Query(description="Although nobody could pass a door any more.")],
}
"""The parameter of a path or a query that gives a field of a request."""


class Turns:
    """Lets one request at a time go over many events. A few may wait."""

    def __init__(self, waiting: int = 16, within_s: float = 10.0) -> None:
        self._running = threading.Lock()
        self._places = threading.Semaphore(1 + waiting)
        self._within_s = within_s

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for the turn, and keep it during the block. Raises Busy."""
        if not self._places.acquire(blocking=False):
            raise Busy("Too many requests are waiting; try again in a moment.")
        try:
            if not self._running.acquire(timeout=self._within_s):
                raise Busy("Too many requests are waiting; try again in a moment.")
            try:
                yield
            finally:
                self._running.release()
        finally:
            self._places.release()


class CommandRunner:
    """Runs commands for routes."""

    def __init__(self, parts: ConsoleParts, authenticator: Authenticator) -> None:
        self._parts = parts
        self._authenticator = authenticator
        self._running = threading.Semaphore(AT_ONCE)
        self._places = threading.Semaphore(AT_ONCE + parts.commands.limits.waiting)

    def run(
        self, command: Command[R, A], request: R, caller: Caller, detail: Detail | None = None
    ) -> A:
        """Run a command for whoever asks. `detail`: what the audit says besides. Raises
        OstiaryError."""
        with self._place() as deadline:
            context = Context(
                source="http",
                asker=self._authenticator.asker(caller),
                deadline=deadline,
                operator=caller.knows_people or not command.changes,
                detail=detail or {},
            )
            return self._parts.commands.run(command, request, context)

    @contextmanager
    def _place(self) -> Iterator[float]:
        """Wait for a place, and give the deadline in monotonic seconds. Raises Busy where too many
        wait, or for too long."""
        limit_s = self._parts.settings.commands.time_limit_s
        deadline = time.monotonic() + limit_s
        if not self._places.acquire(blocking=False):
            raise Busy("Too many requests are waiting; try again in a moment.")
        try:
            if not self._running.acquire(timeout=limit_s):
                raise Busy("Too many requests are waiting; try again in a moment.")
            try:
                yield deadline
            finally:
                self._running.release()
        finally:
            self._places.release()


def route(
    router: APIRouter,
    runner: CommandRunner,
    command: AnyCommand,
    at: str,
    summary: str,
    *statuses: int,
    role: Any = Operator,
    query: str | None = None,
    success: int = 200,
    description: str = "",
    name: str | None = None,
) -> None:
    """Serve a command `at` a method and path, "PUT /users/{username:path}/pin", with the field
    `query` in the query. `statuses`: those of the errors that it may answer."""
    method, path = at.split()
    in_path = re.findall(r"{(\w+)", path)
    types = {each: PARAMETERS[each] for each in in_path}
    body = None if method in ("GET", "DELETE") else _body(command.request, in_path)

    def endpoint(*, caller: Caller, body: BaseModel | None = None, **given: Any) -> Answer:
        if body is not None:
            given |= {each: getattr(body, each) for each in body.model_fields_set}
        try:
            request = command.request(**given)
        except ValidationError as error:
            wrong = [{**each, "loc": ("body", *each["loc"])} for each in error.errors()]
            raise RequestValidationError(wrong) from None
        answer: Answer = runner.run(command, request, caller)
        return answer

    def parameter(each: str, annotation: Any, default: Any = inspect.Parameter.empty) -> Any:
        kind = inspect.Parameter.KEYWORD_ONLY
        return inspect.Parameter(each, kind, default=default, annotation=annotation)

    parameters = [parameter(*each) for each in types.items()]
    if body is not None:
        parameters.append(parameter("body", body))
    if query is not None:
        parameters.append(parameter(query, PARAMETERS[query], False))
    endpoint.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [*parameters, parameter("caller", role)], return_annotation=command.answer
    )
    router.add_api_route(
        path,
        endpoint,
        methods=[method],
        name=name or command.name,
        summary=summary,
        description=description,
        status_code=success,
        responses=responses(*statuses),
    )


def _body(request: type[Request], in_path: list[str]) -> type[BaseModel]:
    """The body of a request: its fields without those in the path."""
    if not in_path:
        return request
    left = {
        name: (field.annotation, field)
        for name, field in request.model_fields.items()
        if name not in (*in_path, "transaction")
    }
    name = f"{request.__name__.removesuffix('Request')}Body"
    return create_model(name, __base__=Message, __doc__=request.__doc__, **left)  # type: ignore[call-overload, no-any-return]
