"""Rows of `events`: made from what happened, naming people, and read as events.

What a column holds depends on the row's kind; this file alone knows that.
"""

import math
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Literal, NamedTuple
from uuid import UUID

from uuid_utils import uuid7

from ostiary import timestamps
from ostiary.messages.decision import Decision
from ostiary.messages.events import AnyEvent, DuressEvent, EntranceEvent, LoginEvent, UserEvent
from ostiary.messages.words import DoorWhat, Mode, Reason
from ostiary.store.links import EventRow
from ostiary.store.person_keys import PersonKey, PersonKeys

Action = Literal["registered", "updated", "renamed", "deleted"]

_FORGOTTEN = "Somebody who was deleted since."


class Named(NamedTuple):
    """The person whom an event names, if any. `forced`: the person was let in under duress."""

    username: str | None = None
    previous_username: str | None = None
    forced: bool = False


NOBODY = Named()


# --- rows from what happened ----------------------------------------------------------------


def login_row(decision: Decision, *, source: str, now: datetime) -> EventRow:
    """Make the row of a decision, without names. Raises ValueError for a number not finite."""
    return _row("login", source, now)._replace(
        success=int(decision.success),
        reason=decision.reason.value,
        distance=_finite(decision.distance),
        liveness=_finite(decision.liveness),
        threshold=_finite(decision.threshold),
        recognizer=decision.recognizer,
    )


def user_row(*, action: Action, source: str, now: datetime) -> EventRow:
    """Make the row of a person who was registered, changed or removed."""
    return _row("user", source, now)._replace(action=action)


def entrance_row(
    *, door: str, what: DoorWhat, now: datetime, mode: Mode | None = None, by: str | None = None
) -> EventRow:
    """Make the row of what happened at a physical door. `by`: as `messages.words.by_whom` gives."""
    return _row("door", door, now)._replace(mode=mode, reason=by, action=what.value)


def _row(kind: str, source: str, now: datetime) -> EventRow:
    return EventRow(
        seq=None,
        event_id=uuid7().bytes,
        kind=kind,
        timestamp=timestamps.to_text(now),
        source=source,
    )


def _finite(number: float | None) -> float | None:
    """A number as Python's float: NumPy's kinds are written otherwise."""
    if number is not None and not math.isfinite(number):
        raise ValueError("a number of the event is not finite")  # SQLite: NULL
    return None if number is None else float(number)


# --- whom a row names -----------------------------------------------------------------------


def naming_row(row: EventRow, named: Named, key: PersonKey) -> EventRow:
    """Give a row with the names, sealed under the key of their person."""
    values = *named[:2], int(named.forced)  # `true` and `false` are not of one length
    return row._replace(person=key.person, named=key.sealed(values, "event", row.event_id))


def named_in(row: EventRow, keys: PersonKeys) -> Named | None:
    """Open the names in a row; None: the person was forgotten. Raises SealBroken, StoreLocked;
    TypeError for values that no door writes."""
    if row.person is None:
        return NOBODY
    key = keys.of(row.person)
    if key is None:
        return None
    values = key.opened(row.named, "event", row.event_id)
    return Named(*values)  # type: ignore[arg-type]  # as it was written; each event checks its own


# --- events from rows -----------------------------------------------------------------------


def event_of(row: EventRow, named: Named | None) -> AnyEvent:
    """Make the event of a row. `named`: as `named_in` gives. Raises ValueError or TypeError for
    values that no door writes."""
    return _KINDS[row.kind](row, named)


def login_event(row: EventRow, named: Named | None) -> LoginEvent:
    decision = Decision(
        Reason(str(row.reason)),
        None if named is None else named.username,
        row.distance,
        row.liveness,
        row.threshold,
        row.recognizer,  # type: ignore[arg-type]  # validated below
    )
    told = decision.told()
    if named is None:
        told["message"] = _FORGOTTEN
    return LoginEvent.model_validate({**_common(row, named), **told})


def user_event(row: EventRow, named: Named | None) -> UserEvent:
    previous = None if named is None else named.previous_username
    changed = {"action": row.action, "previous_username": previous}
    return UserEvent.model_validate({**_common(row, named), **changed})


def entrance_event(row: EventRow, named: Named | None) -> EntranceEvent:
    by, _, asker = (row.reason or "").partition("/")
    told = {"what": row.action, "mode": row.mode, "by": by or None, "asker": asker or None}
    return EntranceEvent.model_validate({**_common(row, named), **told})


def duress_event(row: EventRow, named: Named | None) -> DuressEvent | None:
    """The event beside a login that tells that its person was forced; None where they were not, or
    are forgotten."""
    is_forced = row.kind == "login" and named is not None and named.forced
    return DuressEvent.model_validate(_common(row, named)) if is_forced else None


def _common(row: EventRow, named: Named | None) -> dict[str, object]:
    return {
        "seq": row.seq,
        "event_id": UUID(bytes=row.event_id),
        "timestamp": timestamps.from_text(row.timestamp),
        "username": None if named is None else named.username,
        "source": row.source,
        "forgotten": named is None,
    }


_KINDS: Mapping[str, Callable[[EventRow, Named | None], AnyEvent]] = {
    "login": login_event,
    "user": user_event,
    "door": entrance_event,
}
