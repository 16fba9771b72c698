"""Several looks as one probe."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostiary.decision.probe import Probe, differing, distance, fused
from ostiary.vision.arrays import Descriptor


def direction(*parts: float) -> Descriptor:
    row = np.zeros(128, np.float32)
    row[: len(parts)] = parts
    return (row / np.linalg.norm(row)).astype(np.float32)


def look(*parts: float, quality: float = 1.0) -> Probe:
    return Probe({"sface": direction(*parts)}, quality)


def test_looks_of_length_one_are_fused_to_their_mean_direction() -> None:
    together = fused([look(1, 0), look(0, 1)]).descriptors["sface"]
    assert together == pytest.approx(direction(1, 1), abs=1e-6)


def test_a_better_look_counts_for_more() -> None:
    together = fused([look(1, 0, quality=3.0), look(0, 1, quality=1.0)]).descriptors["sface"]
    assert together == pytest.approx(direction(3, 1), abs=1e-6)


def test_dlibs_looks_keep_their_length() -> None:
    rows = [np.full(128, value, np.float32) for value in (0.1, 0.3)]
    together = fused([Probe({"dlib": row}) for row in rows]).descriptors["dlib"]
    assert together == pytest.approx(np.full(128, 0.2), abs=1e-6)


def test_a_recogniser_that_saw_one_look_only_is_kept_for_that_one() -> None:
    both = Probe({"sface": direction(1, 0), "dlib": np.ones(128, np.float32)})
    together = fused([both, look(0, 1)])
    assert together.descriptors["dlib"] == pytest.approx(np.ones(128))
    assert set(together.descriptors) == {"sface", "dlib"}


def test_nothing_cannot_be_fused() -> None:
    with pytest.raises(ValueError, match="nothing"):
        fused([])


def test_looks_of_different_recognisers_have_no_distance() -> None:
    assert distance(look(1), Probe({"dlib": np.ones(128, np.float32)}), "sface") is None
    assert distance(look(1, 0), look(0, 1), "sface") == pytest.approx(np.sqrt(2))


def test_of_looks_that_say_the_same_the_best_is_kept() -> None:
    same, best, other = look(1, 0.01), look(1, 0, quality=2.0), look(0, 1)
    assert differing([same, best, other], "sface", 0.5) == [best, other]


parts = st.lists(st.floats(-1, 1), min_size=3, max_size=3).filter(
    lambda row: np.linalg.norm(row) > 0.1
)


@given(st.lists(st.tuples(parts, st.floats(0.05, 1)), min_size=1, max_size=6))
def test_a_fused_look_has_length_one_and_does_not_depend_on_the_order(
    rows: list[tuple[list[float], float]],
) -> None:
    looks = [look(*row, quality=quality) for row, quality in rows]
    forward = fused(looks).descriptors["sface"]
    mean = np.average(
        [each.descriptors["sface"] for each in looks],
        axis=0,
        weights=[each.quality for each in looks],
    )
    if np.linalg.norm(mean) > 1e-3:
        assert np.linalg.norm(forward) == pytest.approx(1.0, abs=1e-5)
        assert fused(looks[::-1]).descriptors["sface"] == pytest.approx(forward, abs=1e-4)
