"""When a picture of a stream was captured, told from its stream time and its arrival."""

import random
from itertools import accumulate

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from ostiary.camera.rtsp import LATE_FOR_S, StreamClock

PERIOD = 1 / 15


Times = list[tuple[float, float]]
"""When each arrived, and when it was made by its stamp."""


def run(clock: StreamClock, times: Times, *, waited: bool = True) -> list[float | None]:
    """Ages, None while catching up."""
    ages = []
    for arrived, stream_time in times:
        captured_at = clock.captured_at(arrived, stream_time, waited)
        ages.append(None if captured_at is None else arrived - captured_at)
    return ages


def steady(start: float, first: int, count: int) -> Times:
    return [(start + n * PERIOD, n * PERIOD) for n in range(first, first + count)]


def test_pictures_that_come_in_time_are_new_from_the_third_on() -> None:
    ages = run(StreamClock(), steady(100.0, 0, 20))
    assert ages[:2] == [None, None]
    assert all(age is not None and age < 0.001 for age in ages[2:])


def test_a_backlog_at_the_start_is_passed_over() -> None:
    backlog = [(100.5, n * PERIOD) for n in range(8)]
    ages = run(StreamClock(), backlog + steady(100.0, 8, 10))
    assert ages[:8] == [None] * 8
    assert all(age is not None and age < 0.02 for age in ages[10:])


def test_a_backlog_after_a_hang_is_as_old_as_it_is() -> None:
    clock = StreamClock()
    run(clock, steady(100.0, 0, 30))
    hang = [(105.0, n * PERIOD) for n in range(30, 75)]
    ages = run(clock, hang)
    assert ages[0] == pytest.approx(5.0 - 30 * PERIOD, abs=0.05)
    assert ages[-1] == pytest.approx(5.0 - 74 * PERIOD, abs=0.05)


def test_a_stream_without_times_counts_as_in_time() -> None:
    ages = run(StreamClock(), [(100.0 + n * PERIOD, 0.0) for n in range(10)])
    assert all(age == 0.0 for age in ages[2:])


def test_times_that_begin_anew_are_followed_at_once() -> None:
    clock = StreamClock()
    run(clock, steady(100.0, 0, 30))
    again = [(102.0 + n * PERIOD, n * PERIOD) for n in range(10)]
    assert all(age is not None and age < 0.001 for age in run(clock, again))


def test_times_that_leap_ahead_cost_two_pictures() -> None:
    clock = StreamClock()
    run(clock, steady(100.0, 0, 30))
    ages = run(clock, [(arrived, at + 3600) for arrived, at in steady(100.0, 30, 10)])
    assert ages[:2] == [None, None]
    assert all(age is not None and age < 0.001 for age in ages[2:])


def test_a_slow_camera_clock_never_makes_pictures_old() -> None:
    clock = StreamClock()
    times = [(100.0 + n * PERIOD, n * PERIOD * (1 - 500e-6)) for n in range(60_000)]
    assert max(age for age in run(clock, times) if age is not None) < 0.01


# --- stamps that do not fit the rate ----------------------------------------------------------


def at_rates(
    real: float, stamped: float, count: int, *, first: int = 0, late: float = 0.0
) -> Times:
    return [(100.0 + n / real + late, n / stamped) for n in range(first, first + count)]


RATES = [(21, 25), (15, 15.3), (25, 15), (15, 10), (30, 25), (10, 15), (12.5, 25), (5, 25), (3, 15)]


@pytest.mark.parametrize(("real", "stamped"), RATES)
def test_where_stamps_do_not_fit_the_rate_the_arrival_counts_within_three_seconds(
    real: float, stamped: float
) -> None:
    ages = run(StreamClock(), at_rates(real, stamped, int(60 * real)))
    assert all(age is not None and age < 0.05 for age in ages[int(3 * real) + 1 :])


@settings(max_examples=40, phases=[Phase.generate])
@given(st.floats(2, 60), st.floats(0.2, 3), st.floats(0, 0.05), st.randoms(use_true_random=False))
def test_whatever_the_rates_and_with_a_networks_jitter_no_picture_counts_as_late_for_long(
    real: float, ratio: float, jitter: float, chance: random.Random
) -> None:
    made = at_rates(real, real * ratio, int(10 * real))
    arrivals = accumulate((at + chance.uniform(0, jitter) for at, _ in made), max)
    times = [(arrived, stamp) for arrived, (_, stamp) in zip(arrivals, made, strict=True)]
    since = 100.0
    for (arrived, _), age in zip(times, run(StreamClock(), times), strict=True):
        if age is not None and age <= 0.2:
            since = arrived
        assert arrived - since < max(LATE_FOR_S, 12 / real + 1)


def test_a_hang_is_known_for_what_it_is_where_stamps_do_not_fit_the_rate() -> None:
    clock = StreamClock()
    run(clock, at_rates(21, 25, 210))
    hang = [(115.0, n / 25) for n in range(210, 315)]
    ages = run(clock, hang)
    assert ages[0] == pytest.approx(5.0, abs=0.1)
    assert ages[10] is not None
    assert ages[10] > 1


# --- what is late -----------------------------------------------------------------------------


def test_a_stream_that_stays_behind_after_a_hang_is_late_for_ever() -> None:
    clock = StreamClock()
    run(clock, at_rates(15, 15, 100))
    ages = run(clock, at_rates(15, 15, 150, first=100, late=2.0))
    assert all(age is not None and age > 1.5 for age in ages)


def test_pictures_that_cannot_be_taken_fast_enough_are_late() -> None:
    clock = StreamClock()
    run(clock, at_rates(15, 15, 30))
    slow = at_rates(12, 15, 120, first=30)
    ages = run(clock, [(arrived - 0.5, stamp) for arrived, stamp in slow], waited=False)
    assert max(age for age in ages if age is not None) > 1.5


def test_a_backlog_that_is_not_waited_for_is_never_taken_for_the_edge() -> None:
    behind = [(100.0 + n / 30, n / 15) for n in range(90)]
    assert run(StreamClock(), behind, waited=False) == [None] * 90
