"""Who need not move: whose frames a camera's own last layer is sure of."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostiary.decision.camera_memory import CameraMemory
from ostiary.decision.vote import Observation, are_live, are_surely_live
from ostiary.messages.words import Reason
from tests.unit.decision.test_camera_memory import ANNA, ATTACK, POLICY, stands

SURE, LIVE = 0.985, 0.95
CALIBRATED = replace(POLICY, require_movement=True, sure_threshold=SURE)


def test_of_whom_the_layer_is_sure_is_let_in_without_having_moved() -> None:
    _, decisions = stands(CameraMemory(CALIBRATED), [(SURE, ANNA)] * POLICY.votes)
    assert [each.reason for each in decisions] == [Reason.GRANTED]


@pytest.mark.parametrize("frames", [[LIVE] * 10, [SURE, SURE] + [LIVE] * 8])
def test_who_is_live_but_not_surely_so_has_to_move(frames: list[float]) -> None:
    _, decisions = stands(CameraMemory(CALIBRATED), [(each, ANNA) for each in frames])
    assert Reason.GRANTED not in [each.reason for each in decisions]


def test_without_a_layer_of_its_own_a_camera_is_sure_of_nobody() -> None:
    policy = replace(POLICY, require_movement=True)
    _, decisions = stands(CameraMemory(policy), [(1.0, ANNA)] * 10)
    assert Reason.GRANTED not in [each.reason for each in decisions]


@given(st.lists(st.sampled_from([SURE, LIVE, 0.5, ATTACK]), max_size=8))
def test_sure_is_live_and_a_clear_attack_among_the_frames_is_neither(scores: list[float]) -> None:
    seen = [Observation(score, None) for score in scores]
    if are_surely_live(seen, CALIBRATED):
        assert are_live(seen, CALIBRATED)
    if ATTACK in scores[-CALIBRATED.window :]:
        assert not are_live(seen, CALIBRATED)
