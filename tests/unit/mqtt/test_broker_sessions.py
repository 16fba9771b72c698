"""What the ends of connections say: a twin, a broker that throws off, a message too large."""

import pytest

from ostiary.mqtt.broker import PACKET_TOO_LARGE, SESSION_TAKEN_OVER, Loss
from ostiary.mqtt.client import BrokerSessions, Suspicion

HUNG_UP = Loss(None, "hung up")
UNEXPLAINED = Loss(0x80, "ended without saying why")
TAKEN_OVER = Loss(SESSION_TAKEN_OVER, "taken over")
TOO_LARGE = Loss(PACKET_TOO_LARGE, "too large")


def sessions() -> BrokerSessions:
    return BrokerSessions(short_s=60)


def test_one_session_taken_over_is_a_twin_at_once() -> None:
    judged = sessions()
    judged.ended(TAKEN_OVER, 20)
    assert judged.suspicion() is Suspicion.TWIN


@pytest.mark.parametrize("loss", [HUNG_UP, UNEXPLAINED])
def test_short_sessions_in_a_row_that_nobody_explains_are_a_twin(loss: Loss) -> None:
    judged = sessions()
    for _ in range(2):
        judged.ended(loss, 3)
    assert judged.suspicion() is None
    judged.ended(loss, 30)
    assert judged.suspicion() is Suspicion.TWIN


@pytest.mark.parametrize("code", [0x81, 0x97, 0x98, 0x9C, 0xA0])
def test_short_sessions_that_the_broker_explains_are_its_own_doing(code: int) -> None:
    judged = sessions()
    for _ in range(3):
        judged.ended(Loss(code, "as it said"), 3)
    assert judged.suspicion() is Suspicion.KICKED


def test_a_broker_that_goes_down_and_comes_back_is_no_twin() -> None:
    judged = sessions()
    for _ in range(10):
        judged.ended(HUNG_UP, 3)
        judged.not_begun()
        judged.ended(Loss(0x8B, "shutting down"), 3)
    assert judged.suspicion() is None


def test_a_session_that_lasts_ends_the_suspicion() -> None:
    judged = sessions()
    judged.ended(TAKEN_OVER, 3)
    judged.lives(59)
    assert judged.suspicion() is Suspicion.TWIN
    judged.lives(60)
    assert judged.suspicion() is None


def test_the_limit_is_learned_at_once_where_the_broker_says_what_it_was() -> None:
    judged = sessions()
    assert judged.left_unacknowledged(TOO_LARGE, 5000, of_use=True)
    assert judged.packet_bytes == 4999


def test_the_limit_is_learned_from_the_third_time_the_same_is_left_unacknowledged() -> None:
    judged = sessions()
    assert not judged.left_unacknowledged(HUNG_UP, 5000, of_use=True)
    assert not judged.left_unacknowledged(HUNG_UP, 5020, of_use=True)
    assert judged.left_unacknowledged(HUNG_UP, 4990, of_use=True)
    assert judged.packet_bytes == 4989


@pytest.mark.parametrize(
    ("loss", "size", "of_use"),
    [(HUNG_UP, 900, True), (HUNG_UP, 5000, False), (TAKEN_OVER, 5000, True), (TOO_LARGE, 0, True)],
)
def test_no_limit_is_learned_from_what_has_another_cause(
    loss: Loss, size: int, of_use: bool
) -> None:
    judged = sessions()
    for _ in range(5):
        judged.left_unacknowledged(loss, size, of_use=of_use)
    assert judged.packet_bytes is None
