"""Groups, rules, holidays, what a person may, and lists of people."""

from functools import partial

from fastapi import APIRouter, Request
from fastapi.responses import Response

from ostiary.commands import people, rules
from ostiary.http.authenticator import Operator, Viewer
from ostiary.http.messages import ListedPerson, PeopleList, ReadList
from ostiary.http.problems import responses
from ostiary.http.routes import route
from ostiary.http.runner import CommandRunner
from ostiary.http.said import Sayings
from ostiary.http.texts import asked_language
from ostiary.messages.commands.people import UsersRequest
from ostiary.messages.people_list import line_of, read_list, write_list


def rules_router(work: CommandRunner, sayings: Sayings) -> APIRouter:
    router = APIRouter(tags=["rules"], responses=responses(401, 422, 429, 503))
    add = partial(route, router, work)
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
    _lists(router, work, sayings)
    line = "Take a line of a list of people"
    statuses = (403, 404, 409, 413, 500)
    add(rules.put_person, "POST /people/line", line, *statuses, name="line")
    return router


def _lists(router: APIRouter, work: CommandRunner, sayings: Sayings) -> None:
    @router.get(
        "/people.csv",
        summary="Everybody as CSV",
        response_class=Response,
        responses={200: {"content": {"text/csv": {"schema": {"type": "string"}}}}},
    )
    def export(caller: Viewer) -> Response:
        known = work.run(people.users, UsersRequest(), caller).users
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
