"""After the face: what a rule asks besides, in time or not at all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostiary.decision.admission import Admission, Need, Patience, needs_of, passed_back
from ostiary.decision.camera_memory import Announcement
from ostiary.decision.rules import ALWAYS, Ruling
from ostiary.messages.decision import Decision
from ostiary.messages.words import Factor, Reason

PIN = Ruling(needs=Factor.FACE_AND_PIN)
CARD = Ruling(needs=Factor.FACE_AND_CARD)
STEP_UP_AND_PIN = Ruling(needs=Factor.FACE_AND_PIN, step_up=True)
TWO = Ruling(two_person=True)
TWO_WITH_PINS = Ruling(two_person=True, needs=Factor.FACE_AND_PIN)


def granted(name: str = "Anna") -> Announcement:
    return Announcement(Decision(Reason.GRANTED, name, 0.4, 0.99))


def denied(reason: Reason = Reason.UNKNOWN_FACE) -> Announcement:
    return Announcement(Decision(reason))


def said(final: tuple[Announcement, ...]) -> list[tuple[Reason, str | None]]:
    return [(told.decision.reason, told.decision.username) for told in final]


def test_a_face_is_enough_where_the_rule_asks_for_no_more() -> None:
    state, final = Admission().decided(granted(), ALWAYS, 0.0)
    assert said(final) == [(Reason.GRANTED, "Anna")]
    assert state.waiting is None


def test_a_rule_that_does_not_allow_denies_with_its_reason() -> None:
    _, final = Admission().decided(granted(), Ruling(Reason.OUTSIDE_SCHEDULE), 0.0)
    assert said(final) == [(Reason.OUTSIDE_SCHEDULE, "Anna")]
    assert final[0].decision.distance == 0.4


def test_a_denied_face_stays_denied_whatever_the_rule() -> None:
    _, final = Admission().decided(denied(), ALWAYS, 0.0)
    assert said(final) == [(Reason.UNKNOWN_FACE, None)]


@pytest.mark.parametrize(("ruling", "need"), [(PIN, Need.PIN), (CARD, Need.CARD)])
def test_a_face_waits_for_its_credential_and_is_granted_with_it(ruling: Ruling, need: Need) -> None:
    state, final = Admission().decided(granted(), ruling, 0.0)
    assert final == ()
    state, final = state.shown(need, 5.0, username="Anna")
    assert said(final) == [(Reason.GRANTED, "Anna")]
    assert state.waiting is None


def test_a_credential_that_does_not_come_in_time_is_a_denial_once() -> None:
    state, _ = Admission(Patience(shown_s=10.0)).decided(granted(), PIN, 0.0)
    assert state.elapsed(9.9) == (state, ())
    state, final = state.elapsed(10.0)
    assert said(final) == [(Reason.CREDENTIAL_MISSING, "Anna")]
    assert state.elapsed(11.0) == (state, ())


def test_a_credential_that_comes_late_opens_nothing() -> None:
    state, _ = Admission(Patience(shown_s=10.0)).decided(granted(), PIN, 0.0)
    state, final = state.shown(Need.PIN, 10.0, username="Anna")
    assert said(final) == [(Reason.CREDENTIAL_MISSING, "Anna")]


def test_another_persons_credential_is_no_credential() -> None:
    state, _ = Admission().decided(granted(), PIN, 0.0)
    after, final = state.shown(Need.PIN, 1.0, username="Bo")
    assert final == ()
    assert after.waiting == state.waiting


def test_a_card_is_no_pin() -> None:
    state, _ = Admission().decided(granted(), PIN, 0.0)
    _, final = state.shown(Need.CARD, 1.0, username="Anna")
    assert final == ()


def test_a_credential_before_the_face_opens_nothing() -> None:
    _, final = Admission().shown(Need.PIN, 0.0, username="Anna")
    assert final == ()


def test_a_challenge_comes_before_the_pin_and_both_are_needed() -> None:
    state, _ = Admission().decided(granted(), STEP_UP_AND_PIN, 0.0)
    state, final = state.shown(Need.PIN, 1.0, username="Anna")
    assert final == ()
    state, final = state.shown(Need.CHALLENGE, 2.0)
    assert final == ()
    _, final = state.shown(Need.PIN, 3.0, username="Anna")
    assert said(final) == [(Reason.GRANTED, "Anna")]


def test_a_failed_challenge_ends_the_waiting_with_its_reason() -> None:
    state, _ = Admission().decided(granted(), STEP_UP_AND_PIN, 0.0)
    state, final = state.refused(Reason.CHALLENGE_MISSING, 1.0)
    assert said(final) == [(Reason.CHALLENGE_MISSING, "Anna")]
    assert state.waiting is None


def test_the_same_face_seen_again_does_not_lengthen_the_waiting() -> None:
    state, _ = Admission(Patience(shown_s=10.0)).decided(granted(), PIN, 0.0)
    state, final = state.decided(granted(), PIN, 9.0)
    assert final == ()
    assert said(state.elapsed(10.0)[1]) == [(Reason.CREDENTIAL_MISSING, "Anna")]


def test_somebody_else_in_front_of_the_door_ends_the_first_ones_waiting() -> None:
    state, _ = Admission().decided(granted("Anna"), PIN, 0.0)
    state, final = state.decided(granted("Bo"), PIN, 1.0)
    assert said(final) == [(Reason.CREDENTIAL_MISSING, "Anna")]
    assert said(state.shown(Need.PIN, 2.0, username="Anna")[1]) == []


def test_a_photo_held_up_while_somebody_waits_ends_the_waiting() -> None:
    state, _ = Admission().decided(granted(), PIN, 0.0)
    state, final = state.decided(denied(Reason.PRESENTATION_ATTACK), PIN, 1.0)
    assert said(final) == [(Reason.CREDENTIAL_MISSING, "Anna"), (Reason.PRESENTATION_ATTACK, None)]
    assert state.waiting is None


def test_two_people_are_let_in_together_by_a_two_person_rule() -> None:
    state, final = Admission().decided(granted("Anna"), TWO, 0.0)
    assert final == ()
    _, final = state.decided(granted("Bo"), TWO, 5.0)
    assert said(final) == [(Reason.GRANTED, "Anna"), (Reason.GRANTED, "Bo")]


def test_one_person_twice_is_not_two_people() -> None:
    state, _ = Admission().decided(granted("Anna"), TWO, 0.0)
    _, final = state.decided(granted("Anna"), TWO, 5.0)
    assert final == ()


def test_a_second_person_who_may_not_pass_helps_nobody() -> None:
    state, _ = Admission().decided(granted("Anna"), TWO, 0.0)
    state, final = state.decided(granted("Bo"), Ruling(Reason.NOT_ALLOWED_HERE), 5.0)
    assert said(final) == [(Reason.SECOND_PERSON_MISSING, "Anna"), (Reason.NOT_ALLOWED_HERE, "Bo")]
    assert state.waiting is None


def test_a_second_person_who_comes_late_is_a_first_one() -> None:
    state, _ = Admission(Patience(second_person_s=10.0)).decided(granted("Anna"), TWO, 0.0)
    state, final = state.decided(granted("Bo"), TWO, 10.0)
    assert said(final) == [(Reason.SECOND_PERSON_MISSING, "Anna")]
    assert state.waiting is not None
    assert state.waiting.username == "Bo"


def test_a_second_person_still_has_to_show_a_pin_and_both_fail_without() -> None:
    state, _ = Admission().decided(granted("Anna"), TWO_WITH_PINS, 0.0)
    state, _ = state.shown(Need.PIN, 1.0, username="Anna")
    waiting, final = state.decided(granted("Bo"), TWO_WITH_PINS, 2.0)
    assert final == ()
    _, final = waiting.shown(Need.PIN, 3.0, username="Bo")
    assert said(final) == [(Reason.GRANTED, "Bo"), (Reason.GRANTED, "Anna")]
    _, final = waiting.elapsed(100.0)
    assert said(final) == [(Reason.CREDENTIAL_MISSING, "Bo"), (Reason.CREDENTIAL_MISSING, "Anna")]


def test_nobody_goes_in_twice_without_going_out_where_the_rule_says_so() -> None:
    rule = Ruling(anti_passback=True)
    assert passed_back(rule, "in", "in").reason is Reason.PASSED_BACK
    assert passed_back(rule, "in", "out").allowed
    assert passed_back(rule, None, "in").allowed
    assert passed_back(rule, "in", None).allowed
    assert passed_back(ALWAYS, "in", "in").allowed


RULINGS = st.builds(
    Ruling,
    reason=st.sampled_from([Reason.GRANTED, Reason.GRANTED, Reason.EXPIRED]),
    needs=st.sampled_from(Factor),
    step_up=st.booleans(),
    two_person=st.booleans(),
)
STEPS = st.one_of(
    st.tuples(st.just("face"), st.sampled_from(["Anna", "Bo"]), RULINGS),
    st.tuples(st.just("denied"), st.sampled_from([*Reason]), st.none()),
    st.tuples(st.just("shown"), st.sampled_from(Need), st.sampled_from(["Anna", "Bo"])),
    st.tuples(st.just("time"), st.floats(0, 40), st.none()),
)


@given(st.lists(STEPS, max_size=30))
def test_nobody_is_granted_who_did_not_show_everything(steps: list[tuple[object, ...]]) -> None:
    """Whoever is granted had a granted face with a ruling that allows, and everything that ruling
    asks was shown by them after their face, or, for a second person, another face was there."""
    state, now = Admission(), 0.0
    asked: dict[str, list[Need]] = {}
    faces: list[str] = []
    for kind, what, which in steps:
        now += 0.5
        if kind == "face":
            assert isinstance(what, str)
            assert isinstance(which, Ruling)
            is_waited_for = state.elapsed(now)[0].waiting
            if which.allowed and (is_waited_for is None or is_waited_for.username != what):
                asked[what] = list(needs_of(which))
                faces.append(what)
            state, final = state.decided(granted(what), which, now)
        elif kind == "denied":
            assert isinstance(what, Reason)
            if what is Reason.GRANTED:
                continue
            state, final = state.decided(denied(what), ALWAYS, now)
        elif kind == "shown":
            assert isinstance(what, Need)
            assert isinstance(which, str)
            waiting = state.elapsed(now)[0].waiting
            if waiting is not None and waiting.username == which and waiting.needs[0] is what:
                asked[which].remove(what)
            state, final = state.shown(what, now, username=which)
        else:
            assert isinstance(what, float)
            now += what
            state, final = state.elapsed(now)
        for told in final:
            name = told.decision.username
            if told.decision.success:
                assert name is not None
                left = asked[name]
                assert left == [] or (left == [Need.SECOND_PERSON] and len(set(faces)) == 2)
