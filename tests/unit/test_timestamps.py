"""Moments and descriptors as the database holds them."""

from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from ostiary import timestamps
from ostiary.errors import DescriptorInvalid
from ostiary.store.descriptor import (
    all_from_bytes,
    checked_descriptor,
    from_bytes,
    to_float32_bytes,
    to_float64_bytes,
)

MOMENTS = st.datetimes(
    min_value=datetime(1970, 1, 2), max_value=datetime(9998, 1, 1), timezones=st.timezones()
)


@given(MOMENTS, MOMENTS)
def test_texts_sort_as_the_moments_do(one: datetime, other: datetime) -> None:
    if one.astimezone(UTC) <= other.astimezone(UTC):
        assert timestamps.to_text(one) <= timestamps.to_text(other)


@given(MOMENTS)
def test_a_moment_comes_back_to_the_millisecond(then: datetime) -> None:
    back = timestamps.from_text(timestamps.to_text(then))
    assert back is not None
    assert timedelta(0) <= then.astimezone(UTC) - back < timedelta(milliseconds=1)


def test_the_first_versions_times_are_in_utc() -> None:
    expected = datetime(2024, 5, 1, 8, 30, tzinfo=UTC)
    assert timestamps.from_text("2024-05-01 08:30:00") == expected
    assert timestamps.from_text("2024-05-01T10:30:00+02:00") == expected


@pytest.mark.parametrize("text", [None, 5, "", "yesterday", "0001-01-01T00:00:00+05:00"])
def test_an_unreadable_time_is_none(text: object) -> None:
    assert timestamps.from_text(text) is None


def test_a_time_without_a_zone_is_a_mistake_of_the_program() -> None:
    with pytest.raises(ValueError, match="time zone"):
        timestamps.to_text(datetime(2024, 5, 1))
    assert timestamps.to_text(
        datetime(2024, 5, 1, 2, tzinfo=timezone(timedelta(hours=2)))
    ).endswith("T00:00:00.000Z")


@given(arrays.arrays(np.float32, 128, elements=st.floats(-10, 10, width=32)))
def test_a_descriptor_comes_back_exactly_from_either_form(values: np.ndarray) -> None:
    assert np.array_equal(from_bytes(to_float32_bytes(values)), values)
    assert np.array_equal(from_bytes(to_float64_bytes(values)), values)
    for stored in (to_float32_bytes(values), to_float64_bytes(values)):
        many = all_from_bytes([to_float32_bytes(values), stored])
        assert np.array_equal(many, [values, values])


@pytest.mark.parametrize(
    "data", [None, "text", b"", bytes(511), bytes(1016), np.full(128, np.nan).tobytes()]
)
def test_bytes_that_are_not_128_finite_numbers_are_refused(data: object) -> None:
    with pytest.raises(DescriptorInvalid):
        from_bytes(data)
    with pytest.raises(DescriptorInvalid):
        all_from_bytes([to_float32_bytes(np.zeros(128, np.float32)), data])


def test_of_no_descriptors_there_are_none() -> None:
    assert all_from_bytes([]) == []


@pytest.mark.parametrize(
    "values", [np.zeros(127), np.zeros((1, 128)), np.full(128, np.inf), np.full(128, 1e300)]
)
def test_an_array_that_is_not_128_finite_numbers_is_refused(values: np.ndarray) -> None:
    with pytest.raises(DescriptorInvalid):
        checked_descriptor(values)
