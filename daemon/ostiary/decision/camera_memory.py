"""Everything that one camera remembers between frames, and when it speaks.

A person standing there is one event and not a hundred: an outcome is told once for a track, and
the same outcome for the same person again only after the cool-down. Whatever goes wrong is a
denial.
"""

import math
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from ostiary.decision import vote
from ostiary.decision.attacks import Attacks, one_more
from ostiary.decision.challenge import Failure, IsOnePerson, Look, draw
from ostiary.decision.policy import Policy
from ostiary.decision.probe import Probe
from ostiary.decision.stepup import Asked, StepUp
from ostiary.decision.track import Track, follow
from ostiary.decision.vote import Observation
from ostiary.messages.decision import Decision
from ostiary.messages.words import Prompt, Reason
from ostiary.vision.face import Face

Outcome = tuple[Reason, str | None]
JUDGE_AGAIN_S = 0.2
NOT_PASSED = (Reason.CHALLENGE_FAILED, Reason.CHALLENGE_TIMEOUT)
Ruled = Callable[[Decision], Decision]


def _unknown_whether(_one: Probe, _other: Probe) -> bool:
    return True


def _no_rules(decision: Decision) -> Decision:
    return decision


def _nobody(_username: str) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Announcement:
    """A decision to be told, and the frames of the track that led to it (none for a denial of
    another kind). `challenged`: and a challenge, which was passed, or not for that `failure`.
    `moved`: their frames show a head that moves, and no flat picture.
    `duress`: they said that they are forced; only the building is to know. `track`: of which face;
    None for a denial of no one face, and for what came without one."""

    decision: Decision
    observations: tuple[Observation, ...] = ()
    challenged: bool = False
    failure: Failure | None = None
    duress: bool = False
    moved: bool = False
    track: int | None = None

    def looks_of(self, username: str | None, live_from: float) -> list[Probe]:
        """The frames that are live, by a P(live) of at least `live_from`, and nearest to them."""
        return [
            seen.probe
            for seen in self.observations
            if seen.probe is not None
            and seen.liveness >= live_from
            and seen.nearest is not None
            and seen.nearest.username == username
        ]


@dataclass(frozen=True, slots=True)
class CameraMemory:
    """The state before one camera. Every method returns the next state; times are seconds.

    `is_one_person` says whether two looks of one track may be of the same face, `ruled` turns the
    grant of a person whom the rules do not let pass now into its denial, `wants_challenge` says
    whether they ask a challenge of one whom they let pass, and `below(n)` gives a random number
    from 0 to n - 1, by which it is drawn. `attentive`: the door waits for what somebody has to show
    besides the face. So long a face that was granted does not rest, and each denial is told, also
    within the cool-down: whoever stands there has to stay who they are.
    """

    policy: Policy
    is_one_person: IsOnePerson = _unknown_whether
    ruled: Ruled = _no_rules
    wants_challenge: Callable[[str], bool] = _nobody
    below: Callable[[int], int] = secrets.randbelow
    tracks: tuple[Track, ...] = ()
    next_id: int = 1
    crowded_frames: int = 0
    told: Mapping[Outcome, float] = field(default_factory=lambda: MappingProxyType({}))
    attacks: Attacks | None = None
    step_up: StepUp = field(default_factory=StepUp)
    attentive: bool = False

    def remembering(self, before: "CameraMemory") -> "CameraMemory":
        """What this door said, and how it was attacked and tried, as `before` knew it at a
        reload."""
        tries = StepUp(tries=before.step_up.tries)
        return replace(self, told=before.told, attacks=before.attacks, step_up=tries)

    @property
    def asked(self) -> Asked | None:
        """What is asked of the person before the door; None: nothing."""
        asked = self.step_up.asked(self.policy)
        if asked is not None or len(self.tracks) != 1 or self.tracks[0].flaw is not Reason.TOO_NEAR:
            return asked
        return Asked(Prompt.STEP_BACK, 0, self.tracks[0].since + self.policy.decide_within_s)

    def is_challenged(self, track_id: int) -> bool:
        """Whether the face of that track is to do what is `asked`."""
        running = self.step_up.running
        return running is not None and running.track_id == track_id

    def is_attacked(self, now: float) -> bool:
        """Whether clear attacks were seen a moment ago."""
        return self.attacks is not None and self.attacks.is_running(now, self.policy)

    def saw(self, faces: Sequence[Face], now: float) -> "CameraMemory":
        """A frame with these faces (only those near enough to matter) was seen at `now`."""
        tracks = follow(self.tracks, faces, now, self.next_id, self.policy.forget_after_s)
        crowded = self.policy.one_person_only and len(faces) > 1
        if crowded:  # what was seen of one person says nothing about who now steps through
            tracks = tuple(track.emptied() for track in tracks)
        step_up = self.step_up
        running = step_up.running
        if crowded:
            step_up = step_up.ended(Failure.ANOTHER_FACE)
        elif running is not None and all(running.track_id != track.id for track in tracks):
            step_up = step_up.ended(Failure.GONE)
        return replace(
            self,
            tracks=tracks,
            step_up=step_up,
            next_id=max((self.next_id, *(track.id + 1 for track in tracks))),
            crowded_frames=self.crowded_frames + 1 if crowded else 0,
        )

    def to_watch(self, now: float) -> tuple[Track, ...]:
        """The faces of this frame of which is to be known whether they move."""
        if self.crowded_frames:
            return ()
        return tuple(
            track for track in self.tracks if track.seen == now and self._is_judged(track, now)
        )

    def before_it(self, now: float) -> frozenset[int]:
        """The faces (their tracks) that stand there: of this frame, or, where it shows none, those
        that were there a moment ago."""
        seen = frozenset(track.id for track in self.tracks if track.seen == now)
        return seen or frozenset(track.id for track in self.tracks)

    def untold(self, username: str | None) -> "CameraMemory":
        """The grant of this person did not let them in: who comes back is decided anew."""
        outcome = (Reason.GRANTED, username)
        kept = {each: at for each, at in self.told.items() if each != outcome}
        return replace(self, told=MappingProxyType(kept))

    def to_judge(self, now: float) -> tuple[Track, ...]:
        """The faces of this frame whose liveness and descriptor are wanted: of one that only has
        to move still, not of every frame."""
        return tuple(
            track
            for track in self.to_watch(now)
            if now - track.judged_at >= JUDGE_AGAIN_S or not self._only_has_to_move(track, now)
        )

    def observed(self, track_id: int, observation: Observation) -> "CameraMemory":
        """One face was judged. Looks at two different people void all votes of the track."""
        return self._changed(track_id, lambda track: self._with_observation(track, observation))

    def unjudged(self, track_id: int, flaw: Reason) -> "CameraMemory":
        """One face could not be judged on this frame, and why."""
        return self._changed(track_id, lambda track: replace(track, flaw=flaw))

    def bent(self, track_id: int, now: float) -> "CameraMemory":
        """The frames of that face show a head that moves, and no flat picture."""
        return self._changed(track_id, lambda track: replace(track, bent_at=now))

    def is_alive(self, track: Track, now: float) -> bool:
        """Whether a face shows what a grant needs of a live person, whoever it is."""
        return vote.are_live(track.observations, self.policy) and self._has_moved(track, now)

    def looked(self, track_id: int, look: Look) -> "CameraMemory":
        """What a frame shows of how a face that is challenged is held."""
        step_up = self.step_up.looked(track_id, look, self.policy, self.is_one_person)
        return replace(self, step_up=step_up)

    def conclude(self, now: float) -> tuple["CameraMemory", tuple[Announcement, ...]]:
        """What can be decided now, and the state after it was told."""
        state, challenged = self._challenge_concluded(now)
        if self.crowded_frames:
            if self.crowded_frames < self.policy.votes:
                return state, challenged
            state, crowded = state._tell(Announcement(Decision(Reason.SEVERAL_FACES)), now)
            return state, (*challenged, *crowded)
        outcomes = list(challenged)
        for track in state.tracks:
            decision = state._decide(track, now)
            if decision is None:
                continue
            if (grant := state._to_challenge(track, decision, now)) is not None:
                if state.step_up.running is not None:
                    continue  # one at a time
                if not state.step_up.tries.is_paused(str(grant.username), now, self.policy):
                    state = state._challenging(track, grant, now)
                    continue
                if decision.success:  # else it stands: they may pass without, as anybody
                    decision = replace(grant, reason=Reason.CHALLENGE_PAUSED)
                if state._has_just_failed(decision, now):  # and was told so
                    state = state._with(track.resting(now + self.policy.recheck_s, track.told))
                    continue
            if decision.reason is Reason.PRESENTATION_ATTACK:
                state = replace(state, attacks=one_more(state.attacks, now, self.policy))
            if decision.success and state.is_challenged(track.id):
                state = replace(state, step_up=replace(state.step_up, running=None))
            again = state._was_told(track, decision, now)
            spoken: tuple[Announcement, ...] = ()
            if not again:
                told_now = Announcement(
                    decision, track.observations, moved=track.bent_at is not None, track=track.id
                )
                state, spoken = state._tell(told_now, now)
            outcomes += spoken
            told = decision if again or spoken else track.told
            state = state._with(track.resting(now + self.policy.recheck_s, told))
        return state, tuple(outcomes)

    def failed(self, now: float) -> tuple["CameraMemory", tuple[Announcement, ...]]:
        """The pipeline failed on this frame: nobody passes on what was gathered until now."""
        emptied = replace(
            self,
            tracks=tuple(track.emptied() for track in self.tracks),
            step_up=self.step_up.ended(Failure.GONE),
        )
        return emptied._tell(Announcement(Decision(Reason.PIPELINE_ERROR)), now)

    def interrupted(self) -> "CameraMemory":
        """The stream stopped: faces seen before it say nothing about those seen after it."""
        step_up = self.step_up.ended(Failure.GONE)
        return replace(self, tracks=(), crowded_frames=0, step_up=step_up)

    def _to_challenge(self, track: Track, decision: Decision, now: float) -> Decision | None:
        """The grant that a challenge is to be asked for; None: the decision stands."""
        policy = self.policy
        if decision.success:
            grant = decision if self._needs_challenge(decision) else None
        elif decision.reason is Reason.STILL_PICTURE and policy.challenge == "uncertain":
            grant = replace(decision, reason=Reason.GRANTED)
        elif decision.reason is Reason.UNCERTAIN and policy.challenge == "uncertain":
            grant = None if track.swapped else vote.but_for_liveness(track.observations, policy)
        else:
            return None
        if grant is None or not self.ruled(grant).success or self._was_told(track, grant, now):
            return None
        is_silent = now - self.told.get(_outcome(grant), -math.inf) < policy.cooldown_s
        return None if is_silent else grant

    def _needs_challenge(self, grant: Decision) -> bool:
        """Whether nobody of that name passes without one, whatever their frames show."""
        return self.policy.challenge == "always" or self.wants_challenge(str(grant.username))

    def _has_just_failed(self, decision: Decision, now: float) -> bool:
        told = (self.told.get((reason, decision.username), -math.inf) for reason in NOT_PASSED)
        return now - max(told) < self.policy.cooldown_s

    def _challenging(self, track: Track, grant: Decision, now: float) -> "CameraMemory":
        movements = draw(self.below)
        step_up = self.step_up.begun(
            track.id,
            grant,
            track.observations,
            movements,
            now,
            needed=self._needs_challenge(grant),
        )
        return replace(self, step_up=step_up)

    def _challenge_concluded(self, now: float) -> tuple["CameraMemory", tuple[Announcement, ...]]:
        """A challenge that is over is always told: it is a grant, or somebody's try."""
        swapped = any(self.is_challenged(track.id) and track.swapped for track in self.tracks)
        step_up = self.step_up.ended(Failure.ANOTHER_FACE) if swapped else self.step_up
        step_up, over = step_up.concluded(now, self.policy)
        if over is None:
            return self, ()
        decision = over.outcome()
        if decision.success and self._is_paused(now):
            decision = replace(decision, reason=Reason.AFTER_ATTACK)
        decision = self.ruled(decision)
        told = Announcement(
            decision, over.observations, True, over.challenge.failure, track=over.track_id
        )
        state = replace(self, step_up=step_up, told=self._told_at(decision, now))
        for track in self.tracks:
            if track.id == over.track_id:
                state = state._with(track.resting(now + self.policy.recheck_s, decision))
        return state, (told,)

    def _decide(self, track: Track, now: float) -> Decision | None:
        if track.seen != now or not self._is_judged(track, now):
            return None
        if self.is_challenged(track.id):
            return self._decide_meanwhile(track, now)
        if track.swapped:
            return replace(vote.summarise(Reason.UNCERTAIN, track.observations), username=None)
        decision = vote.tally(track.observations, self.policy)
        is_late = now - track.since >= self.policy.decide_within_s
        if decision is None:
            given_up = vote.give_up(track.observations, self.policy, track.flaw)
            return given_up if is_late else None
        if not decision.success:
            return decision
        if self._is_paused(now):
            return replace(decision, reason=Reason.AFTER_ATTACK)
        # Who has to do a challenge shows by it that they move.
        if not self._has_moved(track, now) and not self._needs_challenge(decision):
            return replace(decision, reason=Reason.STILL_PICTURE) if is_late else None
        return self.ruled(decision)

    def _decide_meanwhile(self, track: Track, now: float) -> Decision | None:
        """The grant of one who is challenged only because they stood still or were not clear, and
        does so no more."""
        running = self.step_up.running
        if running is None or running.needed or track.swapped or self._is_paused(now):
            return None
        decision = vote.tally(track.observations, self.policy)
        if decision is None or decision.username != running.challenge.username:
            return None
        if not decision.success or not self._has_moved(track, now):
            return None
        decision = self.ruled(decision)
        return decision if decision.success else None

    def _only_has_to_move(self, track: Track, now: float) -> bool:
        if self._has_moved(track, now) or self.is_challenged(track.id):
            return False
        decision = vote.tally(track.observations, self.policy)
        return decision is not None and decision.success

    def _has_moved(self, track: Track, now: float) -> bool:
        """Or need not."""
        policy = self.policy
        if not policy.require_movement or track.has_moved(now, policy.movement_holds_s):
            return True
        if self._is_waited_for(track):  # who was let in by it a moment ago, and is still there
            return True
        return vote.are_surely_live(track.observations, policy)

    def _is_judged(self, track: Track, now: float) -> bool:
        return self._is_waited_for(track) or track.is_judged(now)

    def _is_waited_for(self, track: Track) -> bool:
        return self.attentive and track.told is not None and track.told.success

    def _is_silent(self, decision: Decision, now: float) -> bool:
        """Whether the same was told within the cool-down."""
        if self.attentive and not decision.success:
            return False
        return now - self.told.get(_outcome(decision), -math.inf) < self.policy.cooldown_s

    def _is_paused(self, now: float) -> bool:
        return self.attacks is not None and now < self.attacks.pause_until(self.policy)

    def _was_told(self, track: Track, decision: Decision, now: float) -> bool:
        """An attack that goes on is told again from time to time, everything else once."""
        if track.told is None or _outcome(track.told) != _outcome(decision):
            return False
        if self.attentive and not decision.success:
            return False
        is_attack = decision.reason is Reason.PRESENTATION_ATTACK
        return not (is_attack and self.attacks and self.attacks.is_news(now, self.policy))

    def _with_observation(self, track: Track, observation: Observation) -> Track:
        observed = track.observed(observation, self.policy.window)
        if not observation.is_live(self.policy):  # what bends has to be what is live
            observed = replace(observed, bent_at=None)
        probe = observation.probe
        earlier = (seen.probe for seen in track.observations)
        if probe is None or all(
            each is None or self.is_one_person(each, probe) for each in earlier
        ):
            return observed
        return replace(observed, swapped=True)

    def _tell(
        self, told: Announcement, now: float
    ) -> tuple["CameraMemory", tuple[Announcement, ...]]:
        if self._is_silent(told.decision, now):
            return self, ()
        attacks = self.attacks
        if attacks is not None and told.decision.reason is Reason.PRESENTATION_ATTACK:
            attacks = replace(attacks, told_at=now)
        return replace(self, told=self._told_at(told.decision, now), attacks=attacks), (told,)

    def _told_at(self, decision: Decision, now: float) -> Mapping[Outcome, float]:
        """What was told within the cool-down, with one more."""
        recent = {
            outcome: when
            for outcome, when in self.told.items()
            if now - when < self.policy.cooldown_s
        }
        return MappingProxyType({**recent, _outcome(decision): now})

    def _with(self, changed: Track) -> "CameraMemory":
        return self._changed(changed.id, lambda _track: changed)

    def _changed(self, track_id: int, change: Callable[[Track], Track]) -> "CameraMemory":
        return replace(
            self,
            tracks=tuple(change(track) if track.id == track_id else track for track in self.tracks),
        )


def _outcome(decision: Decision) -> Outcome:
    return decision.reason, decision.username
