"""Makes templates from visits that were granted by a safe margin.

Two templates a person are the rule. A person who was enrolled from one picture gets the second from
two visits. A visit counts if its distance leaves a hundredth of the door's risk, all its frames are
live and of that person alone, and the head moved or a challenge was passed. The first such visit is
remembered; the look of a later one becomes the template if both are of one face. So one grant by
mistake leaves nothing. A person gets a template in this way only once.

A person who has templates of the former recogniser only is matched with those. Once a visit is
granted by as safe a margin, up to three of its live frames of that person become templates of the
recogniser in use.
"""

import threading
from datetime import datetime, timedelta

from ostiary.decision.camera_memory import Announcement
from ostiary.decision.probe import Probe, differing, fused
from ostiary.decision.roster import Roster
from ostiary.people.people import People
from ostiary.store.audit import Audit
from ostiary.store.users import VISIT

LEAST_LOOKS = 3
APART = timedelta(hours=1)
"""The least time between the two visits."""
REMEMBERED = 1000
"""Most people whose first visit is remembered; the oldest visits are forgotten."""
MOST = 3
"""Most templates from one visit."""


class Learning:
    """Takes second templates from visits. It may be called from any thread, and remembers first
    visits until the process ends."""

    def __init__(self, people: People, audit: Audit) -> None:
        self._people = people
        self._audit = audit
        self._lock = threading.Lock()
        self._first: dict[str, tuple[datetime, Probe]] = {}

    def visited(self, announcement: Announcement, live_from: float, now: datetime) -> bool:
        """Learn from a visit; whether the person got the second template by it. `live_from`: the
        P(live) from which a frame counts. Raises DatabaseUnwritable; nothing was changed then."""
        who = announcement.decision.username
        if who is None or not self._people.lacks_second(who):
            return False
        look = safe_look(self._people.roster, announcement, live_from)
        if look is None or not self._is_confirmed(who, look, now):
            return False
        with self._people.changing():
            self._people.add_learned(who, [look], now, source=VISIT)
            self._audit.add(
                actor="door",
                action="template_learned",
                subject=who,
                address="",
                now=now,
                detail={"recognizer": self._people.roster.used},
            )
        return True

    def _is_confirmed(self, who: str, look: Probe, now: datetime) -> bool:
        """Whether an earlier visit shows the same face; the first visit is remembered."""
        with self._lock:
            remembered = self._first.get(who)
            if remembered is None:
                while len(self._first) >= REMEMBERED:
                    del self._first[next(iter(self._first))]
                self._first[who] = (now, look)
                return False
            at, before = remembered
            if now - at < APART:
                return False
            del self._first[who]
            return self._people.roster.is_one_person(before, look)


def safe_look(roster: Roster, announcement: Announcement, live_from: float) -> Probe | None:
    """All frames of a visit as one look, where it is safe to learn from; otherwise None."""
    decision = announcement.decision
    if (
        not decision.success
        or announcement.duress
        or not (announcement.moved or announcement.challenged)
    ):
        return None
    if decision.recognizer != roster.used or len(announcement.observations) < LEAST_LOOKS:
        return None
    looks = announcement.looks_of(decision.username, live_from)
    if len(looks) < len(announcement.observations):
        return None
    look = fused(looks)
    found = roster.match(look)
    if found is None or found.username != decision.username or found.ambiguous:
        return None
    if not roster.looks_differ_distance <= found.distance <= roster.thresholds.learning_distance:
        return None
    others = (roster.near(each, other_than=decision.username) for each in (*looks, look))
    return look if not any(others) else None


def come_over(
    people: People, audit: Audit, announcement: Announcement, live_from: float, now: datetime
) -> int:
    """Give a granted person templates of the recogniser in use; how many. 0 where the person has
    some, or the margin is not safe.

    `live_from`: the P(live) from which a frame counts. Raises DatabaseUnwritable; nothing was
    changed then.
    """
    roster = people.roster
    decision = announcement.decision
    limit = roster.thresholds.migration_distance
    who, distance = decision.username, decision.distance
    if not decision.success or who is None or distance is None or limit is None:
        return 0
    if decision.recognizer != roster.former or distance > limit or who not in roster.waiting():
        return 0
    looks = announcement.looks_of(who, live_from)
    if any(roster.near(look, other_than=who) for look in looks):
        return 0
    kept = differing(looks, roster.used, roster.looks_differ_distance)[:MOST]
    if not kept:
        return 0
    with people.changing():
        people.add_learned(who, kept, now)
        audit.add(
            actor="door",
            action="templates_migrated",
            subject=who,
            address="",
            now=now,
            detail={"templates": len(kept), "recognizer": roster.used, "from": roster.former},
        )
    return len(kept)
