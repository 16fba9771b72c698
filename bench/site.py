"""Measures a site of many doors by the real site code, without cameras, at a real mosquitto.

200 doors of one site: how long until a change is known at all of them, and what it costs each. One
site of 200 doors and 20,000 people: how long until a new door knows all, at a broker with room for
them, and at mosquitto as it is installed, which keeps 1,000 messages for a client and drops the
rest.

200 doors that know 20,000 people each would be four million rows. So the doors that make changes
know PEOPLE_OF_MANY; of the others, the broker has only their last reports.
"""

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import paho.mqtt.client as paho
import structlog

from bench.harness import Measure
from bench.site_processes import DoorsProcess, Plan, split
from ostiary.crypto.identity import Identity, to_text
from ostiary.mqtt.security import door_key
from ostiary.site.doors import DoorReport
from ostiary.site.envelope import digest_of_payload, write
from ostiary.site.members import Membership
from ostiary.site.person import PersonTemplate, SitePerson
from ostiary.site.topics import new_person
from ostiary.site.versions import SiteEntry, Version, digest_of
from testing.broker import Mosquitto
from testing.faces import some_descriptor
from testing.probe import Probe
from testing.site_doors import CameralessDoor, House, LinkedDoor, RealClock, site_settings

DOORS = 200
PEOPLE_OF_MANY = 50
PEOPLE = 20_000
CHANGES = 10
PATIENCE_S = 600.0
Message = tuple[str, bytes]
AS_INSTALLED = "allow_anonymous true\nmax_queued_messages 1000"


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
        names = list(_admitted(house, DOORS))
        broker = stack.enter_context(Mosquitto(folder / "broker"))
        members = house.members.signed(house.authority)
        processes = []
        for part in split(names):
            plan = Plan(folder, broker.port, house.authority.public, members, part)
            processes.append(stack.enter_context(DoorsProcess(plan)))
        door_of = {name: process for process in processes for name in process.names}
        for number in range(PEOPLE_OF_MANY):
            processes[0].enrol(names[0], f"Person {number}", number)
        for process in processes:
            process.connect()
        _wait(lambda: all(process.know(PEOPLE_OF_MANY) for process in processes))
        time.sleep(5)  # everybody has heard the reports it listens to
        taken, busy = 0.0, _cpu_s(processes)
        begun = time.monotonic()
        for number in range(CHANGES):
            at = time.monotonic()
            name = names[number * DOORS // CHANGES]
            digest = door_of[name].enrol(name, f"Late {number}", PEOPLE_OF_MANY + number)
            _wait(partial(_all_have, processes, digest))
            taken = max(taken, time.monotonic() - at)
        cpu, lasted = _cpu_s(processes) - busy, time.monotonic() - begun
        cpu -= _idle_cpu_share(processes) * lasted
        yield Measure("site_change_known_at_200_doors", taken, "s", 5.0)
        yield Measure("site_change_a_door", 1000 * cpu / CHANGES / DOORS, "ms CPU", 10.0)


def _admitted(house: House, doors: int) -> dict[str, Identity]:
    """So many new members of the site, by name; their keys are in its folder."""
    members = {}
    for name in (f"door{number}" for number in range(doors)):
        key = door_key(site_settings(house.folder, name))
        members[name] = Identity.of(key.private)
        house.admit(name, members[name])
    return members


def _all_have(processes: Sequence[DoorsProcess], digest: str) -> bool:
    return all(process.have(digest) for process in processes)


def _cpu_s(processes: Sequence[DoorsProcess]) -> float:
    return sum(process.cpu_s() for process in processes)


def _idle_cpu_share(processes: Sequence[DoorsProcess], seconds: float = 10.0) -> float:
    """What the doors take while nothing happens, processor seconds a second."""
    busy, begun = _cpu_s(processes), time.monotonic()
    time.sleep(seconds)
    return (_cpu_s(processes) - busy) / (time.monotonic() - begun)


def _many_people(folder: Path, name: str, config: str) -> Iterator[Measure]:
    with House(folder, clock=RealClock()) as house:
        others = _admitted(house, DOORS - 2)
        writer, new = house.door("writer"), house.door("new")
        messages, entries = _people(writer)
        reports = list(_reports(house, others, digest_of(entries)))
        with Mosquitto(folder / "broker", config, persistent=False) as broker:
            with Probe(broker.port, prepare=_eager) as publisher:
                members = house.members.signed(house.authority)
                publisher.send(house.topics.keys, members, retain=True)
                for topic, payload in (*messages, *reports):
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


def _people(writer: CameralessDoor) -> tuple[list[Message], dict[str, SiteEntry]]:
    """Everybody as `writer` enrolled them, and what a door then remembers of them."""
    membership = writer.site.membership
    assert membership is not None
    now = datetime.now(UTC)
    messages, entries = [], {}
    for number in range(PEOPLE):
        person = new_person()
        topic = writer.site.topics.person(person)
        version = Version(int(now.timestamp() * 1000) - PEOPLE + number, 0, writer.identity.id)
        descriptor = to_text(some_descriptor(number).astype("<f4").tobytes())
        content = SitePerson(
            name=f"Person {number}",
            enrolled=str(version),
            templates=(PersonTemplate(recognizer="sface", descriptor=descriptor, quality=0.9),),
            changed_by="writer",
            changed_at=now,
        )
        payload = write(membership, topic, version, content.model_dump_json().encode())
        messages.append((topic, payload))
        entries[person] = SiteEntry(version, False, digest_of_payload(payload))
    return messages, entries


def _reports(house: House, doors: dict[str, Identity], digest: bytes) -> Iterator[Message]:
    """What so many doors reported last, all with that roster."""
    signed, now = house.members, house.clock()
    for name, identity in doors.items():
        membership = Membership.of(house.authority.public, signed, identity)
        topic = house.topics.door(identity.id)
        version = Version(int(now.timestamp() * 1000), 0, identity.id)
        report = DoorReport(
            device=name,
            name=name,
            version="0",
            recognizer="sface",
            digest=digest.hex(),
            newest="",
            people=PEOPLE,
            pending=0,
            keys=1,
            queue=0,
            at=now,
        )
        yield topic, write(membership, topic, version, report.model_dump_json().encode())


def _eager(client: paho.Client) -> None:
    client.max_inflight_messages_set(500)


def _kept(broker: Mosquitto) -> int:
    """How many messages the broker keeps, as it says itself."""
    topic = "$SYS/broker/retained messages/count"
    with Probe(broker.port, topic) as asking:
        return int(asking.wait(topic, timeout_s=30)[0].payload)


def _wait(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)
