"""People come over from the former recogniser to the one in use, on a visit and without noticing.

Who is known by a former template only is matched with that. When such a person is granted by a
margin that leaves a hundredth of the door's risk, the frames of that visit become templates of the
recogniser in use: all of them live, of one face, and of that person.
"""

from datetime import datetime

from ostiary.decision.camera_memory import Announcement
from ostiary.decision.probe import differing
from ostiary.people.people import People
from ostiary.store.audit import Audit

MOST = 3
"""Templates from one visit, at most."""


def come_over(
    people: People, audit: Audit, told: Announcement, live_from: float, now: datetime
) -> int:
    """How many templates the granted person got; 0 where there was no need, or no safe margin.

    `live_from` is the P(live) from which a frame counts. Raises DatabaseUnwritable, and then
    nothing was changed.
    """
    roster = people.roster
    decision = told.decision
    limit = roster.thresholds.migration_distance
    who, distance = decision.username, decision.distance
    if not decision.success or who is None or distance is None or limit is None:
        return 0
    if decision.recognizer != roster.former or distance > limit or who not in roster.waiting():
        return 0
    looks = told.looks_of(who, live_from)
    if any(roster.near(look, other_than=who) for look in looks):
        return 0
    kept = differing(looks, roster.used, roster.looks_differ_distance)[:MOST]
    if not kept:
        return 0
    with people.changing():
        people.learn(who, kept, now)
        audit.add(
            actor="door",
            action="templates_migrated",
            subject=who,
            address="",
            now=now,
            detail={"templates": len(kept), "recognizer": roster.used, "from": roster.former},
        )
    return len(kept)
