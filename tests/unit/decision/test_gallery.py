"""The gallery against a plain NumPy search, through any sequence of changes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from ostiary.decision import gallery as gallery_module
from ostiary.decision.gallery import Gallery, Nearest
from ostiary.vision.arrays import Descriptor

NAMES = st.sampled_from(["ann", "bob", "Zoë", "张三", "eve"])


def plain_search(people: list[tuple[str, Descriptor]], probe: Descriptor) -> Nearest | None:
    if not people:
        return None
    matrix = np.array([row for _, row in people], np.float64)
    squares = ((matrix - probe) ** 2).sum(axis=1)
    nearest = [
        name for (name, _), square in zip(people, squares, strict=True) if square == squares.min()
    ]
    return Nearest(min(nearest), float(np.sqrt(squares.min())))


def assert_same(found: Nearest | None, expected: Nearest | None) -> None:
    if found is None or expected is None:
        assert found == expected
    else:
        assert found.username == expected.username
        assert found.distance == pytest.approx(expected.distance, abs=1e-12)


@st.composite
def descriptors(draw: st.DrawFn) -> Descriptor:
    """Few whole numbers in few places, so that duplicates and ties are common."""
    row = np.zeros(128, np.float32)
    for place in draw(st.lists(st.integers(0, 127), max_size=3)):
        row[place] = draw(st.integers(-2, 2))
    return row


def faces(people: int, seed: int, templates: int = 2) -> list[tuple[str, Descriptor]]:
    """Descriptors as dlib's: a large mean, a falling spectrum, one cluster a person."""
    random = np.random.default_rng(seed)
    deviations = np.exp(-np.arange(128) / 40) * 0.125
    mean = np.full(128, 1.28 / np.sqrt(128))
    found = []
    for person in range(people):
        centre = mean + random.standard_normal(128) * deviations
        for _ in range(templates):
            row = centre + 0.4 * random.standard_normal(128) * deviations
            found.append((f"person {person}", row.astype(np.float32)))
    return found


@pytest.fixture(params=["plain", "sketched"])
def either_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the sketch from the second template on, and without it."""
    monkeypatch.setattr(gallery_module, "SKETCH_FROM", 2 if request.param == "sketched" else 10**9)


@pytest.mark.usefixtures("either_way")
class TestBestMatch:
    @given(st.lists(st.tuples(NAMES, descriptors()), max_size=30), descriptors())
    def test_is_the_plain_search_with_ties_and_duplicates(
        self, people: list[tuple[str, Descriptor]], probe: Descriptor
    ) -> None:
        assert_same(Gallery(people).best_match(probe), plain_search(people, probe))

    @settings(max_examples=25)
    @given(st.integers(1, 400), st.integers(0, 10**6), st.sampled_from([1e-6, 1.0, 500.0]))
    def test_is_the_plain_search_for_faces_at_any_scale(
        self, count: int, seed: int, scale: float
    ) -> None:
        people = [(name, np.float32(scale) * row) for name, row in faces(count, seed)]
        gallery = Gallery(people)
        strangers = [np.float32(scale) * row for _, row in faces(3, seed + 1)]
        for probe in [people[0][1], people[-1][1], *strangers]:
            assert_same(gallery.best_match(probe), plain_search(people, probe))

    def test_of_an_empty_gallery_is_nobody(self) -> None:
        assert Gallery().best_match(np.zeros(128, np.float32)) is None

    def test_of_equally_near_people_is_the_first_by_name_in_whatever_order_they_came(self) -> None:
        row = np.ones(128, np.float32)
        probe = np.zeros(128, np.float32)
        names = ["carl", "ann", "bob"]
        for order in (names, sorted(names), sorted(names, reverse=True)):
            found = Gallery([(name, row) for name in order]).best_match(probe)
            assert found is not None
            assert found.username == "ann"

    def test_tells_apart_rows_that_float32_products_cannot(self) -> None:
        far = np.full(128, 80.0, np.float32)
        near, nearer = far.copy(), far.copy()
        near[0] += np.float32(2e-5)
        nearer[0] += np.float32(1e-5)
        found = Gallery([("a", near), ("b", nearer)]).best_match(far)
        assert found is not None
        assert found.username == "b"

    def test_is_exact_when_all_rows_are_alike(self) -> None:
        row = faces(1, 0)[0][1]
        gallery = Gallery([(f"{number:05}", row) for number in range(9999, -1, -1)])
        assert gallery.best_match(row) == Nearest("00000", 0.0)


class Changes(RuleBasedStateMachine):
    """Adding and removing in any order leaves the gallery equal to a plain list."""

    sketch_from = 10**9

    def __init__(self) -> None:
        super().__init__()
        self.kept = gallery_module.SKETCH_FROM
        gallery_module.SKETCH_FROM = self.sketch_from

    def teardown(self) -> None:
        gallery_module.SKETCH_FROM = self.kept

    @initialize(people=st.lists(st.tuples(NAMES, descriptors()), max_size=80))
    def load(self, people: list[tuple[str, Descriptor]]) -> None:
        self.people = people
        self.gallery = Gallery(people)

    @rule(name=NAMES, row=descriptors())
    def add(self, name: str, row: Descriptor) -> None:
        self.gallery.add(name, row)
        self.people = [*self.people, (name, row)]

    @rule(name=NAMES)
    def remove(self, name: str) -> None:
        kept = [person for person in self.people if person[0] != name]
        assert self.gallery.remove(name) == len(self.people) - len(kept)
        self.people = kept

    @rule(probe=descriptors())
    def match(self, probe: Descriptor) -> None:
        assert_same(self.gallery.best_match(probe), plain_search(self.people, probe))

    @invariant()
    def knows_the_same_people(self) -> None:
        if hasattr(self, "people"):
            assert len(self.gallery) == len(self.people)
            assert self.gallery.users() == tuple(sorted({name for name, _ in self.people}))


class SketchedChanges(Changes):
    sketch_from = 2


TestChanges = Changes.TestCase
TestSketchedChanges = SketchedChanges.TestCase
TestChanges.settings = TestSketchedChanges.settings = settings(max_examples=60)


def test_a_large_gallery_stays_exact_while_it_grows_and_shrinks() -> None:
    people = faces(9000, 3)
    gallery = Gallery(people[:12000])
    probes = [people[5][1], people[15000][1], *(row for _, row in faces(3, 4))]
    for probe in probes:
        assert_same(gallery.best_match(probe), plain_search(people[:12000], probe))
    for name, row in people[12000:]:
        gallery.add(name, row)
    for probe in probes:
        assert_same(gallery.best_match(probe), plain_search(people, probe))
    gone = {f"person {number}" for number in range(0, 9000, 2)}
    for name in gone:
        gallery.remove(name)
    left = [person for person in people if person[0] not in gone]
    for probe in probes:
        assert_same(gallery.best_match(probe), plain_search(left, probe))


@pytest.mark.parametrize(
    "row",
    [
        np.zeros(127, np.float32),
        np.zeros((1, 128), np.float32),
        np.full(128, np.nan, np.float32),
        np.full(128, np.inf, np.float32),
        np.full(128, 1e30, np.float32),
    ],
)
def test_what_is_no_descriptor_is_refused_and_changes_nothing(row: Descriptor) -> None:
    gallery = Gallery([("ann", np.ones(128, np.float32))])
    with pytest.raises(ValueError, match="descriptor"):
        gallery.add("bob", row)
    with pytest.raises(ValueError, match="descriptor"):
        gallery.best_match(row)
    assert gallery.users() == ("ann",)
    assert len(gallery) == 1


def test_the_gallery_keeps_its_own_copy() -> None:
    row = np.ones(128, np.float32)
    gallery = Gallery([("ann", row)])
    row[:] = 7
    assert gallery.best_match(np.ones(128, np.float32)) == Nearest("ann", 0.0)
