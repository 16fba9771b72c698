"""Between the decision on a face and its event: the rules, and what they ask besides the face.

Recognition hands every decision to `Doorkeeper.decided`; PINs, cards and challenges come to
`presented`, `shown` and `refused`, from any thread. Fail closed: without a ruling nobody is let in,
and a decision that cannot be recorded was never made.
"""

import threading
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace

from ostiary.decision.admission import (
    PATIENCE,
    Admission,
    Direction,
    Need,
    Patience,
    Waiting,
    passed_back,
)
from ostiary.decision.camera_memory import Announcement
from ostiary.decision.rules import ALWAYS, Ruling
from ostiary.messages.decision import Decision
from ostiary.messages.words import Factor, Reason

Ruler = Callable[[str, str], Ruling]
"""The ruling of now on a person (by name) before a door (by its camera's name)."""
Record = Callable[[Announcement, str], object]
"""Commits a decision with its camera's name; it exists from then on."""
Follow = Callable[[Announcement, str, object], object]
"""Does what follows from a recorded decision (the door opens), with what recording it gave."""

Final = tuple[Announcement, ...]
"""Decisions that were recorded, in order."""


def _nothing(_announcement: Announcement, _door: str, _recorded: object) -> None:
    pass


def everybody(_username: str, _door: str) -> Ruling:
    return ALWAYS


@dataclass(frozen=True, slots=True)
class Passage:
    """A door as the doorkeeper knows it: which way its camera sees people pass."""

    direction: Direction | None = None


class Doorkeeper:
    """Decides who passes each door. Every method may be called from any thread; a door's decisions
    are recorded in order."""

    def __init__(
        self,
        record: Record,
        rule: Ruler = everybody,
        passages: Mapping[str, Passage] | None = None,
        patience: Patience = PATIENCE,
        last: Mapping[str, Direction] | None = None,
        together: Callable[[], AbstractContextManager[object]] = nullcontext,
        follow: Follow = _nothing,
    ) -> None:
        """`passages`: the doors by their cameras' names. `last`: which way each person passed last,
        where that is known. `together` makes all recording in its block one transaction: of two
        people neither is let in alone."""
        self._record = record
        self._together = together
        self._follow = follow
        self._rule = rule
        self._passages = dict(passages or {})
        self._patience = patience
        self._lock = threading.RLock()
        self._admissions: dict[str, Admission] = {}
        self._last: dict[str, Direction] = dict(last or {})
        self._answers: dict[tuple[str, str | None], Decision] = {}

    def remember(self, last: Mapping[str, Direction]) -> None:
        """Set which way people passed last; of others it is unknown."""
        with self._lock:
            self._last = dict(last)

    def ruled(self, decision: Decision, door: str) -> Decision:
        """`decision`, denied where the rules do not let the granted person pass now."""
        if not decision.success or decision.username is None:
            return decision
        ruling = self._ruling(decision.username, door)
        return decision if ruling.allowed else replace(decision, reason=ruling.reason)

    def wants_challenge(self, username: str, door: str) -> bool:
        """Whether the rules ask a challenge of the person."""
        return self._ruling(username, door).step_up

    def decided(self, announcement: Announcement, door: str, now: float) -> Final:
        """Take a decision on a face before `door`, at `now` in monotonic seconds; what was recorded
        by it. Raises what recording raises, and then nothing was decided."""
        decision, ruling = announcement.decision, ALWAYS
        if decision.success and decision.username is not None:
            ruling = self._ruling(decision.username, door)
        with self._lock:
            return self._advance(door, *self._admission(door).decided(announcement, ruling, now))

    def shown(self, door: str, need: Need, now: float, username: str | None = None) -> Final:
        """Take something right that `door` waited for. Returns and raises as `decided`."""
        with self._lock:
            return self._advance(door, *self._admission(door).shown(need, now, username=username))

    def presented(
        self, door: str, need: Need, username: str, now: float, *, duress: bool = False
    ) -> Final:
        """Take a right PIN or card of this person at `door`: with or before a face or, where the
        rules permit it, without. Returns and raises as `decided`."""
        ruling = self._ruling(username, door)
        granted = Announcement(Decision(Reason.GRANTED, username), duress=duress)
        with self._lock:
            admission = self._admission(door)
            waiting = admission.waiting
            awaited = waiting is not None and waiting.username == username
            if not ruling.allowed and awaited:
                return self._advance(door, *admission.refused(ruling.reason, now))
            if not ruling.allowed:
                return self._advance(door, *admission.decided(granted, ruling, now))
            if not awaited and Factor(need.value) in ruling.alone:
                return self._advance(door, *admission.alone(granted, ruling, now))
            return self._advance(door, *admission.presented(need, username, now, duress=duress))

    def mistaken(self, door: str, reason: Reason, now: float, username: str | None = None) -> Final:
        """Take something wrong at `door`. The person may try again, unless `reason` is a lock-out.
        Returns and raises as `decided`."""
        with self._lock:
            admission = self._admission(door)
            if reason is Reason.LOCKED_OUT and admission.waiting is not None:
                return self._advance(door, *admission.refused(reason, now))
            after, late = admission.elapsed(now)
            return self._advance(door, after, (*late, Announcement(Decision(reason, username))))

    def stands(self, door: str, tracks: Collection[int], now: float) -> Final:
        """Take note of the tracks whose faces stand before `door`: a person who is not among them
        waits no longer. Returns and raises as `decided`."""
        with self._lock:
            return self._advance(door, *self._admission(door).stands(tracks, now))

    def is_attentive(self, door: str) -> bool:
        """Whether `door` waits for somebody, or holds a PIN or card that was shown."""
        with self._lock:
            return self._admission(door).is_attentive

    def attention(self, door: str) -> tuple[bool, frozenset[str]]:
        """Whether `door` is attentive, and the people whose PIN or card it holds until their face
        comes."""
        with self._lock:
            admission = self._admission(door)
            return admission.is_attentive, admission.awaited

    def refused(self, door: str, reason: Reason, now: float) -> Final:
        """Take something wrong at `door` for good. Returns and raises as `decided`."""
        with self._lock:
            return self._advance(door, *self._admission(door).refused(reason, now))

    def attend(self, now: float) -> Final:
        """Do what time brings; call it once a second or more often. Returns and raises as
        `decided`."""
        with self._lock:
            return tuple(
                each
                for door, admission in list(self._admissions.items())
                for each in self._advance(door, *admission.elapsed(now))
            )

    def waiting(self, door: str) -> Waiting | None:
        """The person who waits at `door`, and for what; None: nobody."""
        with self._lock:
            return self._admission(door).waiting

    def answer(self, decision: Decision | None, door: str) -> Decision | None:
        """The final decision after one on a face alone; None while the person waits."""
        if decision is None or not decision.success:
            return decision
        with self._lock:
            waiting = self._admission(door).waiting
            if waiting is not None and decision.username == waiting.username:
                return None
            return self._answers.get((door, decision.username), decision)

    def _ruling(self, username: str, door: str) -> Ruling:
        passage = self._passages.get(door, Passage())
        return passed_back(self._rule(username, door), self._last.get(username), passage.direction)

    def _admission(self, door: str) -> Admission:
        return self._admissions.get(door, Admission(self._patience))

    def _advance(self, door: str, after: Admission, final: Final) -> Final:
        # A person may have waited for minutes: the rules of now count.
        final = tuple(replace(each, decision=self.ruled(each.decision, door)) for each in final)
        recorded: list[object] = []
        if final:
            with self._together():
                recorded = [self._record(each, door) for each in final]
        self._admissions[door] = after
        direction = self._passages.get(door, Passage()).direction
        for decision in (each.decision for each in final):
            self._answers[(door, decision.username)] = decision
            if decision.success and decision.username is not None and direction:
                self._last[decision.username] = direction
        for each, number in zip(final, recorded, strict=True):
            self._follow(each, door, number)
        return final
