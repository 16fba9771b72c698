"""Groups, rules, holidays, and what a person may."""

from collections import Counter

from ostiary.commands.context import Context
from ostiary.commands.enrol import register
from ostiary.commands.registry import Deed, Effect, command
from ostiary.commands.room import Room
from ostiary.commands.rulebook import Kept
from ostiary.errors import PeriodInvalid, PhotoMissing
from ostiary.messages.commands.people import RegisterAnswer, RegisterRequest
from ostiary.messages.commands.rules import (
    AccessAnswer,
    AccessRequest,
    AccessRule,
    DeleteGroupAnswer,
    DeleteGroupRequest,
    DeleteRuleAnswer,
    DeleteRuleRequest,
    DoorRuling,
    GroupRecord,
    Holiday,
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
)
from ostiary.messages.username import same_name
from ostiary.store.rules import StoredPerson


@command("rules")
def rules(room: Room, request: RulesRequest, _context: Context) -> Effect[RulesAnswer]:
    def effect() -> RulesAnswer:
        stored, known = room.rules.stored, room.rules.rules()
        members = Counter(group for each in stored.people.values() for group in each.groups)
        groups = [
            GroupRecord(
                name=name,
                members=members[name],
                rules=tuple(rule.name for rule in known if name in rule.groups),
            )
            for name in sorted(stored.groups)
        ]
        everything = [*groups, *known, *_holidays(room)]
        start = request.cursor or 0
        end = len(everything) if request.limit is None else start + request.limit
        page = everything[start:end]
        return RulesAnswer(
            groups=tuple(each for each in page if isinstance(each, GroupRecord)),
            rules=tuple(each for each in page if isinstance(each, AccessRule)),
            holidays=tuple(each for each in page if isinstance(each, Holiday)),
            cursor=end if end < len(everything) else None,
            doors=room.rules.doors,
            timezone=room.rules.timezone,
            without_group=room.rules.without_group,
            clock_trusted=room.rules.clock_trusted(),
        )

    return effect


def _group_set(request: SetGroupRequest, _answer: SetGroupAnswer) -> Deed:
    if request.new_name is None:
        return Deed("group_set", request.group)
    return Deed("group_renamed", request.group, {"new_name": request.new_name})


@command("set_group", changes=True, audit=_group_set)
def set_group(room: Room, request: SetGroupRequest, _context: Context) -> Effect[SetGroupAnswer]:
    return lambda: SetGroupAnswer(group=room.rules.set_group(request.group, request.new_name))


@command("delete_group", changes=True, audit="group_deleted", subject="group")
def delete_group(
    room: Room, request: DeleteGroupRequest, _context: Context
) -> Effect[DeleteGroupAnswer]:
    def effect() -> DeleteGroupAnswer:
        room.rules.delete_group(request.group)
        return DeleteGroupAnswer(group=request.group)

    return effect


def _rule_set(request: SetRuleRequest, _answer: SetRuleAnswer) -> Deed:
    was = {"was": request.replaces} if request.replaces else {}
    return Deed("rule_set", request.rule.name, was)


@command("set_rule", changes=True, admits=True, audit=_rule_set)
def set_rule(room: Room, request: SetRuleRequest, _context: Context) -> Effect[SetRuleAnswer]:
    return lambda: SetRuleAnswer(
        rule=room.rules.set_rule(request.rule, request.replaces, confirm=request.confirm)
    )


@command("delete_rule", changes=True, admits=True, audit="rule_deleted", subject="name")
def delete_rule(
    room: Room, request: DeleteRuleRequest, _context: Context
) -> Effect[DeleteRuleAnswer]:
    def effect() -> DeleteRuleAnswer:
        room.rules.delete_rule(request.name, confirm=request.confirm)
        return DeleteRuleAnswer(name=request.name)

    return effect


def _holidays_set(request: SetHolidaysRequest, _answer: SetHolidaysAnswer) -> Deed:
    return Deed("holidays_set", f"{len(request.holidays)} holidays")


@command("set_holidays", changes=True, admits=True, audit=_holidays_set)
def set_holidays(
    room: Room, request: SetHolidaysRequest, _context: Context
) -> Effect[SetHolidaysAnswer]:
    def effect() -> SetHolidaysAnswer:
        holidays = {each.date: each.name for each in request.holidays}
        if len(holidays) < len(request.holidays):
            raise PeriodInvalid("A date is there twice.")
        room.rules.set_holidays(holidays)
        ordered = sorted(request.holidays, key=lambda each: each.date)
        return SetHolidaysAnswer(holidays=tuple(ordered))

    return effect


@command("access")
def access(room: Room, request: AccessRequest, _context: Context) -> Effect[AccessAnswer]:
    return lambda: access_of(room, room.rules.kept, request.username)


@command("set_access", changes=True, admits=True, audit="access_set")
def set_access(room: Room, request: SetAccessRequest, context: Context) -> Effect[AccessAnswer]:
    """Raises what `Rules.set_person` raises."""

    def effect() -> AccessAnswer:
        coming = room.rules.set_person(
            request.username, request, context.source, confirm=request.confirm
        )
        return access_of(room, coming, request.username)

    return effect


@command("put_person", changes=True, admits=True, audit="person_put")
def put_person(room: Room, request: PutPersonRequest, context: Context) -> Effect[PutPersonAnswer]:
    """Raises what `register` raises, PhotoMissing for somebody new without a picture, GroupUnknown,
    PeriodInvalid; then nothing of it was done."""
    is_new = not room.people.has(request.username)
    room.rules.changed(
        StoredPerson() if is_new else room.rules.person(same_name(request.username)), request
    )
    registers: Effect[RegisterAnswer] | None = None
    if is_new:
        if request.image is None:
            raise PhotoMissing(f"{request.username} is new, and there is no photo.")
        registration = RegisterRequest(
            username=request.username, image=request.image, require_live=request.require_live
        )
        registers = register(room, registration, context)

    def effect() -> PutPersonAnswer:
        if registers is not None:
            registers()
        room.rules.set_person(request.username, request, context.source, confirm=True)
        return PutPersonAnswer(
            username=room.people.get(request.username).username, registered=is_new
        )

    return effect


def access_of(room: Room, kept: Kept, username: str) -> AccessAnswer:
    """What somebody may by `kept`, be it what comes into force with this transaction. Raises
    UserUnknown."""
    name = room.people.get(username).username
    person = kept.person(name)
    return AccessAnswer(
        username=name,
        groups=tuple(sorted(person.groups)),
        valid_from=room.rules.local(person.valid_from),
        valid_until=room.rules.local(person.valid_until),
        always=not person.groups and room.rules.without_group == "always",
        rules=tuple(rule for rule in kept.by_name() if person.groups.intersection(rule.groups)),
        now=tuple(
            DoorRuling(
                door=door,
                allowed=ruling.allowed,
                reason=ruling.reason,
                needs=ruling.needs,
                step_up=ruling.step_up,
                two_person=ruling.two_person,
            )
            for door in room.rules.doors
            for ruling in [room.rules.ruling(name, door, kept.book)]
        ),
    )


def _holidays(room: Room) -> tuple[Holiday, ...]:
    stored = room.rules.stored.holidays
    return tuple(Holiday(date=on, name=name) for on, name in sorted(stored.items()))
