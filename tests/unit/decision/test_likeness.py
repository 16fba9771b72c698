"""How much the people of a house resemble each other, and what the door makes of it."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ostiary.decision.likeness import (
    CLIPPED,
    SHRUNK_BY,
    Likeness,
    Resemblance,
    at_this_site,
    likeness_of,
)
from ostiary.decision.risk import Risk
from ostiary.decision.roster import Roster, Template
from ostiary.vision.arrays import Descriptor, FloatArray
from ostiary.vision.recognizer import UNKNOWN
from testing.faces import RATES, of_one_family, some_descriptor
from tests.unit.decision.test_roster import USUAL, beside

MEASURED = replace(RATES, mean=1.386, deviation=0.0678)
REFERENCE = 1.04


def distance_of(rows: FloatArray) -> float:
    return at_this_site(REFERENCE, MEASURED, likeness_of(rows, MEASURED))


def pair_distances(rows: FloatArray) -> FloatArray:
    apart = np.linalg.norm(rows[:, np.newaxis].astype(float) - rows, axis=2)
    return np.asarray(apart[np.triu_indices(len(rows), 1)])


@pytest.mark.thorough
def test_mean_and_deviation_are_those_of_all_pairs_of_different_people() -> None:
    rows = of_one_family(700)
    found = likeness_of(rows, MEASURED)
    assert found.people == 700
    assert found.mean == pytest.approx(pair_distances(rows).mean(), abs=1e-5)
    assert found.deviation == pytest.approx(pair_distances(rows).std(), abs=1e-5)


@pytest.mark.parametrize("people", [0, 1, 2])
def test_one_or_two_people_give_the_reference(people: int) -> None:
    assert distance_of(of_one_family(people)) == REFERENCE


def test_people_who_resemble_each_other_get_a_smaller_distance() -> None:
    assert distance_of(of_one_family(100, 0.5)) < distance_of(of_one_family(100, 0.3)) < REFERENCE


def test_a_model_that_does_not_say_how_people_differ_scales_nothing() -> None:
    assert at_this_site(1.0, UNKNOWN, likeness_of(of_one_family(100), UNKNOWN)) == 1.0


@given(
    people=st.integers(0, 100_000),
    mean=st.floats(0, 2),
    deviation=st.floats(0, 1),
    reference=st.floats(0, 1.386),
)
def test_the_distance_never_rises_above_the_reference(
    people: int, mean: float, deviation: float, reference: float
) -> None:
    found = at_this_site(reference, MEASURED, Likeness(people, mean, deviation))
    assert 0 <= found <= reference


@given(
    people=st.integers(3, 10_000),
    mean=st.floats(1.0, 1.386),
    deviation=st.floats(0.0678, 0.12),
    more=st.floats(0, 0.1),
)
def test_people_more_alike_never_get_a_larger_distance(
    people: int, mean: float, deviation: float, more: float
) -> None:
    usual = at_this_site(REFERENCE, MEASURED, Likeness(people, mean, deviation))
    nearer = Likeness(people, mean - more, deviation)
    wider = Likeness(people, mean, deviation + more)
    assert at_this_site(REFERENCE, MEASURED, nearer) <= usual
    assert at_this_site(REFERENCE, MEASURED, wider) <= usual


def step_of(count: int, alike: float, other: float, seed: int) -> float:
    """By how much one person more moves it."""
    rows = of_one_family(count, alike, seed)
    new = of_one_family(1, other, seed + 1000)
    return abs(distance_of(np.concatenate([rows, new])) - distance_of(rows))


@settings(max_examples=50)
@given(
    count=st.integers(20, 60),
    alike=st.floats(0, 0.6),
    other=st.floats(0, 3),
    seed=st.integers(0, 100),
)
def test_adding_a_person_moves_it_by_a_small_step(
    count: int, alike: float, other: float, seed: int
) -> None:
    """Whoever it is: also one who is as near to everybody as nobody can be."""
    assert step_of(count, alike, other, seed) < 8 / count


@settings(max_examples=50)
@given(
    count=st.integers(20, 60),
    alike=st.floats(0, 1),
    other=st.floats(0, 3),
    seed=st.integers(0, 100),
)
@example(count=26, alike=1.0, other=0.0, seed=3)
@example(count=60, alike=1.0, other=0.0, seed=30)
def test_adding_a_stranger_to_a_family_moves_it_by_a_bounded_step(
    count: int, alike: float, other: float, seed: int
) -> None:
    """One person has 2 of `count` + 1 pairs. Each is clipped, so that the mean moves by at most
    that share of twice the reach, and the deviation by the share's root of it."""
    share, reach = 2 / (count + 1), CLIPPED * 0.0678
    slope = (1.386 - REFERENCE) / 0.0678
    weight = SHRUNK_BY / ((count + SHRUNK_BY) * (count + 1 + SHRUNK_BY))
    most = 2 * reach * (share + slope * share**0.5) + weight * reach * (1 + slope)
    assert step_of(count, alike, other, seed) < most


@settings(max_examples=25)
@given(alike=st.floats(0, 0.6), apart=st.floats(0, 0.6), seed=st.integers(0, 1000))
def test_one_person_under_two_names_or_a_twin_moves_it_by_next_to_nothing(
    alike: float, apart: float, seed: int
) -> None:
    rows = of_one_family(100, alike, seed)
    twin = beside(rows[0], apart, seed)[np.newaxis]
    assert abs(distance_of(np.concatenate([rows, twin])) - distance_of(rows)) < 0.005


@settings(max_examples=50)
@given(
    changes=st.lists(
        st.tuples(st.sampled_from(["put", "remove", "measure"]), st.integers(0, 12)),
        max_size=60,
    )
)
def test_after_any_changes_it_is_that_of_who_is_there(changes: list[tuple[str, int]]) -> None:
    kept = Resemblance(MEASURED)
    there: dict[str, Descriptor] = {}
    for number, (change, who) in enumerate(changes):
        name = f"person {who}"
        if change == "put":
            there[name] = some_descriptor(number)
            kept.put(name, there[name])
        elif change == "remove":
            there.pop(name, None)
            kept.remove(name)
        else:
            kept.measured()
    anew, found = likeness_of(there.values(), MEASURED), kept.measured()
    assert found.people == anew.people
    assert found.mean == pytest.approx(anew.mean, abs=1e-6)
    assert found.deviation == pytest.approx(anew.deviation, abs=1e-5)


def test_of_many_people_a_sample_tells_the_same() -> None:
    rows = of_one_family(3000)
    sampled = Resemblance(MEASURED, largest=1000)
    for number, row in enumerate(rows):
        sampled.put(str(number), row)
    one = sampled.measured()
    every = likeness_of(rows, MEASURED)
    assert (one.people, every.people) == (1000, 3000)
    assert at_this_site(REFERENCE, MEASURED, one) == pytest.approx(
        at_this_site(REFERENCE, MEASURED, every), abs=0.005
    )


def house(rows: FloatArray, risk: Risk = USUAL) -> Roster:
    people: list[tuple[str, list[Template]]] = [
        (f"person {number}", [("sface", row)]) for number, row in enumerate(rows)
    ]
    return Roster("sface", {"sface": MEASURED}, risk, people)


def test_the_door_asks_for_less_where_its_people_resemble_each_other() -> None:
    now = house(of_one_family(100)).thresholds.used
    assert now.distance < now.reference
    assert now.scale is not None
    assert now.false_accept == pytest.approx(0.001)
    assert now.false_non_match >= now.reference_non_match
    assert now.alike == pytest.approx((1.386 - now.distance) / (1.386 - now.reference))


def test_it_follows_every_change_of_the_roster() -> None:
    rows = of_one_family(100)
    door = house(rows[:0])
    seen = []
    for number, row in enumerate(rows):
        door.put(f"person {number}", [("sface", row)])
        seen.append(door.thresholds.used.alike)
    assert seen[1] == 1.0
    assert seen[-1] > seen[20] > 1.0
    assert door.thresholds.used.distance == pytest.approx(house(rows).thresholds.used.distance)
    for number in range(3, 100):
        door.put(f"person {number}", ())
    assert door.thresholds.used.alike < seen[20]


def test_a_second_template_of_somebody_says_nothing_of_others() -> None:
    rows = of_one_family(50)
    door = house(rows)
    before = door.thresholds.used.alike
    door.put("person 3", [("sface", rows[3]), ("sface", beside(rows[3], 0.5))])
    after = door.thresholds.used
    likeness = likeness_of(rows, MEASURED)
    assert after.distance == at_this_site(after.reference, MEASURED, likeness)
    assert after.alike == pytest.approx(before, rel=0.05)  # a template more, and so a larger risk


def test_a_distance_that_was_set_is_not_scaled() -> None:
    now = house(of_one_family(100), Risk(0.001, distance=1.1)).thresholds.used
    assert (now.distance, now.scale) == (1.1, None)
