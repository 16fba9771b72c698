"""A camera's own last layer: fitted, proven on people who were left out, or refused."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ostiary.decision.calibration import LIVE, Calibration, Presentation, calibrated, told
from ostiary.errors import CalibrationRefused, LastLayerInvalid, SittingIncomplete, SittingMixed
from ostiary.messages.calibration import MadeFor
from ostiary.vision.last_layer import FEATURES, VETO, LastLayer, fit
from testing.faces import RATES
from testing.sittings import KINDS, MADE_FOR, PEOPLE, presentation, sitting

LIVE_FROM, ATTACK_TO = 0.9, 0.2


def calibration(presentations: list[Presentation]) -> Calibration:
    return calibrated(presentations, {"sface": RATES}, LIVE_FROM, ATTACK_TO)


def test_it_tells_attacks_on_people_it_has_never_seen_from_those_people() -> None:
    layer = calibration(sitting()).layer
    for person in ("eve", "fay", "gus"):
        for kind in (LIVE, *KINDS):
            shown = presentation(kind, person)
            found = [layer.probability(row) for row in shown.features]
            if kind == LIVE:
                assert np.mean(np.array(found) >= LIVE_FROM) > 0.8
            else:
                assert np.mean(np.array(found) >= LIVE_FROM) < 0.1


def test_the_figures_are_of_presentations_of_people_left_out() -> None:
    found = calibration(sitting(times=2))
    assert found.people == len(PEOPLE)
    assert [proof.kind for proof in found.proofs] == [LIVE, "phone", "print", "tablet"]
    for proof in found.proofs:
        assert proof.calibrated.of == proof.default.of == 2 * len(PEOPLE)
        assert proof.calibrated.value == 0
        assert proof.default.value == (0 if proof.kind == LIVE else 1)
    assert "print let through 0 of 8, by default 8" in told(found.proofs)


def test_each_frame_above_sure_is_of_no_attack_that_was_left_out() -> None:
    layer = calibration(sitting(times=3)).layer
    assert LIVE_FROM - 1e-9 <= layer.sure < 1
    attacks = [presentation(kind, "eve", number) for kind in KINDS for number in range(5)]
    rows = np.concatenate([each.features for each in attacks])
    assert np.mean([layer.probability(row) >= layer.sure for row in rows]) < 0.05


@pytest.mark.parametrize(
    ("presentations", "said"),
    [
        (sitting(kinds=["print"]), r"1 kinds of attack \(print\)"),
        (sitting(kinds=[]), "0 kinds of attack"),
        (sitting(people=PEOPLE[:3]), "3 people"),
        ([each for each in sitting() if each.kind != LIVE], "0 people"),
        (
            [
                each
                for each in sitting()
                if (each.kind, each.person) not in (("print", "ann"), ("print", "ben"))
            ],
            "print: 2 presentations",
        ),
        (
            [
                *sitting(kinds=["print", "phone"]),
                *(presentation("mask", "ann", n) for n in range(5)),
            ],
            "mask: 5 presentations of 1 people",
        ),
        (
            [each for each in sitting() if (each.kind, each.person) != (LIVE, "dan")]
            + [presentation(LIVE, "dan", frames=9)],
            "3 people with 10 good frames",
        ),
        ([], "0 people"),
    ],
)
def test_a_sitting_that_lacks_something_is_refused_and_says_what(
    presentations: list[Presentation], said: str
) -> None:
    with pytest.raises(SittingIncomplete, match=said):
        calibration(presentations)


def test_presentations_without_a_good_frame_count_for_nothing() -> None:
    empty = [presentation(kind, person, frames=0) for kind in ("mask",) for person in PEOPLE]
    assert [proof.kind for proof in calibration([*sitting(), *empty]).proofs] == [
        LIVE,
        *sorted(KINDS),
    ]


def test_one_person_under_two_names_is_found() -> None:
    mixed = [
        replace(each, look=presentation(LIVE, "ann").look)
        if (each.kind, each.person) == (LIVE, "dan")
        else each
        for each in sitting()
    ]
    with pytest.raises(SittingMixed, match="ann and dan are one person"):
        calibration(mixed)


def test_two_people_under_one_name_are_found() -> None:
    another = presentation(LIVE, "ann", 7, face=1)
    with pytest.raises(SittingMixed, match="What is called ann shows different people"):
        calibration([*sitting(), another])


def test_no_better_than_the_networks_themselves_is_refused_with_the_figures() -> None:
    known = [
        each if each.kind == LIVE else replace(each, scores=np.full_like(each.scores, VETO / 2))
        for each in sitting()
    ]
    with pytest.raises(
        CalibrationRefused, match=r"no better .* print let through 0 of 4, by default 0"
    ):
        calibration(known)


def test_people_and_attacks_that_are_alike_are_refused() -> None:
    noise = [
        replace(
            each,
            features=np.random.default_rng(number)
            .normal(size=each.features.shape)
            .astype(np.float32),
        )
        for number, each in enumerate(sitting())
    ]
    with pytest.raises(CalibrationRefused, match="people turned away"):
        calibration(noise)


def test_where_the_networks_are_sure_of_an_attack_the_proof_says_attack_too() -> None:
    """Of whom they are sure that he is an attack, he is one to the door, whatever was fitted."""
    sat = [
        replace(each, scores=np.full_like(each.scores, 0.0))
        if (each.kind, each.person) == (LIVE, "ann")
        else each
        for each in sitting()
    ]
    live, *_ = calibration(sat).proofs
    assert live.calibrated.value == live.default.value == 1 / 4


def test_a_layer_is_the_same_after_it_was_stored() -> None:
    layer = calibration(sitting()).layer
    again = LastLayer.from_bytes(layer.to_bytes())
    rows = presentation(LIVE, "eve").features
    assert [again.probability(row) for row in rows] == [layer.probability(row) for row in rows]
    assert again.sure == layer.sure


@given(st.binary(max_size=4000))
def test_bytes_that_are_no_layer_are_an_error(data: bytes) -> None:
    if len(data) != 16 + 4 * FEATURES:
        with pytest.raises(LastLayerInvalid):
            LastLayer.from_bytes(data)


@pytest.mark.parametrize("where", [0, 8, 16, 16 + 4 * (FEATURES - 1)])
def test_a_layer_with_a_number_that_is_none_is_an_error(where: int) -> None:
    data = bytearray(calibration(sitting()).layer.to_bytes())
    nan = np.array([np.nan], "<f8" if where < 16 else "<f4").tobytes()
    data[where : where + len(nan)] = nan
    with pytest.raises(LastLayerInvalid):
        LastLayer.from_bytes(bytes(data))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_features_that_are_no_numbers_are_not_live(value: float) -> None:
    layer = LastLayer(np.ones(FEATURES, np.float32), 5.0)
    features = np.zeros(FEATURES, np.float32)
    features[3] = value
    assert layer.probability(features) == 0.0


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1), st.floats(-1e4, 1e4))
def test_p_live_is_a_number_from_0_to_1(seed: int, bias: float) -> None:
    random = np.random.default_rng(seed)
    layer = LastLayer(random.normal(scale=100, size=FEATURES).astype(np.float32), bias)
    assert 0 <= layer.probability(random.normal(scale=1e3, size=FEATURES).astype(np.float32)) <= 1


def test_the_fit_is_where_the_penalised_likelihood_has_no_slope() -> None:
    random = np.random.default_rng(1)
    rows = random.normal(size=(80, FEATURES)).astype(np.float32)
    live = rows[:, 0] > 0.3
    counts = np.full(80, 1 / 80)
    found = fit(rows, live, counts)
    spread = np.sqrt(counts @ (rows - counts @ rows) ** 2) + 1e-6
    missed = counts * (1 / (1 + np.exp(-found.along(rows))) - live)
    slope = found.weights * spread + ((rows - counts @ rows) / spread).T @ missed
    assert np.abs(slope).max() < 1e-5
    assert abs(missed.sum()) < 1e-5


@pytest.mark.parametrize(
    ("now", "why"),
    [
        (MADE_FOR, None),
        (MADE_FOR.model_copy(update={"device": "HD Webcam"}), None),
        (MADE_FOR.model_copy(update={"source": "b"}), "camera"),
        (MADE_FOR.model_copy(update={"width": 320}), "size"),
        (MADE_FOR.model_copy(update={"network": "m"}), "networks"),
    ],
)
def test_a_layer_is_for_one_camera_one_size_and_one_network(now: MadeFor, why: str | None) -> None:
    assert MADE_FOR.changed(now) == why


def test_another_device_of_the_same_number_is_another_camera() -> None:
    first, second = (MADE_FOR.model_copy(update={"device": name}) for name in ("one", "other"))
    assert first.changed(second) == "camera"
    assert first.changed(first) is None
