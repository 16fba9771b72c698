"""What the broker has otherwise than it should, and when this door puts it right."""

import random
import time

from ostiary.commands.site import SiteRoster

OWN_S = 0.5
OTHERS_S = (3.0, 15.0)
AGAIN_S = 30.0


class BrokerRepair:
    """Whoever wrote what should be there is first to put it back; the others wait whether that
    happens. All on the link's worker."""

    def __init__(self, roster: SiteRoster) -> None:
        self._roster = roster
        self._due: dict[str, float] = {}
        self._done: dict[str, float] = {}

    @property
    def soonest(self) -> float | None:
        """When the next is due, by the monotonic clock."""
        return min(self._due.values(), default=None)

    def later(self, topic: str) -> None:
        """Something else than it should is under that topic."""
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
        """Somebody has put it back."""
        self._due.pop(topic, None)

    def due(self, now: float) -> tuple[str, ...]:
        """The topics whose time has come, each once."""
        due = tuple(topic for topic, at in self._due.items() if at <= now)
        for topic in due:
            del self._due[topic]
            self._done[topic] = now
        return due
