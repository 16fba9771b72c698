"""Commands as routes: some fields stand in the path or the query, the others in the body."""

import inspect
import re
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError, create_model

from ostiary.commands.registry import AnyCommand
from ostiary.http.authenticator import Caller, Operator
from ostiary.http.problems import responses
from ostiary.http.runner import CommandRunner
from ostiary.messages.commands.base import Answer, Request
from ostiary.messages.events import Message

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
"""How a field of a request is said in a path or a query."""


def route(
    router: APIRouter,
    work: CommandRunner,
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
    told = re.findall(r"{(\w+)", path)
    types = {each: PARAMETERS[each] for each in told}
    body = None if method in ("GET", "DELETE") else _body(command.request, told)

    def endpoint(*, caller: Caller, body: BaseModel | None = None, **given: Any) -> Answer:
        if body is not None:
            given |= {each: getattr(body, each) for each in body.model_fields_set}
        try:
            request = command.request(**given)
        except ValidationError as error:
            wrong = [{**each, "loc": ("body", *each["loc"])} for each in error.errors()]
            raise RequestValidationError(wrong) from None
        answer: Answer = work.run(command, request, caller)
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


def _body(request: type[Request], told: list[str]) -> type[BaseModel]:
    """The request without what its path tells."""
    if not told:
        return request
    left = {
        name: (field.annotation, field)
        for name, field in request.model_fields.items()
        if name not in (*told, "transaction")
    }
    name = f"{request.__name__.removesuffix('Request')}Body"
    return create_model(name, __base__=Message, __doc__=request.__doc__, **left)  # type: ignore[call-overload, no-any-return]
