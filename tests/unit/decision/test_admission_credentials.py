"""PINs and cards at a door that also sees faces: in either order, each once, of the same person."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostiary.decision.admission import Admission, Need, Patience
from ostiary.decision.camera_memory import Announcement
from ostiary.decision.rules import Ruling
from ostiary.messages.decision import Decision
from ostiary.messages.words import Factor, Reason
from ostiary.pipeline.doorkeeper import Doorkeeper, Passage

PIN = Ruling(needs=Factor.FACE_AND_PIN)
CARD = Ruling(needs=Factor.FACE_AND_CARD)
PIN_ALONE = Ruling(needs=Factor.PIN, alone=frozenset({Factor.PIN}))
SHUT = Ruling(Reason.LOCKDOWN)


def granted(name: str = "Anna") -> Announcement:
    return Announcement(Decision(Reason.GRANTED, name, 0.4, 0.99))


class Building:
    """A doorkeeper whose rules a test sets; `said` is what was recorded."""

    def __init__(self, ruling: Ruling, gates: dict[str, Passage] | None = None) -> None:
        self.rulings: dict[str, Ruling] = {}
        self.ruling = ruling
        self.said: list[tuple[Reason, str | None]] = []
        self.forced: list[str | None] = []
        self.keeper = Doorkeeper(
            self.record, lambda name, _door: self.rulings.get(name, self.ruling), gates
        )

    def record(self, told: Announcement, _door: str) -> None:
        self.said.append((told.decision.reason, told.decision.username))
        if told.duress and told.decision.success:
            self.forced.append(told.decision.username)


def test_a_pin_before_its_face_is_held_and_counts_once() -> None:
    building = Building(PIN)
    building.keeper.presented("front", Need.PIN, "Anna", 0.0)
    assert building.said == []
    building.keeper.decided(granted(), "front", 5.0)
    assert building.said == [(Reason.GRANTED, "Anna")]
    building.keeper.decided(granted(), "front", 6.0)
    assert len(building.said) == 1  # the next time it is asked for again
    building.keeper.attend(30.0)
    assert building.said[-1] == (Reason.CREDENTIAL_MISSING, "Anna")


def test_a_pin_after_its_face_lets_in() -> None:
    building = Building(PIN)
    building.keeper.decided(granted(), "front", 0.0)
    building.keeper.presented("front", Need.PIN, "Anna", 5.0)
    assert building.said == [(Reason.GRANTED, "Anna")]


def test_somebody_elses_credential_lets_nobody_in() -> None:
    building = Building(PIN)
    building.keeper.decided(granted("Anna"), "front", 0.0)
    building.keeper.presented("front", Need.PIN, "Bo", 1.0)
    building.keeper.presented("front", Need.CARD, "Anna", 2.0)
    assert building.said == []
    building.keeper.attend(20.0)
    assert (Reason.CREDENTIAL_MISSING, "Anna") in building.said
    assert (Reason.FACE_MISSING, "Bo") in building.said
    assert (Reason.GRANTED, "Anna") not in building.said


def test_two_people_who_interleave_their_credentials_each_need_their_own_face() -> None:
    building = Building(PIN)
    building.keeper.presented("front", Need.PIN, "Anna", 0.0)
    building.keeper.presented("front", Need.PIN, "Bo", 0.5)
    building.keeper.decided(granted("Anna"), "front", 1.0)
    assert building.said == []  # Bo's replaced it: Anna enters hers again
    building.keeper.presented("front", Need.PIN, "Anna", 2.0)
    assert building.said == [(Reason.GRANTED, "Anna")]


def test_a_credential_of_another_door_is_nothing_shown() -> None:
    building = Building(PIN)
    building.keeper.decided(granted(), "front", 0.0)
    building.keeper.presented("back", Need.PIN, "Anna", 1.0)
    assert building.said == []


def test_a_pin_alone_is_enough_where_the_rule_says_so_and_a_card_is_not() -> None:
    building = Building(PIN_ALONE)
    building.keeper.presented("front", Need.CARD, "Anna", 0.0)
    assert building.said == []
    building.keeper.presented("front", Need.PIN, "Anna", 1.0)
    assert building.said == [(Reason.GRANTED, "Anna")]


def test_a_right_pin_of_somebody_who_may_not_pass_is_denied_with_the_rules_reason() -> None:
    building = Building(Ruling(Reason.OUTSIDE_SCHEDULE))
    building.keeper.presented("front", Need.PIN, "Anna", 0.0)
    assert building.said == [(Reason.OUTSIDE_SCHEDULE, "Anna")]


def test_a_lockdown_while_a_credential_is_waited_for_denies() -> None:
    building = Building(PIN)
    building.keeper.decided(granted(), "front", 0.0)
    building.ruling = SHUT
    building.keeper.presented("front", Need.PIN, "Anna", 1.0)
    assert building.said == [(Reason.LOCKDOWN, "Anna")]


def test_a_lockdown_while_the_second_person_is_waited_for_denies_both() -> None:
    building = Building(Ruling(two_person=True))
    building.keeper.decided(granted("Anna"), "front", 0.0)
    building.rulings["Anna"] = SHUT
    building.keeper.decided(granted("Bo"), "front", 1.0)
    assert (Reason.LOCKDOWN, "Anna") in building.said


def test_duress_is_told_of_whoever_said_it_whether_before_or_after_the_face() -> None:
    before, after, alone = Building(PIN), Building(PIN), Building(PIN_ALONE)
    before.keeper.presented("front", Need.PIN, "Anna", 0.0, duress=True)
    before.keeper.decided(granted(), "front", 1.0)
    after.keeper.decided(granted(), "front", 0.0)
    after.keeper.presented("front", Need.PIN, "Anna", 1.0, duress=True)
    alone.keeper.presented("front", Need.PIN, "Anna", 0.0, duress=True)
    for building in (before, after, alone):
        assert building.said == [(Reason.GRANTED, "Anna")]
        assert building.forced == ["Anna"]


def test_two_people_by_pin_alone_are_let_in_together_and_duress_is_the_first_ones() -> None:
    building = Building(replace(PIN_ALONE, two_person=True))
    building.keeper.presented("front", Need.PIN, "Anna", 0.0, duress=True)
    assert building.said == []
    building.keeper.presented("front", Need.PIN, "Bo", 5.0)
    assert building.said == [(Reason.GRANTED, "Anna"), (Reason.GRANTED, "Bo")]
    assert building.forced == ["Anna"]


def test_one_person_with_two_credentials_is_not_two_people() -> None:
    both = frozenset({Factor.PIN, Factor.CARD})
    building = Building(replace(PIN_ALONE, alone=both, two_person=True))
    building.keeper.presented("front", Need.PIN, "Anna", 0.0)
    building.keeper.presented("front", Need.CARD, "Anna", 1.0)
    assert building.said == []


def test_anti_passback_holds_for_credentials_too() -> None:
    rule = replace(PIN_ALONE, anti_passback=True)
    building = Building(rule, {"in": Passage("in"), "out": Passage("out")})
    for door in ("in", "in", "out", "in"):
        building.keeper.presented(door, Need.PIN, "Anna", 0.0)
    assert [reason for reason, _ in building.said] == [
        Reason.GRANTED,
        Reason.PASSED_BACK,
        Reason.GRANTED,
        Reason.GRANTED,
    ]


def test_a_wrong_pin_leaves_who_is_waited_for_waiting_and_a_lock_out_does_not() -> None:
    building = Building(PIN)
    building.keeper.decided(granted(), "front", 0.0)
    building.keeper.mistaken("front", Reason.WRONG_CREDENTIAL, 1.0, "Anna")
    assert building.keeper.waiting("front") is not None
    building.keeper.mistaken("front", Reason.LOCKED_OUT, 2.0, "Anna")
    assert building.keeper.waiting("front") is None
    assert building.said == [(Reason.WRONG_CREDENTIAL, "Anna"), (Reason.LOCKED_OUT, "Anna")]


STEPS = st.lists(
    st.tuples(
        st.floats(0, 20),
        st.sampled_from(["face", "pin", "card"]),
        st.sampled_from(["Anna", "Bo"]),
    ),
    max_size=25,
)


@pytest.mark.parametrize("ruling", [PIN, CARD])
@given(STEPS)
def test_nobody_passes_without_a_face_and_a_credential_of_theirs_close_together(
    ruling: Ruling, steps: list[tuple[float, str, str]]
) -> None:
    state, now = Admission(Patience(10.0, 10.0)), 0.0
    wanted = "pin" if ruling is PIN else "card"
    shown: dict[tuple[str, str], float] = {}
    for wait, what, who in steps:
        now += wait
        if what == "face":
            state, final = state.decided(granted(who), ruling, now)
        else:
            state, final = state.presented(Need(what), who, now)
        shown[(what, who)] = now
        for told in final:
            name = told.decision.username or ""
            if told.decision.success:
                face, credential = shown[("face", name)], shown[(wanted, name)]
                assert abs(face - credential) <= 10.0 + 1e-9
                assert max(face, credential) == now
