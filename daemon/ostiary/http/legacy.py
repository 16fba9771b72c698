"""The first version's endpoints, with its fields and its words, on today's commands.

It answered in Chinese; so do these, unless the client asks for English (Accept-Language).
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, Response
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from ostiary.commands import decisions, people
from ostiary.errors import LowQuality, NoFace, OstiaryError, RequestMalformed, SeveralFaces
from ostiary.http.authenticator import Caller, Legacy
from ostiary.http.messages import LegacyLogin, LegacyRegistered, LegacyUser, LegacyUsers
from ostiary.http.problems import MEDIA_TYPE, headers_of, problem_of, responses
from ostiary.http.routes import CommandRunner
from ostiary.http.texts import Texts, language_of
from ostiary.messages.commands.decisions import LoginRequest
from ostiary.messages.commands.people import (
    RegisterRequest,
    UsersRequest,
)

DENIED = {"presentation_attack", "user_unknown"}
"""Errors that are answered with `success: false` and status 200, as its documentation says."""
BAD_REQUEST = {kind.code: kind for kind in (NoFace, SeveralFaces, LowQuality)}
"""Outcomes of a login that the first version took for bad requests."""

_FORM: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["username", "file"],
                    "properties": {
                        "username": {"type": "string", "examples": ["张三"]},
                        "file": {
                            "type": "string",
                            "format": "binary",
                            "description": "A JPEG, PNG or WebP image with one face.",
                        },
                    },
                }
            }
        },
    }
}
_ERRORS = responses(400, 401, 403, 413, 429, 500, 503)
_OWN_STATUS = {401, 403, 413, 429}
"""Statuses that a client gets as they are. Every other fault of a client is 400, as it was."""

Say = Callable[[str, str], str]
"""Gives the text of a code in the client's language; where there is none, the other one given."""


@dataclass(frozen=True, slots=True)
class FaceForm:
    """The first version's form: a name and a picture. None: the field is missing."""

    username: str | None
    file: bytes | None


def legacy_router(runner: CommandRunner, texts: Texts, body_limit: int) -> APIRouter:
    router = APIRouter(tags=["first version"])

    @router.post(
        "/register",
        response_model=LegacyRegistered,
        response_model_exclude_none=True,
        responses=_ERRORS,
        openapi_extra=_FORM,
    )
    async def register(request: Request, caller: Legacy) -> Any:
        """Register a person from one picture of a live face."""
        try:
            form = await face_form(request, body_limit)
            return await run_in_threadpool(_register, runner, form, caller, _say(texts, request))
        except OstiaryError as error:
            return _answer(error, _say(texts, request))

    @router.post(
        "/login",
        response_model=LegacyLogin,
        response_model_exclude_none=True,
        responses=_ERRORS,
        openapi_extra=_FORM,
    )
    async def login(request: Request, caller: Legacy) -> Any:
        """Judge whether the picture shows this person, live. No match is `success: false` with
        status 200."""
        try:
            form = await face_form(request, body_limit)
            return await run_in_threadpool(_login, runner, form, caller, _say(texts, request))
        except OstiaryError as error:
            return _answer(error, _say(texts, request))

    @router.get("/users", response_model=LegacyUsers, responses=responses(401, 403, 429, 503))
    def users(caller: Legacy) -> LegacyUsers:
        """List the registered people, in the order in which they came."""
        known = runner.run(people.users, UsersRequest(), caller).users
        ordered = sorted(known, key=lambda user: (user.created_at is not None, user.created_at))
        return LegacyUsers(
            users=tuple(
                LegacyUser(
                    username=user.username,
                    created_at=None
                    if user.created_at is None
                    else user.created_at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S"),
                )
                for user in ordered
            )
        )

    return router


async def face_form(request: Request, limit: int) -> FaceForm:
    """Read a multipart form with `username` and `file`, held in memory: a face must not lie about
    in temporary files. The body's size is limited already.

    Raises RequestMalformed when it is not such a form.
    """
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise RequestMalformed("Send a multipart/form-data form with `username` and `file`.")
    parser = MultiPartParser(
        request.headers, request.stream(), max_files=1, max_fields=4, max_part_size=limit
    )
    parser.spool_max_size = limit + 1
    try:
        form = await parser.parse()
    except (MultiPartException, UnicodeDecodeError, KeyError, ValueError) as error:
        raise RequestMalformed("The form is damaged; send multipart/form-data anew.") from error
    try:
        username, file = form.get("username"), form.get("file")
        return FaceForm(
            username if isinstance(username, str) else None,
            await file.read() if isinstance(file, UploadFile) else None,
        )
    finally:
        await form.close()


def _register(runner: CommandRunner, form: FaceForm, caller: Caller, say: Say) -> LegacyRegistered:
    username, file = _whole(form)
    try:
        request = RegisterRequest(username=username, image=file)
        answer = runner.run(people.register, request, caller)
    except OstiaryError as error:
        if error.code not in DENIED:
            raise
        return LegacyRegistered(success=False, message=say(error.code, error.message))
    return LegacyRegistered(
        success=True, username=answer.username, message=say("registered", answer.message)
    )


def _login(runner: CommandRunner, form: FaceForm, caller: Caller, say: Say) -> LegacyLogin:
    username, file = _whole(form)
    try:
        answer = runner.run(decisions.login, LoginRequest(username=username, image=file), caller)
    except OstiaryError as error:
        if error.code not in DENIED:
            raise
        return LegacyLogin(success=False, message=say(error.code, error.message))
    if answer.reason in BAD_REQUEST:
        raise BAD_REQUEST[answer.reason](answer.message)
    fields = answer.model_dump(include=LegacyLogin.model_fields.keys() - {"message"})
    return LegacyLogin(**fields, message=say(answer.reason, answer.message))


def _whole(form: FaceForm) -> tuple[str, bytes]:
    if form.username is None:
        raise RequestMalformed("The field `username` is missing.")
    if form.file is None:
        raise RequestMalformed("The field `file` is missing; send an image.")
    return form.username, form.file


def _answer(error: OstiaryError, say: Say) -> Response:
    """Make a problem document that also has the fields of the first version's errors."""
    problem = problem_of(error)
    status = problem.status
    if status < 500 and status not in _OWN_STATUS:
        status = 400
    words = say(error.code, error.message)
    body = problem.model_dump(exclude_none=True)
    body |= {
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": words,
        "success": False,
        "message": words,
    }
    return JSONResponse(body, status, headers=headers_of(error), media_type=MEDIA_TYPE)


def _say(texts: Texts, request: Request) -> Say:
    """Choose Chinese, as the first version did, unless the client asks for English."""
    language = language_of(request.headers.get("accept-language", ""), default="zh")

    def say(code: str, otherwise: str) -> str:
        return texts.find(language, f"legacy.{code}") or otherwise

    return say
