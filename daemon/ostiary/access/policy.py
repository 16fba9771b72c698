"""The rules of one door, as plain numbers."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Policy:
    """When somebody may pass. P(live) is 0 to 1, times are seconds.

    How near a face must be to somebody's template is not here: that follows the roster
    (`ostiary.access.risk`) and comes with every candidate.
    """

    live_threshold: float = 0.8
    attack_threshold: float = 0.2
    votes: int = 3
    window: int = 5
    decide_within_s: float = 4.0
    cooldown_s: float = 10.0
    recheck_s: float = 3.0
    forget_after_s: float = 1.0
    one_person_only: bool = True

    def __post_init__(self) -> None:
        if self.votes > self.window:
            raise ValueError(f"votes ({self.votes}) cannot exceed window ({self.window})")
        if self.attack_threshold >= self.live_threshold:
            raise ValueError(
                f"attack_threshold ({self.attack_threshold}) must be below "
                f"live_threshold ({self.live_threshold})"
            )
