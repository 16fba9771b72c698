"""Commands about groups, rules, holidays, and what a person may."""

from collections import Counter

from ostiary.commands.people import register
from ostiary.commands.registry import Context, Deed, Effect, command
from ostiary.commands.services import CommandServices
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
from ostiary.people.rulebook import Kept
from ostiary.store.rules import StoredPerson


@command("rules")
def rules(
    services: CommandServices, request: RulesRequest, _context: Context
) -> Effect[RulesAnswer]:
    def effect() -> RulesAnswer:
        stored, known = services.rules.stored, services.rules.rules()
        members = Counter(group for each in stored.people.values() for group in each.groups)
        groups = [
            GroupRecord(
                name=name,
                members=members[name],
                rules=tuple(rule.name for rule in known if name in rule.groups),
            )
            for name in sorted(stored.groups)
        ]
        everything = [*groups, *known, *_holidays(services)]
        start = request.cursor or 0
        end = len(everything) if request.limit is None else start + request.limit
        page = everything[start:end]
        return RulesAnswer(
            groups=tuple(each for each in page if isinstance(each, GroupRecord)),
            rules=tuple(each for each in page if isinstance(each, AccessRule)),
            holidays=tuple(each for each in page if isinstance(each, Holiday)),
            cursor=end if end < len(everything) else None,
            doors=services.rules.doors,
            timezone=services.rules.timezone,
            without_group=services.rules.without_group,
            clock_trusted=services.rules.clock_trusted(),
        )

    return effect


def _group_set(request: SetGroupRequest, _answer: SetGroupAnswer) -> Deed:
    if request.new_name is None:
        return Deed("group_set", request.group)
    return Deed("group_renamed", request.group, {"new_name": request.new_name})


@command("set_group", changes=True, audit=_group_set)
def set_group(
    services: CommandServices, request: SetGroupRequest, _context: Context
) -> Effect[SetGroupAnswer]:
    return lambda: SetGroupAnswer(group=services.rules.set_group(request.group, request.new_name))


@command("delete_group", changes=True, audit="group_deleted", subject="group")
def delete_group(
    services: CommandServices, request: DeleteGroupRequest, _context: Context
) -> Effect[DeleteGroupAnswer]:
    def effect() -> DeleteGroupAnswer:
        services.rules.delete_group(request.group)
        return DeleteGroupAnswer(group=request.group)

    return effect


def _rule_set(request: SetRuleRequest, _answer: SetRuleAnswer) -> Deed:
    was = {"was": request.replaces} if request.replaces else {}
    return Deed("rule_set", request.rule.name, was)


@command("set_rule", changes=True, admits=True, audit=_rule_set)
def set_rule(
    services: CommandServices, request: SetRuleRequest, _context: Context
) -> Effect[SetRuleAnswer]:
    return lambda: SetRuleAnswer(
        rule=services.rules.set_rule(request.rule, request.replaces, confirm=request.confirm)
    )


@command("delete_rule", changes=True, admits=True, audit="rule_deleted", subject="name")
def delete_rule(
    services: CommandServices, request: DeleteRuleRequest, _context: Context
) -> Effect[DeleteRuleAnswer]:
    def effect() -> DeleteRuleAnswer:
        services.rules.delete_rule(request.name, confirm=request.confirm)
        return DeleteRuleAnswer(name=request.name)

    return effect


def _holidays_set(request: SetHolidaysRequest, _answer: SetHolidaysAnswer) -> Deed:
    return Deed("holidays_set", f"{len(request.holidays)} holidays")


@command("set_holidays", changes=True, admits=True, audit=_holidays_set)
def set_holidays(
    services: CommandServices, request: SetHolidaysRequest, _context: Context
) -> Effect[SetHolidaysAnswer]:
    def effect() -> SetHolidaysAnswer:
        holidays = {each.date: each.name for each in request.holidays}
        if len(holidays) < len(request.holidays):
            raise PeriodInvalid("A date is there twice.")
        services.rules.set_holidays(holidays)
        ordered = sorted(request.holidays, key=lambda each: each.date)
        return SetHolidaysAnswer(holidays=tuple(ordered))

    return effect


@command("access")
def access(
    services: CommandServices, request: AccessRequest, _context: Context
) -> Effect[AccessAnswer]:
    return lambda: access_of(services, services.rules.kept, request.username)


@command("set_access", changes=True, admits=True, audit="access_set")
def set_access(
    services: CommandServices, request: SetAccessRequest, context: Context
) -> Effect[AccessAnswer]:
    """Set what a person may. Raises what `RuleService.set_person` raises."""

    def effect() -> AccessAnswer:
        coming = services.rules.set_person(
            request.username, request, context.source, confirm=request.confirm
        )
        return access_of(services, coming, request.username)

    return effect


@command("put_person", changes=True, admits=True, audit="person_put")
def put_person(
    services: CommandServices, request: PutPersonRequest, context: Context
) -> Effect[PutPersonAnswer]:
    """Take a line of a list of people. Raises what `register` raises, PhotoMissing for somebody new
    without a picture, GroupUnknown, PeriodInvalid; nothing was done then."""
    is_new = not services.people.has(request.username)
    services.rules.changed(
        StoredPerson() if is_new else services.rules.person(same_name(request.username)), request
    )
    registers: Effect[RegisterAnswer] | None = None
    if is_new:
        if request.image is None:
            raise PhotoMissing(f"{request.username} is new, and there is no photo.")
        registration = RegisterRequest(
            username=request.username, image=request.image, require_live=request.require_live
        )
        registers = register(services, registration, context)

    def effect() -> PutPersonAnswer:
        if registers is not None:
            registers()
        services.rules.set_person(request.username, request, context.source, confirm=True)
        return PutPersonAnswer(
            username=services.people.get(request.username).username, registered=is_new
        )

    return effect


def access_of(services: CommandServices, kept: Kept, username: str) -> AccessAnswer:
    """What a person may by the rules in `kept`, which may come into force with this transaction.
    Raises UserUnknown."""
    name = services.people.get(username).username
    person = kept.person(name)
    return AccessAnswer(
        username=name,
        groups=tuple(sorted(person.groups)),
        valid_from=services.rules.local(person.valid_from),
        valid_until=services.rules.local(person.valid_until),
        always=not person.groups and services.rules.without_group == "always",
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
            for door in services.rules.doors
            for ruling in [services.rules.ruling(name, door, kept.book)]
        ),
    )


def _holidays(services: CommandServices) -> tuple[Holiday, ...]:
    stored = services.rules.stored.holidays
    return tuple(Holiday(date=on, name=name) for on, name in sorted(stored.items()))
