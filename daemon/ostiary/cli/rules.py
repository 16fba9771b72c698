"""`ostiary groups`, `ostiary rules` and what one person may, on a running door."""

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from ostiary.cli.door import on_a_door, users
from ostiary.cli.options import AsJson, Name
from ostiary.errors import ConfigError, GroupExists, ScheduleInvalid
from ostiary.local.client import RunningDoor
from ostiary.messages.commands.rules import (
    AccessAnswer,
    AccessRequest,
    AccessRule,
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
    WeeklyHours,
)
from ostiary.messages.times import written_hours
from ostiary.messages.username import same_name
from ostiary.messages.words import Factor

groups = typer.Typer(help="Groups of people, on a running door.", no_args_is_help=True)
rules = typer.Typer(help="Who may pass, where and when, on a running door.", no_args_is_help=True)

Label = Annotated[str, typer.Argument(help="Its name.")]
Confirm = Annotated[bool, typer.Option(help="Although nobody could pass a door any more.")]
Since = Annotated[
    str | None, typer.Option("--from", help='2026-12-24, or with a time. "": from any time.')
]
Until = Annotated[
    str | None, typer.Option("--until", help='A date alone is to its end. "": without end.')
]
Groups = Annotated[
    list[str] | None, typer.Option("--group", help='One group; repeat it. "": none.')
]


def whole_book(door: RunningDoor) -> RulesAnswer:
    """All groups, rules and holidays in one answer, also where the broker took several."""
    pages = list(door.pages("rules", RulesRequest(), RulesAnswer))
    return pages[-1].model_copy(
        update={
            "groups": tuple(group for page in pages for group in page.groups),
            "rules": tuple(rule for page in pages for rule in page.rules),
            "holidays": tuple(day for page in pages for day in page.holidays),
        }
    )


@groups.command("add")
@on_a_door
def add_group(door: RunningDoor, name: Label) -> None:
    """Make a group."""
    if any(each.name == name for each in whole_book(door).groups):
        raise GroupExists(f"There is a group {name} already.")
    door.ask("set_group", SetGroupRequest(group=name), SetGroupAnswer)


@groups.command("rename")
@on_a_door
def rename_group(
    door: RunningDoor, name: Label, new_name: Annotated[str, typer.Argument(help="The new one.")]
) -> None:
    """Give a group another name."""
    door.ask("set_group", SetGroupRequest(group=name, new_name=new_name), SetGroupAnswer)


@groups.command("remove")
@on_a_door
def remove_group(door: RunningDoor, name: Label) -> None:
    """Remove a group that nobody is in and no rule is about."""
    door.ask("delete_group", DeleteGroupRequest(group=name), DeleteGroupAnswer)


@groups.command("list")
@on_a_door
def list_groups(door: RunningDoor, as_json: AsJson = False) -> None:
    """The groups, with how many are in each and which rules are about it."""
    answer = whole_book(door)
    table = Table("group", "people", "rules")
    for group in answer.groups:
        if as_json:
            typer.echo(group.model_dump_json())
        table.add_row(group.name, str(group.members), ", ".join(group.rules))
    if not as_json:
        Console().print(table)


@rules.command("list")
@on_a_door
def list_rules(door: RunningDoor, as_json: AsJson = False) -> None:
    """The rules and holidays."""
    answer = whole_book(door)
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
    door: RunningDoor,
    name: Label,
    group: Groups = None,
    at: Annotated[
        list[str] | None, typer.Option("--door", help='A camera\'s name; repeat it. "": all.')
    ] = None,
    hours: Annotated[
        list[str] | None,
        typer.Option(help='"mon-fri 08:00-18:00"; repeat it. "": at any time.'),
    ] = None,
    needs: Annotated[Factor | None, typer.Option(help="What has to be shown.")] = None,
    step_up: Annotated[bool | None, typer.Option(help="A challenge to the face, too.")] = None,
    two_person: Annotated[
        bool | None, typer.Option(help="Two people, one after the other.")
    ] = None,
    anti_passback: Annotated[bool | None, typer.Option(help="Not in again before out.")] = None,
    since: Since = None,
    until: Until = None,
    confirm: Confirm = False,
) -> None:
    """Make a rule (at any time and by a face alone, if nothing else is said), or change the one of
    that name: what is not said stays as it is."""
    said = _said(
        groups=group,
        doors=at,
        hours=None if hours is None else [week_hours(text) for text in hours if text],
        needs=needs,
        step_up=step_up,
        two_person=two_person,
        anti_passback=anti_passback,
        valid_from=since,
        valid_until=until,
    )
    known = whole_book(door).rules
    before = next((rule.model_dump() for rule in known if rule.name == same_name(name)), {})
    rule = AccessRule.model_validate({"groups": (), **before, "name": name, **said})
    door.ask("set_rule", SetRuleRequest(rule=rule, confirm=confirm), SetRuleAnswer)


@rules.command("remove")
@on_a_door
def remove_rule(door: RunningDoor, name: Label, confirm: Confirm = False) -> None:
    """Remove a rule."""
    door.ask("delete_rule", DeleteRuleRequest(name=name, confirm=confirm), DeleteRuleAnswer)


@rules.command("holidays")
@on_a_door
def set_holidays(
    door: RunningDoor,
    dates: Annotated[
        list[str] | None, typer.Argument(help="2026-12-25, or 2026-12-25=Name.")
    ] = None,
    none: Annotated[bool, typer.Option("--none", help="There are no holidays any more.")] = False,
) -> None:
    """These are the holidays, and no others."""
    if none == bool(dates):
        raise ConfigError("Name all the holidays, or say --none.")
    named = [text.partition("=") for text in dates or ()]
    request = SetHolidaysRequest.model_validate(
        {"holidays": [{"date": date, "name": name} for date, _, name in named]}
    )
    door.ask("set_holidays", request, SetHolidaysAnswer)


@users.command("access")
@on_a_door
def access(door: RunningDoor, name: Name, as_json: AsJson = False) -> None:
    """What one person may, and when."""
    show_access(door.ask("access", AccessRequest(username=name), AccessAnswer), as_json)


@users.command("allow")
@on_a_door
def allow(
    door: RunningDoor,
    name: Name,
    group: Groups = None,
    since: Since = None,
    until: Until = None,
    confirm: Confirm = False,
    as_json: AsJson = False,
) -> None:
    """Which groups somebody is in, and from when until when they pass; what is not said stays as it
    is."""
    said = _said(groups=group, valid_from=since, valid_until=until)
    if group is not None:
        said["groups"] = said["groups"] or ()
    request = SetAccessRequest.model_validate({"username": name, "confirm": confirm, **said})
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


def week_hours(text: str) -> WeeklyHours:
    """`mon-fri,holiday 08:00-18:00`. Raises ScheduleInvalid."""
    try:
        days, start, end = written_hours(text)
    except ValueError as error:
        raise ScheduleInvalid(f"{error}.") from None
    return WeeklyHours(days=days, start=start, end=end)


def _said(**options: object) -> dict[str, object]:
    """Fields for the options that were given; "" becomes null, and in a list nothing."""
    said: dict[str, object] = {}
    for name, value in options.items():
        if isinstance(value, list):
            said[name] = [each for each in value if each] or None
        elif value is not None:
            said[name] = None if value == "" else value
    return said
