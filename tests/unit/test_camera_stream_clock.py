"""When a picture of a stream was captured, told from its stream time and its arrival."""

import pytest

from ostiary.camera.video import StreamClock

PERIOD = 1 / 15


def run(clock: StreamClock, times: list[tuple[float, float]]) -> list[float | None]:
    """Ages, None while catching up."""
    ages = []
    for arrived, stream_time in times:
        captured_at = clock.captured_at(arrived, stream_time)
        ages.append(None if captured_at is None else arrived - captured_at)
    return ages


def steady(start: float, first: int, count: int) -> list[tuple[float, float]]:
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
