"""What the door says, and how often, as faces come and go."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostiary.decision.camera_memory import CameraMemory
from ostiary.decision.policy import Policy
from ostiary.decision.probe import Candidate
from ostiary.decision.vote import Observation
from ostiary.messages.decision import Decision
from ostiary.messages.words import Reason
from ostiary.vision.face import Box, Face
from testing.rules import policy

POLICY = policy()
MOVING = Policy()
ANNA = Candidate("Anna", 0.4, 0.6, "dlib")
BO = Candidate("Bo", 0.3, 0.6, "dlib")
NOBODY = Candidate("Anna", 0.9, 0.6, "dlib")
TWINS = Candidate("Anna", 0.4, 0.6, "dlib", ambiguous=True)
LIVE, ATTACK, UNSURE = 0.99, 0.01, 0.5

Seen = tuple[float, Candidate | None] | None


def face(x: float = 0.0) -> Face:
    return Face(Box(x, 0, 100, 100), 0.9)


def stands(
    door: CameraMemory, seen: list[Seen], start: float = 0.0, step: float = 0.1
) -> tuple[CameraMemory, list[Decision]]:
    """One face in each frame, judged as `seen` says (None: not good enough to judge)."""
    decisions: list[Decision] = []
    for number, each in enumerate(seen):
        now = start + number * step
        door = door.saw([face()], now)
        for track in door.to_judge(now):
            if each is not None:
                door = door.observed(track.id, Observation(*each))
        door, told = door.conclude(now)
        decisions += [each.decision for each in told]
    return door, decisions


def test_a_live_registered_person_is_granted_after_three_frames() -> None:
    _, decisions = stands(CameraMemory(POLICY), [(LIVE, ANNA)] * 2)
    assert decisions == []
    _, decisions = stands(CameraMemory(POLICY), [(LIVE, ANNA)] * 3)
    assert decisions == [Decision(Reason.GRANTED, "Anna", 0.4, LIVE, 0.6, "dlib")]


def test_a_replayed_photo_is_denied_as_attack_and_never_granted() -> None:
    _, decisions = stands(CameraMemory(POLICY), [(ATTACK, ANNA)] * 50)
    assert [decision.reason for decision in decisions] == [Reason.PRESENTATION_ATTACK]
    assert decisions[0].username == "Anna"


def test_only_a_face_that_bends_is_let_in() -> None:
    door = CameraMemory(MOVING)
    door, decisions = stands(door, [(LIVE, ANNA)] * 10)
    assert decisions == []
    _, waited = stands(door, [(LIVE, ANNA)] * 45, start=1.0)
    assert [(each.reason, each.username) for each in waited] == [(Reason.STILL_PICTURE, "Anna")]
    _, decisions = stands(door.bent(door.tracks[0].id, 1.0), [(LIVE, ANNA)], start=1.0)
    assert [each.reason for each in decisions] == [Reason.GRANTED]


def test_that_a_face_bent_lets_nobody_in_at_a_later_attempt() -> None:
    door = CameraMemory(replace(MOVING, cooldown_s=0.0))
    door, _ = stands(door, [(LIVE, ANNA)])
    door, decisions = stands(door.bent(door.tracks[0].id, 0.0), [(LIVE, ANNA)] * 2, start=0.1)
    assert [each.reason for each in decisions] == [Reason.GRANTED]
    rested = 0.3 + POLICY.recheck_s
    _, decisions = stands(door, [(LIVE, ANNA)] * (10 + 10 * int(rested)), start=0.4)
    assert decisions == []


def test_that_a_face_bent_is_forgotten_after_three_seconds() -> None:
    door, _ = stands(CameraMemory(MOVING), [(LIVE, ANNA)])
    bent = door.bent(door.tracks[0].id, 0.0)
    for wait, reasons in ((2.8, [Reason.GRANTED]), (3.3, [])):
        looked = bent
        for number in range(int(wait * 10)):  # seen, but not well enough to be judged
            looked = looked.saw([face()], number / 10)
        _, decisions = stands(looked, [(LIVE, ANNA)] * 3, start=wait - 0.2)
        assert [each.reason for each in decisions] == reasons


def test_that_a_face_bent_counts_no_more_once_it_was_not_live() -> None:
    """A print that a hand bends, and another that looks more alive held flat after it."""
    door, _ = stands(CameraMemory(MOVING), [(LIVE, ANNA)])
    door = door.bent(door.tracks[0].id, 0.0)
    _, decisions = stands(door, [(UNSURE, ANNA), *[(LIVE, ANNA)] * 4], start=0.1)
    assert decisions == []


def granted_and_still_there(rules: Policy) -> CameraMemory:
    """Anna was granted, waited for her PIN in vain, and stays."""
    door, _ = stands(CameraMemory(rules), [(LIVE, ANNA)])
    door = door.bent(door.tracks[0].id, 0.0)
    door, decisions = stands(door, [(LIVE, ANNA)] * 2, start=0.1)
    assert [each.reason for each in decisions] == [Reason.GRANTED]
    door, decisions = stands(door.untold("Anna"), [(LIVE, ANNA)] * 20, start=0.3)
    assert decisions == []
    return door


def test_who_stays_is_granted_anew_once_their_pin_was_shown() -> None:
    door = granted_and_still_there(POLICY)
    for name, reasons in (("Bo", []), ("Anna", [Reason.GRANTED])):
        shown = replace(door, attentive=True, awaited=frozenset({name}))
        _, decisions = stands(shown, [(LIVE, ANNA)] * 4, start=2.3)
        assert [each.reason for each in decisions] == reasons


def test_who_stays_has_to_move_anew_once_their_pin_was_shown() -> None:
    door = granted_and_still_there(MOVING)
    shown = replace(door, attentive=True, awaited=frozenset({"Anna"}))
    shown, decisions = stands(shown, [(LIVE, ANNA)] * 10, start=2.3)
    assert decisions == []
    _, decisions = stands(shown.bent(shown.tracks[0].id, 3.3), [(LIVE, ANNA)], start=3.3)
    assert [each.reason for each in decisions] == [Reason.GRANTED]


Step = tuple[str, float, float, float]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["frame", "bent", "other", "crowd", "gone"]),
            st.floats(0.02, 0.9),
            st.sampled_from([LIVE, LIVE, LIVE, UNSURE, ATTACK]),
            st.sampled_from([0.0, 0.0, 0.0, 400.0]),
        ),
        max_size=60,
    ),
    st.sampled_from([frozenset(), frozenset({"Anna"})]),
)
def test_no_order_of_frames_grants_by_movement_that_is_old_or_of_another_face(
    steps: list[Step], awaited: frozenset[str]
) -> None:
    rules = replace(MOVING, cooldown_s=0.0, recheck_s=0.1)
    door, now = CameraMemory(rules, attentive=bool(awaited), awaited=awaited), 0.0
    bent_at: dict[int, float] = {}
    for what, wait, liveness, place in steps:
        now += wait
        faces = {"gone": [], "crowd": [face(), face(400.0)]}.get(what, [face(place)])
        door = door.saw(faces, now)
        for track in door.to_judge(now):
            if what == "bent":
                door, bent_at[track.id] = door.bent(track.id, now), now
            door = door.observed(track.id, Observation(liveness, ANNA))
        here = {track.id for track in door.tracks if track.seen == now}
        door, told = door.conclude(now)
        if any(each.decision.success for each in told):
            (one,) = here
            assert now - bent_at.get(one, -math.inf) <= MOVING.movement_holds_s


def test_an_attack_that_gives_up_early_is_told_as_an_attack() -> None:
    hasty = policy(decide_within_s=0.15)
    _, decisions = stands(CameraMemory(hasty), [(ATTACK, ANNA), None, None])
    assert [(each.reason, each.username) for each in decisions] == [
        (Reason.PRESENTATION_ATTACK, "Anna")
    ]


def test_whom_an_attack_imitates_is_said_by_most_of_its_frames() -> None:
    _, decisions = stands(CameraMemory(POLICY), [(ATTACK, ANNA), (ATTACK, NOBODY), (ATTACK, ANNA)])
    assert [each.username for each in decisions] == ["Anna"]


def test_frames_that_were_not_compared_with_anybody_do_not_take_the_name_away() -> None:
    _, decisions = stands(CameraMemory(POLICY), [(ATTACK, ANNA), (ATTACK, None), (ATTACK, None)])
    assert [each.username for each in decisions] == ["Anna"]


def test_two_people_who_look_alike_are_not_told_apart_and_nobody_is_granted() -> None:
    _, decisions = stands(CameraMemory(POLICY), [(LIVE, TWINS)] * 60)
    assert [decision.reason for decision in decisions] == [Reason.UNCERTAIN]


def test_one_clear_attack_among_live_frames_holds_the_grant_back() -> None:
    _, decisions = stands(CameraMemory(POLICY), [(LIVE, ANNA), (ATTACK, ANNA), *[(LIVE, ANNA)] * 4])
    assert decisions == []


def test_a_live_face_cannot_lend_its_liveness_to_another_persons_photo() -> None:
    seen: list[Seen] = [(LIVE, NOBODY), (UNSURE, ANNA)] * 20
    _, decisions = stands(CameraMemory(POLICY), seen)
    assert all(not decision.success for decision in decisions)


def test_a_live_stranger_is_unknown_only_after_a_whole_window() -> None:
    _, decisions = stands(CameraMemory(POLICY), [(LIVE, NOBODY)] * 4)
    assert decisions == []
    _, decisions = stands(CameraMemory(POLICY), [(LIVE, NOBODY)] * 5)
    assert decisions == [Decision(Reason.UNKNOWN_FACE, None, 0.9, LIVE, 0.6, "dlib")]


def test_with_nobody_registered_everybody_is_unknown() -> None:
    _, decisions = stands(CameraMemory(POLICY), [(LIVE, None)] * 5)
    assert decisions == [Decision(Reason.UNKNOWN_FACE, None, None, LIVE)]


def test_a_person_who_stands_there_is_one_event() -> None:
    _, decisions = stands(CameraMemory(POLICY), [(LIVE, ANNA)] * 600)
    assert len(decisions) == 1


def test_a_person_who_was_unknown_at_first_is_granted_when_recognised() -> None:
    _, decisions = stands(CameraMemory(POLICY), [*[(LIVE, NOBODY)] * 5, *[(LIVE, ANNA)] * 40])
    assert [decision.reason for decision in decisions] == [Reason.UNKNOWN_FACE, Reason.GRANTED]


def test_a_track_that_is_decided_is_not_judged_while_it_rests() -> None:
    door, _ = stands(CameraMemory(POLICY), [(LIVE, ANNA)] * 3)
    door = door.saw([face()], 0.4)
    assert door.to_judge(0.4) == ()


def test_a_person_who_comes_back_is_told_again_only_after_the_cool_down() -> None:
    door, first = stands(CameraMemory(POLICY), [(LIVE, ANNA)] * 3)
    door, soon = stands(door, [(LIVE, ANNA)] * 3, start=5.0)
    door, later = stands(door, [(LIVE, ANNA)] * 3, start=60.0)
    assert [len(first), len(soon), len(later)] == [1, 0, 1]


def test_the_cool_down_of_one_person_does_not_hold_another() -> None:
    door, _ = stands(CameraMemory(POLICY), [(LIVE, ANNA)] * 3)
    _, decisions = stands(door, [(LIVE, BO)] * 3, start=2.0)
    assert [decision.username for decision in decisions] == ["Bo"]


def test_two_near_faces_are_denied_together_and_none_is_judged() -> None:
    door = CameraMemory(POLICY)
    decisions: list[Decision] = []
    for number in range(5):
        door = door.saw([face(0), face(300)], number * 0.1)
        assert door.to_judge(number * 0.1) == ()
        door, told = door.conclude(number * 0.1)
        decisions += [each.decision for each in told]
    assert [decision.reason for decision in decisions] == [Reason.SEVERAL_FACES]


def test_a_second_face_wipes_what_was_seen_of_the_first() -> None:
    door, _ = stands(CameraMemory(POLICY), [(LIVE, ANNA)] * 2)
    door = door.saw([face(0), face(300)], 0.2)
    door, _ = door.conclude(0.2)
    _, decisions = stands(door, [(LIVE, ANNA)] * 2, start=0.3)
    assert decisions == []


def test_two_people_may_come_together_where_the_policy_says_so() -> None:
    door = CameraMemory(policy(one_person_only=False))
    decisions: list[Decision] = []
    for number in range(3):
        now = number * 0.1
        door = door.saw([face(0), face(300)], now)
        for track, who in zip(door.to_judge(now), (ANNA, BO), strict=True):
            door = door.observed(track.id, Observation(LIVE, who))
        door, told = door.conclude(now)
        decisions += [each.decision for each in told]
    assert {decision.username for decision in decisions} == {"Anna", "Bo"}


def test_a_face_never_good_enough_is_denied_as_low_quality() -> None:
    _, decisions = stands(CameraMemory(POLICY), [None] * 60)
    assert decisions == [Decision(Reason.LOW_QUALITY)]


def test_frames_that_do_not_agree_end_as_uncertain() -> None:
    _, decisions = stands(CameraMemory(POLICY), [(LIVE, ANNA), (UNSURE, ANNA), (LIVE, BO)] * 20)
    assert [decision.reason for decision in decisions] == [Reason.UNCERTAIN]


def test_a_failure_forgets_the_votes_and_denies_once() -> None:
    door, _ = stands(CameraMemory(POLICY), [(LIVE, ANNA)] * 2)
    door, first = door.failed(0.2)
    door, second = door.failed(0.3)
    assert [told.decision.reason for told in first + second] == [Reason.PIPELINE_ERROR]
    _, decisions = stands(door, [(LIVE, ANNA)] * 2, start=0.4)
    assert decisions == []


def test_votes_do_not_survive_an_interrupted_stream() -> None:
    door, _ = stands(CameraMemory(POLICY), [(LIVE, ANNA)] * 2)
    _, decisions = stands(door.interrupted(), [(LIVE, ANNA)] * 2, start=0.2)
    assert decisions == []


@pytest.mark.parametrize("liveness", [math.nan, -0.1, 1.1])
def test_a_liveness_that_is_no_probability_is_refused(liveness: float) -> None:
    with pytest.raises(ValueError, match="P\\(live\\)"):
        Observation(liveness, ANNA)


def test_a_distance_that_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="distance"):
        Observation(LIVE, Candidate("Anna", math.nan, 0.6, "dlib"))


candidates = st.sampled_from([ANNA, BO, NOBODY, TWINS, None])
frames = st.none() | st.tuples(st.floats(0, 1), candidates)


@given(st.lists(frames, max_size=60))
def test_whatever_is_seen_a_grant_has_three_live_frames_of_that_person_and_no_attack(
    seen: list[Seen],
) -> None:
    door = CameraMemory(POLICY)
    for number, each in enumerate(seen):
        now = number * 0.1
        door = door.saw([face()], now)
        for track in door.to_judge(now):
            if each is not None:
                door = door.observed(track.id, Observation(*each))
        window = [track.observations for track in door.tracks]
        door, told = door.conclude(now)
        for decision in (each.decision for each in told):
            if decision.success:
                (votes,) = window
                agreeing = [
                    vote
                    for vote in votes
                    if vote.liveness >= POLICY.live_threshold
                    and vote.nearest is not None
                    and vote.nearest.username == decision.username
                ]
                assert decision.username is not None
                assert len(agreeing) >= POLICY.votes
                assert all(vote.liveness > POLICY.attack_threshold for vote in votes)


@given(st.lists(frames, max_size=200))
def test_the_same_outcome_is_told_at_most_once_in_a_cool_down(seen: list[Seen]) -> None:
    door = CameraMemory(POLICY)
    last: dict[tuple[Reason, str | None], float] = {}
    for number, each in enumerate(seen):
        door, told = stands(door, [each], start=number * 0.1)
        for decision in told:
            outcome = (decision.reason, decision.username)
            assert number * 0.1 - last.get(outcome, -math.inf) >= POLICY.cooldown_s
            last[outcome] = number * 0.1


def test_nobody_passes_for_a_while_after_an_attack_and_then_who_waited_does() -> None:
    door, _ = stands(CameraMemory(POLICY), [(ATTACK, ANNA)] * 3)
    door, soon = stands(door, [(LIVE, BO)] * 3, start=1.5)
    assert [each.reason for each in soon] == [Reason.AFTER_ATTACK]
    _, later = stands(door, [(LIVE, BO)] * 40, start=2.0)
    assert [each.reason for each in later] == [Reason.GRANTED]


def test_each_further_attack_doubles_the_pause_up_to_its_limit() -> None:
    door = CameraMemory(POLICY)
    pauses = []
    for number in range(7):
        start = number * 30.0
        door, _ = stands(door, [(ATTACK, ANNA)] * 3, start=start)
        assert door.attacks is not None
        pauses.append(door.attacks.pause_until(POLICY) - door.attacks.last)
    assert pauses == pytest.approx([2, 4, 8, 15, 15, 15, 15])


def test_a_row_of_attacks_is_forgotten_after_a_minute_without_one() -> None:
    door, _ = stands(CameraMemory(POLICY), [(ATTACK, ANNA)] * 90)
    assert door.is_attacked(20.0)
    assert not door.is_attacked(100.0)
    door, _ = stands(door, [(ATTACK, ANNA)] * 3, start=100.0)
    assert door.attacks is not None
    assert door.attacks.count == 1


def test_an_attack_that_goes_on_is_told_every_minute() -> None:
    _, decisions = stands(CameraMemory(POLICY), [(ATTACK, ANNA)] * 6000)
    assert {each.reason for each in decisions} == {Reason.PRESENTATION_ATTACK}
    assert len(decisions) == 10


def test_what_was_said_and_how_it_was_attacked_outlives_a_reload() -> None:
    door, _ = stands(CameraMemory(POLICY), [(LIVE, ANNA)] * 3)
    door, _ = stands(door, [(ATTACK, BO)] * 3, start=2.0)
    fresh = CameraMemory(POLICY).remembering(door)
    _, decisions = stands(fresh, [(LIVE, ANNA)] * 3, start=3.5)
    assert [each.reason for each in decisions] == [Reason.AFTER_ATTACK]
    _, decisions = stands(fresh, [(LIVE, ANNA)] * 3, start=5.0)
    assert decisions == []


def test_a_house_may_do_without_the_pause() -> None:
    careless = policy(attack_pause_s=0)
    door, _ = stands(CameraMemory(careless), [(ATTACK, ANNA)] * 30)
    _, decisions = stands(door, [(LIVE, BO)] * 3, start=4.0)
    assert [each.reason for each in decisions] == [Reason.GRANTED]


def test_a_person_whom_the_rules_keep_out_is_denied_once_and_let_in_when_they_change() -> None:
    def closed(decision: Decision) -> Decision:
        return replace(decision, reason=Reason.OUTSIDE_SCHEDULE)

    door, decisions = stands(CameraMemory(POLICY, ruled=closed), [(LIVE, ANNA)] * 100)
    assert [(each.reason, each.username) for each in decisions] == [
        (Reason.OUTSIDE_SCHEDULE, "Anna")
    ]
    door = replace(door, ruled=lambda decision: decision)
    _, decisions = stands(door, [(LIVE, ANNA)] * 100, start=10.0)
    assert [each.reason for each in decisions] == [Reason.GRANTED]
