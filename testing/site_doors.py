"""Doors of a site without cameras and without models: the real store, people and site code."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ostiary.app.building import site_roster
from ostiary.app.core import opened_records, people_of
from ostiary.app.health import report_of
from ostiary.commands.site import Heard
from ostiary.crypto.identity import Identity
from ostiary.mqtt.site_link import SiteLink
from ostiary.service.health import Readings, state_of
from ostiary.settings import MqttSettings, Settings, SiteSettings
from ostiary.site.doors import DoorReport
from ostiary.site.members import MemberRole, Members, admitted, first_members
from ostiary.site.topics import SiteTopics
from ostiary.store.site import JoinedSite
from testing.faces import RATES, some_look

SITE = "campus"
BEGIN = datetime(2026, 3, 1, 12, tzinfo=UTC)


def new_identity() -> Identity:
    return Identity.of(Ed25519PrivateKey.generate())


def site_settings(folder: Path, name: str, store_key: bytes | None = None) -> Settings:
    """Settings of a door in `folder`; a store key is written there."""
    store = {"path": folder / f"{name}.db"}
    if store_key is not None:
        store["key_file"] = folder / f"{name}.store-key"
        store["key_file"].write_bytes(store_key)
    return Settings.model_validate(
        {"device": {"id": name, "name": name}, "store": store, "site": {"id": SITE}}
    )


@dataclass
class Clock:
    """Shows what it is set to, and a little more each time."""

    now: datetime = BEGIN

    def __call__(self) -> datetime:
        self.now += timedelta(milliseconds=1)
        return self.now


class RealClock(Clock):
    """Of the machine."""

    def __call__(self) -> datetime:
        return datetime.now(UTC)


class CameralessDoor:
    """One door: of `ostiary.app` what a site needs. What it has to tell is in `told()`; `hears`
    gives it messages."""

    def __init__(
        self,
        folder: Path,
        name: str,
        clock: Callable[[], datetime],
        store_key: bytes | None = None,
    ) -> None:
        """Its database and its keys are in `folder`, by its name."""
        self.name = name
        self.clock = clock
        settings = site_settings(folder, name, store_key)
        with ExitStack() as making:
            records = making.enter_context(opened_records(settings, clock=clock))
            self.people = people_of(records, {"sface": RATES})
            site = site_roster(records, self.people)
            assert site is not None, "its database is sealed with another key"
            self._made = making.pop_all()
        self.settings, self.database, self.events = settings, records.database, records.events
        self.site, self.store, self.identity = site, site.store, site.identity

    def join(self, authority: Identity, members: Members) -> Self:
        return self.join_by(authority.public, members.signed(authority))

    def join_by(self, authority: bytes, members: bytes) -> Self:
        """By the key-holder's public key and the list that it signed."""
        self.store.join(JoinedSite(SITE, authority, members), self.clock())
        self.site.reread()
        return self

    def enrol(self, name: str, seed: int, **given: str) -> None:
        self.people.register(name, [some_look(seed)], self.clock(), source="cli", **given)  # type: ignore[arg-type]

    def told(self) -> list[Heard]:
        """What is to be published, and is taken to be so."""
        waiting = self.store.waiting(1_000_000)
        self.store.published((person, version) for person, version, _ in waiting)
        return [Heard(self.site.topics.person(person), data or b"") for person, _, data in waiting]

    def hears(self, *messages: Heard) -> tuple[str, ...]:
        return self.site.receive(messages)

    def names(self) -> list[str]:
        return [user.username for user in self.people.list()]

    def knows(self, seed: int) -> str | None:
        """Whom the door would take a face for."""
        found = self.people.roster.match(some_look(seed))
        return found.username if found is not None and found.is_near else None

    def close(self) -> None:
        self._made.close()


@dataclass
class House:
    """A site: its key-holder and its doors."""

    folder: Path
    clock: Clock = field(default_factory=Clock)
    authority: Identity = field(default_factory=new_identity)
    doors: list[CameralessDoor] = field(default_factory=list)
    topics: SiteTopics = field(default_factory=lambda: SiteTopics(SITE))

    def __post_init__(self) -> None:
        self.members = first_members(self.authority, "key-holder", SITE, self.clock())

    def door(
        self, name: str, role: MemberRole = MemberRole.ENROLLER, store_key: bytes | None = None
    ) -> CameralessDoor:
        """One more; those that are there hear of it."""
        door = CameralessDoor(self.folder, name, self.clock, store_key)
        self.admit(name, door.identity, role)
        door.join(self.authority, self.members)
        self.tell_members()
        self.doors.append(door)
        return door

    def admit(self, name: str, identity: Identity, role: MemberRole = MemberRole.ENROLLER) -> None:
        """By its keys; nobody hears of it yet."""
        public, box, now = identity.public, identity.box, self.clock()
        self.members = admitted(self.members, self.authority, name, role, public, box, now)

    def tell_members(self) -> None:
        for door in self.doors:
            door.hears(Heard(self.topics.keys, self.members.signed(self.authority)))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for door in self.doors:
            door.close()


class LinkedDoor:
    """A cameraless door at a broker: the real link, until the block ends."""

    def __init__(self, door: CameralessDoor, port: int, **site: object) -> None:
        self.door = door
        mqtt = MqttSettings(port=port, reconnect_at_most_s=0.5)
        at_broker = {"mqtt": mqtt, "site": SiteSettings(id=SITE, **site)}
        settings = door.settings.model_copy(update=at_broker)
        self.link = SiteLink(settings, door.site, lambda _link: self.report(), clock=door.clock)

    def report(self) -> DoorReport:
        door = self.door
        readings = Readings(
            cameras=(),
            users=door.people.count(),
            queue_length=door.events.queue_length(),
            events_dropped=0,
            uptime_s=0.0,
            site=self.link.state(),
        )
        return report_of(door.settings, door.site, state_of(readings, door.clock()))

    def __enter__(self) -> Self:
        self.link.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.link.stop()
