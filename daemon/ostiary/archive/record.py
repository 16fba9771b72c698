"""An event as the archive keeps it. Pure."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError


class _Event(BaseModel):
    """What all events have, of whatever version a door is: the rest stays in the document."""

    model_config = ConfigDict(extra="allow", frozen=True)

    event_id: UUID
    seq: Annotated[int, Field(ge=1, le=2**62)]
    timestamp: AwareDatetime
    username: str | None = None
    success: bool | None = None
    reason: str | None = None
    source: str | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """One row. `door` is the device's id, `kind` the last level of the topic."""

    event_id: UUID
    at: datetime
    door: str
    seq: int
    kind: str
    username: str | None
    success: bool | None
    reason: str | None
    source: str | None
    document: dict[str, Any]


def record_of(topic: str, payload: bytes) -> Record:
    """`topic` is `<base>/<door>/event/<kind>`. Raises ValueError for what is no event."""
    levels = topic.split("/")
    if len(levels) != 4:
        raise ValueError("not an event's topic")
    _, door, _, kind = levels
    try:
        event = _Event.model_validate_json(payload)
        document = json.loads(payload)
    except (ValidationError, RecursionError) as error:
        raise ValueError("not an event: event_id, seq and timestamp are needed") from error
    if "\0" in json.dumps(document, ensure_ascii=False) or "\\u0000" in payload.decode("utf-8"):
        raise ValueError("has a character that PostgreSQL does not keep (U+0000)")
    return Record(
        event.event_id,
        event.timestamp,
        door,
        event.seq,
        kind,
        event.username,
        event.success,
        event.reason,
        event.source,
        document,
    )
