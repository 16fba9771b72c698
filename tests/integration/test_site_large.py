"""More doors than listen to each other, by the real site code at a real mosquitto."""

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ostiary.site.members import LISTENS_TO
from testing.broker import Mosquitto
from testing.site_doors import House, LinkedDoor, RealClock
from testing.waiting import wait_until

DOORS = 20


@pytest.fixture
def links(tmp_path: Path) -> Iterator[list[LinkedDoor]]:
    with House(tmp_path, clock=RealClock()) as house, Mosquitto(tmp_path / "broker") as broker:
        doors = [house.door(f"door{number}") for number in range(DOORS)]
        with ExitStack() as stack:
            yield [stack.enter_context(LinkedDoor(door, broker.port)) for door in doors]


def heard_by(link: LinkedDoor) -> frozenset[str]:
    return frozenset(link.door.site.doors.said)


def listened_to_by(link: LinkedDoor) -> frozenset[str]:
    membership = link.door.site.membership
    assert membership is not None
    return membership.listens_to


@pytest.mark.long
def test_each_door_of_a_large_site_listens_to_a_few_and_all_know_the_same(
    links: list[LinkedDoor],
) -> None:
    wait_until(lambda: all(link.link.is_synced for link in links), "all doors in step")
    links[0].door.enrol("Ada", 1)
    wait_until(lambda: all(link.door.names() == ["Ada"] for link in links), "Ada everywhere")
    wait_until(
        lambda: all(heard_by(link) == listened_to_by(link) for link in links), "every neighbour"
    )
    assert all(len(listened_to_by(link)) == LISTENS_TO for link in links)

    links[7].door.people.delete("Ada", datetime.now(UTC), source="cli")
    wait_until(lambda: all(link.door.names() == [] for link in links), "Ada gone everywhere")


@pytest.mark.long
def test_whoever_looks_at_a_large_site_sees_every_door(links: list[LinkedDoor]) -> None:
    looking = links[3].link
    wait_until(lambda: all(link.link.is_synced for link in links), "all doors in step")
    wait_until(lambda: all(line.confirmed for line in looking.overview()), "each door's word")
    assert [line.name for line in looking.overview()] == sorted(link.door.name for link in links)
