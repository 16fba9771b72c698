"""Records decisions, and changes at a door, in the store and in the log."""

from datetime import datetime

import structlog

from ostiary.clock import utc_now
from ostiary.decision.camera_memory import Announcement
from ostiary.errors import OstiaryError
from ostiary.hardware.physical_door import DoorChange
from ostiary.people.learning import Learning, come_over
from ostiary.people.people import People
from ostiary.store.audit import Audit
from ostiary.store.database import Database
from ostiary.store.door_modes import DoorModes
from ostiary.store.events import Events

log = structlog.get_logger(__name__)

EVENT_DIGITS = 3


class Recording:
    """Records for all doors. Every method may be called from any thread, and has committed when it
    returns."""

    def __init__(
        self, database: Database, events: Events, door_modes: DoorModes, people: People
    ) -> None:
        self._database = database
        self._events = events
        self._door_modes = door_modes
        self._people = people
        self._audit = Audit(database)
        self._learning = Learning(people, self._audit)

    def decided(self, announcement: Announcement, source: str) -> int:
        """Record a login event; its number. Raises DatabaseUnwritable, and then there is none."""
        decision = announcement.decision.rounded(EVENT_DIGITS)
        event = self._events.append_login(
            decision, source=source, now=utc_now(), duress=announcement.duress and decision.success
        )
        log.info(
            "decided",
            camera=source,
            seq=event.seq,
            reason=decision.reason.value,
            distance=decision.distance,
            threshold=decision.threshold,
            recognizer=decision.recognizer,
            liveness=decision.liveness,
            challenge=announcement.failure or ("passed" if announcement.challenged else None),
        )
        return event.seq

    def at_door(self, door: str, change: DoorChange, at: datetime) -> None:
        """Record a change at a door, and the mode it is in from then on. Raises
        DatabaseUnwritable."""
        with self._database.transaction():
            self._events.append_entrance(
                door=door,
                what=change.what,
                username=change.username,
                mode=change.mode,
                by=change.by,
                now=at,
            )
            if change.mode is not None:
                self._door_modes.set(door, change.mode, change.by or "", at)
        way, _, _ = (change.by or "").partition("/")
        log.info("door", door=door, what=change.what.value, mode=change.mode, by=way or None)

    def let_come_over(self, announcement: Announcement, live_from: float) -> None:
        """Keep looks of somebody granted by a former recogniser as templates of the one in use,
        where P(live) was at least `live_from`. The door is open by then: a template that could
        not be stored changes nothing."""
        try:
            templates = come_over(self._people, self._audit, announcement, live_from, utc_now())
        except OstiaryError as error:
            log.error("migration_failed", code=error.code, reason=error.message)
            return
        if templates:
            log.info("migrated", templates=templates)

    def let_learn(self, announcement: Announcement, live_from: float) -> None:
        """Keep a look of somebody who has one template only as their second, where the visit is
        safe to learn from. Likewise, a template that could not be stored changes nothing."""
        try:
            learned = self._learning.visited(announcement, live_from, utc_now())
        except OstiaryError as error:
            log.error("learning_failed", code=error.code, reason=error.message)
            return
        if learned:
            log.info("template_learned")
