"""When the demo calls an answer right."""

from datetime import UTC, datetime
from uuid import uuid4

import pytest

from demo.scenes import Scene
from demo.verdict import EXPLANATIONS, Outcome, explain, measured
from ostiary.messages.events import LoginEvent
from ostiary.messages.words import Reason

FRIEND = Scene("friend", "A friend", (b"",), Reason.GRANTED, "obama")
PHOTO = Scene("photo", "A photo", (b"",), Reason.PRESENTATION_ATTACK)
NOBODY = Scene("nobody", "Nobody", (b"",))


def event(reason: Reason, username: str | None = None) -> LoginEvent:
    return LoginEvent(
        event_id=uuid4(),
        seq=1,
        timestamp=datetime.now(UTC),
        success=reason is Reason.GRANTED,
        username=username,
        distance=0.31,
        similarity=0.69,
        liveness=0.999,
        reason=reason,
        message="",
        source="front",
    )


def test_a_friend_must_be_granted_by_name() -> None:
    assert Outcome(FRIEND, (event(Reason.GRANTED, "obama"),)).as_expected
    assert not Outcome(FRIEND, (event(Reason.GRANTED, "biden"),)).as_expected
    assert not Outcome(FRIEND, (event(Reason.UNKNOWN_FACE),)).as_expected


def test_a_photo_must_be_denied_for_the_right_reason() -> None:
    assert Outcome(PHOTO, (event(Reason.PRESENTATION_ATTACK, "obama"),)).as_expected
    assert not Outcome(PHOTO, (event(Reason.UNCERTAIN),)).as_expected


def test_a_photo_that_is_denied_and_then_granted_is_wrong() -> None:
    both = (event(Reason.PRESENTATION_ATTACK), event(Reason.GRANTED, "obama"))
    outcome = Outcome(PHOTO, both)
    assert not outcome.as_expected
    assert outcome.answer == "granted: obama"


@pytest.mark.parametrize("scene", [FRIEND, PHOTO])
def test_silence_is_wrong_when_somebody_is_there(scene: Scene) -> None:
    assert not Outcome(scene, ()).as_expected


def test_silence_is_right_when_nobody_is_there() -> None:
    assert Outcome(NOBODY, ()).as_expected
    assert not Outcome(NOBODY, (event(Reason.UNKNOWN_FACE),)).as_expected


def test_every_reason_has_an_explanation() -> None:
    assert set(EXPLANATIONS) == set(Reason)
    assert "obama's" in explain(event(Reason.GRANTED, "obama"))


def test_the_numbers_are_told() -> None:
    told = event(Reason.GRANTED).model_copy(update={"threshold": 1.1, "recognizer": "sface"})
    assert measured(told, None) == "P(live) 0.999, distance 0.31 (limit 1.10)"
    assert measured(told, 0.001) == "P(live) 0.999, distance 0.31 (limit 1.10, risk 1 in 1,000)"
