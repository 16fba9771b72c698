"""Groups, rules, holidays, what a person may, and lists of people."""

from typing import Annotated

from fastapi import APIRouter, Path, Query
from fastapi.responses import Response

from ostiary.http.gate import Operator, Viewer
from ostiary.http.messages import ListedPerson, PeopleList, PersonAccess, ReadList
from ostiary.http.problems import responses
from ostiary.http.work import Work
from ostiary.messages.commands import (
    AccessAnswer,
    AccessRequest,
    DeleteGroupAnswer,
    DeleteGroupRequest,
    DeleteRuleAnswer,
    DeleteRuleRequest,
    PutPersonAnswer,
    PutPersonRequest,
    RulesAnswer,
    RulesRequest,
    SetAccessRequest,
    SetGroupAnswer,
    SetGroupRequest,
    SetHolidaysAnswer,
    SetHolidaysRequest,
    SetRuleAnswer,
    SetRuleRequest,
    UsersAnswer,
    UsersRequest,
)
from ostiary.messages.people_list import line_of, read_list, write_list

Name = Annotated[str, Path(min_length=1, description="Its name, percent-encoded.")]
Confirm = Annotated[bool, Query(description="Although nobody could pass a door any more.")]


def rules_router(work: Work) -> APIRouter:
    router = APIRouter(tags=["rules"], responses=responses(401, 422, 429, 503))
    _rules(router, work)
    _access(router, work)
    _lists(router, work)
    return router


def _rules(router: APIRouter, work: Work) -> None:
    @router.get("/rules", summary="Groups, rules and holidays")
    def rules(_caller: Viewer) -> RulesAnswer:
        return work.ask("rules", RulesRequest(), RulesAnswer)

    @router.put("/rules", summary="Make or change a rule", responses=responses(403, 404, 409))
    def set_rule(request: SetRuleRequest, caller: Operator) -> SetRuleAnswer:
        """A change that lets nobody pass a door any more is refused without `confirm`."""
        return work.change(
            "set_rule", request, SetRuleAnswer, caller, "rule_set", request.rule.name
        )

    @router.delete(
        "/rules/{name:path}", summary="Remove a rule", responses=responses(403, 404, 409)
    )
    def delete_rule(name: Name, caller: Operator, confirm: Confirm = False) -> DeleteRuleAnswer:
        request = DeleteRuleRequest(name=name, confirm=confirm)
        return work.change(
            "delete_rule", request, DeleteRuleAnswer, caller, "rule_deleted", request.name
        )

    @router.post("/groups", summary="Make or rename a group", responses=responses(403, 404, 409))
    def set_group(request: SetGroupRequest, caller: Operator) -> SetGroupAnswer:
        renamed = {} if request.new_name is None else {"new_name": request.new_name}
        action = "group_renamed" if renamed else "group_set"
        return work.change(
            "set_group", request, SetGroupAnswer, caller, action, request.group, renamed
        )

    @router.delete(
        "/groups/{group:path}", summary="Remove a group", responses=responses(403, 404, 409)
    )
    def delete_group(group: Name, caller: Operator) -> DeleteGroupAnswer:
        request = DeleteGroupRequest(group=group)
        return work.change(
            "delete_group", request, DeleteGroupAnswer, caller, "group_deleted", request.group
        )

    @router.put("/holidays", summary="Set the holidays", responses=responses(403))
    def set_holidays(request: SetHolidaysRequest, caller: Operator) -> SetHolidaysAnswer:
        count = f"{len(request.holidays)} holidays"
        return work.change(
            "set_holidays", request, SetHolidaysAnswer, caller, "holidays_set", count
        )


def _access(router: APIRouter, work: Work) -> None:
    @router.get(
        "/users/{username:path}/access",
        summary="What a person may, and when",
        responses=responses(404),
    )
    def access(username: Name, _caller: Viewer) -> AccessAnswer:
        return work.ask("access", AccessRequest(username=username), AccessAnswer)

    @router.put(
        "/users/{username:path}/access",
        summary="Set what a person may, and when",
        responses=responses(403, 404, 409),
    )
    def set_access(username: Name, wanted: PersonAccess, caller: Operator) -> AccessAnswer:
        request = SetAccessRequest(username=username, **wanted.model_dump(exclude_unset=True))
        return work.change(
            "set_access", request, AccessAnswer, caller, "access_set", request.username
        )


def _lists(router: APIRouter, work: Work) -> None:
    @router.get(
        "/people.csv",
        summary="Everybody as CSV",
        response_class=Response,
        responses={200: {"content": {"text/csv": {"schema": {"type": "string"}}}}},
    )
    def export(_caller: Viewer) -> Response:
        known = work.ask("users", UsersRequest(), UsersAnswer).users
        text = write_list(map(line_of, known))
        headers = {"Content-Disposition": 'attachment; filename="people.csv"'}
        return Response(text.encode("utf-8-sig"), media_type="text/csv", headers=headers)

    @router.post(
        "/people/read",
        summary="Read a list of people",
        responses=responses(403),
        response_model_exclude_unset=True,  # what the list says nothing of
    )
    def read(sent: PeopleList, _caller: Operator) -> ReadList:
        """Changes nothing: what the list says, line by line. Send each to `people/line`."""
        return ReadList(
            lines=tuple(
                ListedPerson(
                    line=each.number,
                    username=each.name,
                    photo=each.photo,
                    problem=each.problem,
                    **each.access,
                )
                for each in read_list(sent.csv.encode("utf-8", errors="replace"))
            )
        )

    @router.post(
        "/people/line",
        summary="Take a line of a list of people",
        responses=responses(403, 404, 409, 413, 500),
    )
    def line(request: PutPersonRequest, caller: Operator) -> PutPersonAnswer:
        return work.change(
            "put_person", request, PutPersonAnswer, caller, "person_put", request.username
        )
