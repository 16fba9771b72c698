"""For how long, and where, a password that was said again confirms."""

from datetime import UTC, datetime, timedelta

from ostiary.http.authenticator import Confirmations
from ostiary.store.accounts import Role, Session

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)
ANNA = Session("anna", Role.OPERATOR, "csrf")
HERE, ELSEWHERE = "192.0.2.7", "192.0.2.66"


def said_at_noon(later: timedelta) -> Confirmations:
    """As it stands so much later."""
    times = [NOON]
    confirmations = Confirmations(timedelta(minutes=5), lambda: times[-1])
    confirmations.confirm(ANNA, HERE)
    times.append(NOON + later)
    return confirmations


def test_it_holds_for_five_minutes() -> None:
    assert said_at_noon(timedelta(minutes=5)).holds(ANNA, HERE)
    assert not said_at_noon(timedelta(minutes=5, seconds=1)).holds(ANNA, HERE)


def test_it_holds_for_that_session_at_that_address_only() -> None:
    confirmations = said_at_noon(timedelta(0))
    assert not confirmations.holds(ANNA, ELSEWHERE)
    assert not confirmations.holds(Session("anna", Role.OPERATOR, "another"), HERE)


def test_a_clock_that_was_set_back_prolongs_nothing() -> None:
    assert not said_at_noon(timedelta(minutes=-1)).holds(ANNA, HERE)
