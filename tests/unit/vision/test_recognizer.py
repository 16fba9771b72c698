"""Measured error rates: read back as they were measured, interpolated, and honest beyond."""

import json
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostiary.vision.recognizer import ErrorRates
from testing.faces import RATES


def test_a_measured_point_is_given_back() -> None:
    assert RATES.false_match_at(1.0) == pytest.approx(1e-4)
    assert RATES.distance_for(1e-4) == pytest.approx(1.0)
    assert RATES.false_non_match_at(1.0) == 0.1


def test_between_two_points_the_logarithm_is_interpolated() -> None:
    assert RATES.false_match_at(1.05) == pytest.approx(math.sqrt(1e-4 * 1e-3))


def test_below_the_grid_the_first_step_goes_on() -> None:
    assert RATES.distance_for(1e-8) == pytest.approx(0.6)
    assert RATES.false_match_at(0.6) == pytest.approx(1e-8)


def test_at_distance_zero_everybody_is_turned_away() -> None:
    assert RATES.false_non_match_at(0.0) == 1.0
    assert RATES.false_non_match_at(0.4) == pytest.approx(0.75)


def test_no_distance_is_below_zero() -> None:
    assert RATES.distance_for(1e-30) == 0.0


@given(st.floats(1e-12, 1e-2), st.floats(1e-12, 1e-2))
def test_a_smaller_risk_never_allows_a_larger_distance(one: float, other: float) -> None:
    small, large = sorted((one, other))
    assert RATES.distance_for(small) <= RATES.distance_for(large)


@given(st.floats(1e-7, 9e-3))
def test_the_distance_for_a_rate_has_that_rate(rate: float) -> None:
    assert RATES.false_match_at(RATES.distance_for(rate)) == pytest.approx(rate, rel=1e-6)


def test_rates_come_back_from_the_text_that_a_model_carries() -> None:
    table = {name: getattr(RATES, name) for name in ErrorRates.__slots__}
    assert ErrorRates.from_json(json.dumps(table)) == RATES


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"distance": [1]}', '{"distance": "far"}'])
def test_a_text_that_holds_no_rates_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        ErrorRates.from_json(text)


def test_several_looks_are_never_said_to_be_safer_than_one() -> None:
    with pytest.raises(ValueError, match="several"):
        replace(RATES, several_looks=0.5)


def test_rates_that_do_not_rise_or_fall_as_they_must_are_refused() -> None:
    with pytest.raises(ValueError, match="rise"):
        replace(RATES, false_match=RATES.false_match[::-1])
    with pytest.raises(ValueError, match="rise"):
        replace(RATES, false_non_match=RATES.false_non_match[::-1])
    with pytest.raises(ValueError, match="rise"):
        replace(RATES, distance=(math.nan, *RATES.distance[1:]))
    with pytest.raises(ValueError, match="one length"):
        replace(RATES, distance=RATES.distance[1:])
