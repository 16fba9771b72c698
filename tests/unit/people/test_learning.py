"""The second template from visits: only by a safe margin, only once, and it can be undone."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from ostiary.decision.camera_memory import Announcement
from ostiary.decision.probe import Candidate, Probe
from ostiary.decision.vote import Observation
from ostiary.messages.decision import Decision
from ostiary.messages.events import UserEvent
from ostiary.messages.words import Reason
from ostiary.people.learning import Learning
from ostiary.site.members import MemberRole
from ostiary.store.audit import Audit
from ostiary.vision.arrays import Descriptor
from testing.faces import some_descriptor
from testing.site_doors import BEGIN, CameralessDoor, House
from tests.unit.decision.test_roster import beside

LIVE_FROM = 0.8
ADA = some_descriptor(1)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with House(tmp_path) as house:
        yield house


@pytest.fixture
def door(house: House) -> CameralessDoor:
    door = house.door("one")
    door.enrol("Ada", 1)
    door.enrol("Ben", 2)
    return door


@pytest.fixture
def learning(door: CameralessDoor) -> Learning:
    return Learning(door.people, Audit(door.database))


def seen(door: CameralessDoor, row: Descriptor, **changed: object) -> Announcement:
    """Three live frames of a face that moved, and what the door makes of them."""
    probe = Probe({"sface": row})
    found = door.people.roster.match(probe)
    assert found is not None
    decision = Decision(
        Reason.GRANTED if found.is_near else Reason.UNKNOWN_FACE,
        found.username if found.is_near else None,
        found.distance,
        0.95,
        found.threshold,
        found.recognizer,
    )
    told = Announcement(decision, (Observation(0.95, found, probe),) * 3, moved=True)
    return replace(told, **changed)  # type: ignore[arg-type]


def visit(
    door: CameralessDoor, learning: Learning, row: Descriptor, hours: float, **changed: object
) -> bool:
    told = seen(door, row, **changed)
    return learning.visited(told, LIVE_FROM, BEGIN + timedelta(hours=hours))


def ada(apart: float = 0.6, seed: int = 5) -> Descriptor:
    return beside(ADA, apart, seed)


def count(door: CameralessDoor) -> int:
    return door.people.get("Ada").templates


def test_two_safe_visits_give_the_second_template_and_then_it_ends(
    door: CameralessDoor, learning: Learning
) -> None:
    assert not visit(door, learning, ada(), 0)
    assert visit(door, learning, ada(0.5), 24)
    assert count(door) == 2
    assert not door.people.roster.has_one_template("Ada")
    (row,) = Audit(door.database).newest(1)
    assert (row.actor, row.action, row.subject) == ("door", "template_learned", "Ada")
    newest = door.people._events.page(limit=1).events[0]
    assert isinstance(newest, UserEvent)
    assert (newest.action, newest.username, newest.source) == ("updated", "Ada", "visit")
    assert not visit(door, learning, ada(0.5, 9), 48)
    assert not visit(door, learning, ada(0.6, 9), 96)
    assert count(door) == 2


def test_somebody_who_stays_for_an_hour_made_one_visit(
    door: CameralessDoor, learning: Learning
) -> None:
    for minutes in (0, 10, 30, 59):
        assert not visit(door, learning, ada(), minutes / 60)
    assert visit(door, learning, ada(), 1.01)


@pytest.mark.parametrize(
    "changed",
    [
        {"moved": False},
        {"duress": True},
        {"observations": ()},
        {"decision": Decision(Reason.UNCERTAIN, "Ada", 0.6, 0.95, 1.0, "sface")},
        {"decision": Decision(Reason.GRANTED, "Ada", 0.6, 0.95, 1.0, "dlib")},
        {"decision": Decision(Reason.GRANTED, "Ada")},
    ],
)
def test_a_visit_that_is_not_safe_teaches_nothing(
    door: CameralessDoor, learning: Learning, changed: dict[str, object]
) -> None:
    for day in range(4):
        assert not visit(door, learning, ada(), 24 * day, **changed)
    assert count(door) == 1


def test_every_frame_has_to_be_live_and_of_that_person(
    door: CameralessDoor, learning: Learning
) -> None:
    good = seen(door, ada()).observations[0]
    assert good.nearest is not None
    other = replace(good.nearest, username="Ben")
    for bad in (
        replace(good, liveness=0.7),
        replace(good, nearest=other),
        replace(good, probe=None),
    ):
        for day in range(4):
            assert not visit(door, learning, ada(), 24 * day, observations=(good, good, bad, good))
    assert count(door) == 1


def test_a_challenge_that_was_passed_stands_for_movement(
    door: CameralessDoor, learning: Learning
) -> None:
    assert not visit(door, learning, ada(), 0, moved=False, challenged=True)
    assert visit(door, learning, ada(), 24, moved=False, challenged=True)


def test_a_look_alike_within_the_threshold_is_no_safe_margin(
    door: CameralessDoor, learning: Learning
) -> None:
    now = door.people.roster.thresholds
    assert now.learning_distance < now.used.distance
    alike = ada((now.learning_distance + now.used.distance) / 2)
    assert seen(door, alike).decision.success
    for day in range(5):
        assert not visit(door, learning, alike, 24 * day)
    assert count(door) == 1


def test_an_impostor_who_is_granted_once_by_a_safe_margin_does_not_become_a_template(
    door: CameralessDoor, learning: Learning
) -> None:
    impostor = ada(0.8, seed=70)
    assert not visit(door, learning, impostor, 0)
    assert visit(door, learning, ada(0.4, seed=71), 24)
    kept = door.people.templates_of("Ada")[-1].descriptor
    assert np.linalg.norm(kept - impostor) > 0.5
    assert np.linalg.norm(kept - ada(0.4, seed=71)) < 1e-3


def test_two_visits_of_two_people_teach_nothing(door: CameralessDoor, learning: Learning) -> None:
    row = ada(0.8, seed=70)
    away = 2 * float(row @ ADA) * ADA - row  # on the other side of Ada: far from the first
    assert not visit(door, learning, row, 0)
    far = float(np.linalg.norm(away - row))
    assert far > door.people.roster.one_person_distance
    assert not visit(door, learning, away.astype(np.float32), 24)
    assert count(door) == 1


def test_a_look_that_is_like_the_first_picture_adds_nothing(
    door: CameralessDoor, learning: Learning
) -> None:
    for day in range(4):
        assert not visit(door, learning, ada(0.1), 24 * day)


def test_a_template_that_was_rolled_back_is_gone_from_gallery_store_and_site_and_stays_away(
    house: House, door: CameralessDoor, learning: Learning
) -> None:
    other = house.door("two")
    other.hears(*door.told())
    visit(door, learning, ada(), 0)
    visit(door, learning, ada(0.7), 24)
    other.hears(*door.told())
    assert [count(each) for each in (door, other)] == [2, 2]
    learned = next(
        each for each in door.people._users.templates_of("Ada") if each.source == "visit"
    )
    door.people.remove_template("Ada", learned.id, BEGIN, source="http")
    other.hears(*door.told())
    for each in (door, other):
        assert count(each) == 1
        assert len(each.people.templates_of("Ada")) == 1
        found = each.people.roster.match(Probe({"sface": ada(0.7)}))
        assert isinstance(found, Candidate)
        assert found.distance == pytest.approx(0.7, abs=1e-3)  # to the first picture again
    for day in range(3, 6):
        assert not visit(door, learning, ada(), 24 * day)
        assert not visit(other, Learning(other.people, Audit(other.database)), ada(), 24 * day)
    assert not other.people.lacks_second("Ada")


def test_a_door_that_may_not_enrol_for_the_site_teaches_nothing_of_its_people(
    house: House, door: CameralessDoor
) -> None:
    plain = house.door("two", role=MemberRole.DOOR)
    plain.hears(*door.told())
    learning = Learning(plain.people, Audit(plain.database))
    for day in range(4):
        assert not visit(plain, learning, ada(), 24 * day)
