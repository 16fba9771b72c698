"""The statistics of `evaluate`, against obvious models, and what is refused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ostiary_export.errors import FacesInvalid
from ostiary_export.evaluate.bootstrap import (
    accepted,
    figure,
    taken_for_somebody,
    turned_away,
    turned_away_at_fpir,
)
from ostiary_export.evaluate.faces import NAMES, Collection, pictures_of
from ostiary_export.evaluate.figures import at_default
from ostiary_export.evaluate.identification import Trial, trials
from ostiary_export.evaluate.pairs import Pairs, Tail, joined, pairs_of
from ostiary_export.evaluate.rates import rates_of, write_rates
from ostiary_export.rates import rates_metadata


def made_up(people: int, pictures: int = 2, spread: float = 0.5, seed: int = 0) -> Collection:
    """Directions, one cluster a person."""
    random = np.random.default_rng(seed)
    centres = np.repeat(random.standard_normal((people, 128)), pictures, axis=0)
    rows = centres + spread * random.standard_normal(centres.shape)
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return Collection(
        tuple(f"person {number}" for number in range(people)),
        np.repeat(np.arange(people), pictures),
        np.ones(people * pictures, np.float32),
        {"sface": rows, "dlib": rows},
    )


def test_pairs_are_those_of_every_picture_with_every_other() -> None:
    collection = made_up(12, 3)
    pairs = pairs_of(collection, "sface")
    rows = collection.descriptors["sface"].astype(float)
    genuine: list[float] = []
    impostor: list[float] = []
    for one in range(36):
        for other in range(one):
            apart = float(np.linalg.norm(rows[one] - rows[other]))
            same = collection.person[one] == collection.person[other]
            (genuine if same else impostor).append(apart)
    assert pairs.genuine == pytest.approx(sorted(genuine))
    assert pairs.impostor == pytest.approx(sorted(impostor))


def test_the_distance_at_a_rate_has_that_rate() -> None:
    pairs = Pairs(np.array([0.1]), np.array([0]), np.arange(1.0, 1001.0))
    assert pairs.distance_at(0.01) == 10.0
    assert (pairs.impostor <= pairs.distance_at(0.01)).mean() == 0.01


@pytest.mark.thorough
@given(st.floats(0.005, 0.1), st.integers(0, 99))
@settings(max_examples=10)
def test_an_exponential_tail_is_found_although_a_few_pairs_are_one_person(
    scale: float, seed: int
) -> None:
    random = np.random.default_rng(seed)
    tail = 1.0 - random.exponential(scale, 400)
    tail[:8] = 0.0
    body = random.uniform(1.0, 1.4, 4_000_000 - 400)
    pairs = Pairs(np.array([0.1]), np.array([0]), np.sort(np.concatenate([tail, body])))
    found = Tail.of(pairs)
    assert found.scale == pytest.approx(scale, rel=0.35)
    assert found.distance_at(1e-5) == pytest.approx(found.start - found.scale * np.log(10))


TRIAL = Trial(
    stranger=np.array([0, 1, 2, 3]),
    stranger_distance=np.array([0.9, 1.0, 1.1, 1.2]),
    registered=np.array([4, 5, 6]),
    own_distance=np.array([0.5, 0.95, np.inf]),
    enrolled=np.empty((0, 128), np.float32),
)


def test_fpir_and_fnir_are_shares_of_strangers_and_of_registered_people() -> None:
    ones = np.ones(7)
    assert taken_for_somebody([TRIAL], [1.0])(ones) == 0.5
    assert turned_away([TRIAL], [1.0])(ones) == pytest.approx(1 / 3)
    assert turned_away([TRIAL], [0.4])(ones) == 1.0


def test_at_a_fixed_fpir_no_more_strangers_are_let_in_than_that() -> None:
    ones = np.ones(7)
    assert turned_away_at_fpir([TRIAL], 0.0)(ones) == pytest.approx(2 / 3)  # limit 0.9
    assert turned_away_at_fpir([TRIAL], 0.25)(ones) == pytest.approx(1 / 3)  # limit 1.0
    assert turned_away_at_fpir([TRIAL], 1.0)(ones) == pytest.approx(1 / 3)


def test_who_is_drawn_twice_counts_twice() -> None:
    weights = np.array([2.0, 0, 1, 1, 0, 3, 1])
    assert taken_for_somebody([TRIAL], [0.95])(weights) == 0.5
    assert turned_away([TRIAL], [0.9])(weights) == 1.0
    assert turned_away([TRIAL], [0.95])(weights) == 0.25


def share_of_every_fifth(weights: np.ndarray) -> float:
    return float(weights[::5].sum() / weights.sum())


def test_an_interval_holds_its_figure_and_shrinks_with_more_people() -> None:
    widths = []
    for people in (20, 2000):
        found = figure(people, share_of_every_fifth)
        assert found.value == pytest.approx(0.2)
        assert found.low <= found.value <= found.high
        widths.append(found.high - found.low)
    assert widths[1] < widths[0]


def test_the_share_of_accepted_pairs_counts_each_persons_own() -> None:
    pairs = Pairs(np.array([0.1, 0.2, 0.9]), np.array([0, 1, 1]), np.array([1.0]))
    assert accepted(pairs, 0.5)(np.ones(2)) == pytest.approx(2 / 3)
    assert accepted(pairs, 0.5)(np.array([0.0, 1.0])) == 0.5


def test_a_trial_has_nobody_both_inside_and_outside() -> None:
    for trial in trials(made_up(60), "sface", 20, draws=5):
        assert len(set(trial.registered)) == 20
        assert not set(trial.registered) & set(trial.stranger)
        assert len(trial.stranger) == 40


def test_people_who_are_easy_to_tell_apart_are_all_recognised() -> None:
    (trial, *_) = trials(made_up(60, spread=0.05), "sface", 20, draws=1)
    assert trial.own_distance.max() < trial.stranger_distance.min()


def test_nothing_is_drawn_where_too_few_people_have_enough_pictures() -> None:
    assert list(trials(made_up(60), "sface", 100)) == []
    assert list(trials(made_up(60), "sface", 20, templates=2, probes=1)) == []


def test_a_picture_filed_under_two_names_joins_them() -> None:
    collection = made_up(400, spread=0.9)
    rows = collection.descriptors["sface"].copy()
    rows[0] = rows[100]
    twice = replace(collection, descriptors={"sface": rows, "dlib": rows})
    together = joined(twice, pairs_of(twice, "sface"))
    assert together.joined == (("person 0", "person 50"),)
    assert together.person[0] == together.person[1] == together.person[100]
    assert len(np.unique(together.person)) == 399


def test_measured_rates_are_written_as_a_model_can_carry_them(tmp_path: Path) -> None:
    collection = made_up(400, 3, spread=0.9)
    rates = {name: rates_of(collection, name, "a test") for name in NAMES}
    write_rates(tmp_path / "recognition.toml", rates)
    for name, known in rates.items():
        (text,) = rates_metadata(tmp_path / "recognition.toml", name).values()
        assert type(known).from_json(text) == known
        assert known.several_looks >= 1


def test_too_few_pictures_say_nothing_of_rare_errors_and_nothing_is_written() -> None:
    few = made_up(40)
    with pytest.raises(FacesInvalid, match="too few"):
        rates_of(few, "sface", "a test")
    assert list(at_default(few, "sface")) == []
    assert joined(few, pairs_of(few, "sface")) is few


def test_a_folder_from_which_nothing_can_be_measured_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FacesInvalid, match="no such folder"):
        pictures_of(tmp_path / "nowhere")
    with pytest.raises(FacesInvalid, match="no sub-folder"):
        pictures_of(tmp_path)
    for name in ("anna", "bo"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.jpg").write_bytes(b"x")
    with pytest.raises(FacesInvalid, match="two pictures"):
        pictures_of(tmp_path)
