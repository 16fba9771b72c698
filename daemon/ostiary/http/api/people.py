"""People and their templates."""

from typing import Annotated

from fastapi import APIRouter, Path

from ostiary.http.event_pictures import picture_to_add
from ostiary.http.gate import Operator, Viewer
from ostiary.http.messages import NewName, Person, Picture
from ostiary.http.parts import ConsoleParts
from ostiary.http.problems import responses
from ostiary.http.work import Work
from ostiary.messages.commands import (
    AddTemplateAnswer,
    AddTemplateRequest,
    DeleteAnswer,
    DeleteRequest,
    LoginAnswer,
    LoginRequest,
    RegisterAnswer,
    RegisterRequest,
    RemoveTemplateAnswer,
    RemoveTemplateRequest,
    RenameAnswer,
    RenameRequest,
    TemplateRecord,
    UsersAnswer,
    UsersRequest,
)
from ostiary.messages.username import checked_username
from ostiary.store.snapshots import Snapshots

Name = Annotated[
    str,
    Path(description="The person's name, percent-encoded.", min_length=1, examples=["张三"]),
]
EventNumber = Annotated[int, Path(ge=1, le=2**62)]
_PICTURE = responses(403, 409, 413, 422, 429, 500, 503)


def people_router(parts: ConsoleParts, work: Work) -> APIRouter:
    router = APIRouter(tags=["people"], responses=responses(401, 422, 429, 503))
    snapshots = Snapshots(parts.database)

    @router.get("/users", summary="Who is registered")
    def users(_caller: Viewer) -> UsersAnswer:
        return work.ask("users", UsersRequest(), UsersAnswer)

    @router.post("/users", status_code=201, summary="Register a person", responses=_PICTURE)
    def register(request: RegisterRequest, caller: Operator) -> RegisterAnswer:
        """From one image, or from who stands before the camera now (`"source": "camera"`)."""
        return work.change(
            "register", request, RegisterAnswer, caller, "user_registered", request.username
        )

    @router.get(
        "/users/{username:path}/templates",
        summary="A person's templates",
        responses=responses(404),
    )
    def templates(username: Name, _caller: Viewer) -> Person:
        return _person(parts, username)

    @router.post(
        "/users/{username:path}/templates",
        status_code=201,
        summary="Give a person one more template",
        responses={**_PICTURE, **responses(404)},
    )
    def add_template(username: Name, picture: Picture, caller: Operator) -> AddTemplateAnswer:
        """As for registering: one live face in an image, or before the camera."""
        return work.change(
            "add_template",
            AddTemplateRequest(
                username=username,
                image=picture.image,
                images=picture.images,
                source=picture.source,
                camera=picture.camera,
                require_live=picture.require_live,
                allow_twin=picture.allow_twin,
            ),
            AddTemplateAnswer,
            caller,
            "template_added",
            username,
        )

    @router.post(
        "/events/{seq}/template",
        status_code=201,
        summary="Give a person a template from an event's picture",
        responses={**_PICTURE, **responses(404)},
    )
    def add_event_picture(seq: EventNumber, of: NewName, caller: Operator) -> AddTemplateAnswer:
        """Of a live face that was nobody's, and near to this person's templates."""
        jpeg = picture_to_add(
            parts.events, snapshots, parts.people.roster, parts.access().live_threshold, seq
        )
        request = AddTemplateRequest(username=of.username, image=jpeg)
        return work.change(
            "add_template",
            request,
            AddTemplateAnswer,
            caller,
            "template_added",
            request.username,
            {"event": seq},
        )

    @router.delete(
        "/users/{username:path}/templates/{template}",
        summary="Forget one of a person's templates",
        responses=responses(403, 404, 409),
    )
    def remove_template(
        username: Name, template: Annotated[int, Path(ge=1, le=2**62)], caller: Operator
    ) -> RemoveTemplateAnswer:
        return work.change(
            "remove_template",
            RemoveTemplateRequest(username=username, template=template),
            RemoveTemplateAnswer,
            caller,
            "template_removed",
            username,
            {"template": template},
        )

    @router.get("/users/{username:path}", summary="One person", responses=responses(404))
    def person(username: Name, _caller: Viewer) -> Person:
        return _person(parts, username)

    @router.patch(
        "/users/{username:path}", summary="Rename a person", responses=responses(403, 404, 409)
    )
    def rename(username: Name, new: NewName, caller: Operator) -> RenameAnswer:
        """Templates stay; old events keep the old name."""
        return work.change(
            "rename",
            RenameRequest(username=username, new_username=new.username),
            RenameAnswer,
            caller,
            "user_renamed",
            username,
            {"new_username": new.username},
        )

    @router.delete(
        "/users/{username:path}", summary="Forget a person", responses=responses(403, 404)
    )
    def delete(username: Name, caller: Operator) -> DeleteAnswer:
        return work.change(
            "delete",
            DeleteRequest(username=username),
            DeleteAnswer,
            caller,
            "user_deleted",
            username,
        )

    @router.post(
        "/login",
        summary="Judge one image as if its face stood at the door",
        responses={**_PICTURE, **responses(404)},
    )
    def login(request: LoginRequest, _caller: Operator) -> LoginAnswer:
        """Recorded as an event; opens no door."""
        return work.ask("login", request, LoginAnswer)

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
