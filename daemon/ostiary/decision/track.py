"""Faces followed from frame to frame."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ostiary.decision.vote import Observation
from ostiary.messages.decision import Decision
from ostiary.messages.words import Reason
from ostiary.vision.face import Face

LEAST_OVERLAP = 0.2


@dataclass(frozen=True, slots=True)
class Track:
    """One face, followed over frames. Times are monotonic seconds.

    `since` is when the present attempt to decide began, `told` the last outcome that was told about
    this face. Until `rests_until` the face is followed but not judged. `swapped`: the frames of
    this attempt show two people. `bent_at` is when they last showed a head that moves, and no flat
    picture (`ostiary.vision.bending`); None: they did not, or a later one was not live. `judged_at`
    is when the last observation was made, `flaw` why the face could not be judged last.
    """

    id: int
    face: Face
    since: float
    seen: float
    observations: tuple[Observation, ...] = ()
    told: Decision | None = None
    rests_until: float = 0.0
    swapped: bool = False
    bent_at: float | None = None
    judged_at: float = -math.inf
    flaw: Reason | None = None

    @property
    def granted(self) -> str | None:
        """The person as whom this face was granted, if that was told last."""
        return self.told.username if self.told is not None and self.told.success else None

    def is_judged(self, now: float) -> bool:
        """Whether liveness and descriptor are worth their cost on this frame."""
        return now >= self.rests_until

    def observed(self, observation: Observation, keep: int) -> "Track":
        kept = (*self.observations, observation)[-keep:]
        return replace(self, observations=kept, judged_at=self.seen, flaw=None)

    def emptied(self) -> "Track":
        """The track without what its frames showed until now."""
        return replace(self, observations=(), bent_at=None)

    def has_moved(self, now: float, within_s: float) -> bool:
        """Whether it was seen as a moving head within the last `within_s`."""
        return self.bent_at is not None and now - self.bent_at <= within_s

    def resting(self, until: float, told: Decision | None) -> "Track":
        """The track that begins anew at `until`, without votes."""
        return replace(
            self,
            observations=(),
            told=told,
            since=until,
            rests_until=until,
            swapped=False,
            bent_at=None,
            flaw=None,
        )


def follow(
    tracks: Sequence[Track], faces: Sequence[Face], now: float, next_id: int, forget_after_s: float
) -> tuple[Track, ...]:
    """Give each face to the track that it overlaps most; open tracks for the others.

    Greedy by intersection over union, largest first, as in Bochinski et al., "High-Speed
    Tracking-by-Detection Without Using Image Information" (AVSS 2017). Tracks unseen for more
    than `forget_after_s` end. New tracks count up from `next_id`.
    """
    tracks = [track for track in tracks if now - track.seen <= forget_after_s]
    pairs = sorted(
        (
            (track.face.box.overlap(face.box), -which, -index)
            for which, track in enumerate(tracks)
            for index, face in enumerate(faces)
        ),
        reverse=True,
    )
    matched: dict[int, int] = {}
    taken: set[int] = set()
    for overlap, which, index in pairs:
        if overlap < LEAST_OVERLAP:
            break
        if -which not in matched and -index not in taken:
            matched[-which] = -index
            taken.add(-index)
    followed = [
        replace(track, face=faces[matched[which]], seen=now) if which in matched else track
        for which, track in enumerate(tracks)
    ]
    opened = [
        Track(id=next_id + offset, face=faces[index], since=now, seen=now)
        for offset, index in enumerate(index for index in range(len(faces)) if index not in taken)
    ]
    return (*followed, *opened)
