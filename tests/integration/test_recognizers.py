"""People known by dlib come over to SFace on a visit, and faces swapped within a track do not pass:
with the real networks on real portraits."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ostiary.app.core import Core, opened_core
from ostiary.decision.camera_memory import Announcement, CameraMemory
from ostiary.decision.probe import Probe, fused
from ostiary.decision.risk import Risk
from ostiary.decision.vote import Observation
from ostiary.errors import DescriptorInvalid, RecognizerMismatch
from ostiary.people.learning import come_over
from ostiary.people.people import former_needed
from ostiary.settings import Settings, VisionSettings
from ostiary.store.audit import Audit
from ostiary.store.database import Database
from ostiary.store.events import Events
from ostiary.store.import_v1 import import_database
from ostiary.store.users import Users
from ostiary.vision.engine import VisionEngine
from ostiary.vision.face import Box, Face
from testing.rules import policy
from tests.integration.test_store_first_version import first_version

NOW = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
FACE = Face(Box(0, 0, 100, 100), 0.9)
POLICY = policy()


@pytest.fixture(scope="module")
def both(models: Path) -> VisionEngine:
    """SFace in use, and dlib for those who come over."""
    return VisionEngine.load(VisionSettings(models=models), former="dlib")


class Household:
    """A door with SFace at a database of the first version with Obama and Biden in it."""

    def __init__(self, core: Core, portraits: Path) -> None:
        self.core = core
        self.portraits = portraits
        self.database, self.users, self.people = core.database, core.users, core.people
        self.audit = Audit(self.database)

    def visit(self, names: Sequence[str], liveness: float = 0.99) -> list[Announcement]:
        """One person after the other stands there, a frame each, at the same place."""
        roster = self.people.roster
        door = CameraMemory(POLICY, roster.is_one_person)
        outcomes: list[Announcement] = []
        for number, name in enumerate(names):
            now = 0.1 * number
            door = door.saw([FACE], now)
            for track in door.to_judge(now):
                describe = partial(
                    self.core.engine.describe,
                    *face(self.core.engine, self.portraits / name, number % 5 - 2.0),
                )
                probe, nearest = roster.identify(describe)
                earlier = [seen.probe for seen in track.observations if seen.probe is not None]
                together = roster.match(fused([*earlier, probe]))
                door = door.observed(track.id, Observation(liveness, nearest, probe, together))
            door, told = door.conclude(now)
            outcomes += told
        return outcomes


def face(engine: VisionEngine, portrait: Path, angle: float = 0.0) -> tuple[np.ndarray, Face]:
    """A portrait turned by some degrees, with its face."""
    bgr = np.asarray(cv2.imread(str(portrait)), np.uint8)
    height, width = bgr.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), angle, 1.0)
    turned = np.asarray(cv2.warpAffine(bgr, turn, (width, height)), np.uint8)
    return turned, engine.detect(turned)[0]


@pytest.fixture
def door(tmp_path: Path, both: VisionEngine, portraits: Path) -> Settings:
    """Settings of a door with that database."""
    path, rows = tmp_path / "user_encodings.db", []
    for name in ("obama", "biden"):
        row = both.describe(*face(both, portraits / f"{name}.jpg"), "dlib")
        rows.append((name, row.astype("<f8").tobytes()))
    first_version(path, rows)
    vision = {"models": both.settings.models}
    return Settings.model_validate({"store": {"path": path}, "vision": vision})


@pytest.fixture
def house(door: Settings, both: VisionEngine, portraits: Path) -> Iterator[Household]:
    with opened_core(door, both) as core:
        yield Household(core, portraits)


def test_a_first_versions_people_are_known_by_dlib_and_after_one_visit_by_sface(
    house: Household,
) -> None:
    assert former_needed(house.users, "sface", migrate=True) == "dlib"
    assert house.people.roster.waiting() == ("biden", "obama")
    (told,) = house.visit(["obama2.jpg"] * 4)
    assert (told.decision.username, told.decision.recognizer) == ("obama", "dlib")
    assert come_over(house.people, house.audit, told, POLICY.live_threshold, NOW) >= 1
    assert house.people.roster.waiting() == ("biden",)
    assert house.users.get("obama").recognizers == ("dlib", "sface")
    (row,) = house.audit.newest(1)
    assert (row.actor, row.action, row.subject) == ("door", "templates_migrated", "obama")

    (again,) = house.visit(["obama2.jpg"] * 4)
    assert (again.decision.username, again.decision.recognizer) == ("obama", "sface")
    assert come_over(house.people, house.audit, again, POLICY.live_threshold, NOW) == 0

    (told,) = house.visit(["biden.jpg"] * 4)
    assert (told.decision.username, told.decision.recognizer) == ("biden", "dlib")
    come_over(house.people, house.audit, told, POLICY.live_threshold, NOW)
    assert house.people.roster.waiting() == ()
    assert former_needed(house.users, "sface", migrate=True) is None


def test_what_came_over_is_there_after_a_restart(house: Household) -> None:
    (told,) = house.visit(["obama2.jpg"] * 4)
    come_over(house.people, house.audit, told, POLICY.live_threshold, NOW)
    with opened_core(house.core.settings, house.core.engine) as again:
        assert again.people.roster.waiting() == ("biden",)
    events = Events(house.database).page().events
    assert [(event.username, event.source) for event in events] == [("obama", "migration")]


def test_nobody_comes_over_who_was_not_granted(house: Household) -> None:
    for told in house.visit(["obama2.jpg"] * 8, liveness=0.01):
        assert come_over(house.people, house.audit, told, POLICY.live_threshold, NOW) == 0
    assert house.people.roster.waiting() == ("biden", "obama")


def test_a_match_without_a_safe_margin_teaches_the_door_nothing(house: Household) -> None:
    (told,) = house.visit(["obama2.jpg"] * 4)
    distance = told.decision.distance
    assert distance is not None
    house.people.roster.apply(Risk(1e-6))  # now it would not even be granted
    limit = house.people.roster.thresholds.migration_distance
    assert limit is not None
    assert limit < distance
    assert come_over(house.people, house.audit, told, POLICY.live_threshold, NOW) == 0
    assert house.people.roster.waiting() == ("biden", "obama")


def test_without_migration_people_of_another_recogniser_are_named(
    door: Settings, engine: VisionEngine
) -> None:
    staying = door.access.model_copy(update={"migrate": False})
    with opened_core(door.model_copy(update={"access": staying}), engine) as core:
        assert core.engine.former is None
        assert core.people.roster.unmatched() == ("biden", "obama")


@given(st.lists(st.sampled_from(["obama2.jpg", "biden.jpg"]), min_size=2, max_size=8))
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_real_faces_swapped_within_a_track_are_granted_as_neither(
    house: Household, names: list[str]
) -> None:
    first = next((number for number, name in enumerate(names) if name != names[0]), len(names))
    granted = [told.decision for told in house.visit(names) if told.decision.success]
    if first < POLICY.votes:
        assert granted == []
    else:
        assert [decision.username for decision in granted] == [names[0][:5]]


def test_a_door_with_sface_does_not_import_another_doors_database(
    house: Household, tmp_path: Path
) -> None:
    (told,) = house.visit(["obama2.jpg"] * 4)
    come_over(house.people, house.audit, told, POLICY.live_threshold, NOW)
    with Database.open(tmp_path / "other.db") as other:
        with pytest.raises(RecognizerMismatch, match="sface"):
            import_database(house.database.path, Users(other), NOW)
        assert Users(other).count() == 0


@pytest.mark.parametrize(
    "row",
    [
        np.full(128, 0.2),  # dlib's lengths are not 1
        np.full(128, np.nan),
        np.zeros(128),
        np.ones(64) / 8,
    ],
)
def test_what_cannot_be_sfaces_is_not_stored_as_such(house: Household, row: np.ndarray) -> None:
    with pytest.raises(DescriptorInvalid):
        house.users.add("eve", [row], NOW, recognizer="sface", source="test")
    assert house.users.count() == 2


def test_a_probe_of_another_recogniser_matches_nobody(house: Household) -> None:
    (stored,) = house.people.probes_of("obama")
    house.people.register("ada", [Probe({"sface": some_unit()})], NOW, source="test")
    found = house.people.roster.match(Probe({"sface": unit(stored.descriptors["dlib"])}))
    assert found is not None
    assert not found.is_near


def some_unit() -> np.ndarray:
    return unit(np.random.default_rng(0).standard_normal(128))


def unit(row: np.ndarray) -> np.ndarray:
    return np.asarray(row / np.linalg.norm(row), np.float32)
