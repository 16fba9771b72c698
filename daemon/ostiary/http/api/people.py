"""People and their templates."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Path

from ostiary.commands import decisions, people
from ostiary.http.authenticator import Operator, Viewer
from ostiary.http.event_pictures import picture_to_add
from ostiary.http.messages import NewName, Person
from ostiary.http.parts import ConsoleParts
from ostiary.http.problems import responses
from ostiary.http.routes import Name, route
from ostiary.http.runner import CommandRunner
from ostiary.messages.commands.people import (
    AddTemplateAnswer,
    AddTemplateRequest,
    RenameAnswer,
    RenameRequest,
    TemplateRecord,
)
from ostiary.messages.username import checked_username
from ostiary.store.snapshots import Snapshots

EventNumber = Annotated[int, Path(ge=1, le=2**62)]
_PICTURE = (403, 409, 413, 422, 429, 500, 503)


def people_router(parts: ConsoleParts, work: CommandRunner) -> APIRouter:
    router = APIRouter(tags=["people"], responses=responses(401, 422, 429, 503))
    snapshots = Snapshots(parts.database)
    add, user = partial(route, router, work), "/users/{username:path}"
    add(people.users, "GET /users", "Who is registered", role=Viewer)
    add(
        people.register,
        "POST /users",
        "Register a person",
        *_PICTURE,
        success=201,
        description="From one image, or from who stands before the camera now "
        '(`"source": "camera"`).',
    )

    @router.get(f"{user}/templates", summary="A person's templates", responses=responses(404))
    def templates(username: Name, _caller: Viewer) -> Person:
        return _person(parts, username)

    add(
        people.add_template,
        f"POST {user}/templates",
        "Give a person one more template",
        *(*_PICTURE, 404),
        success=201,
        description="As for registering: one live face in an image, or before the camera.",
    )
    one = f"DELETE {user}/templates/{{template}}"
    add(people.remove_template, one, "Forget one of a person's templates", 403, 404, 409)

    @router.post(
        "/events/{seq}/template",
        status_code=201,
        summary="Give a person a template from an event's picture",
        responses=responses(*_PICTURE, 404),
    )
    def add_event_picture(seq: EventNumber, of: NewName, caller: Operator) -> AddTemplateAnswer:
        """Of a live face that was nobody's, and near to this person's templates. The event loses
        its picture: whose it is would not be known when they are deleted."""
        jpeg = picture_to_add(
            parts.events, snapshots, parts.people.roster, parts.access().live_threshold, seq
        )
        request = AddTemplateRequest(username=of.username, image=jpeg)
        answer = work.run(people.add_template, request, caller, {"event": seq})
        snapshots.remove([seq])
        return answer

    @router.get(user, summary="One person", responses=responses(404))
    def person(username: Name, _caller: Viewer) -> Person:
        return _person(parts, username)

    @router.patch(user, summary="Rename a person", responses=responses(403, 404, 409))
    def rename(username: Name, new: NewName, caller: Operator) -> RenameAnswer:
        """Templates stay; old events keep the old name."""
        request = RenameRequest(username=username, new_username=new.username)
        return work.run(people.rename, request, caller)

    add(people.delete, f"DELETE {user}", "Forget a person", 403, 404)
    add(
        decisions.login,
        "POST /login",
        "Judge one image as if its face stood at the door",
        *(*_PICTURE, 404),
        description="Recorded as an event; opens no door.",
    )
    return router


def _person(parts: ConsoleParts, username: str) -> Person:
    user = parts.people.get(checked_username(username))
    return Person(
        username=user.username,
        created_at=user.created_at,
        templates=tuple(
            TemplateRecord(
                id=each.id,
                created_at=each.created_at,
                source=each.source,
                recognizer=each.recognizer,
                quality=each.quality,
            )
            for each in parts.users.templates_of(user.username)
        ),
    )
