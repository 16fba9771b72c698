"""What is better looked at than read: entries by hour, denials by reason, how near people came."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from ostiary.http.drawing import Bar, Dot
from ostiary.messages.events import LoginEvent
from ostiary.store.events import EventFilter, Events

MOST_EVENTS = 20_000
MOST_DOTS = 400
PAGE = 1000


@dataclass(frozen=True, slots=True)
class Figures:
    """`hours`: 24 bars of granted and denied, by the site's clocks. `reasons`: denials by reason,
    most first. `dots`: distance and P(live) of the newest visits. `is_cut`: there were more."""

    granted: int
    denied: int
    hours: tuple[Bar, ...]
    reasons: tuple[tuple[str, int], ...]
    dots: tuple[Dot, ...]
    is_cut: bool


def midnight(now: datetime, days: int, zone: tzinfo) -> datetime:
    """Since when the last `days` days are, today included."""
    local = now.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    return local - timedelta(days=days - 1)


def logins(events: Events, since: datetime) -> tuple[list[LoginEvent], bool]:
    """Decisions since then, the newest first, at most `MOST_EVENTS`; whether there were more."""
    found: list[LoginEvent] = []
    cursor = None
    where = EventFilter(kind="login", since=since)
    while len(found) < MOST_EVENTS:
        page = events.page(where, cursor=cursor, limit=PAGE)
        found += [event for event in page.events if isinstance(event, LoginEvent)]
        cursor = page.cursor
        if cursor is None:
            return found, False
    return found, True


def figures_of(found: Sequence[LoginEvent], zone: tzinfo, *, is_cut: bool) -> Figures:
    granted: Counter[int] = Counter()
    denied: Counter[int] = Counter()
    reasons: Counter[str] = Counter()
    for event in found:
        hour = event.timestamp.astimezone(zone).hour
        (granted if event.success else denied)[hour] += 1
        if not event.success:
            reasons[event.reason.value] += 1
    return Figures(
        granted.total(),
        denied.total(),
        tuple(
            Bar(str(hour), {"granted": granted[hour], "denied": denied[hour]}) for hour in range(24)
        ),
        tuple(reasons.most_common()),
        tuple(
            Dot(
                event.distance,
                event.liveness,
                "granted" if event.success else "denied",
                f"{event.timestamp.astimezone(zone):%Y-%m-%d %H:%M} {event.username or ''}".strip(),
            )
            for event in found[:MOST_DOTS]
            if event.distance is not None and event.liveness is not None
        ),
        is_cut,
    )
