"""Errors as problem documents (RFC 9457), with the codes that MQTT answers too."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from ostiary.errors import OstiaryError, RequestMalformed
from ostiary.http.texts import TAGS, Sayings
from ostiary.settings import in_words

log = structlog.get_logger(__name__)

MEDIA_TYPE = "application/problem+json"

STATUS: Mapping[str, int] = {
    "account_exists": 409,
    "account_unknown": 404,
    "answer_too_large": 413,
    "busy": 503,
    "camera_unavailable": 409,
    "camera_unknown": 404,
    "card_taken": 409,
    "confirmation_needed": 403,
    "credential_unknown": 404,
    "database_corrupt": 503,
    "database_unwritable": 503,
    "decoder_unavailable": 503,
    "door_unknown": 404,
    "group_exists": 409,
    "group_in_use": 409,
    "group_invalid": 422,
    "group_unknown": 404,
    "image_invalid": 422,
    "image_too_large": 413,
    "already_registered": 409,
    "last_operator": 409,
    "last_template": 409,
    "locks_everybody_out": 409,
    "log_altered": 409,
    "low_quality": 422,
    "face_covered": 422,
    "no_face": 422,
    "not_allowed": 403,
    "not_signed_in": 401,
    "not_this_person": 422,
    "password_weak": 422,
    "passwords_differ": 422,
    "pin_weak": 422,
    "people_list_invalid": 422,
    "period_invalid": 422,
    "picture_unfit": 409,
    "photo_missing": 422,
    "presentation_attack": 422,
    "recognizer_mismatch": 422,
    "recovery_words_wrong": 422,
    "request_late": 408,
    "request_malformed": 422,
    "request_too_large": 413,
    "rule_exists": 409,
    "rule_unknown": 404,
    "schedule_invalid": 422,
    "schedule_overlaps": 422,
    "seal_broken": 503,
    "set_up_code_wrong": 401,
    "setting_invalid": 422,
    "several_faces": 422,
    "sign_in_failed": 401,
    "site_not_joined": 409,
    "site_refused": 409,
    "invitation_invalid": 422,
    "snapshot_unknown": 404,
    "store_locked": 503,
    "template_unknown": 404,
    "timed_out": 409,
    "token_exists": 409,
    "token_unknown": 404,
    "too_many_attempts": 429,
    "transaction_conflict": 409,
    "user_exists": 409,
    "user_unknown": 404,
    "username_invalid": 422,
}
"""The HTTP status of each code. Any other code is the daemon's own fault: 500. 409 also stands for
what the door cannot do now: a camera is missing, or nobody stands before it."""


class FieldProblem(BaseModel):
    """One field of a request that is not as it should be."""

    field: str = Field(description="Dotted path.", examples=["body.username"])
    message: str = Field(examples=["is missing"])


class Problem(BaseModel):
    """A problem document (RFC 9457)."""

    type: str = Field(
        description="`urn:ostiary:problem:` and the code.",
        examples=["urn:ostiary:problem:user_exists"],
    )
    title: str = Field(description="The status in words.", examples=["Conflict"])
    status: int = Field(examples=[409])
    detail: str = Field(
        description="What was wrong and what to do.", examples=["张三 is registered already."]
    )
    code: str = Field(description="Stable, for programs.", examples=["user_exists"])
    fields: tuple[FieldProblem, ...] | None = Field(
        default=None, description="Of a malformed request: every wrong field."
    )


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI declaration of an operation that may answer with these statuses."""
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status in statuses
    }


def problem_of(error: OstiaryError) -> Problem:
    return _problem(error.code, STATUS.get(error.code, 500), error.message)


def answer(problem: Problem, headers: Mapping[str, str] | None = None) -> Response:
    return JSONResponse(
        problem.model_dump(exclude_none=True),
        status_code=problem.status,
        media_type=MEDIA_TYPE,
        headers={"Content-Language": TAGS["en"], **(headers or {})},
    )


def said_in(problem: Problem, language: str, sayings: Sayings) -> Problem | None:
    """The problem with its sentences in another language; None: one is not known there."""
    detail = sayings.said(problem.detail, language)
    if detail is None:
        return None
    fields = problem.fields and tuple(
        FieldProblem(field=each.field, message=sayings.said(each.message, language) or each.message)
        for each in problem.fields
    )
    return problem.model_copy(update={"detail": detail, "fields": fields})


def answer_in(
    language: str, problem: Problem, headers: Mapping[str, str], sayings: Sayings
) -> Response:
    """Answer in that language where its sentences are known there; Content-Language says which it
    is (RFC 9110, 8.5)."""
    said = said_in(problem, language, sayings)
    if said is None:
        return answer(problem, headers)
    return answer(said, {**headers, "Content-Language": TAGS[language]})


def headers_of(error: OstiaryError) -> dict[str, str]:
    """The headers that HTTP asks for with an error."""
    if error.code == "not_signed_in":
        return {"WWW-Authenticate": 'Bearer realm="ostiary"'}
    if (wait := getattr(error, "retry_after_s", None)) is not None:
        return {"Retry-After": str(max(1, round(wait)))}
    return {}


def of_validation(error: RequestValidationError) -> Problem:
    """The problem of a malformed request: every wrong field, never the given values."""
    fields = tuple(
        FieldProblem(field=".".join(str(part) for part in found["loc"]), message=in_words(found))
        for found in error.errors()
    )
    text = "; ".join(f"{each.field}: {each.message}" for each in fields)
    return _problem(RequestMalformed.code, 422, text, fields)


def of_http(error: HTTPException) -> Problem:
    """The problem of what the framework refuses: no such page, method not allowed, not UTF-8."""
    if error.status_code == 400:  # one status for whatever is malformed
        return _problem(RequestMalformed.code, 422, str(error.detail))
    code = {404: "not_found", 405: "method_not_allowed"}.get(
        error.status_code, RequestMalformed.code
    )
    return _problem(code, error.status_code, str(error.detail))


def route_of(request: Request) -> str:
    """The path as it is declared: the requested one may hold people's names."""
    return str(getattr(request.scope.get("route"), "path", "?"))


def of_failure(request: Request, error: Exception) -> Problem:
    """The problem of a programming error, which is logged in full and told in one sentence."""
    log.error("http_failed", path=route_of(request), method=request.method, exc_info=error)
    return _problem(OstiaryError.code, 500, "Something failed inside; see the daemon's log.")


def _problem(
    code: str, status: int, detail: str, fields: tuple[FieldProblem, ...] | None = None
) -> Problem:
    return Problem(
        type=f"urn:ostiary:problem:{code}",
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        code=code,
        fields=fields,
    )
