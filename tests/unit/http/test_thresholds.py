"""What other thresholds would have changed of what was decided."""

from datetime import UTC, datetime
from uuid import uuid4

import pytest

from ostiary.decision.risk import Threshold
from ostiary.decision.roster import RosterThresholds as Distances
from ostiary.http.thresholds import BY_THRESHOLDS, Judge, preview
from ostiary.messages.events import LoginEvent
from ostiary.messages.words import Reason
from ostiary.settings import AccessSettings

LAXEST = {"live_threshold": 0.5, "attack_threshold": 0.01}
STRICTEST = {"live_threshold": 0.999, "attack_threshold": 0.998}


def event(reason: Reason, liveness: float | None, distance: float | None) -> LoginEvent:
    return LoginEvent(
        event_id=uuid4(),
        seq=1,
        timestamp=datetime(2026, 1, 1, tzinfo=UTC),
        success=reason is Reason.GRANTED,
        username=None,
        distance=distance,
        similarity=None if distance is None else 1 - distance,
        threshold=1.0,
        recognizer="sface",
        liveness=liveness,
        reason=reason,
        message="",
        source="front",
    )


def judge(distance: float = 1.0, **access: float | bool) -> Judge:
    used = Threshold("sface", distance, 1e-4, 1e-3, 0.05, True, distance, 0.05)
    settings = AccessSettings.model_validate(access)
    return Judge(settings, Distances(used, None, None, distance / 2))


@pytest.mark.parametrize("reason", Reason)
@pytest.mark.parametrize("liveness", [0.0, 0.5, 0.95, None])
@pytest.mark.parametrize("distance", [0.5, 1.5, None])
def test_thresholds_that_are_not_changed_change_nothing(
    reason: Reason, liveness: float | None, distance: float | None
) -> None:
    """Whatever decided it: a challenge, another roster, frames that did not agree, or a card."""
    found = preview([event(reason, liveness, distance)], judge(), judge())
    assert found.changes == ()
    assert found.granted_before == found.granted_after


@pytest.mark.parametrize("reason", sorted(set(Reason) - BY_THRESHOLDS))
@pytest.mark.parametrize("then", [judge(2.0, **LAXEST), judge(0.1, **STRICTEST)])
def test_what_rules_credentials_and_failures_denied_no_threshold_grants(
    reason: Reason, then: Judge
) -> None:
    found = preview([event(reason, 0.95, 0.5)], judge(), then)
    assert (found.judged, found.changes) == (1, ())


def test_a_card_or_pin_alone_opens_whatever_a_face_would_need() -> None:
    found = preview([event(Reason.GRANTED, None, None)], judge(), judge(0.1, **STRICTEST))
    assert (found.judged, found.granted_after, found.changes) == (1, 1, ())


def test_whether_several_faces_would_be_one_person_is_not_known() -> None:
    found = preview(
        [event(Reason.SEVERAL_FACES, None, None)], judge(), judge(one_person_only=False)
    )
    assert (found.judged, found.unknown) == (0, 1)


@pytest.mark.parametrize(
    ("reason", "liveness", "distance", "then", "after"),
    [
        (Reason.GRANTED, 0.95, 0.8, judge(0.7), Reason.UNKNOWN_FACE),
        (Reason.GRANTED, 0.95, 0.8, judge(live_threshold=0.96), Reason.UNCERTAIN),
        (Reason.GRANTED, 0.95, 0.8, judge(**STRICTEST), Reason.PRESENTATION_ATTACK),
        (Reason.UNKNOWN_FACE, 0.95, 1.2, judge(1.3), Reason.GRANTED),
        (Reason.UNCERTAIN, 0.6, 0.8, judge(live_threshold=0.55), Reason.GRANTED),
        (Reason.UNCERTAIN, 0.6, 0.8, judge(**LAXEST), Reason.GRANTED),
    ],
)
def test_what_thresholds_decide_they_decide_anew(
    reason: Reason, liveness: float, distance: float, then: Judge, after: Reason
) -> None:
    found = preview([event(reason, liveness, distance)], judge(), then)
    assert [change.reason for change in found.changes] == [after]
