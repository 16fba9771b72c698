"""Makes of events what the console needs: a CSV, a template from a picture, and charts."""

import csv
import io
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from ostiary.decision.roster import Roster
from ostiary.errors import PictureUnfit, SnapshotUnknown
from ostiary.http.drawing import Bar, Dot
from ostiary.messages.events import AnyEvent, LoginEvent, rfc3339
from ostiary.messages.people_list import as_cell
from ostiary.messages.words import Reason
from ostiary.store.events import EventFilter, Events
from ostiary.store.snapshots import Snapshots

MOST = 20_000
PAGE = 1000
COLUMNS = (
    "seq",
    "timestamp",
    "kind",
    "success",
    "reason",
    "what",
    "username",
    "distance",
    "threshold",
    "liveness",
    "source",
    "by",
    "asker",
)
MOST_DOTS = 400


def events_as_csv(events: Events, where: EventFilter) -> str:
    """Write events as CSV, the newest first, `MOST` at most."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    cursor: int | None = None
    for _ in range(MOST // PAGE):
        page = events.page(where, cursor=cursor, limit=PAGE)
        for event in page.events:
            fields = event.model_dump(mode="json")
            kind = "login" if isinstance(event, LoginEvent) else "change"
            what = fields.get("action") or fields.get("what") or ""
            row = {**fields, "kind": kind, "what": what, "timestamp": rfc3339(event.timestamp)}
            writer.writerow([as_cell(row.get(column)) for column in COLUMNS])
        cursor = page.cursor
        if cursor is None:
            break
    return text.getvalue()


def may_be_added(event: AnyEvent, roster: Roster, live_threshold: float) -> bool:
    """Whether an event shows a live, unknown face that is as near to somebody's as two pictures of
    one person may be. Whose it is, says the operator who adds it; that is checked then."""
    return (
        isinstance(event, LoginEvent)
        and event.reason is Reason.UNKNOWN_FACE
        and event.recognizer == roster.used
        and event.liveness is not None
        and event.liveness >= live_threshold
        and event.distance is not None
        and event.distance <= roster.one_person_distance
    )


def picture_to_add(
    events: Events, snapshots: Snapshots, roster: Roster, live_threshold: float, seq: int
) -> bytes:
    """The JPEG of the event `seq`, to be added as a template. Raises SnapshotUnknown,
    PictureUnfit."""
    jpeg = snapshots.get(seq)
    if jpeg is None:
        raise SnapshotUnknown(f"No picture of event {seq} was kept.")
    page = events.page(EventFilter(kind="login"), cursor=seq + 1, limit=1)
    if not any(
        event.seq == seq and may_be_added(event, roster, live_threshold) for event in page.events
    ):
        raise PictureUnfit(
            f"Event {seq} shows no live, unknown face that is near to anybody's. Take the picture "
            "at the camera."
        )
    return jpeg


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
    """The first moment of the last `days` days, today included."""
    local = now.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    return local - timedelta(days=days - 1)


def figures(events: Events, since: datetime, zone: tzinfo) -> Figures:
    """Count the decisions since then. The database counts, so that many take no memory."""
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
