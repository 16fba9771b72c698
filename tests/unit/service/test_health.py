"""How the door says that it is well."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from ostiary.camera.frame import CameraStatus, ViewCondition
from ostiary.service.health import Readings, state_of, status_text
from testing.states import FRONT

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
BACK = replace(FRONT, camera="back")
WELL = Readings(cameras=(FRONT,), users=12, queue_length=0, events_dropped=0, uptime_s=60.0)


def test_a_door_that_sees_and_is_heard_is_ok() -> None:
    state = state_of(WELL, NOW)
    assert (state.health, state.problems) == ("ok", ())
    assert status_text(state) == "camera ok, 12 users, queue 0"


@pytest.mark.parametrize("status", [s for s in CameraStatus if s is not CameraStatus.OK])
def test_a_door_whose_only_camera_shows_nothing_has_failed(status: CameraStatus) -> None:
    state = state_of(replace(WELL, cameras=(replace(FRONT, status=status),)), NOW)
    assert (state.health, state.problems) == ("failed", (f"camera_{status}",))
    assert status_text(state) == f"camera {status}, 12 users, queue 0"


@pytest.mark.parametrize("view", [v for v in ViewCondition if v is not ViewCondition.CLEAR])
def test_a_camera_that_is_connected_and_sees_nothing_counts_as_failed(view: ViewCondition) -> None:
    state = state_of(replace(WELL, cameras=(replace(FRONT, view=view),)), NOW)
    assert (state.health, state.problems) == ("failed", (f"camera_{view}",))


def test_one_camera_of_two_that_is_away_degrades() -> None:
    away = replace(BACK, status=CameraStatus.ABSENT)
    state = state_of(replace(WELL, cameras=(FRONT, away), users=1, queue_length=3), NOW)
    assert state.health == "degraded"
    assert status_text(state) == "front ok, back absent, 1 user, queue 3"


def test_a_camera_at_whose_rate_nobody_can_be_decided_is_a_problem() -> None:
    state = state_of(replace(WELL, too_slow=("front",)), NOW)
    assert (state.health, state.problems) == ("failed", ("frames_too_rare",))
    assert "frames_too_rare" in status_text(state)
    state = state_of(replace(WELL, cameras=(FRONT, BACK), too_slow=("back",)), NOW)
    assert (state.health, state.problems) == ("degraded", ("frames_too_rare",))
    away = replace(FRONT, status=CameraStatus.STALLED)
    state = state_of(replace(WELL, cameras=(away,), too_slow=("front",)), NOW)
    assert state.problems == ("camera_stalled",)


def test_a_console_that_cannot_be_served_degrades_and_is_said() -> None:
    state = state_of(replace(WELL, console_served=False), NOW)
    assert (state.health, state.problems) == ("degraded", ("console_not_served",))
    assert status_text(state) == "camera ok, 12 users, queue 0, console_not_served"


def test_a_broker_that_is_away_degrades_and_is_said() -> None:
    state = state_of(replace(WELL, broker_connected=False, queue_length=7), NOW)
    assert (state.health, state.problems) == ("degraded", ("broker_unavailable",))
    assert status_text(state) == "camera ok, 12 users, queue 7, broker_unavailable"


def test_lost_events_are_said() -> None:
    state = state_of(replace(WELL, events_dropped=5, events_dropped_now=True), NOW)
    assert (state.health, state.events_dropped) == ("degraded", 5)


@pytest.mark.parametrize(
    "broken",
    [
        replace(WELL, hanging=("recognition-front",)),
        replace(WELL, failures=("database_unwritable",)),
    ],
    ids=["a thread hangs", "the database is read-only"],
)
def test_what_denies_everybody_is_a_failure(broken: Readings) -> None:
    assert state_of(broken, NOW).health == "failed"


def test_the_same_problem_of_two_cameras_is_said_once() -> None:
    both = tuple(replace(camera, status=CameraStatus.STALLED) for camera in (FRONT, BACK))
    assert state_of(replace(WELL, cameras=both), NOW).problems == ("camera_stalled",)
