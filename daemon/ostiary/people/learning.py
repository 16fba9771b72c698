"""Templates that the door makes itself, from visits that were granted by a safe margin.

Two templates a person are the rule: who was enrolled from one picture gets the second from their
visits. Only a grant that leaves a hundredth of the door's risk teaches: all frames live and of that
person alone, and a head that moved or a challenge that was passed. The first such visit is
remembered, and the look of a later one is kept where both are of one person: whoever is granted
once by mistake leaves nothing. It happens once to a person, and then it ends.

People come over from the former recogniser to the one in use without noticing. Who is known by a
former template only is matched with that. When such a person is granted by as safe a margin, the
frames of that visit become templates of the recogniser in use: all of them live, of one face, and
of that person.
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
"""A second visit is at least so long after the first."""
REMEMBERED = 1000
"""People of whom one visit is remembered at most; the oldest are forgotten."""
MOST = 3
"""Templates from one visit, at most."""


class Learning:
    """Takes second templates from visits. It may be called from any thread, and remembers first
    visits until the process ends."""

    def __init__(self, people: People, audit: Audit) -> None:
        self._people = people
        self._audit = audit
        self._lock = threading.Lock()
        self._first: dict[str, tuple[datetime, Probe]] = {}

    def visited(self, announcement: Announcement, live_from: float, now: datetime) -> bool:
        """Learn from a visit; whether the person got the second template by it. `live_from` is the
        P(live) from which a frame counts. Raises DatabaseUnwritable, and then nothing was
        changed."""
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

    `live_from` is the P(live) from which a frame counts. Raises DatabaseUnwritable, and then
    nothing was changed.
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
