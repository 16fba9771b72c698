"""Commands about decisions: judge one picture, and list events."""

from dataclasses import replace

from ostiary.commands.pictures import decoded, judge
from ostiary.commands.registry import Context, Effect, command
from ostiary.commands.services import CommandServices
from ostiary.decision.admission import MISSING, needs_of
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
def login(
    services: CommandServices, request: LoginRequest, context: Context
) -> Effect[LoginAnswer]:
    claimed = None if request.username is None else services.people.get(request.username).username
    image = decoded(services, request.image)
    context.check_deadline()
    services.logins.check(context.source)
    decision = judge(services.engine, services.people, services.access, image, claimed).rounded(
        LOGIN_DIGITS
    )
    decision = _ruled(services, decision)
    if not decision.success and decision.liveness is not None:
        services.logins.denied(context.source)

    def effect() -> LoginAnswer:
        event = services.events.append_login(decision, source=context.source, now=services.clock())
        return LoginAnswer.model_validate({**decision.told(), "event_id": str(event.event_id)})

    return effect


def _ruled(services: CommandServices, decision: Decision) -> Decision:
    """Apply the rules to a picture, which stands at no door and shows no PIN: deny whoever may pass
    no door now, or needs more than a face."""
    if not decision.success or decision.username is None:
        return decision
    ruling = services.rules.ruling(decision.username, None)
    if not ruling.allowed:
        return replace(decision, reason=ruling.reason)
    if needs := needs_of(ruling):
        return replace(decision, reason=MISSING[needs[0]])
    return decision


@command("events")
def events(
    services: CommandServices, request: EventsRequest, _context: Context
) -> Effect[EventsAnswer]:
    where = EventFilter(
        kind=request.kind,
        reason=request.reason,
        username=request.username,
        success=request.success,
        since=request.since,
        until=request.until,
    )
    page = services.events.page(
        where, cursor=request.cursor, limit=request.limit, newest_first=request.newest_first
    )
    return lambda: EventsAnswer(events=page.events, cursor=page.cursor)
