"""Hears everything that the broker keeps of a site, and puts right what it keeps and should not."""

import random
import time
from typing import Literal

from ostiary.commands.site import SiteRoster
from ostiary.mqtt.connection import Connection
from ostiary.mqtt.site_watch import SiteWatch
from ostiary.site.members import Membership
from ostiary.site.topics import SHARDS

QUIET_S = 2.0
"""After so long without a message the broker has sent what it keeps, or has dropped the rest."""
OWN_S = 0.5
OTHERS_S = (3.0, 15.0)
AGAIN_S = 30.0


class SiteSync:
    """Hears everything that the broker keeps, once a connection: the members, then the people; by
    parts where the broker had no room for all of them. All on the link's worker."""

    def __init__(self, connection: Connection, roster: SiteRoster, watch: SiteWatch) -> None:
        """Ask for the members. Raises BrokerUnavailable."""
        self.connection = connection
        self.members_payload = b""
        """The list of members that the broker keeps."""
        self._roster = roster
        self._topics = roster.topics
        self._watch = watch
        self._seen: set[str] = set()
        self._mark = ""
        self._stage: Literal["keys", "people", "shards", "done"] = "keys"
        self._shards = list(SHARDS)
        self._last_message = time.monotonic()
        self._mark_topic = self._topics.mark(roster.identity.id)
        connection.subscribe(self._mark_topic, self._topics.keys)
        self._put_mark()

    @property
    def is_done(self) -> bool:
        return self._stage == "done"

    def missing(self) -> list[str]:
        """The people that this door knows and the broker did not send."""
        return [person for person in self._roster.known() if person not in self._seen]

    def heard(self, topic: str, payload: bytes, *, is_wrong: bool) -> None:
        """Note a message. `is_wrong`: the broker should keep another one under that topic."""
        self._last_message = time.monotonic()
        person = self._topics.person_of(topic)
        if topic == self._topics.keys:
            self.members_payload = payload
        elif person is None and payload == self._mark.encode():
            self._mark = ""
        elif person is not None and not is_wrong:
            self._seen.add(person)

    def advance(self, membership: Membership, now: float) -> None:
        """Go on where the broker has sent what was asked for, or nothing for a while. Raises
        BrokerUnavailable."""
        is_late = now - self._last_message > QUIET_S
        if self._mark and not is_late:
            return
        if self._stage == "keys":
            self._stage = "people"
            self._watch.listen(self.connection, membership, now, again=True)
            self.connection.subscribe(self._topics.people)
            self._put_mark()
        elif self._stage == "people" and not self._mark:
            self._stage = "done"
        else:
            self._stage = "shards"
            self._next_shard()

    def _next_shard(self) -> None:
        if len(self._shards) < len(SHARDS):
            done = SHARDS[len(SHARDS) - len(self._shards) - 1]
            self.connection.unsubscribe(self._topics.shard(done))
        if not self._shards:
            self._stage = "done"
            return
        self.connection.subscribe(self._topics.shard(self._shards.pop(0)))
        self._put_mark()

    def _put_mark(self) -> None:
        """Publish a mark to this door itself: it comes back after everything that was asked for."""
        self._mark = f"{random.getrandbits(64):016x}"
        self._last_message = time.monotonic()
        self.connection.publish(self._mark_topic, self._mark.encode())


class BrokerRepair:
    """What the broker keeps and should not, and when this door puts it right. The door that wrote
    the right message puts it back first; the others wait whether it does. All on the link's
    worker."""

    def __init__(self, roster: SiteRoster) -> None:
        self._roster = roster
        self._due: dict[str, float] = {}
        self._done: dict[str, float] = {}

    @property
    def soonest(self) -> float | None:
        """When the next topic is due, in monotonic seconds; None: there is none."""
        return min(self._due.values(), default=None)

    def later(self, topic: str) -> None:
        """Note that the broker keeps something wrong under `topic`."""
        now = time.monotonic()
        if topic in self._due or now - self._done.get(topic, -AGAIN_S) < AGAIN_S:
            return
        roster = self._roster
        person = roster.topics.person_of(topic)
        entry = None if person is None else roster.entry(person)
        if topic != roster.topics.keys and entry is None:
            return
        is_own = entry is not None and entry.version.member == roster.identity.id
        self._due[topic] = now + (OWN_S if is_own else random.uniform(*OTHERS_S))

    def is_right(self, topic: str) -> None:
        """Note that somebody has put it right."""
        self._due.pop(topic, None)

    def due(self, now: float) -> tuple[str, ...]:
        """Take the topics that are due."""
        due = tuple(topic for topic, at in self._due.items() if at <= now)
        for topic in due:
            del self._due[topic]
            self._done[topic] = now
        return due
