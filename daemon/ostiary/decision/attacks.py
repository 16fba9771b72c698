"""How a door takes it to be attacked: each clear attack of a row makes it shy for longer.

Whoever holds photos before a camera until one of them passes gets few tries, and nobody else is
let in on the heels of an attack.
"""

from dataclasses import dataclass

from ostiary.decision.policy import Policy


@dataclass(frozen=True, slots=True)
class Attacks:
    """Clear attacks before one camera, one after the other. Times are monotonic seconds."""

    since: float
    last: float
    count: int = 1
    told_at: float | None = None

    def is_running(self, now: float, policy: Policy) -> bool:
        """Whether another one would be of the same row."""
        return now - self.last < policy.attack_over_s

    def pause_until(self, policy: Policy) -> float:
        """Until then nobody passes."""
        doubled = policy.attack_pause_first_s * 2.0 ** min(self.count - 1, 30)
        return self.last + min(doubled, policy.attack_pause_s)

    def is_news(self, now: float, policy: Policy) -> bool:
        """Whether it is time to say that the row goes on."""
        return self.told_at is None or now - self.told_at >= policy.attack_again_s


def one_more(attacks: Attacks | None, now: float, policy: Policy) -> Attacks:
    """The row after another clear attack at `now`."""
    if attacks is None or not attacks.is_running(now, policy):
        return Attacks(since=now, last=now)
    return Attacks(attacks.since, now, attacks.count + 1, attacks.told_at)
