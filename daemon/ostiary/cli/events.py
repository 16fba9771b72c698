"""`ostiary events`: the last events, and those to come."""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import chain, islice
from typing import Annotated

import typer

from ostiary.cli.door import on_a_door
from ostiary.cli.options import AsJson
from ostiary.local.client import RunningDoor
from ostiary.messages.commands.decisions import EventsAnswer, EventsRequest
from ostiary.messages.events import AnyEvent, DuressEvent, EntranceEvent, LoginEvent, UserEvent
from ostiary.messages.words import Reason

SOMEBODY = "(deleted since)"  # for a name that was taken out
SPANS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}


def moment(text: str) -> datetime:
    """`2026-11-23`, `2026-11-23 14:00`, `14:00` of today, or so long ago: `30m`, `2h`, `7d`. By
    this machine's clock and zone."""
    now = datetime.now().astimezone()
    try:
        if ago := re.fullmatch(r"(\d{1,6})([mhd])", text.strip()):
            return now - int(ago[1]) * SPANS[ago[2]]
        if re.fullmatch(r"\d{1,2}:\d{2}", text.strip()):
            text = f"{now:%Y-%m-%d} {text.strip():0>5}"
        return datetime.fromisoformat(text.strip()).astimezone()
    except (ValueError, OverflowError):
        raise typer.BadParameter(
            "write 2026-11-23, 2026-11-23 14:00, 14:00, or how long ago: 30m, 2h, 7d"
        ) from None


Follow = Annotated[bool, typer.Option("--follow", "-f", help="Wait for new ones.")]
MOST = 1000
"""Events of one page."""

Limit = Annotated[int, typer.Option(min=1, max=MOST, help="How many past ones.")]
Person = Annotated[str | None, typer.Option(help="Of this person only.")]
Why = Annotated[Reason | None, typer.Option(help="Decided for this reason only.")]
Since = Annotated[
    datetime | None,
    typer.Option(parser=moment, help="From then on: 2026-11-23, 14:00, or 2h ago (2h)."),
]
At = Annotated[str | None, typer.Option("--door", help="At this door only: its camera's name.")]


@on_a_door
def events(
    door: RunningDoor,
    follow: Follow = False,
    limit: Limit = 20,
    person: Person = None,
    reason: Why = None,
    since: Since = None,
    at: At = None,
    as_json: AsJson = False,
) -> None:
    """The last events, oldest first; with --follow also those to come, until interrupted."""
    a_page = limit if at is None else MOST  # which door it was is asked here
    wanted = EventsRequest(limit=a_page, username=person, reason=reason, since=since)
    for event in told(door, wanted, limit, at, follow=follow):
        typer.echo(event.model_dump_json() if as_json else line_of(event))


def told(
    door: RunningDoor, wanted: EventsRequest, limit: int, at: str | None, *, follow: bool
) -> Iterator[AnyEvent]:
    """The last `limit` events that `wanted` lists, of one door or all, oldest first; then, with
    `follow`, those that come after them."""
    newest = _newest(door) if follow else None
    listed = (each for each in _listed(door, wanted) if newest is None or each.seq <= newest)
    past = list(islice(_at(at, listed), limit))
    coming = () if newest is None else _at(at, _like(wanted, door.follow(newest)))
    return chain(reversed(past), coming)


def line_of(event: AnyEvent) -> str:
    """One event in one line: when, its number, what, where, who and why."""
    when = f"{event.timestamp.astimezone():%Y-%m-%d %H:%M:%S}"
    who = SOMEBODY if event.forgotten else event.username
    if isinstance(event, UserEvent):
        what = f"user     {who or SOMEBODY} {event.action}"
    elif isinstance(event, DuressEvent):
        what = f"duress   {event.source}: {who or SOMEBODY}"
    elif isinstance(event, EntranceEvent):
        more = " ".join(str(each) for each in (event.mode, who, event.by, event.asker) if each)
        what = f"door     {event.source}: {event.what} {more}".rstrip()
    else:
        what = _decision(event, who)
    return f"{when}  #{event.seq}  {what}"


def _decision(event: LoginEvent, who: str | None) -> str:
    verdict = "granted" if event.success else "denied "
    why = "" if event.success else f" {event.reason}"
    numbers = "".join(
        f"  {name} {value:.3f}"
        for name, value in (("distance", event.distance), ("liveness", event.liveness))
        if value is not None
    )
    return f"{verdict}  {event.source}: {who or '-'}{why}: {event.message}{numbers}"


def _listed(door: RunningDoor, wanted: EventsRequest) -> Iterator[AnyEvent]:
    for page in door.pages("events", wanted, EventsAnswer):
        yield from page.events


def _newest(door: RunningDoor) -> int:
    return next((each.seq for each in _listed(door, EventsRequest(limit=1))), 0)


def _at(door: str | None, found: Iterator[AnyEvent]) -> Iterator[AnyEvent]:
    return (each for each in found if door in (None, each.source))


def _like(wanted: EventsRequest, found: Iterator[AnyEvent]) -> Iterator[AnyEvent]:
    """Events that `wanted` would list."""
    for each in found:
        reason = each.reason if isinstance(each, LoginEvent) else None
        if wanted.username in (None, each.username) and wanted.reason in (None, reason):
            yield each
