"""Many doors, one roster, by the real site code without cameras, at a real mosquitto.

200 doors of one site: how long until a change is known at all of them, and what it costs each. One
site of 20,000 people: how long until a new door knows all, at a broker with room for them, and at
mosquitto as it is installed, which keeps 1,000 messages for a client and drops the rest.

200 doors that know 20,000 people each would be four million rows: they know PEOPLE_OF_MANY here.
"""

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import paho.mqtt.client as paho
import structlog

from bench.harness import Measure
from ostiary.site.clock import Version
from ostiary.site.envelope import write
from ostiary.site.identity import to_text
from ostiary.site.members import Role, admitted
from ostiary.site.person import Person, PersonTemplate
from ostiary.site.topics import new_person
from tests.faces import some_descriptor
from tests.integration.broker import Mosquitto
from tests.integration.probe import Probe
from tests.site_doors import CameralessDoor, Clock, House, LinkedDoor, new_identity

DOORS = 200
PEOPLE_OF_MANY = 50
PEOPLE = 20_000
CHANGES = 10
PATIENCE_S = 600.0
AS_INSTALLED = "allow_anonymous true\nmax_queued_messages 1000"


class RealClock(Clock):
    def __call__(self) -> datetime:
        return datetime.now(UTC)


def run() -> Iterator[Measure]:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    try:
        with tempfile.TemporaryDirectory() as folder:
            yield from _many_doors(Path(folder))
        for name, config in (("", "allow_anonymous true"), ("_small_queue", AS_INSTALLED)):
            with tempfile.TemporaryDirectory() as folder:
                yield from _many_people(Path(folder), name, config)
    finally:
        structlog.reset_defaults()


def _many_doors(folder: Path) -> Iterator[Measure]:
    with House(folder, clock=RealClock()) as house, ExitStack() as stack:
        identities = [new_identity() for _ in range(DOORS)]
        for number, each in enumerate(identities):
            house.members = admitted(
                house.members,
                house.authority,
                f"door{number}",
                Role.ENROLLER,
                each.public,
                each.box,
                house.clock(),
            )
        for number, each in enumerate(identities):
            door = CameralessDoor(folder, f"door{number}", each, house.clock)
            house.doors.append(door.join(house.authority, house.members))
        first = house.doors[0]
        for number in range(PEOPLE_OF_MANY):
            first.enrol(f"Person {number}", number)
        broker = stack.enter_context(Mosquitto(folder / "broker"))
        for door in house.doors:
            stack.enter_context(LinkedDoor(door, broker.port))
        _wait(lambda: all(door.site.living == PEOPLE_OF_MANY for door in house.doors))
        time.sleep(5)  # everybody has heard everybody's report
        taken, busy = 0.0, time.process_time()
        begun = time.monotonic()
        for number in range(CHANGES):
            at = time.monotonic()
            changing = house.doors[number % DOORS]
            changing.enrol(f"Late {number}", PEOPLE_OF_MANY + number)
            digest = changing.site.digest
            _wait(partial(_all_have, house, digest))
            taken = max(taken, time.monotonic() - at)
        idle = _idle_cpu_share()
        cpu = time.process_time() - busy - idle * (time.monotonic() - begun)
        yield Measure("site_change_known_at_200_doors", taken, "s", 5.0)
        yield Measure("site_change_a_door", 1000 * cpu / CHANGES / DOORS, "ms CPU", 10.0)


def _all_have(house: House, digest: str) -> bool:
    return all(each.site.digest == digest for each in house.doors)


def _idle_cpu_share(seconds: float = 5.0) -> float:
    """What the doors take while nothing happens, processor seconds a second."""
    busy, begun = time.process_time(), time.monotonic()
    time.sleep(seconds)
    return (time.process_time() - busy) / (time.monotonic() - begun)


def _many_people(folder: Path, name: str, config: str) -> Iterator[Measure]:
    with House(folder, clock=RealClock()) as house:
        writer, new = house.door("writer"), house.door("new")
        messages = list(_people(writer))
        with Mosquitto(folder / "broker", config, persistent=False) as broker:
            with Probe(broker.port, prepare=_eager) as publisher:
                members = house.members.signed(house.authority)
                publisher.send(house.topics.keys, members, retain=True)
                for topic, payload in messages:
                    publisher.send(topic, payload, retain=True)
                _wait(lambda: not publisher.client.want_write() and _kept(broker) >= PEOPLE)
            begun, busy = time.monotonic(), time.process_time()
            with LinkedDoor(new, broker.port) as link:
                _wait(lambda: new.site.living == PEOPLE)
                taken, cpu = time.monotonic() - begun, time.process_time() - busy
                _wait(lambda: link.link.is_synced)
        yield Measure(f"site_new_door_20000_people{name}", taken, "s", 60.0)
        if not name:
            database = (folder / "new.db").stat().st_size + (folder / "new.db-wal").stat().st_size
            size = sum(len(payload) for _, payload in messages)
            yield Measure("site_person_applied", 1000 * cpu / PEOPLE, "ms CPU", 3.0)
            yield Measure("site_person_message", size / PEOPLE, "bytes", 2000)
            yield Measure("site_person_in_the_database", database / PEOPLE, "bytes", 6000)


def _people(writer: CameralessDoor) -> Iterator[tuple[str, bytes]]:
    membership = writer.site.membership
    assert membership is not None
    now = datetime.now(UTC)
    for number in range(PEOPLE):
        topic = writer.site.topics.person(new_person())
        version = Version(int(now.timestamp() * 1000) - PEOPLE + number, 0, writer.identity.id)
        descriptor = to_text(some_descriptor(number).astype("<f4").tobytes())
        person = Person(
            name=f"Person {number}",
            enrolled=str(version),
            templates=(PersonTemplate(recognizer="sface", descriptor=descriptor, quality=0.9),),
            changed_by="writer",
            changed_at=now,
        )
        yield topic, write(membership, topic, version, person.model_dump_json().encode())


def _eager(client: paho.Client) -> None:
    client.max_inflight_messages_set(500)


def _kept(broker: Mosquitto) -> int:
    """How many messages the broker keeps, by its own word."""
    topic = "$SYS/broker/retained messages/count"
    with Probe(broker.port, topic) as asking:
        return int(asking.wait(topic, timeout_s=30)[0].payload)


def _wait(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)
