"""What was decided, and what would be, as commands."""

from dataclasses import replace

from ostiary.access.admission import MISSING, needs_of
from ostiary.commands.context import Context
from ostiary.commands.examine import decoded, judge
from ostiary.commands.registry import Effect, command
from ostiary.commands.room import Room
from ostiary.messages.commands.decisions import (
    EventsAnswer,
    EventsRequest,
    LoginAnswer,
    LoginRequest,
)
from ostiary.messages.decision import Decision
from ostiary.store.events import EventFilter

LOGIN_DIGITS = 2


@command("login", changes=True)
def login(room: Room, request: LoginRequest, context: Context) -> Effect[LoginAnswer]:
    claimed = None if request.username is None else room.people.get(request.username).username
    image = decoded(room, request.image)
    context.check_deadline()
    room.logins.check(context.source)
    decision = judge(room.engine, room.people, room.access, image, claimed).rounded(LOGIN_DIGITS)
    decision = _ruled(room, decision)
    if not decision.success and decision.liveness is not None:
        room.logins.denied(context.source)

    def effect() -> LoginAnswer:
        event = room.events.append_login(decision, source=context.source, now=room.clock())
        return LoginAnswer.model_validate({**decision.told(), "event_id": str(event.event_id)})

    return effect


def _ruled(room: Room, decision: Decision) -> Decision:
    """A picture stands at no door and shows no PIN: who may pass none now, or needs more than a
    face at some, is denied."""
    if not decision.success or decision.username is None:
        return decision
    ruling = room.rules.ruling(decision.username, None)
    if not ruling.allowed:
        return replace(decision, reason=ruling.reason)
    if needs := needs_of(ruling):
        return replace(decision, reason=MISSING[needs[0]])
    return decision


@command("events")
def events(room: Room, request: EventsRequest, _context: Context) -> Effect[EventsAnswer]:
    where = EventFilter(
        kind=request.kind,
        reason=request.reason,
        username=request.username,
        success=request.success,
        since=request.since,
        until=request.until,
    )
    page = room.events.page(
        where, cursor=request.cursor, limit=request.limit, newest_first=request.newest_first
    )
    return lambda: EventsAnswer(events=page.events, cursor=page.cursor)
