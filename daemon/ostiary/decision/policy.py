"""The thresholds and times of one door, as plain numbers."""

from dataclasses import dataclass, fields

from ostiary.settings import AccessSettings
from ostiary.settings.access import ChallengeMode
from ostiary.vision.last_layer import OF_NOBODY


@dataclass(frozen=True, slots=True)
class Policy:
    """When somebody may pass. P(live) is 0 to 1, times are seconds.

    After clear attacks nobody passes for a while: `attack_pause_first_s` after the first of a
    series, twice as long after each further one, `attack_pause_s` at most (0: no pause). A series
    ends `attack_over_s` after its last attack, and is told again every `attack_again_s` till then.

    `challenge` says who has to pass a challenge, besides the people whom a rule asks for one;
    `challenge_s` is the time for all of it. After a failed challenge a person waits for the next:
    `challenge_pause_first_s`, twice as long after each further one, `challenge_pause_s` at most. A
    pass, or `challenge_over_s` without a failure, ends the series.

    `require_movement`: a face passes only if it was seen to bend, as a moving head does, within
    `movement_holds_s`, and to be live since. `sure_threshold`: frames with this P(live), by a
    camera's own last layer, need no movement; above 1: all need it.

    How near a face must be to somebody's template is not here: that follows the roster
    (`ostiary.decision.risk`) and comes with every candidate.
    """

    live_threshold: float = 0.9
    attack_threshold: float = 0.2
    votes: int = 3
    window: int = 5
    decide_within_s: float = 5.0
    cooldown_s: float = 10.0
    recheck_s: float = 3.0
    forget_after_s: float = 1.0
    one_person_only: bool = True
    require_movement: bool = True
    movement_holds_s: float = 3.0
    sure_threshold: float = OF_NOBODY
    attack_pause_first_s: float = 2.0
    attack_pause_s: float = 15.0
    attack_over_s: float = 60.0
    attack_again_s: float = 60.0
    challenge: ChallengeMode = "off"
    challenge_s: float = 15.0
    challenge_pause_first_s: float = 3.0
    challenge_pause_s: float = 3600.0
    challenge_over_s: float = 86400.0

    def is_crowd(self, near_faces: int) -> bool:
        """Whether so many near faces are too many to let anybody in."""
        return self.one_person_only and near_faces > 1


_SET = tuple(each.name for each in fields(Policy) if each.name in AccessSettings.model_fields)


def policy_of(access: AccessSettings, *, prompts: bool = False) -> Policy:
    """The rules that the settings make, which call each number as `Policy` does. `prompts`:
    something shows what is asked at this door."""
    numbers = {name: getattr(access, name) for name in _SET}
    challenge = access.challenge or ("uncertain" if prompts else "off")
    return Policy(**{**numbers, "challenge": challenge})
