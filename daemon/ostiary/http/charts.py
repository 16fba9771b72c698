"""What is better looked at than read: entries by hour, denials by reason, how near people came."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from ostiary.http.drawing import Bar, Dot
from ostiary.messages.events import LoginEvent
from ostiary.store.events import EventFilter, Events

MOST_DOTS = 400


@dataclass(frozen=True, slots=True)
class Figures:
    """`hours`: 24 bars of granted and denied, by the site's clocks. `reasons`: denials by reason,
    most first. `dots`: distance and P(live) of the newest visits."""

    granted: int
    denied: int
    hours: tuple[Bar, ...]
    reasons: tuple[tuple[str, int], ...]
    dots: tuple[Dot, ...]


def midnight(now: datetime, days: int, zone: tzinfo) -> datetime:
    """Since when the last `days` days are, today included."""
    local = now.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    return local - timedelta(days=days - 1)


def figures(events: Events, since: datetime, zone: tzinfo) -> Figures:
    """What was decided since then. Counted by the database: how many there were takes no memory."""
    by_hour = {True: Counter[int](), False: Counter[int]()}
    reasons: Counter[str] = Counter()
    for tally in events.tallies(since):
        by_hour[tally.success][tally.since.astimezone(zone).hour] += tally.count
        if not tally.success:
            reasons[tally.reason] += tally.count
    granted, denied = by_hour[True], by_hour[False]
    newest = events.page(EventFilter(kind="login", since=since), limit=MOST_DOTS).events
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
            for event in newest
            if isinstance(event, LoginEvent)
            and event.distance is not None
            and event.liveness is not None
        ),
    )
