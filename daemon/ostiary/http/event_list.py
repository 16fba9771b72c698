"""Events as a CSV that a spreadsheet opens."""

import csv
import io

from ostiary.messages.events import LoginEvent, rfc3339
from ostiary.messages.people_list import as_cell
from ostiary.store.events import EventFilter, Events

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


def events_as_csv(events: Events, where: EventFilter) -> str:
    """The newest first, `MOST` at most."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    cursor: int | None = None
    for _ in range(MOST // PAGE):
        page = events.page(where, cursor=cursor, limit=PAGE)
        for event in page.events:
            told = event.model_dump(mode="json")
            kind = "login" if isinstance(event, LoginEvent) else "change"
            what = told.get("action") or told.get("what") or ""
            row = {**told, "kind": kind, "what": what, "timestamp": rfc3339(event.timestamp)}
            writer.writerow([as_cell(row.get(column)) for column in COLUMNS])
        cursor = page.cursor
        if cursor is None:
            break
    return text.getvalue()
