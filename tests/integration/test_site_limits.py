"""A site at a broker that does not take everything."""

from datetime import UTC, datetime
from pathlib import Path

from testing.broker import Mosquitto
from testing.faces import some_look
from testing.site_doors import House, LinkedDoor
from testing.waiting import wait_until


def problems(linked: LinkedDoor) -> tuple[str, ...]:
    return linked.link.problems(linked.link.state())


def test_a_person_larger_than_the_broker_takes_is_said_and_holds_up_nobody(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        house.clock.now = datetime.now(UTC)
        one, two = house.door("one"), house.door("two")
        # The first to be told; those after it are not to wait.
        one.people.register(
            "Ben", [some_look(seed) for seed in range(2, 7)], one.clock(), source="cli"
        )
        one.enrol("Ada", 1)
        ben = one.store.person_of("Ben")
        assert ben is not None
        limit = len(one.store.envelope(ben) or b"")
        with (
            Mosquitto(
                tmp_path / "broker", f"allow_anonymous true\nmax_packet_size {limit}"
            ) as broker,
            LinkedDoor(one, broker.port) as first,
            LinkedDoor(two, broker.port) as second,
        ):
            wait_until(lambda: two.names() == ["Ada"], "Ada at the second door")
            wait_until(
                lambda: "site_messages_too_large" in problems(first), "the problem at the first"
            )
            assert problems(second) == ()
            two.enrol("Cleo", 8)
            wait_until(lambda: "Cleo" in one.names(), "Cleo at the first door")
            one.people.delete("Ben", one.clock(), source="cli")
            wait_until(lambda: problems(first) == (), "the problem to be over")
            assert "disconnected due to" not in broker.log
        with (
            Mosquitto(tmp_path / "roomy") as broker,
            LinkedDoor(one, broker.port),
            LinkedDoor(two, broker.port),
        ):
            wait_until(lambda: two.names() == one.names(), "both to know the same")


def test_a_broker_that_keeps_nothing_is_said_to_be_none_for_a_site(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        house.clock.now = datetime.now(UTC)
        one = house.door("one")
        with (
            Mosquitto(tmp_path / "b", "allow_anonymous true\nretain_available false") as broker,
            LinkedDoor(one, broker.port) as linked,
        ):
            wait_until(lambda: "site_needs_retain" in problems(linked), "the problem")
