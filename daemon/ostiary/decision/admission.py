"""What comes after a face was granted: what the rules ask besides, until it is shown or time is up.

There is one `Admission` a door. A granted face whose ruling asks for more waits here; whatever is
not shown in time ends in a denial. The person has to stay there: the PIN is to be shown by the
face. A denied face that is not known to be theirs ends the waiting, and so do several faces, or an
empty place; of two persons only the second stands there. A PIN or a card that is shown before its
face is held for as long, and not past the face of a stranger.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Literal

from ostiary.decision.camera_memory import Announcement
from ostiary.decision.rules import Ruling
from ostiary.messages.decision import Decision
from ostiary.messages.words import Factor, Reason


class Need(StrEnum):
    """What is still to be shown, in the order in which it is asked for."""

    CHALLENGE = "challenge"
    PIN = "pin"
    CARD = "card"
    SECOND_PERSON = "second_person"


MISSING: Mapping[Need, Reason] = {
    Need.CHALLENGE: Reason.CHALLENGE_MISSING,
    Need.PIN: Reason.CREDENTIAL_MISSING,
    Need.CARD: Reason.CREDENTIAL_MISSING,
    Need.SECOND_PERSON: Reason.SECOND_PERSON_MISSING,
}

OTHERS = frozenset({Reason.UNKNOWN_FACE, Reason.SEVERAL_FACES, Reason.PRESENTATION_ATTACK})
"""Denials of faces that are certainly not the person whose PIN or card is held. A face that is
denied for another reason may be theirs, turned to the keypad."""

Direction = Literal["in", "out"]


@dataclass(frozen=True, slots=True)
class Waiting:
    """A granted face that waits for `needs`, one after the other, until `until` (monotonic s).

    `partner` is the decision on another person, who is let in together with this one.
    """

    announcement: Announcement
    needs: tuple[Need, ...]
    until: float
    partner: Announcement | None = None

    @property
    def username(self) -> str | None:
        return self.announcement.decision.username

    @property
    def is_alone(self) -> bool:
        """Whether no second person is waited for, nor has come."""
        return self.partner is None and self.needs[0] is not Need.SECOND_PERSON

    def denied(self, reason: Reason | None = None) -> tuple[Announcement, ...]:
        """Denials of all who wait here: for what is missing, unless `reason` says otherwise."""
        said = MISSING[self.needs[0]] if reason is None else reason
        waiting = (
            (self.announcement,) if self.partner is None else (self.announcement, self.partner)
        )
        return tuple(_as(each, said) for each in waiting)


@dataclass(frozen=True, slots=True)
class Held:
    """A PIN or a card that was right, and counts until `until` (monotonic s). `duress`: it says
    that its owner is forced."""

    need: Need
    username: str
    until: float
    duress: bool = False


@dataclass(frozen=True, slots=True)
class Patience:
    """How long the door waits, seconds: for a PIN, a card or the answer to a challenge, and for a
    second person."""

    shown_s: float = 15.0
    second_person_s: float = 15.0


PATIENCE = Patience()


@dataclass(frozen=True, slots=True)
class Admission:
    """The state of one door. Every method returns the next state and the decisions that are final
    now, to be recorded in that order; `now` is in monotonic seconds."""

    patience: Patience = PATIENCE
    waiting: Waiting | None = None
    held: tuple[Held, ...] = ()

    @property
    def is_attentive(self) -> bool:
        """Whether somebody waits, or a PIN or a card is held."""
        return self.waiting is not None or bool(self.held)

    @property
    def awaited(self) -> frozenset[str]:
        """People whose PIN or card is held until their face comes."""
        there = None if self.waiting is None else self.waiting.username
        return frozenset(held.username for held in self.held) - {there}

    def decided(self, announcement: Announcement, ruling: Ruling, now: float) -> "Next":
        """The state after a face was granted or denied; `ruling` is the granted person's now."""
        state, late = self.elapsed(now)
        if not announcement.decision.success:
            return state._beside_a_denial(announcement, late)
        if not ruling.allowed:
            return state._beside_a_denial(_as(announcement, ruling.reason), late)
        waiting = state.waiting
        if waiting is not None and waiting.username == announcement.decision.username:
            return state, late  # the same person, who is already being waited for
        needs = needs_of(ruling)
        if announcement.challenged and announcement.failure is None:
            needs = tuple(need for need in needs if need is not Need.CHALLENGE)
        announcement, needs, state = state._with_held(announcement, needs)
        if waiting is not None and waiting.needs[0] is Need.SECOND_PERSON and ruling.two_person:
            return state._second(waiting, announcement, needs, late, now)
        if waiting is not None:  # somebody else stands there now
            state, late = replace(state, waiting=None), (*late, *waiting.denied())
        if not needs:
            return state, (*late, announcement)
        return replace(
            state, waiting=Waiting(announcement, needs, now + state._patience(needs[0]))
        ), late

    def shown(self, need: Need, now: float, *, username: str | None = None) -> "Next":
        """The state after what is asked for was shown, and was right. `username`: whose PIN or card
        it was, where that is known; another person's changes nothing."""
        state, late = self.elapsed(now)
        waiting = state.waiting
        if waiting is None or need is not waiting.needs[0]:
            return state, late
        if username is not None and username != waiting.username:
            return state, late
        return state._goes_on(replace(waiting, needs=waiting.needs[1:]), late, now)

    def presented(self, need: Need, username: str, now: float, *, duress: bool = False) -> "Next":
        """The state after a right PIN or card of this person was shown; it counts now, or as soon
        as it is asked for."""
        state, late = self.elapsed(now)
        others = tuple(held for held in state.held if held.need is not need)
        held = Held(need, username, now + state._patience(need), duress)
        state = replace(state, held=(*others, held))
        waiting = state.waiting
        if waiting is None or need is not waiting.needs[0] or username != waiting.username:
            return state, late
        return state._goes_on(waiting, late, now)

    def alone(self, announcement: Announcement, ruling: Ruling, now: float) -> "Next":
        """The state after a PIN or a card was shown that is enough without a face."""
        asked = replace(ruling, needs=Factor.FACE, step_up=False)
        return self.decided(announcement, asked, now)

    def stands(self, tracks: Collection[int], now: float) -> "Next":
        """The state when the faces of these tracks stand there. A person who waits and is not among
        them has gone; nobody else can show something for them."""
        state, late = self.elapsed(now)
        waiting = state.waiting
        if (
            waiting is None
            or waiting.announcement.track is None
            or waiting.announcement.track in tracks
        ):
            return state, late
        if waiting.needs[0] is Need.SECOND_PERSON:  # the first steps aside
            return state, late
        return replace(state, waiting=None), (*late, *waiting.denied())

    def refused(self, reason: Reason, now: float) -> "Next":
        """The state after something was wrong for good (a failed challenge, a locked PIN)."""
        state, late = self.elapsed(now)
        if state.waiting is None:
            return state, late
        return replace(state, waiting=None), (*late, *state.waiting.denied(reason))

    def elapsed(self, now: float) -> "Next":
        """The state at `now`: a face that waits too long is denied, and so is a PIN without one."""
        state = self
        final: tuple[Announcement, ...] = ()
        if self.waiting is not None and now >= self.waiting.until:
            state, final = replace(self, waiting=None), self.waiting.denied()
        over = tuple(held for held in state.held if now >= held.until)
        if not over:
            return state, final
        state = replace(state, held=tuple(held for held in state.held if now < held.until))
        alone = tuple(Announcement(Decision(Reason.FACE_MISSING, held.username)) for held in over)
        return state, (*final, *alone)

    def _goes_on(self, waiting: Waiting, late: tuple[Announcement, ...], now: float) -> "Next":
        """Wait for what is still asked, or let pass."""
        announcement, left, state = self._with_held(waiting.announcement, waiting.needs)
        if left:
            waiting = replace(
                waiting, announcement=announcement, needs=left, until=now + state._patience(left[0])
            )
            return replace(state, waiting=waiting), late
        everybody = (announcement,) if waiting.partner is None else (announcement, waiting.partner)
        return replace(state, waiting=None), (*late, *everybody)

    def _with_held(
        self, announcement: Announcement, needs: tuple[Need, ...]
    ) -> tuple[Announcement, tuple[Need, ...], "Admission"]:
        """What is still to be shown, after what this person had shown before, which counts once."""
        mine = [held for held in self.held if held.username == announcement.decision.username]
        used = [held for held in mine if held.need in needs]
        if not used:
            return announcement, needs, self
        left = tuple(need for need in needs if all(held.need is not need for held in used))
        announcement = replace(
            announcement, duress=announcement.duress or any(held.duress for held in used)
        )
        rest = tuple(held for held in self.held if held not in used)
        return announcement, left, replace(self, held=rest)

    def _patience(self, need: Need) -> float:
        if need is Need.SECOND_PERSON:
            return self.patience.second_person_s
        return self.patience.shown_s

    def _beside_a_denial(
        self, announcement: Announcement, late: tuple[Announcement, ...]
    ) -> "Next":
        """End the waiting for a denied face, unless that is the person who waits; `announcement`
        is the denial."""
        who, waiting = announcement.decision.username, self.waiting
        is_attack = announcement.decision.reason is Reason.PRESENTATION_ATTACK
        gone = tuple(
            held
            for held in self.held
            if who != held.username and (who is not None or announcement.decision.reason in OTHERS)
        )
        without = tuple(Announcement(Decision(Reason.FACE_MISSING, held.username)) for held in gone)
        state = replace(self, held=tuple(held for held in self.held if held not in gone))
        if waiting is None or (waiting.is_alone and who == waiting.username and not is_attack):
            return state, (*late, *without, announcement)
        return replace(state, waiting=None), (*late, *waiting.denied(), *without, announcement)

    def _second(
        self,
        first: Waiting,
        announcement: Announcement,
        needs: tuple[Need, ...],
        late: tuple[Announcement, ...],
        now: float,
    ) -> "Next":
        """The second of two persons: what they have to show is still asked, then both pass."""
        own = needs[:-1]  # the second person is this one's second
        if not own:
            return replace(self, waiting=None), (*late, first.announcement, announcement)
        waiting = Waiting(
            announcement, own, now + self._patience(own[0]), partner=first.announcement
        )
        return replace(self, waiting=waiting), late


Next = tuple[Admission, tuple[Announcement, ...]]
"""The next state, and the decisions that are final now."""


def needs_of(ruling: Ruling) -> tuple[Need, ...]:
    """What `ruling` asks besides a live, known face, in the order in which it is asked."""
    return tuple(
        need
        for need, asked in (
            (Need.CHALLENGE, ruling.step_up),
            (Need.PIN, ruling.needs in (Factor.FACE_AND_PIN, Factor.PIN)),
            (Need.CARD, ruling.needs in (Factor.FACE_AND_CARD, Factor.CARD)),
            (Need.SECOND_PERSON, ruling.two_person),
        )
        if asked
    )


def passed_back(ruling: Ruling, last: Direction | None, direction: Direction | None) -> Ruling:
    """`ruling`, denied where anti-passback holds and the person passed in this direction last.
    Somebody who was not seen passing yet may pass either way; so may all at a door without one."""
    if ruling.allowed and ruling.anti_passback and direction is not None and last == direction:
        return replace(ruling, reason=Reason.PASSED_BACK)
    return ruling


def _as(announcement: Announcement, reason: Reason) -> Announcement:
    return replace(announcement, decision=replace(announcement.decision, reason=reason))
