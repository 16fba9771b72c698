"""A challenge before one camera: whose it is, what is granted if it is passed, and when it ends.

One at a time. It ends not passed when its time is over, when the face is lost, when somebody else
steps up or when the stream stops: whoever could end it otherwise could try until one suits.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from statistics import median

from ostiary.decision import challenge as challenges
from ostiary.decision.challenge import Challenge, Failure, IsOnePerson, Look
from ostiary.decision.pauses import Tries
from ostiary.decision.policy import Policy
from ostiary.decision.vote import Observation
from ostiary.messages.decision import Decision
from ostiary.messages.words import Prompt, Reason


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked now: the `step`-th thing, and until when all has to be done (monotonic s)."""

    prompt: Prompt
    step: int
    until: float


@dataclass(frozen=True, slots=True)
class Running:
    """A challenge of the face of one track. `decision` is what is decided about it by its frames,
    `observations`, apart from the challenge. `needed`: nobody of that name passes without one."""

    track_id: int
    challenge: Challenge
    decision: Decision
    observations: tuple[Observation, ...]
    needed: bool = True

    def outcome(self) -> Decision:
        """What the challenge, which is over, makes of it."""
        seen = self.challenge.liveness
        liveness = median(seen) if seen else self.decision.liveness
        return replace(self.decision, reason=self._reason, liveness=liveness)

    @property
    def _reason(self) -> Reason:
        if self.challenge.passed:
            return Reason.GRANTED
        is_late = self.challenge.failure is Failure.TIME
        return Reason.CHALLENGE_TIMEOUT if is_late else Reason.CHALLENGE_FAILED


@dataclass(frozen=True, slots=True)
class StepUp:
    """The challenge that is running, None while there is none, and those that were not passed."""

    running: Running | None = None
    tries: Tries = field(default_factory=Tries)

    def asked(self, policy: Policy) -> Asked | None:
        """What is to be shown at the door."""
        if self.running is None or self.running.challenge.prompt is None:
            return None
        challenge = self.running.challenge
        until = challenge.began + policy.challenge_s
        return Asked(challenge.prompt, challenge.done + 1, until) if challenge.prompt else None

    def begun(
        self,
        track_id: int,
        decision: Decision,
        observations: tuple[Observation, ...],
        movements: Sequence[Prompt],
        now: float,
        *,
        needed: bool = True,
    ) -> "StepUp":
        """Ask these movements of the person whom `decision` names."""
        assert decision.username is not None
        probes = [seen.probe for seen in observations if seen.probe is not None]
        challenge = challenges.begin(decision.username, movements, now, probes)
        return replace(self, running=Running(track_id, challenge, decision, observations, needed))

    def looked(
        self, track_id: int, look: Look, policy: Policy, is_one_person: IsOnePerson
    ) -> "StepUp":
        """The face of a track was seen; nothing happens for one that is not challenged."""
        if self.running is None or self.running.track_id != track_id:
            return self
        challenge = challenges.step(self.running.challenge, look, policy, is_one_person)
        return self._with(challenge)

    def ended(self, failure: Failure) -> "StepUp":
        """Nothing more is to be seen of a challenge that is running."""
        if self.running is None:
            return self
        return self._with(challenges.ended(self.running.challenge, failure))

    def concluded(self, now: float, policy: Policy) -> tuple["StepUp", Running | None]:
        """The challenge that is over, counted; None where none is."""
        running = self.running
        if running is None:
            return self, None
        if not now - running.challenge.began < policy.challenge_s:
            running = replace(running, challenge=challenges.ended(running.challenge, Failure.TIME))
        challenge = running.challenge
        if not challenge.is_over:
            return self, None
        tries = self.tries.after(challenge.username, now, policy, passed=challenge.passed)
        return StepUp(None, tries), running

    def _with(self, challenge: Challenge) -> "StepUp":
        assert self.running is not None
        return replace(self, running=replace(self.running, challenge=challenge))
