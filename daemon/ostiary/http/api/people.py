"""People: their templates, PINs and cards; groups, rules and lists of people."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Path, Request
from fastapi.responses import Response

from ostiary.commands import credentials, decisions, people, rules
from ostiary.http.authenticator import Operator, Viewer
from ostiary.http.events import picture_to_add
from ostiary.http.messages import ListedPerson, NewName, PeopleList, Person, ReadList
from ostiary.http.parts import ConsoleParts
from ostiary.http.problems import responses
from ostiary.http.routes import CommandRunner, Name, route
from ostiary.http.texts import Sayings, asked_language
from ostiary.messages.commands.people import (
    AddTemplateAnswer,
    AddTemplateRequest,
    RenameAnswer,
    RenameRequest,
    TemplateRecord,
    UsersRequest,
)
from ostiary.messages.people_list import line_of, read_list, write_list
from ostiary.messages.username import checked_username
from ostiary.store.snapshots import Snapshots

EventNumber = Annotated[int, Path(ge=1, le=2**62)]
_PICTURE = (403, 409, 413, 422, 429, 500, 503)


def people_router(parts: ConsoleParts, runner: CommandRunner) -> APIRouter:
    router = APIRouter(tags=["people"], responses=responses(401, 422, 429, 503))
    snapshots = Snapshots(parts.database)
    add, user = partial(route, router, runner), "/users/{username:path}"
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
        answer = runner.run(people.add_template, request, caller, {"event": seq})
        snapshots.remove(seq)
        return answer

    @router.get(user, summary="One person", responses=responses(404))
    def person(username: Name, _caller: Viewer) -> Person:
        return _person(parts, username)

    @router.patch(user, summary="Rename a person", responses=responses(403, 404, 409))
    def rename(username: Name, new: NewName, caller: Operator) -> RenameAnswer:
        """Templates stay; old events keep the old name."""
        request = RenameRequest(username=username, new_username=new.username)
        return runner.run(people.rename, request, caller)

    add(people.delete, f"DELETE {user}", "Forget a person", 403, 404)
    add(
        decisions.login,
        "POST /login",
        "Judge one image as if its face stood at the door",
        *(*_PICTURE, 404),
        description="Recorded as an event; opens no door.",
    )
    return router


def credentials_router(runner: CommandRunner) -> APIRouter:
    router = APIRouter(tags=["credentials"], responses=responses(401, 422, 429, 503))
    add, user = partial(route, router, runner), "/users/{username:path}"
    what = "What a person has besides a face"
    add(credentials.credentials, f"GET {user}/credentials", what, 403, 404)
    add(credentials.set_pin, f"PUT {user}/pin", "Give a person a PIN", 403, 404)
    taken = "Take a person's PIN away"
    add(credentials.remove_pin, f"DELETE {user}/pin", taken, 403, 404, query="duress")
    add(
        credentials.add_card,
        f"POST {user}/cards",
        "Give a person a card",
        *(403, 404, 409),
        description="By its number, or the one that is held to a door's reader next.",
    )
    taken = "Take all of a person's cards away"
    add(credentials.remove_card, f"DELETE {user}/cards", taken, 403, 404, name="remove_cards")
    return router


def rules_router(runner: CommandRunner, sayings: Sayings) -> APIRouter:
    router = APIRouter(tags=["rules"], responses=responses(401, 422, 429, 503))
    add = partial(route, router, runner)
    add(rules.rules, "GET /rules", "Groups, rules and holidays", role=Viewer)
    add(
        rules.set_rule,
        "PUT /rules",
        "Make or change a rule",
        *(403, 404, 409),
        description="A change that lets nobody pass a door any more is refused without `confirm`.",
    )
    rule = "DELETE /rules/{name:path}"
    add(rules.delete_rule, rule, "Remove a rule", 403, 404, 409, query="confirm")
    add(rules.set_group, "POST /groups", "Make or rename a group", 403, 404, 409)
    add(rules.delete_group, "DELETE /groups/{group:path}", "Remove a group", 403, 404, 409)
    add(rules.set_holidays, "PUT /holidays", "Set the holidays", 403)
    own = "/users/{username:path}/access"
    add(rules.access, f"GET {own}", "What a person may, and when", 404, role=Viewer)
    add(rules.set_access, f"PUT {own}", "Set what a person may, and when", 403, 404, 409)
    _lists(router, runner, sayings)
    line = "Take a line of a list of people"
    statuses = (403, 404, 409, 413, 500)
    add(rules.put_person, "POST /people/line", line, *statuses, name="line")
    return router


def _lists(router: APIRouter, runner: CommandRunner, sayings: Sayings) -> None:
    @router.get(
        "/people.csv",
        summary="Everybody as CSV",
        response_class=Response,
        responses={200: {"content": {"text/csv": {"schema": {"type": "string"}}}}},
    )
    def export(caller: Viewer) -> Response:
        known = runner.run(people.users, UsersRequest(), caller).users
        text = write_list(map(line_of, known))
        headers = {"Content-Disposition": 'attachment; filename="people.csv"'}
        return Response(text.encode("utf-8-sig"), media_type="text/csv", headers=headers)

    @router.post(
        "/people/read",
        summary="Read a list of people",
        responses=responses(403),
        response_model_exclude_unset=True,  # what the list says nothing of
    )
    def read(sent: PeopleList, request: Request, _caller: Operator) -> ReadList:
        """Changes nothing: what the list says, line by line. Send each to `people/line`."""
        language = asked_language(request)
        return ReadList(
            lines=tuple(
                ListedPerson(
                    line=each.number,
                    username=each.name,
                    photo=each.photo,
                    problem=each.problem and (sayings.said(each.problem, language) or each.problem),
                    **each.access,
                )
                for each in read_list(sent.csv.encode("utf-8", errors="replace"))
            )
        )


def _person(parts: ConsoleParts, username: str) -> Person:
    user = parts.people.get(checked_username(username))
    return Person(
        username=user.username,
        created_at=user.created_at,
        templates=tuple(
            TemplateRecord.model_validate(each, from_attributes=True)
            for each in parts.users.templates_of(user.username)
        ),
    )
