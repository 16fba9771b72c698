"""A challenge before one camera: of which face, what a pass grants, and when it ends.

There is one at a time. It ends not passed when its time is over, when the face is lost, when
somebody else steps up, or when the stream stops. Otherwise one could try until a challenge suits.
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
    """The prompt of now, its number in the challenge from 1 on, and until when all has to be done
    (monotonic s)."""

    prompt: Prompt
    step: int
    until: float


@dataclass(frozen=True, slots=True)
class Running:
    """A challenge of the face of one track. `decision` is what its frames, `observations`, decide
    apart from the challenge. `needed`: this person passes only by a challenge."""

    track_id: int
    challenge: Challenge
    decision: Decision
    observations: tuple[Observation, ...]
    needed: bool = True

    def outcome(self) -> Decision:
        """The decision by a challenge that is over."""
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
    """The challenge that runs, if any, and the failed ones of before."""

    running: Running | None = None
    tries: Tries = field(default_factory=Tries)

    def asked(self, policy: Policy) -> Asked | None:
        """The prompt to show at the door; None: nothing is asked."""
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
        """The state with a challenge of the person whom `decision` names, by these movements."""
        assert decision.username is not None
        probes = [seen.probe for seen in observations if seen.probe is not None]
        challenge = challenges.begin(decision.username, movements, now, probes)
        return replace(self, running=Running(track_id, challenge, decision, observations, needed))

    def looked(
        self, track_id: int, look: Look, policy: Policy, is_one_person: IsOnePerson
    ) -> "StepUp":
        """The state after a look at the face of a track; others than the challenged do not
        count."""
        if self.running is None or self.running.track_id != track_id:
            return self
        challenge = challenges.step(self.running.challenge, look, policy, is_one_person)
        return self._with(challenge)

    def ended(self, failure: Failure) -> "StepUp":
        """The state after a challenge that runs was failed for `failure`."""
        if self.running is None:
            return self
        return self._with(challenges.ended(self.running.challenge, failure))

    def concluded(self, now: float, policy: Policy) -> tuple["StepUp", Running | None]:
        """The state without a challenge that is over, and that challenge; None: none is over."""
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
