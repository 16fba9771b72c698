"""A row of `events`: made of what happened, sealed, opened, and what it tells.

What stands in a column depends on the row's kind; only this file knows.
"""

import math
import os
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Literal
from uuid import UUID

from uuid_utils import uuid7

from ostiary import timestamps
from ostiary.crypto.seal import Seal
from ostiary.messages.decision import Decision
from ostiary.messages.events import AnyEvent, DuressEvent, EntranceEvent, LoginEvent, UserEvent
from ostiary.messages.words import DoorWhat, Mode, Reason
from ostiary.store.links import SALT_BYTES, EventRow, Row

Action = Literal["registered", "updated", "renamed", "deleted"]

FREELY = "freely"
"""What is sealed in the place of `duress`, and is as long: a file does not tell who was forced."""
_FORGOTTEN = "Somebody who was deleted since."


# --- of what happened -----------------------------------------------------------------------


def login_row(decision: Decision, *, source: str, now: datetime, duress: bool) -> EventRow:
    """Its words are made when it is told. Raises ValueError for numbers that no event may have."""
    return _row("login", source, now, decision.username)._replace(
        success=int(decision.success),
        reason=decision.reason.value,
        distance=_finite(decision.distance),
        liveness=_finite(decision.liveness),
        threshold=_finite(decision.threshold),
        recognizer=decision.recognizer,
        action="duress" if duress else None,
    )


def user_row(
    *,
    action: Action,
    username: str,
    source: str,
    now: datetime,
    previous_username: str | None = None,
) -> EventRow:
    """A person was registered, changed or removed."""
    return _row("user", source, now, username)._replace(
        action=action, previous_username=previous_username
    )


def entrance_row(
    *,
    door: str,
    what: DoorWhat,
    now: datetime,
    username: str | None = None,
    mode: Mode | None = None,
    by: str | None = None,
) -> EventRow:
    """Something happened at the door itself."""
    assert username is None or mode is None  # the mode would have to be sealed as well
    return _row("door", door, now, username)._replace(message=mode, reason=by, action=what.value)


def _row(kind: str, source: str, now: datetime, username: str | None) -> EventRow:
    return EventRow(
        seq=None,
        event_id=uuid7().bytes,
        kind=kind,
        timestamp=timestamps.to_text(now),
        username=username,
        message=None,
        source=source,
        # Who is nobody cannot be guessed.
        salt=None if username is None else os.urandom(SALT_BYTES),
    )


def _finite(number: float | None) -> float | None:
    """Not NumPy's kind, which is written otherwise."""
    if number is not None and not math.isfinite(number):
        raise ValueError("a number of the event is not finite")  # SQLite: NULL
    return None if number is None else float(number)


# --- sealed and opened ----------------------------------------------------------------------


def event_names_somebody(row: EventRow) -> bool:
    """What does not is left open, so that a door without its key can still record whom it
    denied."""
    return row.username is not None or row.previous_username is not None


def sealed_event(row: EventRow, seal: Seal) -> Row:
    """As it is stored."""
    is_granted = row.kind == "login" and bool(row.success)
    if not seal.is_sealing or not (event_names_somebody(row) or is_granted):
        return row
    stored: dict[str, object] = row._asdict()
    for column in ("username", "previous_username"):
        name = stored[column]
        stored[column] = None if name is None else seal.name(str(name))
    if row.message is not None:
        stored["message"] = seal.text(row.message, "event", row.event_id)
    if is_granted:
        stored["action"] = sealed_action(row, seal)
    return tuple(stored.values())


def sealed_action(row: EventRow, seal: Seal) -> str | bytes:
    """Of somebody who was let in: whether they were forced."""
    return seal.text(row.action or FREELY, "event action", row.event_id)


def opened_event(row: Row, seal: Seal) -> EventRow:
    """A stored row in EVENT_COLUMNS as it was before it was sealed. Raises StoreLocked,
    SealBroken."""
    stored = EventRow._make(row)
    action: object = stored.action
    if not seal.is_sealing or not (event_names_somebody(stored) or isinstance(action, bytes)):
        return stored
    plain: dict[str, object] = stored._asdict()
    if isinstance(action, bytes):
        opened = seal.opened_text(action, "event action", stored.event_id)
        plain["action"] = None if opened == FREELY else opened
    for column in ("username", "previous_username"):
        name = plain[column]
        plain[column] = None if name is None else seal.opened_name(str(name))
    if stored.message is not None:
        plain["message"] = seal.opened_text(stored.message, "event", stored.event_id)
    return EventRow._make(plain.values())


def nameless_event(row: Row) -> EventRow:
    """An opened row in EVENT_COLUMNS without whom it names."""
    return EventRow._make(row)._replace(
        username=None, message=None, previous_username=None, salt=None
    )


# --- what an opened row tells ---------------------------------------------------------------


def event_of(row: EventRow) -> AnyEvent:
    """Raises ValueError for what no door has written."""
    return _KINDS[row.kind](row)


def login_event(row: EventRow) -> LoginEvent:
    decision = Decision(
        Reason(str(row.reason)),
        row.username,
        row.distance,
        row.liveness,
        row.threshold,
        row.recognizer,  # type: ignore[arg-type]  # validated below
    )
    told = decision.told()
    if row.forgotten is not None:
        told["message"] = _FORGOTTEN
    return LoginEvent.model_validate({**_common(row), **told})


def user_event(row: EventRow) -> UserEvent:
    changed = {"action": row.action, "previous_username": row.previous_username}
    return UserEvent.model_validate({**_common(row), **changed})


def entrance_event(row: EventRow) -> EntranceEvent:
    by, _, asker = (row.reason or "").partition("/")
    told = {"what": row.action, "mode": row.message, "by": by or None, "asker": asker or None}
    return EntranceEvent.model_validate({**_common(row), **told})


def duress_event(row: EventRow) -> DuressEvent | None:
    """What is to be told beside a login: that its person was forced; None: they were not."""
    is_forced = row.kind == "login" and row.action == "duress"
    return DuressEvent.model_validate(_common(row)) if is_forced else None


def _common(row: EventRow) -> dict[str, object]:
    return {
        "seq": row.seq,
        "event_id": UUID(bytes=row.event_id),
        "timestamp": timestamps.from_text(row.timestamp),
        "username": row.username,
        "source": row.source,
        "forgotten": row.forgotten is not None,
    }


_KINDS: Mapping[str, Callable[[EventRow], AnyEvent]] = {
    "login": login_event,
    "user": user_event,
    "door": entrance_event,
}
