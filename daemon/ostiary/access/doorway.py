"""Everything that one camera remembers between frames, and when it speaks.

A person standing there is one event and not a hundred: an outcome is told once for a track, and
the same outcome for the same person again only after the cool-down. Whatever goes wrong is a
denial.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from ostiary.access import vote
from ostiary.access.attacks import Attacks, one_more
from ostiary.access.decision import Decision
from ostiary.access.policy import Policy
from ostiary.access.probe import Probe
from ostiary.access.track import Track, follow
from ostiary.access.vote import Observation
from ostiary.messages.reason import Reason
from ostiary.vision.face import Face

Outcome = tuple[Reason, str | None]
IsOnePerson = Callable[[Probe, Probe], bool]
Ruled = Callable[[Decision], Decision]


def _unknown_whether(_one: Probe, _other: Probe) -> bool:
    return True


def _no_rules(decision: Decision) -> Decision:
    return decision


@dataclass(frozen=True, slots=True)
class Told:
    """A decision to be told, and the frames of the track that led to it (none for a denial of
    another kind)."""

    decision: Decision
    observations: tuple[Observation, ...] = ()


@dataclass(frozen=True, slots=True)
class Doorway:
    """The state before one camera. Every method returns the next state; times are seconds.

    `is_one_person` says whether two looks of one track may be of the same face, `ruled` turns the
    grant of a person whom the rules do not let pass now into its denial.
    """

    policy: Policy
    is_one_person: IsOnePerson = _unknown_whether
    ruled: Ruled = _no_rules
    tracks: tuple[Track, ...] = ()
    next_id: int = 1
    crowded_frames: int = 0
    told: Mapping[Outcome, float] = field(default_factory=lambda: MappingProxyType({}))
    attacks: Attacks | None = None

    def remembering(self, before: "Doorway") -> "Doorway":
        """What this door said, and how it was attacked, as `before` knew it at a reload."""
        return replace(self, told=before.told, attacks=before.attacks)

    def is_attacked(self, now: float) -> bool:
        """Whether clear attacks were seen a moment ago."""
        return self.attacks is not None and self.attacks.is_running(now, self.policy)

    def saw(self, faces: Sequence[Face], now: float) -> "Doorway":
        """A frame with these faces (only those near enough to matter) was seen at `now`."""
        tracks = follow(self.tracks, faces, now, self.next_id, self.policy.forget_after_s)
        crowded = self.policy.one_person_only and len(faces) > 1
        if crowded:  # what was seen of one person says nothing about who now steps through
            tracks = tuple(replace(track, observations=()) for track in tracks)
        return replace(
            self,
            tracks=tracks,
            next_id=max((self.next_id, *(track.id + 1 for track in tracks))),
            crowded_frames=self.crowded_frames + 1 if crowded else 0,
        )

    def to_judge(self, now: float) -> tuple[Track, ...]:
        """The faces of this frame whose liveness and descriptor are wanted."""
        if self.crowded_frames:
            return ()
        return tuple(track for track in self.tracks if track.seen == now and track.is_judged(now))

    def observed(self, track_id: int, observation: Observation) -> "Doorway":
        """One face was judged. Looks at two different people void all votes of the track."""
        return replace(
            self,
            tracks=tuple(
                self._with_observation(track, observation) if track.id == track_id else track
                for track in self.tracks
            ),
        )

    def conclude(self, now: float) -> tuple["Doorway", tuple[Told, ...]]:
        """What can be decided now, and the state after it was told."""
        if self.crowded_frames:
            if self.crowded_frames < self.policy.votes:
                return self, ()
            return self._tell(Told(Decision(Reason.SEVERAL_FACES)), now)
        state = self
        outcomes: list[Told] = []
        for track in self.tracks:
            decision = state._decide(track, now)
            if decision is None:
                continue
            if decision.reason is Reason.PRESENTATION_ATTACK:
                state = replace(state, attacks=one_more(state.attacks, now, self.policy))
            again = state._was_told(track, decision, now)
            spoken: tuple[Told, ...] = ()
            if not again:
                state, spoken = state._tell(Told(decision, track.observations), now)
            outcomes += spoken
            told = decision if again or spoken else track.told
            state = state._with(track.resting(now + self.policy.recheck_s, told))
        return state, tuple(outcomes)

    def failed(self, now: float) -> tuple["Doorway", tuple[Told, ...]]:
        """The pipeline failed on this frame: nobody passes on what was gathered until now."""
        emptied = replace(
            self, tracks=tuple(replace(track, observations=()) for track in self.tracks)
        )
        return emptied._tell(Told(Decision(Reason.PIPELINE_ERROR)), now)

    def interrupted(self) -> "Doorway":
        """The stream stopped: faces seen before it say nothing about those seen after it."""
        return replace(self, tracks=(), crowded_frames=0)

    def _decide(self, track: Track, now: float) -> Decision | None:
        if track.seen != now or not track.is_judged(now):
            return None
        if track.swapped:
            return replace(vote.summarise(Reason.UNCERTAIN, track.observations), username=None)
        decision = vote.tally(track.observations, self.policy)
        if decision is not None and decision.success and self._is_paused(now):
            return replace(decision, reason=Reason.AFTER_ATTACK)
        if decision is not None and decision.success:
            return self.ruled(decision)
        if decision is None and now - track.since >= self.policy.decide_within_s:
            return vote.give_up(track.observations, self.policy)
        return decision

    def _is_paused(self, now: float) -> bool:
        return self.attacks is not None and now < self.attacks.pause_until(self.policy)

    def _was_told(self, track: Track, decision: Decision, now: float) -> bool:
        """An attack that goes on is told again from time to time, everything else once."""
        if track.told is None or _outcome(track.told) != _outcome(decision):
            return False
        is_attack = decision.reason is Reason.PRESENTATION_ATTACK
        return not (is_attack and self.attacks and self.attacks.is_news(now, self.policy))

    def _with_observation(self, track: Track, observation: Observation) -> Track:
        observed = track.observed(observation, self.policy.window)
        probe = observation.probe
        earlier = (seen.probe for seen in track.observations)
        if probe is None or all(
            each is None or self.is_one_person(each, probe) for each in earlier
        ):
            return observed
        return replace(observed, swapped=True)

    def _tell(self, told: Told, now: float) -> tuple["Doorway", tuple[Told, ...]]:
        recent = {
            outcome: when
            for outcome, when in self.told.items()
            if now - when < self.policy.cooldown_s
        }
        outcome = _outcome(told.decision)
        if outcome in recent:
            return self, ()
        recent[outcome] = now
        attacks = self.attacks
        if attacks is not None and told.decision.reason is Reason.PRESENTATION_ATTACK:
            attacks = replace(attacks, told_at=now)
        return replace(self, told=MappingProxyType(recent), attacks=attacks), (told,)

    def _with(self, changed: Track) -> "Doorway":
        return replace(
            self,
            tracks=tuple(changed if track.id == changed.id else track for track in self.tracks),
        )


def _outcome(decision: Decision) -> Outcome:
    return decision.reason, decision.username
