"""How long a door pauses: after clear attacks for everybody, after failed challenges for one.

Whoever holds photos before a camera until one of them passes gets few tries, and nobody else is let
in right after an attack. One in ten of the movements that a challenge draws can be guessed: who
guesses waits twice as long after each wrong guess, and walking away from a challenge counts as one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from ostiary.decision.policy import Policy

MOST_PEOPLE = 1000
"""People whose failed challenges are remembered; the oldest are forgotten first."""


@dataclass(frozen=True, slots=True)
class Attacks:
    """A series of clear attacks before one camera. Times are monotonic seconds."""

    since: float
    last: float
    count: int = 1
    told_at: float | None = None

    def is_running(self, now: float, policy: Policy) -> bool:
        """Whether another attack would be of the same series."""
        return now - self.last < policy.attack_over_s

    def pause_until(self, policy: Policy) -> float:
        """When the pause ends in which nobody passes."""
        doubled = policy.attack_pause_first_s * 2.0 ** min(self.count - 1, 30)
        return self.last + min(doubled, policy.attack_pause_s)

    def is_news(self, now: float, policy: Policy) -> bool:
        """Whether it is time to announce that the series goes on."""
        return self.told_at is None or now - self.told_at >= policy.attack_again_s


def one_more(attacks: Attacks | None, now: float, policy: Policy) -> Attacks:
    """The series after another clear attack at `now`."""
    if attacks is None or not attacks.is_running(now, policy):
        return Attacks(since=now, last=now)
    return Attacks(attacks.since, now, attacks.count + 1, attacks.told_at)


@dataclass(frozen=True, slots=True)
class Failed:
    """One person's challenges that were not passed in a row; the `last` ended at so many monotonic
    seconds."""

    count: int
    last: float


@dataclass(frozen=True, slots=True)
class Tries:
    """Failed challenges by person."""

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
