"""Everything that one camera remembers between frames, and when it announces a decision.

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
from ostiary.decision.challenge import Failure, IsOnePerson, Look, draw
from ostiary.decision.pauses import Attacks, one_more
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


@dataclass(frozen=True, slots=True)
class Announcement:
    """A decision to be told, and what led to it.

    `observations`: the frames of the track; none for a denial of another kind. `challenged`: a
    challenge, too, which was passed, or not because of `failure`. `moved`: the frames show a head
    that moves, and no flat picture. `duress`: the person said that they are forced; only the
    building is to know. `track`: the face's track; None where no one face is meant.
    """

    decision: Decision
    observations: tuple[Observation, ...] = ()
    challenged: bool = False
    failure: Failure | None = None
    duress: bool = False
    moved: bool = False
    track: int | None = None

    def looks_of(self, username: str | None, live_from: float) -> list[Probe]:
        """Probes of the frames that are live (P(live) of at least `live_from`) and whose nearest
        person is `username`."""
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

    `is_one_person` says whether two looks of one track may be of the same face. `ruled` turns a
    grant into a denial where the rules do not let that person pass now. `wants_challenge` says
    whether the rules ask a challenge of a person. `below(n)` gives a random number from 0 to n - 1,
    by which a challenge is drawn. `told` are the outcomes of late, and when each was told.

    `attentive`: the door waits for what somebody has to show besides the face. Meanwhile a face
    that was granted does not rest, and each denial is told, also within the cool-down. `awaited`:
    people whose PIN or card the door holds. Who of them has stayed is granted anew, by moving anew.
    """

    policy: Policy
    is_one_person: IsOnePerson = lambda _one, _other: True
    ruled: Ruled = lambda decision: decision
    wants_challenge: Callable[[str], bool] = lambda _username: False
    below: Callable[[int], int] = secrets.randbelow
    tracks: tuple[Track, ...] = ()
    next_id: int = 1
    crowded_frames: int = 0
    told: Mapping[Outcome, float] = field(default_factory=lambda: MappingProxyType({}))
    attacks: Attacks | None = None
    step_up: StepUp = field(default_factory=StepUp)
    attentive: bool = False
    awaited: frozenset[str] = frozenset()

    def remembering(self, before: "CameraMemory") -> "CameraMemory":
        """The memory after a reload: what was told, attacks and failed challenges of `before`."""
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
        """Whether the challenge that runs is of this track's face."""
        running = self.step_up.running
        return running is not None and running.track_id == track_id

    def is_attacked(self, now: float) -> bool:
        """Whether clear attacks were seen a moment ago."""
        return self.attacks is not None and self.attacks.is_running(now, self.policy)

    def saw(self, faces: Sequence[Face], now: float) -> "CameraMemory":
        """A frame with these faces (only those near enough to matter) was seen at `now`."""
        tracks = follow(self.tracks, faces, now, self.next_id, self.policy.forget_after_s)
        crowded = self.policy.is_crowd(len(faces))
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
        """The faces of this frame that are watched for movement."""
        if self.crowded_frames:
            return ()
        return tuple(one for one in self.tracks if one.seen == now and self._is_judged(one, now))

    def before_it(self, now: float) -> frozenset[int]:
        """Ids of the tracks whose faces stand there: in this frame, or, where it shows none, a
        moment ago."""
        seen = frozenset(track.id for track in self.tracks if track.seen == now)
        return seen or frozenset(track.id for track in self.tracks)

    def untold(self, username: str | None) -> "CameraMemory":
        """Forget that this person was granted: it did not let them in, and they may try again."""
        outcome = (Reason.GRANTED, username)
        kept = {each: at for each, at in self.told.items() if each != outcome}
        return replace(self, told=MappingProxyType(kept))

    def to_judge(self, now: float) -> tuple[Track, ...]:
        """The faces of this frame whose liveness and descriptor are wanted. A face that only has to
        move still is judged now and then, not on every frame."""
        return tuple(
            track
            for track in self.to_watch(now)
            if now - track.judged_at >= JUDGE_AGAIN_S or not self._only_has_to_move(track, now)
        )

    def observed(self, track_id: int, observation: Observation) -> "CameraMemory":
        """The state after a face was judged. Looks at two people void all votes of the track."""
        return self._changed(track_id, lambda track: self._with_observation(track, observation))

    def unjudged(self, track_id: int, flaw: Reason) -> "CameraMemory":
        """The state after a face could not be judged on this frame, and why."""
        return self._changed(track_id, lambda track: replace(track, flaw=flaw))

    def bent(self, track_id: int, now: float) -> "CameraMemory":
        """The state after a face was seen to move as no flat picture can."""
        return self._changed(track_id, lambda track: replace(track, bent_at=now))

    def is_alive(self, track: Track, now: float) -> bool:
        """Whether a face shows all that a grant needs of a live person, whoever it is."""
        return vote.are_live(track.observations, self.policy) and self._has_moved(track, now)

    def looked(self, track_id: int, look: Look) -> "CameraMemory":
        """The state after a frame showed how a challenged face is held."""
        step_up = self.step_up.looked(track_id, look, self.policy, self.is_one_person)
        return replace(self, step_up=step_up)

    def conclude(self, now: float) -> "Next":
        """Decide what can be decided now: the state after that was told, and what to tell."""
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
                frames, moved = track.observations, track.bent_at is not None
                announcement = Announcement(decision, frames, moved=moved, track=track.id)
                state, spoken = state._tell(announcement, now)
            outcomes += spoken
            told = decision if again or spoken else track.told
            state = state._with(track.resting(now + self.policy.recheck_s, told))
        return state, tuple(outcomes)

    def failed(self, now: float) -> "Next":
        """The state after the pipeline failed on this frame: what was gathered is forgotten."""
        emptied = replace(
            self,
            tracks=tuple(track.emptied() for track in self.tracks),
            step_up=self.step_up.ended(Failure.GONE),
        )
        return emptied._tell(Announcement(Decision(Reason.PIPELINE_ERROR)), now)

    def interrupted(self) -> "CameraMemory":
        """The state after the stream stopped: earlier faces say nothing about those to come."""
        step_up = self.step_up.ended(Failure.GONE)
        return replace(self, tracks=(), crowded_frames=0, step_up=step_up)

    def _to_challenge(self, track: Track, decision: Decision, now: float) -> Decision | None:
        """The grant for which a challenge is to be asked; None: the decision stands."""
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
        return None if self._is_silent(grant, now) else grant

    def _needs_challenge(self, grant: Decision) -> bool:
        """Whether this person passes only by a challenge, whatever their frames show."""
        return self.policy.challenge == "always" or self.wants_challenge(str(grant.username))

    def _has_just_failed(self, decision: Decision, now: float) -> bool:
        told = (self.told.get((reason, decision.username), -math.inf) for reason in NOT_PASSED)
        return now - max(told) < self.policy.cooldown_s

    def _challenging(self, track: Track, grant: Decision, now: float) -> "CameraMemory":
        needed, movements = self._needs_challenge(grant), draw(self.below)
        step_up = self.step_up.begun(
            track.id, grant, track.observations, movements, now, needed=needed
        )
        return replace(self, step_up=step_up)

    def _challenge_concluded(self, now: float) -> "Next":
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
        announcement = Announcement(
            decision, over.observations, True, over.challenge.failure, track=over.track_id
        )
        state = replace(self, step_up=step_up, told=self._told_at(decision, now))
        for track in self.tracks:
            if track.id == over.track_id:
                state = state._with(track.resting(now + self.policy.recheck_s, decision))
        return state, (announcement,)

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
        """The grant of a person who was challenged for standing still or looking unclear, and now
        moves or looks clear."""
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
        """Whether the face moved, or need not."""
        policy = self.policy
        if not policy.require_movement or track.has_moved(now, policy.movement_holds_s):
            return True
        if self._is_waited_for(track) and track.granted not in self.awaited:
            return True  # who was granted by it a moment ago, and is still there
        return vote.are_surely_live(track.observations, policy)

    def _is_judged(self, track: Track, now: float) -> bool:
        return self._is_waited_for(track) or track.is_judged(now)

    def _is_waited_for(self, track: Track) -> bool:
        return self.attentive and track.granted is not None

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
        is_anew = decision.success and decision.username in self.awaited
        if is_anew or (self.attentive and not decision.success):
            return False
        is_attack = decision.reason is Reason.PRESENTATION_ATTACK
        return not (is_attack and self.attacks and self.attacks.is_news(now, self.policy))

    def _with_observation(self, track: Track, observation: Observation) -> Track:
        observed = track.observed(observation, self.policy.window)
        if not observation.is_live(self.policy):  # what bends has to be what is live
            observed = replace(observed, bent_at=None)
        probe = observation.probe
        earlier = (seen.probe for seen in track.observations)
        if probe is None:
            return observed
        is_same = all(each is None or self.is_one_person(each, probe) for each in earlier)
        return observed if is_same else replace(observed, swapped=True)

    def _tell(self, announcement: Announcement, now: float) -> "Next":
        decision, attacks = announcement.decision, self.attacks
        if self._is_silent(decision, now):
            return self, ()
        if attacks is not None and decision.reason is Reason.PRESENTATION_ATTACK:
            attacks = replace(attacks, told_at=now)
        told = self._told_at(decision, now)
        return replace(self, told=told, attacks=attacks), (announcement,)

    def _told_at(self, decision: Decision, now: float) -> Mapping[Outcome, float]:
        """What was told within the cool-down, with one more."""
        cooldown_s = self.policy.cooldown_s
        recent = {each: at for each, at in self.told.items() if now - at < cooldown_s}
        return MappingProxyType({**recent, _outcome(decision): now})

    def _with(self, changed: Track) -> "CameraMemory":
        return self._changed(changed.id, lambda _track: changed)

    def _changed(self, track_id: int, change: Callable[[Track], Track]) -> "CameraMemory":
        return replace(
            self,
            tracks=tuple(change(each) if each.id == track_id else each for each in self.tracks),
        )


Next = tuple[CameraMemory, tuple[Announcement, ...]]
"""The next state, and what is to be told."""


def _outcome(decision: Decision) -> Outcome:
    return decision.reason, decision.username
