"""When a door asks a challenge, of whom, and what it says in the end."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostiary.decision.admission import Admission
from ostiary.decision.camera_memory import Announcement, CameraMemory
from ostiary.decision.challenge import SEQUENCES, Failure, Look
from ostiary.decision.policy import Policy
from ostiary.decision.probe import Candidate, Probe
from ostiary.decision.rules import Ruling
from ostiary.decision.vote import Observation
from ostiary.messages.decision import Decision
from ostiary.messages.words import Reason
from ostiary.vision.face import Box, Face
from ostiary.vision.pose import Pose
from testing import rules
from testing.challenged import (
    ANNA,
    ATTACK,
    BO,
    FACE,
    LIVE,
    OTHER_FACE,
    STRAIGHT,
    UNSURE,
    is_one_person,
    pose_while,
)

ALWAYS = rules.policy(challenge="always")
UNCERTAIN = rules.policy(challenge="uncertain")
JUDGED = Observation(LIVE, ANNA, FACE)
DOUBTED = Observation(UNSURE, ANNA, FACE)
STEP = 0.1
Does = Callable[[CameraMemory, int], tuple[Pose, Observation] | None]


def door(policy: Policy = ALWAYS, *, first: int = 0) -> CameraMemory:
    return CameraMemory(policy, is_one_person, below=lambda _count: first)


def stands(
    state: CameraMemory, does: Does, frames: int, start: float = 0.0
) -> tuple[CameraMemory, list[Announcement]]:
    """One face in each frame, which `does` something; None: nobody is there."""
    told: list[Announcement] = []
    for number in range(frames):
        now = start + number * STEP
        done = does(state, number)
        state = state.saw([Face(Box(0, 0, 100, 100), 0.9)] if done else [], now)
        for track in state.to_judge(now):
            assert done is not None
            pose, observation = done
            state = state.observed(track.id, observation)
            if state.is_challenged(track.id):
                state = state.looked(track.id, Look(now, pose, observation))
        state, outcomes = state.conclude(now)
        told += outcomes
    return state, told


class Obedient:
    """Does what is asked, a moment later, and comes back by itself."""

    def __init__(self, observation: Observation = JUDGED) -> None:
        self.observation = observation
        self.prompt: object = None
        self.frames = 0

    def __call__(self, state: CameraMemory, _number: int) -> tuple[Pose, Observation]:
        asked = state.asked
        prompt = asked.prompt if asked else None
        self.frames = self.frames + 1 if prompt is self.prompt else 0
        self.prompt = prompt
        return pose_while(prompt if self.frames >= 3 else None), self.observation


def still(_state: CameraMemory, _number: int) -> tuple[Pose, Observation]:
    return STRAIGHT, JUDGED


def reasons(told: list[Announcement]) -> list[Reason]:
    return [each.decision.reason for each in told]


def test_nobody_is_challenged_unless_the_house_or_a_rule_wants_it() -> None:
    state, told = stands(door(rules.policy()), still, 3)
    assert reasons(told) == [Reason.GRANTED]
    assert not told[0].challenged
    assert state.asked is None


def test_where_everybody_is_challenged_nobody_is_granted_before_it_is_passed() -> None:
    state, told = stands(door(), still, 3)
    assert told == []
    assert state.asked is not None
    assert state.asked.step == 1
    assert state.asked.until == pytest.approx(0.2 + 15.0)


@pytest.mark.parametrize("number", range(len(SEQUENCES)))
def test_who_passes_the_challenge_is_granted_once(number: int) -> None:
    state, told = stands(door(first=number), Obedient(), 100)
    assert reasons(told) == [Reason.GRANTED]
    assert told[0].challenged
    assert told[0].decision.username == "Anna"
    assert state.asked is None


def test_who_has_passed_and_stands_there_is_not_challenged_again() -> None:
    state, told = stands(door(), Obedient(), 600)
    assert reasons(told) == [Reason.GRANTED]
    assert state.step_up.running is None


def test_a_still_is_denied_when_its_time_is_over() -> None:
    _, told = stands(door(), still, 156)
    assert reasons(told) == [Reason.CHALLENGE_TIMEOUT]
    assert told[0].failure is Failure.TIME
    assert told[0].decision.username == "Anna"


def test_who_failed_has_to_wait_and_is_then_asked_again() -> None:
    state, _ = stands(door(rules.policy(challenge="always", recheck_s=0.5)), still, 156)
    state, told = stands(state, still, 25, start=15.6)
    assert told == []
    assert state.asked is None
    state, _ = stands(state, still, 15, start=18.1)
    assert state.asked is not None


def test_who_comes_back_while_the_pause_goes_on_is_told_to_wait() -> None:
    policy = rules.policy(challenge="always", challenge_pause_first_s=60)
    state, _ = stands(door(policy), still, 156)
    _, told = stands(state, still, 30, start=40.0)
    assert reasons(told) == [Reason.CHALLENGE_PAUSED]


def test_whoever_walks_away_from_a_challenge_has_not_passed_it() -> None:
    state, _ = stands(door(), still, 10)
    state, told = stands(state, lambda _state, _number: None, 12, start=1.0)
    assert reasons(told) == [Reason.CHALLENGE_FAILED]
    assert told[0].failure is Failure.GONE
    assert state.step_up.tries.is_paused("Anna", 2.2, ALWAYS)


def test_a_second_face_ends_the_challenge() -> None:
    state, _ = stands(door(), still, 10)
    state = state.saw([Face(Box(0, 0, 100, 100), 0.9), Face(Box(300, 0, 100, 100), 0.9)], 1.0)
    state, told = state.conclude(1.0)
    assert reasons(list(told)) == [Reason.CHALLENGE_FAILED]


def test_a_stream_that_stops_ends_the_challenge() -> None:
    state, _ = stands(door(), still, 10)
    state, told = state.interrupted().conclude(1.0)
    assert reasons(list(told)) == [Reason.CHALLENGE_FAILED]
    assert state.asked is None


def test_a_failing_pipeline_ends_the_challenge() -> None:
    state, _ = stands(door(), still, 10)
    state, told = state.failed(1.0)
    state, more = state.conclude(1.0)
    assert reasons([*told, *more]) == [Reason.PIPELINE_ERROR, Reason.CHALLENGE_FAILED]


def test_a_face_that_is_changed_for_another_in_the_middle_is_denied() -> None:
    obedient = Obedient()

    def swapped(state: CameraMemory, number: int) -> tuple[Pose, Observation]:
        pose, judged = obedient(state, number)
        return pose, judged if number < 12 else Observation(LIVE, ANNA, OTHER_FACE)

    _, told = stands(door(), swapped, 40)
    assert Reason.GRANTED not in reasons(told)
    assert (told[0].decision.reason, told[0].failure) == (
        Reason.CHALLENGE_FAILED,
        Failure.ANOTHER_FACE,
    )


def test_without_the_setting_uncertain_faces_are_denied_as_ever() -> None:
    _, told = stands(door(rules.policy()), Obedient(DOUBTED), 60)
    assert reasons(told) == [Reason.UNCERTAIN]


def test_where_everybody_is_challenged_uncertain_faces_stay_denied() -> None:
    _, told = stands(door(ALWAYS), Obedient(DOUBTED), 60)
    assert reasons(told) == [Reason.UNCERTAIN]


def test_a_known_face_that_is_not_clearly_live_may_show_it_by_a_challenge() -> None:
    state, told = stands(door(UNCERTAIN), Obedient(DOUBTED), 52)
    assert told == []
    assert state.asked is not None
    _, told = stands(door(UNCERTAIN), Obedient(DOUBTED), 110)
    assert reasons(told) == [Reason.GRANTED]
    assert told[0].decision.liveness == UNSURE


def test_clearly_live_faces_are_granted_without_one_where_only_uncertain_are_challenged() -> None:
    _, told = stands(door(UNCERTAIN), still, 3)
    assert reasons(told) == [Reason.GRANTED]


def test_whoever_stands_so_still_that_it_may_be_a_picture_may_take_a_challenge() -> None:
    careful = Policy()
    _, told = stands(door(careful), Obedient(), 60)
    assert reasons(told) == [Reason.STILL_PICTURE]
    _, told = stands(door(replace(careful, challenge="uncertain")), Obedient(), 100)
    assert reasons(told) == [Reason.GRANTED]
    assert told[0].challenged


def test_frames_of_two_people_are_not_challenged() -> None:
    def changes(_state: CameraMemory, number: int) -> tuple[Pose, Observation]:
        return STRAIGHT, Observation(UNSURE, ANNA if number % 2 else BO, FACE)

    _, told = stands(door(UNCERTAIN), changes, 60)
    assert reasons(told) == [Reason.UNCERTAIN]


def test_a_clear_attack_among_uncertain_frames_is_not_challenged() -> None:
    def flickers(_state: CameraMemory, number: int) -> tuple[Pose, Observation]:
        return STRAIGHT, Observation(UNSURE if number % 4 else ATTACK, ANNA, FACE)

    _, told = stands(door(UNCERTAIN), flickers, 60)
    assert Reason.GRANTED not in reasons(told)
    assert not any(each.challenged for each in told)


def test_whom_a_rule_wants_challenged_is_and_others_are_not() -> None:
    asks = replace(door(rules.policy()), wants_challenge=lambda username: username == "Anna")
    assert stands(asks, still, 3)[1] == []
    _, told = stands(asks, lambda _s, _n: (STRAIGHT, Observation(LIVE, BO, FACE)), 3)
    assert reasons(told) == [Reason.GRANTED]


def test_whom_the_rules_do_not_let_pass_is_not_challenged() -> None:
    state = replace(
        door(), ruled=lambda decision: replace(decision, reason=Reason.OUTSIDE_SCHEDULE)
    )
    _, told = stands(state, still, 3)
    assert reasons(told) == [Reason.OUTSIDE_SCHEDULE]


def test_an_attack_seen_beside_the_challenge_holds_its_grant_back() -> None:
    two = rules.policy(challenge="always", one_person_only=False, attack_pause_s=60)
    state, _ = stands(door(two), still, 3)
    other = Face(Box(300, 0, 100, 100), 0.9)
    for number in range(3):
        now = 0.3 + number * STEP
        state = state.saw([Face(Box(0, 0, 100, 100), 0.9), other], now)
        for track in state.to_judge(now):
            first = state.is_challenged(track.id)
            seen = JUDGED if first else Observation(ATTACK, BO, OTHER_FACE)
            state = state.observed(track.id, seen)
            if first:
                state = state.looked(track.id, Look(now, STRAIGHT, seen))
        state, _ = state.conclude(now)
    state = replace(state, policy=replace(two, attack_pause_first_s=60.0))
    _, told = stands(state, Obedient(), 60, start=0.6)
    assert Reason.AFTER_ATTACK in reasons(told)
    assert Reason.GRANTED not in reasons(told)


def test_failed_tries_outlive_a_reload() -> None:
    state, _ = stands(door(), still, 156)
    assert door().remembering(state).step_up.tries.is_paused("Anna", 16.0, ALWAYS)


def test_a_grant_without_the_challenge_that_its_rule_wants_waits_and_is_denied() -> None:
    ruling = Ruling(step_up=True)
    granted = Announcement(Decision(Reason.GRANTED, "Anna"))
    waiting, final = Admission().decided(granted, ruling, 0.0)
    assert final == ()
    _, late = waiting.elapsed(60.0)
    assert reasons(list(late)) == [Reason.CHALLENGE_MISSING]
    _, final = Admission().decided(replace(granted, challenged=True), ruling, 0.0)
    assert reasons(list(final)) == [Reason.GRANTED]


frames = st.tuples(
    st.sampled_from([Pose(0.02, 0.6, 100), Pose(0.28, 0.6, 95), Pose(-0.28, 0.6, 95)]),
    st.sampled_from([LIVE, LIVE, UNSURE, ATTACK]),
    st.sampled_from([ANNA, ANNA, BO, None]),
    st.sampled_from([FACE, FACE, OTHER_FACE]),
    st.integers(1, 12),
)


@given(st.lists(frames, max_size=30), st.sampled_from([ALWAYS, UNCERTAIN]), st.integers(0, 9))
def test_whatever_is_seen_no_grant_of_a_challenge_has_less_than_the_challenge_shows(
    stretches: list[tuple[Pose, float, Candidate | None, Probe, int]], policy: Policy, drawn: int
) -> None:
    seen = [
        (pose, Observation(liveness, nearest, probe))
        for pose, liveness, nearest, probe, count in stretches
        for _ in range(count)
    ]

    def does(_state: CameraMemory, number: int) -> tuple[Pose, Observation]:
        return seen[number]

    _, told = stands(door(policy, first=drawn), does, len(seen))
    for each in told:
        if each.decision.success and policy is ALWAYS:
            assert each.challenged
        if each.challenged and each.decision.success:
            assert each.failure is None
            turned = {number for number, (pose, *_) in enumerate(seen) if abs(pose.turn) > 0.2}
            assert len(turned) >= 2
