"""Who it is, and how near is near enough for so many people."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ostiary.decision.camera_memory import CameraMemory
from ostiary.decision.likeness import pairs_within
from ostiary.decision.policy import Policy
from ostiary.decision.probe import Probe
from ostiary.decision.risk import Risk
from ostiary.decision.roster import Roster, Template
from ostiary.decision.vote import Observation
from ostiary.messages.words import RecognizerName
from ostiary.vision.arrays import Descriptor
from ostiary.vision.face import Box, Face
from ostiary.vision.recognizer import ErrorRates
from testing.faces import RATES, some_descriptor

FACE = Face(Box(0, 0, 100, 100), 0.9)
USUAL = Risk(0.001)


def beside(row: Descriptor, apart: float, seed: int = 0) -> Descriptor:
    """A descriptor of length 1 that is `apart` from another."""
    other = some_descriptor(10_000 + seed).astype(np.float64)
    other -= (other @ row) * row
    other /= np.linalg.norm(other)
    angle = 2 * np.arcsin(apart / 2)
    return np.asarray(np.cos(angle) * row + np.sin(angle) * other, np.float32)


def people(count: int) -> list[tuple[str, list[Template]]]:
    return [(f"person {seed}", [("sface", some_descriptor(seed))]) for seed in range(count)]


def roster(count: int, risk: Risk = USUAL, *, migrating: bool = False) -> Roster:
    rates: dict[RecognizerName, ErrorRates] = {"sface": RATES}
    if migrating:
        rates["dlib"] = RATES
    return Roster("sface", rates, risk, people(count))


def look(row: Descriptor) -> Probe:
    return Probe({"sface": row})


def test_the_threshold_shrinks_as_people_are_registered_and_grows_as_they_go() -> None:
    house = roster(0)
    seen = []
    for seed in range(20):
        house.put(f"person {seed}", [("sface", some_descriptor(seed))])
        seen.append(house.thresholds.used.distance)
    assert seen == sorted(seen, reverse=True)
    assert seen[0] > seen[-1]
    house.put("person 3", ())
    assert house.thresholds.used.distance > seen[-1]


@pytest.mark.parametrize("count", [1, 10, 100])
@pytest.mark.parametrize("risk", [0.01, 0.001])
def test_a_stranger_is_taken_for_anybody_with_the_risk_that_was_asked_for(
    count: int, risk: float
) -> None:
    now = roster(count, Risk(risk)).thresholds.used
    assert now.false_accept == pytest.approx(risk)
    assert 1 - (1 - RATES.false_match_at(now.distance)) ** count == pytest.approx(risk)


def test_a_recogniser_that_errs_more_with_several_looks_gets_a_smaller_distance() -> None:
    lax = Roster("sface", {"sface": RATES}, USUAL, people(10)).thresholds.used
    rates = replace(RATES, several_looks=2.0)
    strict = Roster("sface", {"sface": rates}, USUAL, people(10)).thresholds.used
    assert strict.distance < lax.distance
    assert strict.false_accept == pytest.approx(lax.false_accept)


def test_a_distance_that_is_set_wins_and_says_what_risk_it_is() -> None:
    now = roster(100, Risk(0.001, distance=1.1)).thresholds.used
    assert now.distance == 1.1
    assert now.false_accept == pytest.approx(1 - (1 - 1e-3) ** 100)


def test_a_risk_that_the_pairs_do_not_carry_is_said_to_be_extrapolated() -> None:
    assert roster(1, Risk(0.001)).thresholds.used.carried
    assert not roster(100, Risk(0.001)).thresholds.used.carried


def test_a_threshold_at_which_hardly_anybody_passes_is_known() -> None:
    assert not roster(1).thresholds.used.turns_most_away
    assert roster(1, Risk(distance=0.6)).thresholds.used.turns_most_away
    assert not roster(1, Risk(distance=0.9)).thresholds.used.turns_most_away


def test_the_nearest_person_is_found_and_near_only_within_the_threshold() -> None:
    house = roster(5, Risk(distance=1.0))
    near = house.match(look(beside(some_descriptor(2), 0.9)))
    far = house.match(look(beside(some_descriptor(2), 1.05)))
    assert near is not None
    assert far is not None
    assert (near.username, near.is_near, near.threshold) == ("person 2", True, 1.0)
    assert near.distance == pytest.approx(0.9, abs=1e-3)
    assert not far.is_near


def test_two_who_look_alike_are_listed_and_need_a_clear_margin() -> None:
    house = roster(5, Risk(distance=1.0))
    twin = beside(some_descriptor(2), 0.4)
    house.put("twin", [("sface", twin)])
    assert [(pair.one, pair.other) for pair in house.look_alikes().pairs] == [("person 2", "twin")]
    middle = some_descriptor(2) + twin
    between = house.match(look((middle / np.linalg.norm(middle)).astype(np.float32)))
    clear = house.match(look(twin))
    assert between is not None
    assert clear is not None
    assert (between.ambiguous, between.is_near) == (True, False)
    assert (clear.username, clear.is_near) == ("twin", True)


def test_templates_of_another_recogniser_match_nobody_and_are_named() -> None:
    house = roster(1, Risk(distance=1.0))
    house.put("first version", [("dlib", some_descriptor(50))])
    assert house.unmatched() == ("first version",)
    found = house.match(look(some_descriptor(50)))
    assert found is not None
    assert found.username == "person 0"
    assert not found.is_near


def test_the_former_recogniser_is_asked_only_for_those_who_have_nothing_else() -> None:
    house = roster(2, Risk(distance=1.0), migrating=True)
    asked: list[str] = []

    def describe(name: str) -> Descriptor:
        asked.append(name)
        return some_descriptor(50)

    house.identify(describe)
    assert asked == ["sface"]
    house.put("first version", [("dlib", some_descriptor(50))])
    assert house.waiting() == ("first version",)
    asked.clear()
    _, found = house.identify(describe)
    assert asked == ["sface", "dlib"]
    assert found is not None
    assert (found.username, found.recognizer, found.is_near) == ("first version", "dlib", True)
    house.put("first version", [("dlib", some_descriptor(50)), ("sface", some_descriptor(51))])
    assert house.waiting() == ()
    asked.clear()
    house.identify(describe)
    assert asked == ["sface"]


def test_all_templates_together_keep_to_the_risk_whatever_their_recogniser() -> None:
    house = roster(10, Risk(0.001), migrating=True)
    alone = house.thresholds.used.distance
    for seed in range(10):
        house.put(f"waiting {seed}", [("dlib", some_descriptor(100 + seed))])
    assert house.thresholds.used.distance < alone
    assert house.thresholds.former is not None
    assert house.thresholds.migration_distance is not None
    assert house.thresholds.migration_distance < house.thresholds.former.distance


@given(st.integers(2, 40), st.integers(0, 2**16), st.floats(0.3, 1.9))
@settings(max_examples=50)
def test_look_alikes_are_the_pairs_that_a_plain_search_finds(
    count: int, seed: int, reach: float
) -> None:
    random = np.random.default_rng(seed)
    rows = random.standard_normal((count, 128)).astype(np.float32)
    rows[:, 4:] = 0
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    names = [f"person {random.integers(0, count // 2 + 1)}" for _ in range(count)]
    apart = np.linalg.norm(rows[:, np.newaxis].astype(float) - rows, axis=2)
    expected = {
        tuple(sorted((names[one], names[other])))
        for one, other in np.argwhere(apart <= reach)
        if names[one] != names[other]
    }
    borderline = {
        tuple(sorted((names[one], names[other])))
        for one, other in np.argwhere(np.abs(apart - reach) < 1e-3)
    }
    found = {(pair.one, pair.other) for pair in pairs_within(names, rows, reach).pairs}
    assert found - borderline == expected - borderline


A, B = some_descriptor(1), some_descriptor(2)


@given(st.lists(st.sampled_from("ab"), min_size=2, max_size=25), st.integers(0, 2**16))
@settings(max_examples=200)
def test_a_face_swapped_within_a_track_is_never_granted_as_either(
    frames: list[str], seed: int
) -> None:
    """Both are registered, live, and at the same place: from the first frame on that shows another
    person than the frames before it, nobody is granted until the track begins anew."""
    house = Roster(
        "sface",
        {"sface": RATES},
        Risk(distance=1.0),
        [("a", [("sface", A)]), ("b", [("sface", B)])],
    )
    policy = Policy()
    door = CameraMemory(policy, house.is_one_person)
    attempt: list[str] = []
    for number, who in enumerate(frames):
        now = number * 0.1
        door = door.saw([FACE], now)
        for track in door.to_judge(now):
            if not track.observations:
                attempt = []
            attempt.append(who)
            row = beside(A if who == "a" else B, 0.3, seed + number)
            door = door.observed(track.id, Observation(0.99, house.match(look(row)), look(row)))
        door, told = door.conclude(now)
        for each in told:
            if each.decision.success:
                assert set(attempt) == {each.decision.username}
            else:
                assert each.decision.username is None
