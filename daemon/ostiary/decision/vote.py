"""Turns what single frames show into one decision.

A frame counts for somebody only if the *same* picture is live and shows that person, so that a live
face cannot lend its liveness to a photo that is shown a moment later. All live frames of the window
together say who it is: what they have in common says it better than any one of them.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from ostiary.decision.policy import Policy
from ostiary.decision.probe import Candidate, Probe
from ostiary.messages.decision import Decision
from ostiary.messages.words import Reason


@dataclass(frozen=True, slots=True)
class Observation:
    """What one good frame of a face showed.

    `liveness` is P(live), 0 to 1. `nearest` is the nearest person, however far; None where the
    gallery is empty or was not searched. `probe` is what was searched for. `together` is the
    nearest person by this and the earlier live frames of the window as one; None: as by this one
    alone. ValueError for a number that is not finite.
    """

    liveness: float
    nearest: Candidate | None
    probe: Probe | None = None
    together: Candidate | None = None

    def __post_init__(self) -> None:
        if not 0.0 <= self.liveness <= 1.0:
            raise ValueError(f"P(live) is {self.liveness}, not a number from 0 to 1")
        for candidate in (self.nearest, self.together):
            if candidate is not None and not 0.0 <= candidate.distance < math.inf:
                raise ValueError(f"the distance is {candidate.distance}, not a number from 0")

    def is_live(self, policy: Policy) -> bool:
        return self.liveness >= policy.live_threshold

    def is_attack(self, policy: Policy) -> bool:
        return self.liveness <= policy.attack_threshold

    @property
    def identity(self) -> Candidate | None:
        """The nearest person by all frames until now."""
        return self.nearest if self.together is None else self.together

    @property
    def is_stranger(self) -> bool:
        """Whether this frame by itself is near nobody; one that is near two people is not."""
        return self.nearest is None or self.nearest.distance > self.nearest.threshold


def tally(observations: Sequence[Observation], policy: Policy) -> Decision | None:
    """The decision on the last frames of one track; None: more frames are needed.

    Attack: `votes` of the last `window` frames are clear attacks. Granted: the live frames together
    are near enough to one person; `votes` of them, and the majority of the window, have that person
    as their nearest; none is a clear attack. Unknown: the window is full, and the frames are near
    nobody, together and one by one.
    """
    window = observations[-policy.window :]
    attacks = [seen for seen in window if seen.is_attack(policy)]
    if len(attacks) >= policy.votes:
        return summarise(Reason.PRESENTATION_ATTACK, attacks)
    if attacks:
        return None
    live = [seen for seen in window if seen.is_live(policy)]
    if len(live) < policy.votes:
        return None
    who = live[-1].identity
    if who is not None and who.is_near:
        agreeing = [seen for seen in live if seen.nearest and seen.nearest.username == who.username]
        return _decided(Reason.GRANTED, who, agreeing, window, policy)
    if len(window) < policy.window or (who is not None and who.ambiguous):
        return None
    strangers = [seen for seen in live if seen.is_stranger]
    return _decided(Reason.UNKNOWN_FACE, who, strangers, window, policy)


def _decided(
    reason: Reason,
    who: Candidate | None,
    agreeing: Sequence[Observation],
    window: Sequence[Observation],
    policy: Policy,
) -> Decision | None:
    if len(agreeing) < policy.votes or 2 * len(agreeing) <= len(window):
        return None
    return _said(reason, who, median(seen.liveness for seen in agreeing))


def are_live(observations: Sequence[Observation], policy: Policy) -> bool:
    """Whether the frames are live enough for a grant, whoever it is, with no clear attack."""
    return _enough(observations, policy, policy.live_threshold)


def are_surely_live(observations: Sequence[Observation], policy: Policy) -> bool:
    """The same by the camera's own last layer, for frames of which it is sure."""
    return _enough(observations, policy, policy.sure_threshold)


def _enough(observations: Sequence[Observation], policy: Policy, least: float) -> bool:
    window = observations[-policy.window :]
    votes = sum(seen.liveness >= least for seen in window)
    return votes >= policy.votes and not any(seen.is_attack(policy) for seen in window)


def give_up(
    observations: Sequence[Observation], policy: Policy, flaw: Reason | None = None
) -> Decision:
    """The denial of a face that could not be decided in time. `flaw` is why it could not be judged
    last."""
    window = observations[-policy.window :]
    if len(window) < policy.votes and flaw is not None:
        return Decision(flaw)
    if not window:
        return Decision(Reason.LOW_QUALITY)
    if all(seen.is_attack(policy) for seen in window):
        return summarise(Reason.PRESENTATION_ATTACK, window)
    return summarise(Reason.UNCERTAIN, window)


def but_for_liveness(observations: Sequence[Observation], policy: Policy) -> Decision | None:
    """The grant that these frames would give if they were live, for a challenge to settle. None:
    the person is not certain either, or a frame is a clear attack."""
    window = observations[-policy.window :]
    if any(seen.is_attack(policy) for seen in window):
        return None
    near = [seen.nearest for seen in window if seen.nearest is not None and seen.nearest.is_near]
    if len({each.username for each in near}) != 1:
        return None
    agreeing = [seen for seen in window if seen.nearest in near]
    return _decided(Reason.GRANTED, near[-1], agreeing, window, policy)


def decide_single(observation: Observation, policy: Policy) -> Decision:
    """The decision on one image, where there are no further frames (`login`)."""
    who = observation.identity
    if observation.is_attack(policy):
        reason = Reason.PRESENTATION_ATTACK
    elif not observation.is_live(policy):
        reason = Reason.UNCERTAIN
    elif who is not None and who.is_near:
        reason = Reason.GRANTED
    else:
        reason = Reason.UNKNOWN_FACE
    return _said(reason, who, observation.liveness)


def summarise(reason: Reason, observations: Sequence[Observation]) -> Decision:
    """A denial with the medians of what led to it, and the name by most of the compared frames."""
    compared = [seen.nearest for seen in observations if seen.nearest is not None]
    liveness = median(seen.liveness for seen in observations)
    if not compared:
        return Decision(reason, liveness=liveness)
    names = Counter(each.username if each.is_near else None for each in compared)
    (name, count), *_ = names.most_common(1)
    of_name = [each for each in compared if (each.username if each.is_near else None) == name]
    return Decision(
        reason,
        name if 2 * count > len(compared) else None,
        median(each.distance for each in of_name),
        liveness,
        of_name[-1].threshold,
        of_name[-1].recognizer,
    )


def _said(reason: Reason, who: Candidate | None, liveness: float) -> Decision:
    if who is None:
        return Decision(reason, liveness=liveness)
    name = who.username if who.is_near else None
    return Decision(reason, name, who.distance, liveness, who.threshold, who.recognizer)
