"""How the doors of a site are: this door says how it is, listens to others, and compares."""

import random
import time
from collections import Counter
from collections.abc import Callable

import structlog

from ostiary.commands.site import SiteRoster
from ostiary.mqtt.connection import Connection
from ostiary.site.doors import DoorReport
from ostiary.site.members import EVERYBODY_UP_TO, Membership

log = structlog.get_logger(__name__)

REPORT_AFTER_S = 0.5
REPORT_EVERY_S = 60.0
LOOK_S = 60.0
"""How long a door listens to all others after somebody looked at the list of them."""
DIFFERS_S = 5.0
SWEEP_EVERY_S = 20.0
SWEEP_AT_MOST_S = 3600.0


class SiteWatch:
    """Listens to other doors. `look` and `differs` may be called from any thread, the others on the
    link's worker."""

    def __init__(self, roster: SiteRoster, report: Callable[[], DoorReport]) -> None:
        self._roster = roster
        self._make_report = report
        self._told: tuple[object, ...] = ()
        self._report_due = 0.0
        self._asked_for: frozenset[str] = frozenset()
        self._connection: Connection | None = None
        self._look_until = 0.0
        self._differs_since: float | None = None
        self._next_sweep = 0.0
        self._sweep_wait_s = SWEEP_EVERY_S

    @property
    def differs(self) -> bool:
        """Whether a door that it listens to has had other people than this one for a while."""
        since = self._differs_since
        return since is not None and time.monotonic() - since > 3 * SWEEP_EVERY_S

    @property
    def report_due(self) -> float:
        """When the next report is due, in monotonic seconds."""
        return self._report_due

    def look(self) -> None:
        """Listen to all doors for a while: somebody looks at the list of them."""
        self._look_until = time.monotonic() + LOOK_S

    def listen(
        self, connection: Connection, membership: Membership, now: float, *, again: bool = False
    ) -> None:
        """Subscribe to the doors that are to be listened to. `again`: also to those that it is
        subscribed to, so that the broker sends what it keeps of them. Raises BrokerUnavailable."""
        if connection is not self._connection:
            self._connection, self._asked_for = connection, frozenset()
        topics, doors = self._roster.topics, self._roster.doors
        if now < self._look_until or len(membership.doors) <= EVERYBODY_UP_TO + 1:
            wanted = frozenset({topics.doors})
        else:
            wanted = frozenset(topics.door(member) for member in membership.listens_to)
        if wanted == self._asked_for and not again:
            return
        for topic in sorted(self._asked_for - wanted):
            connection.unsubscribe(topic)
        if asked := wanted if again else wanted - self._asked_for:
            connection.subscribe(*sorted(asked))
        if topics.doors not in wanted:
            doors.keep_only(membership.listens_to)
        self._asked_for = wanted

    def is_to_hear_again(self, membership: Membership, now: float) -> bool:
        """Whether another door has had other people for so long that everything should be heard
        again. More and more seldom, where that does not help."""
        mine, said = self._roster.digest, self._roster.doors.said
        others = [said[member].report.digest for member in membership.listens_to if member in said]
        if all(each == mine for each in others):
            self._differs_since, self._sweep_wait_s = None, SWEEP_EVERY_S
            return False
        since = self._differs_since = self._differs_since or now
        usual, _ = Counter([mine, *others]).most_common(1)[0]
        # A door that has what most have hears again, too: so it puts back what the broker lost.
        patience_s = DIFFERS_S if mine != usual else 2 * DIFFERS_S
        if now - since <= patience_s or now < self._next_sweep:
            return False
        self._next_sweep = now + self._sweep_wait_s * random.uniform(0.75, 1.25)
        self._sweep_wait_s = min(2 * self._sweep_wait_s, SWEEP_AT_MOST_S)
        log.warning("site_differs", usual=mine == usual)
        return True

    def tell(
        self, connection: Connection, membership: Membership, now: float, *, pending: bool
    ) -> None:
        """Publish this door's report, where something has changed or it is time. `pending`: there
        are changes that the broker has not got."""
        roster = self._roster
        shown = (roster.digest, roster.members_payload, pending)
        # In a large site, later and less often.
        after_s = max(REPORT_AFTER_S, len(membership.signers) / 200)
        if shown != self._told and self._report_due > now + after_s:
            self._report_due = now + after_s
        if now < self._report_due:
            return
        self._told = shown
        self._report_due = now + max(REPORT_EVERY_S, len(membership.signers) / 10)
        payload = roster.write_report(self._make_report())
        if payload is not None:
            connection.publish(roster.topics.door(roster.identity.id), payload, retain=True)
