"""`ostiary groups`, `ostiary rules` and what one person may, on a running door."""

import re
from typing import Annotated

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from ostiary.client.cli import AsJson, Name, on_a_door, users
from ostiary.client.remote import RemoteDoor
from ostiary.config import describe_validation
from ostiary.errors import RequestMalformed, ScheduleInvalid
from ostiary.messages.commands import (
    AccessAnswer,
    AccessRequest,
    DeleteGroupAnswer,
    DeleteGroupRequest,
    DeleteRuleAnswer,
    DeleteRuleRequest,
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
from ostiary.messages.commands.rules import AccessRule, WeeklyHours
from ostiary.messages.rule_words import WEEK, Day, Factor

groups = typer.Typer(help="Groups of people, on a running door.", no_args_is_help=True)
rules = typer.Typer(help="Who may pass, where and when, on a running door.", no_args_is_help=True)

Label = Annotated[str, typer.Argument(help="Its name.")]
Confirm = Annotated[bool, typer.Option(help="Although nobody could pass a door any more.")]
Since = Annotated[str | None, typer.Option("--from", help="2026-12-24, or with a time.")]
Until = Annotated[str | None, typer.Option("--until", help="A date alone is to its end.")]
Groups = Annotated[list[str] | None, typer.Option("--group", help="One group; repeat it.")]

_HOURS = re.compile(r"^([a-z,-]+) ([0-9:]{5})-([0-9:]{5})$")


@groups.command("add")
@on_a_door
def add_group(door: RemoteDoor, name: Label) -> None:
    """Make a group."""
    door.ask("set_group", SetGroupRequest(group=name), SetGroupAnswer)


@groups.command("rename")
@on_a_door
def rename_group(
    door: RemoteDoor, name: Label, new_name: Annotated[str, typer.Argument(help="The new one.")]
) -> None:
    """Give a group another name."""
    door.ask("set_group", SetGroupRequest(group=name, new_name=new_name), SetGroupAnswer)


@groups.command("remove")
@on_a_door
def remove_group(door: RemoteDoor, name: Label) -> None:
    """Remove a group that nobody is in and no rule is about."""
    door.ask("delete_group", DeleteGroupRequest(group=name), DeleteGroupAnswer)


@groups.command("list")
@on_a_door
def list_groups(door: RemoteDoor, as_json: AsJson = False) -> None:
    """The groups, with how many are in each and which rules are about it."""
    answer = door.ask("rules", RulesRequest(), RulesAnswer)
    table = Table("group", "people", "rules")
    for group in answer.groups:
        if as_json:
            typer.echo(group.model_dump_json())
        table.add_row(group.name, str(group.members), ", ".join(group.rules))
    if not as_json:
        Console().print(table)


@rules.command("list")
@on_a_door
def list_rules(door: RemoteDoor, as_json: AsJson = False) -> None:
    """The rules and holidays."""
    answer = door.ask("rules", RulesRequest(), RulesAnswer)
    if as_json:
        typer.echo(answer.model_dump_json())
        return
    Console().print(table_of(answer.rules))
    for holiday in answer.holidays:
        typer.echo(f"holiday {holiday.date} {holiday.name}")
    typer.echo(f"Hours are those of {answer.timezone}.")
    if not answer.clock_trusted:
        typer.echo("The clock is not synchronised: whoever has hours or an end is denied.")


@rules.command("set")
@on_a_door
def set_rule(
    door: RemoteDoor,
    name: Label,
    group: Groups = None,
    at: Annotated[
        list[str] | None, typer.Option("--door", help="A camera's name; repeat it. None: all.")
    ] = None,
    hours: Annotated[
        list[str] | None,
        typer.Option(help='"mon-fri 08:00-18:00"; repeat it. None: at any time.'),
    ] = None,
    needs: Annotated[Factor, typer.Option(help="What has to be shown.")] = Factor.FACE,
    step_up: Annotated[bool, typer.Option(help="A challenge to the face, too.")] = False,
    two_person: Annotated[bool, typer.Option(help="Two people, one after the other.")] = False,
    anti_passback: Annotated[bool, typer.Option(help="Not in again before out.")] = False,
    since: Since = None,
    until: Until = None,
    confirm: Confirm = False,
) -> None:
    """Make a rule, or change all of the one of that name."""
    try:
        rule = AccessRule(
            name=name,
            groups=tuple(group or ()),
            doors=tuple(at) if at else None,
            hours=tuple(hours_of(text) for text in hours) if hours else None,
            needs=needs,
            step_up=step_up,
            two_person=two_person,
            anti_passback=anti_passback,
            valid_from=since,
            valid_until=until,
        )
    except ValidationError as error:
        raise RequestMalformed(describe_validation(error)) from None
    door.ask("set_rule", SetRuleRequest(rule=rule, confirm=confirm), SetRuleAnswer)


@rules.command("remove")
@on_a_door
def remove_rule(door: RemoteDoor, name: Label, confirm: Confirm = False) -> None:
    """Remove a rule."""
    door.ask("delete_rule", DeleteRuleRequest(name=name, confirm=confirm), DeleteRuleAnswer)


@rules.command("holidays")
@on_a_door
def set_holidays(
    door: RemoteDoor,
    dates: Annotated[
        list[str] | None, typer.Argument(help="2026-12-25, or 2026-12-25=Name.")
    ] = None,
) -> None:
    """These are the holidays, and no others."""
    named = [text.partition("=") for text in dates or ()]
    try:
        request = SetHolidaysRequest.model_validate(
            {"holidays": [{"date": date, "name": name} for date, _, name in named]}
        )
    except ValidationError as error:
        raise RequestMalformed(describe_validation(error)) from None
    door.ask("set_holidays", request, SetHolidaysAnswer)


@users.command("access")
@on_a_door
def access(door: RemoteDoor, name: Name, as_json: AsJson = False) -> None:
    """What one person may, and when."""
    show_access(door.ask("access", AccessRequest(username=name), AccessAnswer), as_json)


@users.command("allow")
@on_a_door
def allow(
    door: RemoteDoor,
    name: Name,
    group: Groups = None,
    since: Since = None,
    until: Until = None,
    confirm: Confirm = False,
    as_json: AsJson = False,
) -> None:
    """Which groups somebody is in, and from when until when they pass: all of it anew."""
    request = SetAccessRequest(
        username=name,
        groups=tuple(group or ()),
        valid_from=since,
        valid_until=until,
        confirm=confirm,
    )
    show_access(door.ask("set_access", request, AccessAnswer), as_json)


def show_access(answer: AccessAnswer, as_json: bool) -> None:
    if as_json:
        typer.echo(answer.model_dump_json())
        return
    always = " passes at any time" if answer.always else ""
    typer.echo(f"{answer.username}: {', '.join(answer.groups) or 'in no group'}{always}")
    for said, moment in (("from", answer.valid_from), ("until", answer.valid_until)):
        if moment is not None:
            typer.echo(f"{said} {moment}")
    Console().print(table_of(answer.rules))
    for each in answer.now:
        typer.echo(f"now, {each.door}: {each.needs if each.allowed else each.reason}")


def table_of(known: tuple[AccessRule, ...]) -> Table:
    table = Table("rule", "groups", "doors", "hours", "needs")
    for rule in known:
        hours = [f"{'/'.join(each.days)} {each.start}-{each.end}" for each in rule.hours or ()]
        options = [
            word
            for word, is_set in (
                ("challenge", rule.step_up),
                ("two people", rule.two_person),
                ("anti-passback", rule.anti_passback),
            )
            if is_set
        ]
        table.add_row(
            rule.name,
            ", ".join(rule.groups),
            ", ".join(rule.doors or ("all",)),
            "\n".join(hours) or "always",
            ", ".join([rule.needs.value, *options]),
        )
    return table


def hours_of(text: str) -> WeeklyHours:
    """`mon-fri,holiday 08:00-18:00`. Raises ScheduleInvalid."""
    found = _HOURS.match(text.strip().lower())
    try:
        if found is None:
            raise ValueError
        days: list[Day] = []
        for part in found[1].split(","):
            first, _, last = part.partition("-")
            if not last:
                days.append(Day(first))
                continue
            start, end = WEEK.index(Day(first)), WEEK.index(Day(last))
            days += [WEEK[each % 7] for each in range(start, end + (1 if end >= start else 8))]
        return WeeklyHours(days=tuple(days), start=found[2], end=found[3])
    except ValueError:
        raise ScheduleInvalid(f'{text[:60]!r}: write it as "mon-fri,sun 08:00-18:00".') from None
