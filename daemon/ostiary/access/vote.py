"""From what single frames show to one decision.

A frame counts for somebody only if the *same* picture is live and matches, so that a live face
cannot lend its liveness to a photo that is shown a moment later.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from ostiary.access.decision import Candidate, Decision, Reason
from ostiary.access.policy import Policy


@dataclass(frozen=True, slots=True)
class Observation:
    """What one good frame of a face showed.

    `liveness` is P(live), 0 to 1; `nearest` is the closest person of the gallery, however far,
    or None where the gallery is empty. ValueError for a number that is not one (NaN).
    """

    liveness: float
    nearest: Candidate | None

    def __post_init__(self) -> None:
        if not 0.0 <= self.liveness <= 1.0:
            raise ValueError(f"P(live) is {self.liveness}, not a number from 0 to 1")
        if self.nearest is not None and not 0.0 <= self.nearest.distance < math.inf:
            raise ValueError(f"the distance is {self.nearest.distance}, not a number from 0")

    def is_live(self, policy: Policy) -> bool:
        return self.liveness >= policy.live_threshold

    def is_attack(self, policy: Policy) -> bool:
        return self.liveness <= policy.attack_threshold

    def username(self, policy: Policy) -> str | None:
        """The person this is, if near enough."""
        if self.nearest is None or self.nearest.distance > policy.distance_threshold:
            return None
        return self.nearest.username


def tally(observations: Sequence[Observation], policy: Policy) -> Decision | None:
    """Decide on the last frames of one track, or None: look further.

    Attack: `votes` of the last `window` frames are clear attacks. Granted: `votes` frames are live
    and show the same user, who has the majority of the window, and none is a clear attack.
    Unknown: the window is full, and the same holds for nobody's face.
    """
    window = observations[-policy.window :]
    attacks = [seen for seen in window if seen.is_attack(policy)]
    if len(attacks) >= policy.votes:
        return summarise(Reason.PRESENTATION_ATTACK, attacks, policy)
    if attacks:
        return None
    live = [seen for seen in window if seen.is_live(policy)]
    if len(live) < policy.votes:
        return None
    (username, count), *_ = Counter(seen.username(policy) for seen in live).most_common(1)
    if count < policy.votes or 2 * count <= len(window):
        return None
    agreeing = [seen for seen in live if seen.username(policy) == username]
    if username is not None:
        return summarise(Reason.GRANTED, agreeing, policy)
    if len(window) < policy.window:
        return None
    return summarise(Reason.UNKNOWN_FACE, agreeing, policy)


def give_up(observations: Sequence[Observation], policy: Policy) -> Decision:
    """The denial for a face that could not be decided in time."""
    if not observations:
        return Decision(Reason.LOW_QUALITY)
    return summarise(Reason.UNCERTAIN, observations[-policy.window :], policy)


def decide_single(observation: Observation, policy: Policy) -> Decision:
    """The decision on one image, where there are no further frames to ask (`login`)."""
    if not observation.is_live(policy):
        reason = Reason.PRESENTATION_ATTACK
    elif observation.username(policy) is None:
        reason = Reason.UNKNOWN_FACE
    else:
        reason = Reason.GRANTED
    return summarise(reason, [observation], policy)


def summarise(reason: Reason, observations: Sequence[Observation], policy: Policy) -> Decision:
    """A decision with the medians of what led to it.

    The name is who it is, or for an attack who it would have been; None unless all agree.
    """
    names = {seen.username(policy) for seen in observations}
    distances = [seen.nearest.distance for seen in observations if seen.nearest is not None]
    return Decision(
        reason=reason,
        username=names.pop() if len(names) == 1 else None,
        distance=median(distances) if distances else None,
        liveness=median(seen.liveness for seen in observations),
    )
