"""A model is built when something it is made from has changed, and only then."""

from pathlib import Path

import pytest

from ostiary_export.build import Step, Workshop
from ostiary_export.catalogue import Catalogue


class Bench:
    """One step that copies its source, and how often it did."""

    def __init__(self, folder: Path) -> None:
        self.source = folder / "weights"
        self.source.write_text("one")
        self.workshop = Workshop(Catalogue({}, {}), folder / "out")
        self.builds = 0

    def make(self) -> Path:
        target, _ = self.workshop.make(Step("model", self.source, ("optimize",), self._copy))
        return target

    def _copy(self, source: Path, target: Path) -> None:
        self.builds += 1
        target.write_bytes(source.read_bytes())


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_the_second_time_nothing_is_built(bench: Bench) -> None:
    bench.make()
    bench.make()
    assert bench.builds == 1


def test_other_weights_are_built_anew(bench: Bench) -> None:
    bench.make()
    bench.source.write_text("two")
    assert bench.make().read_text() == "two"


def test_a_built_file_that_was_changed_is_built_anew(bench: Bench) -> None:
    bench.make().write_text("damaged")
    assert bench.make().read_text() == "one"


def test_a_build_that_fails_leaves_the_old_file_and_no_rest(bench: Bench) -> None:
    target = bench.make()

    def fail(_source: Path, temporary: Path) -> None:
        temporary.write_text("half")
        raise RuntimeError("power cut")

    bench.source.write_text("two")
    with pytest.raises(RuntimeError):
        bench.workshop.make(Step("model", bench.source, ("optimize",), fail))
    assert target.read_text() == "one"
    assert sorted(path.name for path in target.parent.iterdir()) == ["built.json", "model"]


def test_a_manifest_that_is_not_json_means_building_anew(bench: Bench) -> None:
    target = bench.make()
    (target.parent / "built.json").write_text("{")
    bench.make()
    assert bench.builds == 2
