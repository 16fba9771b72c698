"""How often somebody's challenge was not passed, and how long they wait for the next one.

One in ten of the movements that are drawn can be guessed. Who guesses waits twice as long after
each wrong guess; and walking away from a challenge that does not suit is a wrong guess, too.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from ostiary.decision.policy import Policy

MOST_PEOPLE = 1000
"""Of whom this is remembered; the oldest go first."""


@dataclass(frozen=True, slots=True)
class Failed:
    """Challenges of one person that were not passed, one after the other; the `last` ended at so
    many monotonic seconds."""

    count: int
    last: float


@dataclass(frozen=True, slots=True)
class Tries:
    """By person."""

    failed: Mapping[str, Failed] = field(default_factory=lambda: MappingProxyType({}))

    def is_paused(self, username: str, now: float, policy: Policy) -> bool:
        """Whether the person has to wait before they are challenged again."""
        failed = self.failed.get(username)
        if failed is None:
            return False
        doubled = policy.challenge_pause_first_s * 2.0 ** min(failed.count - 1, 30)
        return now < failed.last + min(doubled, policy.challenge_pause_s)

    def after(self, username: str, now: float, policy: Policy, *, passed: bool) -> "Tries":
        """The tries after one more challenge of that person."""
        others = {
            name: failed
            for name, failed in self.failed.items()
            if name != username and now - failed.last < policy.challenge_over_s
        }
        if not passed:
            before = self.failed.get(username)
            counts = before is not None and now - before.last < policy.challenge_over_s
            others[username] = Failed(before.count + 1 if before and counts else 1, now)
        return Tries(MappingProxyType(dict(list(others.items())[-MOST_PEOPLE:])))
