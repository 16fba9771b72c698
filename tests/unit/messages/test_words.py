"""Numbers that are told have no digits that say nothing."""

from datetime import UTC, datetime

from ostiary.messages.commands.decisions import LoginAnswer
from ostiary.messages.state import CameraState, RecognitionState, SiteScale, State
from ostiary.messages.words import Reason


def test_the_state_is_told_in_numbers_that_people_read() -> None:
    third = 1 / 3
    scale = SiteScale(
        reference=third, alike=1 + third, turned_away=third, turned_away_at_reference=third
    )
    state = State(
        timestamp=datetime(2026, 1, 1, tzinfo=UTC),
        version="1",
        health="ok",
        uptime_s=100 / 3,
        cameras=(CameraState(name="front", status="ok", fps=100 / 7),),
        users=1,
        queue_length=0,
        events_dropped=0,
        recognition=RecognitionState(
            recognizer="sface",
            threshold=third,
            false_accept=third / 1_000_000,
            extrapolated=False,
            waiting=0,
            scale=scale,
        ),
    )
    told = state.model_dump(mode="json")
    assert (told["uptime_s"], told["cameras"][0]["fps"]) == (33.3, 14.3)
    assert told["recognition"]["threshold"] == 0.333
    assert told["recognition"]["false_accept"] == 3.33e-7
    assert set(told["recognition"]["scale"].values()) == {0.333, 1.333}


def test_a_similarity_has_no_more_digits_than_its_distance() -> None:
    answer = LoginAnswer(
        success=False,
        username=None,
        distance=0.812,
        similarity=1 - 0.812,
        message="",
        reason=Reason.UNKNOWN_FACE,
        liveness=0.9,
        event_id="",
    )
    assert answer.similarity == 0.188
