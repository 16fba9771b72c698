"""A member of a site that has turned, with its key and the broker's rights: it turns nobody's
clock, takes nobody's name, and what it did is undone when it is revoked, whatever time it says."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ostiary.cli.door import new_client_id
from ostiary.cli.site_authority import SiteAuthority
from ostiary.cli.site_connection import WINDOW, SiteConnection, look, table_of
from ostiary.commands.site import Heard
from ostiary.mqtt.broker import Login
from ostiary.site.doors import DoorReport
from ostiary.site.envelope import write
from ostiary.site.members import MemberRole, Membership
from ostiary.site.person import PersonTemplate, SitePerson, Tombstone
from ostiary.site.topics import new_person
from ostiary.site.versions import Version, following
from ostiary.store.site import SiteStore
from testing.broker import Mosquitto
from testing.site_doors import (
    BEGIN,
    CameralessDoor,
    House,
    LinkedDoor,
    RealClock,
)
from testing.waiting import wait_until

DAY_MS = 24 * 3600 * 1000


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with House(tmp_path) as house:
        yield house


def millis(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def membership(door: CameralessDoor) -> Membership:
    found = door.site.membership
    assert found is not None
    return found


def written(
    door: CameralessDoor, topic: str, version: Version, content: SitePerson | Tombstone
) -> Heard:
    """What the door's key makes of it, without the door's code."""
    return Heard(topic, write(membership(door), topic, version, content.model_dump_json().encode()))


def report_at(door: CameralessDoor, at: Version, /, **changed: object) -> Heard:
    report = DoorReport(
        device="x", name="x", version="0", recognizer="sface", digest="0" * 64, newest="",
        people=0, pending=0, keys=1, queue=0, at=door.clock(),
    ).model_copy(update=changed)  # fmt: skip
    topic = door.site.topics.door(door.identity.id)
    return Heard(topic, write(membership(door), topic, at, report.model_dump_json().encode()))


def a_person(door: CameralessDoor, name: str, enrolled: str) -> SitePerson:
    """With somebody else's face."""
    door.enrol("Template", 77, scope="door")
    template = door.site._local_people.templates_of("Template")
    door.people.delete("Template", door.clock(), source="cli")
    return SitePerson(
        name=name,
        enrolled=enrolled,
        templates=tuple(PersonTemplate.model_validate(each.model_dump()) for each in template),
        changed_by=door.name,
        changed_at=door.clock(),
    )


# --- the clock ------------------------------------------------------------------------------------


def test_the_lowest_door_does_not_turn_the_sites_clock(house: House) -> None:
    """A day a report, 400 times: each within a day of what was heard before."""
    one, two, low = house.door("one"), house.door("two"), house.door("low", MemberRole.DOOR)
    for day in range(400):
        version = Version(millis(BEGIN) + day * DAY_MS, 0, low.identity.id)
        one.hears(report_at(low, version))
    one.enrol("Ada", 1)
    told = one.told()
    two.hears(*told)
    assert two.names() == ["Ada"]
    assert two.site.refused == {}
    assert one.site.refused["site_clock_ahead"] > 390


def test_nor_does_an_enroller_who_dates_people_ahead(house: House) -> None:
    one, two, rogue = house.door("one"), house.door("two"), house.door("rogue")
    for day in range(400):
        topic = one.site.topics.person(new_person())
        version = Version(millis(BEGIN) + day * DAY_MS, 0xFFFF, rogue.identity.id)
        one.hears(written(rogue, topic, version, Tombstone(changed_by="x", changed_at=BEGIN)))
    one.enrol("Ada", 1)
    assert one.site.newest is not None
    assert one.site.newest.millis <= millis(BEGIN) + 2 * DAY_MS
    two.hears(*one.told())
    assert two.names() == ["Ada"]


def test_at_the_last_number_that_can_be_written_everything_goes_on(house: House) -> None:
    one, low, rogue = house.door("one"), house.door("low", MemberRole.DOOR), house.door("rogue")
    last = Version(0xFFFF_FFFF_FFFF, 0xFFFF, low.identity.id)
    one.hears(report_at(low, last))
    topic = one.site.topics.person(new_person())
    gone = Tombstone(changed_by="x", changed_at=BEGIN)
    one.hears(written(rogue, topic, Version(last.millis, last.count, rogue.identity.id), gone))
    one.enrol("Ada", 1)
    assert one.site.write_report(LinkedDoor(one, 1).report()) is not None
    assert Version.parse(str(following(last, 0, one.identity.id))) == Version(
        last.millis, last.count, one.identity.id
    )


def test_somebody_who_was_dated_ahead_can_still_be_changed(house: House) -> None:
    one, two, rogue = house.door("one"), house.door("two"), house.door("rogue")
    one.enrol("Ada", 1)
    two.hears(*one.told())
    person = one.store.person_of("Ada")
    assert person is not None
    topic = one.site.topics.person(person)
    ahead = Version(millis(BEGIN) + DAY_MS - 1000, 0xFFFF, rogue.identity.id)
    content = one.site._read_stored(person)
    for door in (one, two):
        door.hears(written(rogue, topic, ahead, content))
    one.people.rename("Ada", "Ada Lovelace", one.clock(), source="cli")
    one.people.rename("Ada Lovelace", "Countess", one.clock(), source="cli")
    two.hears(*one.told())
    assert two.names() == ["Countess"]
    one.enrol("Ben", 2)  # and nobody else's version is ahead for it
    ben = one.site.entry(one.store.person_of("Ben") or "")
    assert ben is not None
    assert ben.version.millis < millis(BEGIN) + DAY_MS / 2


class _Failing(LinkedDoor):
    """Its report fails once, as anything in the worker might."""

    failed = 0

    def report(self) -> DoorReport:
        if not self.failed:
            self.failed += 1
            raise ValueError("whatever it is")
        return super().report()


def test_whatever_fails_in_the_link_it_goes_on(house: House, tmp_path: Path) -> None:
    house.clock = RealClock()
    one, two = house.door("one"), house.door("two")
    with (
        Mosquitto(tmp_path / "broker") as broker,
        _Failing(one, broker.port) as failing,
        LinkedDoor(two, broker.port),
    ):
        wait_until(lambda: failing.failed > 0, "the failure")
        two.enrol("Ada", 1)
        wait_until(lambda: one.names() == ["Ada"], "the first door to hear of Ada")
        assert failing.link._thread.is_alive()


# --- names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("enrolled", ["", "0", "x" * 34, "later"])
def test_nobody_is_enrolled_at_no_time_or_after_they_were_changed(
    house: House, enrolled: str
) -> None:
    one, rogue = house.door("one"), house.door("rogue")
    one.enrol("Ada", 1)
    version = Version(millis(one.clock()), 0, rogue.identity.id)
    if enrolled == "later":
        enrolled = str(Version(version.millis + 1, 0, rogue.identity.id))
    content = a_person(rogue, "Ada", enrolled)
    one.hears(written(rogue, one.site.topics.person(new_person()), version, content))
    assert one.names() == ["Ada"]
    assert one.knows(1) == "Ada"
    assert one.knows(77) is None
    assert one.site.refused == {"site_malformed": 1}


def test_who_is_said_to_be_older_than_somebody_here_does_not_get_their_name(house: House) -> None:
    one, rogue = house.door("one"), house.door("rogue")
    one.enrol("Ada", 1)
    house.clock.now += timedelta(days=2)
    dated_back = Version(millis(BEGIN) - 90 * DAY_MS, 0, rogue.identity.id)
    content = a_person(rogue, "Ada", str(dated_back))
    one.hears(written(rogue, one.site.topics.person(new_person()), dated_back, content))
    assert one.knows(1) == "Ada"
    assert one.knows(77) != "Ada"


def test_nobody_is_made_older_afterwards(house: House) -> None:
    one, rogue = house.door("one"), house.door("rogue")
    one.enrol("Ada", 1)
    version = Version(millis(one.clock()), 0, rogue.identity.id)
    topic = one.site.topics.person(new_person())
    mallory = a_person(rogue, "Mallory", str(version))
    one.hears(written(rogue, topic, version, mallory))
    older = mallory.model_copy(
        update={"name": "Ada", "enrolled": str(Version(1, 0, rogue.identity.id))}
    )
    one.hears(written(rogue, topic, following(version, 0, rogue.identity.id), older))
    assert one.knows(1) == "Ada"
    assert one.knows(77) == "Mallory"
    assert one.site.refused == {"site_malformed": 1}


# --- revoked --------------------------------------------------------------------------------------


class Office:
    """The key-holder at a broker, with doors that hear what it keeps."""

    def __init__(self, house: House, broker: Mosquitto, folder: Path) -> None:
        self.house, self.broker = house, broker
        self.path = folder / "site-authority.members"

    @property
    def desk(self) -> SiteConnection:
        """A new connection each time."""
        port = self.broker.port
        login = Login("127.0.0.1", port, new_client_id(), 30, 0, WINDOW, 10**6, clean=True)
        return SiteConnection(login, self.house.topics)

    def publish(self, *messages: Heard) -> None:
        with self.desk as desk:
            desk.publish((each.topic, each.payload) for each in messages)

    def revoke(self, name: str, since: datetime | None, store: SiteStore | None) -> tuple[int, ...]:
        heard = (lambda _: None) if store is None else store.heard_of
        house = self.house
        with self.desk as desk:
            office = SiteAuthority(house.authority, house.members, self.path)
            done = office.revoke(desk, name, since, house.clock(), heard)
            house.members = office.members
        return done.people, done.removed, done.refused

    def heard_by(self, *doors: CameralessDoor) -> None:
        with self.desk as desk:
            kept = desk.people()
        self.house.tell_members()
        for door in doors:
            door.hears(*(Heard(*each) for each in kept.items()))


@pytest.fixture
def office(house: House, tmp_path: Path) -> Iterator[Office]:
    with Mosquitto(tmp_path / "broker") as broker:
        yield Office(house, broker, tmp_path)


@pytest.mark.parametrize("knows", [True, False], ids=["at a door", "on a laptop"])
def test_whatever_time_a_stolen_door_writes_what_it_did_is_undone(
    house: House, office: Office, *, knows: bool
) -> None:
    one, stolen = house.door("one"), house.door("stolen")
    one.enrol("Ada", 1)
    stolen.enrol("Ben", 2)  # as it should
    honest = [*one.told(), *stolen.told()]
    one.hears(*honest)
    stolen.hears(*honest)
    house.clock.now += timedelta(days=5)
    since = house.clock()
    now = millis(since)
    evil = [
        (f"Eve {number}", Version(at, count, stolen.identity.id))
        for number, (at, count) in enumerate(
            (
                (now + 10, 0),
                (now - 90 * DAY_MS, 0),
                (now + DAY_MS - 60_000, 0),
                (now + 20, 0xFFFF),
                (0, 0),
                (0, 0xFFFF),
            )
        )
    ]
    told = [
        written(
            stolen,
            one.site.topics.person(new_person()),
            version,
            a_person(stolen, name, str(version)),
        )
        for name, version in evil
    ]
    # One that no door here believes, but one with another clock may.
    far = Version(0xFFFF_FFFF_FFFF, 0xFFFF, stolen.identity.id)
    topic = one.site.topics.person(new_person())
    told.append(written(stolen, topic, far, a_person(stolen, "Eve far", str(far))))
    one.hears(*told)
    assert len(one.names()) == 2 + len(evil)
    office.publish(*honest, *told)

    _, removed, refused = office.revoke("stolen", since, one.store if knows else None)
    assert (removed, refused) == (len(told) + (not knows), 0)
    office.heard_by(one)
    assert one.names() == (["Ada", "Ben"] if knows else ["Ada"])
    assert one.knows(77) is None


def test_what_was_signed_anew_in_between_is_still_known_to_be_of_that_door(
    house: House, office: Office
) -> None:
    one, stolen = house.door("one"), house.door("stolen")
    one.enrol("Ada", 1)
    since = house.clock()
    version = Version(millis(BEGIN) - DAY_MS, 0, stolen.identity.id)
    eve = a_person(stolen, "Eve", str(version)).model_copy(update={"changed_by": "one"})
    told = [*one.told(), written(stolen, one.site.topics.person(new_person()), version, eve)]
    one.hears(*told)
    office.publish(*told)
    with office.desk as desk:
        holder = SiteAuthority(house.authority, house.members, office.path)
        holder.rotate(desk, house.clock())
        house.members = holder.members
    office.heard_by(one)
    assert one.names() == ["Ada", "Eve"]
    assert office.revoke("stolen", since, one.store) == (1, 1, 0)
    office.heard_by(one)
    assert one.names() == ["Ada"]


def test_a_revocation_that_was_cut_off_is_gone_on_with(house: House, office: Office) -> None:
    one, stolen = house.door("one"), house.door("stolen")
    one.enrol("Ada", 1)
    since = house.clock()
    stolen.enrol("Eve", 2)
    told = [*one.told(), *stolen.told()]
    one.hears(*told)
    office.publish()
    assert office.revoke("stolen", since, one.store) == (0, 0, 0)
    office.publish(*told)  # as if the broker had gone away after the list
    assert office.revoke("stolen", since, one.store) == (1, 1, 0)
    office.heard_by(one)
    assert one.names() == ["Ada"]


def test_whom_a_stolen_door_deleted_comes_back_when_it_is_revoked(
    house: House, office: Office
) -> None:
    one, two, stolen = house.door("one"), house.door("two"), house.door("stolen")
    one.enrol("Ada", 1)
    stolen.enrol("Ben", 2)
    one.enrol("Cleo", 3)
    told = [*one.told(), *stolen.told()]
    for door in (one, two, stolen):
        door.hears(*told)
    stolen.people.delete("Cleo", stolen.clock(), source="cli")  # as it should
    gone = stolen.told()
    house.clock.now += timedelta(hours=1)
    for door in (one, two):
        door.hears(*gone)
    house.clock.now += timedelta(hours=1)
    since = house.clock()
    stolen.enrol("Eve", 4)
    eve = stolen.told()
    one.hears(*eve)
    two.hears(*eve)
    for name in ("Ada", "Ben", "Eve"):
        stolen.people.delete(name, stolen.clock(), source="cli")
    deleted = stolen.told()
    for door in (one, two):
        door.hears(*deleted)
    assert one.names() == two.names() == []
    office.publish(*gone, *deleted)
    office.revoke("stolen", since, one.store)
    office.heard_by(one, two)
    assert one.names() == two.names() == ["Ada", "Ben"]
    assert (one.knows(1), one.knows(2), one.knows(3), one.knows(4)) == ("Ada", "Ben", None, None)
    both = [*one.told(), *two.told()]
    one.hears(*both)
    two.hears(*both)
    assert one.site.digest == two.site.digest
    assert one.names() == two.names() == ["Ada", "Ben"]


def test_after_a_day_nothing_is_kept_of_whom_another_door_deleted(house: House) -> None:
    one, two = house.door("one"), house.door("two")
    one.enrol("Ada", 1)
    two.hears(*one.told())
    one.people.delete("Ada", one.clock(), source="cli")
    two.hears(*one.told())
    assert two.store.deleted_lately(BEGIN)
    two.store.forget_former(two.clock() + timedelta(days=1))
    assert not two.store.deleted_lately(BEGIN)
    assert not one.store.deleted_lately(BEGIN), "and nothing at the door that did it"


# --- what it says of itself -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "said",
    [
        {"version": "\x1b]0;owned\x07"},
        {"problems": ("\x1b[2J",)},
        {"device": "a\x9b31mred"},
        {"name": "\u202eevil"},
        {"problems": ("x" * 1000,)},
        {"problems": ("x",) * 1000},
        {"recognizer": "two\nlines"},
    ],
)
def test_no_report_speaks_to_a_terminal(house: House, said: dict[str, object]) -> None:
    one, low = house.door("one"), house.door("low", MemberRole.DOOR)
    one.hears(report_at(low, Version(millis(one.clock()), 0, low.identity.id), **said))
    assert one.site.refused == {"site_malformed": 1}
    assert one.site.doors.said == {}


def test_what_looks_like_markup_is_shown_as_it_is(house: House, office: Office) -> None:
    from rich.console import Console

    low = house.door("low", MemberRole.DOOR)
    house.clock.now = datetime.now(UTC)
    said = report_at(
        low,
        Version(millis(low.clock()), 0, low.identity.id),
        problems=("[red]no[/red]", "[link=https://evil.example]x[/link]"),
    )
    office.publish(said, Heard(house.topics.keys, house.members.signed(house.authority)))
    with office.desk as desk:
        found = look(desk, membership(low), 60, house.clock())
    with Console(width=300, record=True, file=None) as console:
        console.print(table_of(found))
    shown = console.export_text()
    assert "[red]no[/red]" in shown
    assert "[link=https://evil.example]" in shown
