"""Between a face that was decided and the event that tells of it: rules, and what they ask besides.

Recognition hands every decision to `Doorkeeper.decided`; PINs, cards and challenges are told to
`shown` and `refused`, from whatever thread they come. Fail closed: where a ruling cannot be made,
nobody is let in, and where a decision cannot be recorded it was never made.
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
"""What the rules say now of a person (by name) before a door (by its camera's name)."""
Record = Callable[[Announcement, str], object]
"""Writes a decision down with its camera's name; only once that is committed it exists."""
Follow = Callable[[Announcement, str, object], object]
"""Does what follows from a decision that exists (the door opens), with what recording it gave."""

Final = tuple[Announcement, ...]
"""Decisions that were recorded, in order."""


def _nothing(_told: Announcement, _door: str, _recorded: object) -> None:
    pass


def everybody(_username: str, _door: str) -> Ruling:
    return ALWAYS


@dataclass(frozen=True, slots=True)
class Passage:
    """A door as the doorkeeper knows it: which way its camera sees people pass."""

    direction: Direction | None = None


class Doorkeeper:
    """Every method may be called from any thread; a door's decisions are recorded in order."""

    def __init__(
        self,
        record: Record,
        rule: Ruler = everybody,
        gates: Mapping[str, Passage] | None = None,
        patience: Patience = PATIENCE,
        last: Mapping[str, Direction] | None = None,
        together: Callable[[], AbstractContextManager[object]] = nullcontext,
        follow: Follow = _nothing,
    ) -> None:
        """`last`: which way each person passed last, as far as that is known. `together` makes what
        is recorded in its block one: of two people neither is let in alone."""
        self._record = record
        self._together = together
        self._follow = follow
        self._rule = rule
        self._gates = dict(gates or {})
        self._patience = patience
        self._lock = threading.RLock()
        self._admissions: dict[str, Admission] = {}
        self._last: dict[str, Direction] = dict(last or {})
        self._answers: dict[tuple[str, str | None], Decision] = {}
        self.waits: Callable[[str, Waiting | None], object] = lambda _door, _waiting: None
        """Told of a door and what it waits for, each time that changes; called with the lock."""

    def remember(self, last: Mapping[str, Direction]) -> None:
        """Which way people went last, as it is known from before; of nobody else it is known."""
        with self._lock:
            self._last = dict(last)

    def ruled(self, decision: Decision, door: str) -> Decision:
        """A granted face, or its denial where the rules do not let that person pass now."""
        if not decision.success or decision.username is None:
            return decision
        ruling = self._ruling(decision.username, door)
        return decision if ruling.allowed else replace(decision, reason=ruling.reason)

    def wants_challenge(self, username: str, door: str) -> bool:
        """Whether that person has to show by movements that they are there."""
        return self._ruling(username, door).step_up

    def decided(self, told: Announcement, door: str, now: float) -> Final:
        """A face before `door` was decided, at `now` in monotonic seconds; what was recorded then.
        Raises what recording raises, and then nothing was decided."""
        who = told.decision.username
        ruling = self._ruling(who, door) if told.decision.success and who is not None else ALWAYS
        with self._lock:
            return self._advance(door, *self._admission(door).decided(told, ruling, now))

    def shown(self, door: str, need: Need, now: float, username: str | None = None) -> Final:
        """What `door` waits for was shown, and was right. Returns and raises as `decided`."""
        with self._lock:
            return self._advance(door, *self._admission(door).shown(need, now, username=username))

    def presented(
        self, door: str, need: Need, username: str, now: float, *, duress: bool = False
    ) -> Final:
        """A PIN or a card of this person was shown at `door`, with or before a face or, where the
        rules let it, without. Returns and raises as `decided`."""
        ruling = self._ruling(username, door)
        told = Announcement(Decision(Reason.GRANTED, username), duress=duress)
        with self._lock:
            admission = self._admission(door)
            waiting = admission.waiting
            awaited = waiting is not None and waiting.username == username
            if not ruling.allowed and awaited:
                return self._advance(door, *admission.refused(ruling.reason, now))
            if not ruling.allowed:
                return self._advance(door, *admission.decided(told, ruling, now))
            if not awaited and Factor(need.value) in ruling.alone:
                return self._advance(door, *admission.alone(told, ruling, now))
            return self._advance(door, *admission.presented(need, username, now, duress=duress))

    def mistaken(self, door: str, reason: Reason, now: float, username: str | None = None) -> Final:
        """What was shown at `door` was wrong. Who is waited for may try again, unless `reason` is
        that they tried too often. Returns and raises as `decided`."""
        with self._lock:
            admission = self._admission(door)
            if reason is Reason.LOCKED_OUT and admission.waiting is not None:
                return self._advance(door, *admission.refused(reason, now))
            after, late = admission.elapsed(now)
            return self._advance(door, after, (*late, Announcement(Decision(reason, username))))

    def stands(self, door: str, tracks: Collection[int], now: float) -> Final:
        """These faces stand before `door`: who waits is one of them, or waits no longer. Returns
        and raises as `decided`."""
        with self._lock:
            return self._advance(door, *self._admission(door).stands(tracks, now))

    def is_attentive(self, door: str) -> bool:
        """Whether somebody is waited for at `door`, or what they showed is held."""
        with self._lock:
            admission = self._admission(door)
            return admission.waiting is not None or bool(admission.held)

    def refused(self, door: str, reason: Reason, now: float) -> Final:
        """What was shown at `door` was wrong for good. Returns and raises as `decided`."""
        with self._lock:
            return self._advance(door, *self._admission(door).refused(reason, now))

    def attend(self, now: float) -> Final:
        """Time went on: call it once a second or more often. Returns and raises as `decided`."""
        with self._lock:
            return tuple(
                told
                for door, admission in list(self._admissions.items())
                for told in self._advance(door, *admission.elapsed(now))
            )

    def waiting(self, door: str) -> Waiting | None:
        """Who is waited for at `door`, and for what."""
        with self._lock:
            return self._admission(door).waiting

    def answer(self, decision: Decision | None, door: str) -> Decision | None:
        """What became of a decision of the faces alone; None while it waits."""
        if decision is None or not decision.success:
            return decision
        with self._lock:
            waiting = self._admission(door).waiting
            if waiting is not None and decision.username == waiting.username:
                return None
            return self._answers.get((door, decision.username), decision)

    def _ruling(self, username: str, door: str) -> Ruling:
        gate = self._gates.get(door, Passage())
        return passed_back(self._rule(username, door), self._last.get(username), gate.direction)

    def _admission(self, door: str) -> Admission:
        return self._admissions.get(door, Admission(self._patience))

    def _advance(self, door: str, after: Admission, final: Final) -> Final:
        before = self._admission(door).waiting
        # Somebody may have waited for minutes: what the rules say now is what counts.
        final = tuple(replace(told, decision=self.ruled(told.decision, door)) for told in final)
        recorded: list[object] = []
        if final:
            with self._together():
                recorded = [self._record(told, door) for told in final]
        self._admissions[door] = after
        direction = self._gates.get(door, Passage()).direction
        for told in final:
            self._answers[(door, told.decision.username)] = told.decision
            if told.decision.success and told.decision.username is not None and direction:
                self._last[told.decision.username] = direction
        if after.waiting != before:
            self.waits(door, after.waiting)
        for told, number in zip(final, recorded, strict=True):
            self._follow(told, door, number)
        return final
