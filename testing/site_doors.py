"""Doors of a site without cameras and without models: the real store, people and site code."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ostiary.commands.site import Heard, SiteRoster
from ostiary.crypto.identity import Identity
from ostiary.decision.probe import Probe
from ostiary.decision.risk import Risk
from ostiary.decision.roster import Roster
from ostiary.mqtt.site_link import SiteLink
from ostiary.people.people import People
from ostiary.settings import Settings
from ostiary.site.doors import DoorReport
from ostiary.site.members import MemberRole, Members, admitted, first_members
from ostiary.site.topics import SiteTopics
from ostiary.store.database import Database
from ostiary.store.events import Events
from ostiary.store.site import JoinedSite, SiteStore
from ostiary.store.users import Users
from testing.faces import RATES, some_descriptor

SITE = "campus"
BEGIN = datetime(2026, 3, 1, 12, tzinfo=UTC)


def new_identity() -> Identity:
    return Identity.of(Ed25519PrivateKey.generate())


def look(seed: int) -> Probe:
    """A made-up face's descriptor."""
    return Probe({"sface": some_descriptor(seed)})


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
    """One door. What it has to tell is in `told()`; `hears` gives it messages."""

    def __init__(
        self,
        folder: Path,
        name: str,
        identity: Identity,
        clock: Callable[[], datetime],
        store_key: bytes | None = None,
    ) -> None:
        self.name = name
        self.identity = identity
        self.clock = clock
        self.database = Database.open(folder / f"{name}.db", store_key)
        self.store = SiteStore(self.database)
        users = Users(self.database)
        known: dict[str, list[tuple[str, object]]] = {}
        for username, recognizer, descriptor in users.templates():
            known.setdefault(username, []).append((recognizer, descriptor))
        roster = Roster("sface", {"sface": RATES}, Risk(0.001), known.items())  # type: ignore[arg-type]
        self.people = People(users, Events(self.database), roster)
        self.site = SiteRoster(self.store, self.people, identity, SITE, clock)

    def join(self, authority: Identity, members: Members) -> Self:
        return self.join_by(authority.public, members.signed(authority))

    def join_by(self, authority: bytes, members: bytes) -> Self:
        """By the key-holder's public key and the list that it signed."""
        self.store.join(JoinedSite(SITE, authority, members), self.clock())
        self.site.reread()
        return self

    def enrol(self, name: str, seed: int, **given: str) -> None:
        self.people.register(name, [look(seed)], self.clock(), source="cli", **given)  # type: ignore[arg-type]

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
        found = self.people.roster.match(look(seed))
        return found.username if found is not None and found.is_near else None

    def close(self) -> None:
        self.database.close()


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
        identity = new_identity()
        self.members = admitted(
            self.members, self.authority, name, role, identity.public, identity.box, self.clock()
        )
        door = CameralessDoor(self.folder, name, identity, self.clock, store_key)
        door.join(self.authority, self.members)
        self.tell_members()
        self.doors.append(door)
        return door

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
        settings = Settings.model_validate(
            {
                "device": {"id": door.name},
                "mqtt": {"port": port, "reconnect_at_most_s": 0.5},
                "site": {"id": SITE, **site},
            }
        )
        self.link = SiteLink(settings, door.site, lambda _link: self.report(), clock=door.clock)

    def report(self) -> DoorReport:
        site = self.door.site
        return DoorReport(
            device=self.door.name,
            name=self.door.name,
            version="0",
            recognizer="sface",
            digest=site.digest,
            newest="" if site.newest is None else str(site.newest),
            people=site.living,
            pending=self.door.store.count_waiting(),
            keys=1,
            queue=0,
            at=self.door.clock(),
        )

    def __enter__(self) -> Self:
        self.link.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.link.stop()
