"""Every input that fuzzing began with or found, given again; and a short search by hypothesis."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.targets import CORPUS, TARGETS, run

INPUTS = sorted(path for path in CORPUS.glob("*/*") if path.is_file())
QUICK = sorted(set(TARGETS) - {"database", "form"})
SLOW = HealthCheck.too_slow, HealthCheck.function_scoped_fixture


def test_every_target_has_a_corpus() -> None:
    assert {path.parent.name for path in INPUTS} == set(TARGETS)


@pytest.mark.parametrize("path", INPUTS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_nothing_of_the_corpus_breaks_its_target(path: Path) -> None:
    run(path.parent.name, path.read_bytes())


@pytest.mark.parametrize("name", QUICK)
@settings(max_examples=150, suppress_health_check=SLOW)
@given(data=st.data())
def test_a_damaged_seed_breaks_no_target(name: str, data: st.DataObject) -> None:
    seed = data.draw(st.sampled_from([path for path in INPUTS if path.parent.name == name]))
    damaged = bytearray(seed.read_bytes())
    for _ in range(data.draw(st.integers(0, 5))):
        at = data.draw(st.integers(0, max(0, len(damaged) - 1)))
        damaged[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=4))
    run(name, bytes(damaged))
