"""A broker that lies, a door that was revoked, a database that was copied: none of them changes who
may pass at a door of a site, and each is counted and shown."""

import shutil
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from ostiary.app.building import site_roster
from ostiary.app.core import opened_records, people_of
from ostiary.commands.site import Heard, SiteRoster
from ostiary.errors import StoreLocked
from ostiary.site.envelope import write
from ostiary.site.members import Membership, admitted, read_members, revoked
from ostiary.site.person import Tombstone
from ostiary.site.topics import new_person
from ostiary.site.versions import following
from ostiary.store.site import SiteStore
from testing.broker import Mosquitto
from testing.faces import RATES
from testing.probe import Probe
from testing.site_doors import (
    SITE,
    CameralessDoor,
    House,
    LinkedDoor,
    new_identity,
    site_settings,
)
from testing.waiting import wait_until

STORE_KEY = bytes(range(32))


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with House(tmp_path) as house:
        yield house


@pytest.fixture
def one(house: House) -> CameralessDoor:
    return house.door("one")


@pytest.fixture
def two(house: House, one: CameralessDoor) -> CameralessDoor:
    """It has heard of Ada and Ben."""
    door = house.door("two")
    one.enrol("Ada", 1)
    one.enrol("Ben", 2)
    door.hears(*one.told())
    return door


def kept(door: CameralessDoor, name: str) -> Heard:
    """The message that is on the broker about somebody."""
    person = door.store.person_of(name)
    assert person is not None
    return Heard(door.site.topics.person(person), door.store.envelope(person) or b"")


def nobody_changed(door: CameralessDoor, *refused: str) -> None:
    assert (door.names(), door.knows(1), door.knows(2)) == (["Ada", "Ben"], "Ada", "Ben")
    assert set(refused) <= set(door.site.refused)


def test_a_deleted_person_is_not_brought_back_by_what_was_once_true(
    one: CameralessDoor, two: CameralessDoor
) -> None:
    before = kept(one, "Ada")
    one.people.delete("Ada", one.clock(), source="cli")
    two.hears(*one.told())
    assert two.hears(before) == (before.topic,)
    assert two.hears(before, before) == (before.topic, before.topic)
    assert two.knows(1) is None
    assert two.site.refused == {"site_outdated": 3}


def test_an_older_name_and_older_templates_do_not_come_back(
    one: CameralessDoor, two: CameralessDoor
) -> None:
    before = kept(one, "Ada")
    one.people.rename("Ada", "Ada Lovelace", one.clock(), source="cli")
    two.hears(*one.told())
    two.hears(before)
    assert two.names() == ["Ada Lovelace", "Ben"]


def test_messages_that_were_swapped_are_refused(one: CameralessDoor, two: CameralessDoor) -> None:
    ada, ben = kept(one, "Ada"), kept(one, "Ben")
    two.hears(Heard(ada.topic, ben.payload), Heard(ben.topic, ada.payload))
    nobody = Heard(two.site.topics.person(new_person()), ada.payload)
    two.hears(nobody)
    nobody_changed(two, "site_moved")
    assert two.site.refused["site_moved"] == 3


def test_altered_messages_are_refused(one: CameralessDoor, two: CameralessDoor) -> None:
    ada = kept(one, "Ada")
    fresh = Heard(two.site.topics.person(new_person()), b"")
    chance = np.random.default_rng(1)
    for _ in range(300):
        payload = bytearray(ada.payload)
        payload[chance.integers(len(payload))] ^= int(chance.integers(1, 256))
        two.hears(Heard(ada.topic, bytes(payload)))
    two.hears(Heard(ada.topic, ada.payload[:-1]), Heard(fresh.topic, b"{}"), fresh)
    two.hears(Heard(ada.topic, b"\xff" * 100_000), Heard(ada.topic, b"[" * 50_000))
    nobody_changed(two, "site_malformed", "site_oversized")
    assert two.site.refused["site_signature_wrong"] > 100


def test_what_nobody_of_the_site_wrote_is_refused(
    house: House, one: CameralessDoor, two: CameralessDoor
) -> None:
    """With the broker's rights and a key of one's own, or even a site of one's own."""
    mallory, false_holder = new_identity(), new_identity()
    false = admitted(
        house.members.model_copy(update={"version": 99}),
        house.authority,
        "mallory",
        house.members.members[0].role,
        mallory.public,
        mallory.box,
        house.clock(),
    )
    membership = Membership.of(house.authority.public, false, mallory)
    ada = kept(one, "Ada")
    gone = Tombstone(changed_by="mallory", changed_at=house.clock()).model_dump_json().encode()
    version = following(two.site.newest, 0, mallory.id)
    two.hears(Heard(house.topics.keys, false.signed(false_holder)))
    two.hears(Heard(house.topics.keys, false.signed(mallory)))
    two.hears(Heard(ada.topic, write(membership, ada.topic, version, gone)))
    pretended = following(two.site.newest, 0, one.identity.id)  # as if door one had written it
    two.hears(Heard(ada.topic, write(membership, ada.topic, pretended, gone)))
    nobody_changed(two, "site_signature_wrong", "site_signer_unknown")
    assert two.site.refused["site_signature_wrong"] == 3


def test_an_older_list_of_members_brings_no_revoked_door_back(
    house: House, one: CameralessDoor, two: CameralessDoor
) -> None:
    before = house.members.signed(house.authority)
    house.members = revoked(house.members, house.authority, "one", house.clock())
    house.tell_members()
    two.hears(Heard(house.topics.keys, before))
    assert two.site.refused == {"site_outdated": 1}
    one.site.reread()
    ada = kept(two, "Ada")
    stolen = Membership.of(
        house.authority.public, read_members(before, house.authority.public, SITE), one.identity
    )
    gone = Tombstone(changed_by="one", changed_at=house.clock()).model_dump_json().encode()
    version = following(two.site.newest, 0, one.identity.id)
    two.hears(Heard(ada.topic, write(stolen, ada.topic, version, gone)))
    backdated = following(None, 1_700_000_000_000, one.identity.id)
    fresh = two.site.topics.person(new_person())
    two.hears(Heard(fresh, write(stolen, fresh, backdated, ada.payload)))
    nobody_changed(two, "site_signer_revoked")
    assert two.site.refused["site_signer_revoked"] == 2


def test_a_revoked_door_reads_nothing_new(
    house: House, one: CameralessDoor, two: CameralessDoor
) -> None:
    house.members = revoked(house.members, house.authority, "one", house.clock())
    house.tell_members()
    two.enrol("Cleo", 3)
    one.hears(*two.told())
    assert one.knows(3) is None
    assert "site_key_unknown" in one.site.refused


def test_who_withholds_is_seen_by_the_other_doors(
    house: House, one: CameralessDoor, two: CameralessDoor
) -> None:
    """The broker lets door two hear nothing more, and shows the others what it last said."""
    report = two.site.write_report(LinkedDoor(two, 1).report())
    assert report is not None
    one.hears(Heard(house.topics.door(two.identity.id), report))
    assert one.site.unconfirmed(timedelta(hours=1)) == ()
    one.people.delete("Ada", one.clock(), source="cli")
    house.clock.now += timedelta(hours=2)
    assert one.site.unconfirmed(timedelta(hours=1)) == ("two",)
    assert two.site.unconfirmed(timedelta(hours=1)) == ("one",)
    nobody_changed(two)


def test_reports_are_neither_replayed_nor_forged(
    house: House, one: CameralessDoor, two: CameralessDoor
) -> None:
    link = LinkedDoor(two, 1)
    topic = house.topics.door(two.identity.id)
    old = two.site.write_report(link.report())
    two.enrol("Cleo", 3)
    new = two.site.write_report(link.report())
    assert old is not None
    assert new is not None
    one.hears(Heard(topic, new), Heard(topic, old))
    assert one.site.refused == {"site_outdated": 1}
    one.hears(Heard(house.topics.door(one.identity.id), new))
    assert one.site.doors.said[two.identity.id].report.people == 3
    assert one.site.refused["site_moved"] == 1


def test_a_copied_database_without_the_key_tells_nothing_and_signs_nothing(
    house: House, one: CameralessDoor, tmp_path: Path
) -> None:
    sealed = house.door("sealed", store_key=STORE_KEY)
    one.enrol("Ada Lovelace", 1)
    sealed.hears(*one.told())
    digest = sealed.site.digest
    sealed.close()
    house.doors.pop()
    copied = tmp_path / "copied"
    copied.mkdir()
    for file in tmp_path.glob("sealed.db*"):
        shutil.copy(file, copied)
    everything = b"".join(file.read_bytes() for file in copied.iterdir())
    assert b"Lovelace" not in everything
    with opened_records(site_settings(copied, "sealed", bytes(32))) as records:
        assert records.database.is_locked
        people = people_of(records, {"sface": RATES})
        with pytest.raises(StoreLocked):
            people.check_open()
        assert site_roster(records, people) is None  # and if there were one after all:
        site = SiteRoster(SiteStore(records.database), people, new_identity(), SITE, house.clock)
        membership = site.membership
        assert membership is not None
        assert membership.role is None
        assert dict(membership.seals) == {}
        assert site.digest == digest  # of versions and digests, which name nobody
        assert site.write_report(LinkedDoor(one, 1).report()) is None


def test_a_vandal_at_the_broker_is_counted_shown_and_mended(house: House, tmp_path: Path) -> None:
    """Somebody with the broker's rights empties topics, and puts old and made-up messages there."""
    house.clock.now = datetime.now(UTC)
    one, two = house.door("one"), house.door("two")
    one.enrol("Ada", 1)
    one.enrol("Ben", 2)
    with (
        Mosquitto(tmp_path / "broker") as broker,
        LinkedDoor(one, broker.port) as first,
        LinkedDoor(two, broker.port) as second,
    ):
        wait_until(lambda: two.names() == ["Ada", "Ben"], "both people at the second door")
        ada, ben = kept(one, "Ada"), kept(one, "Ben")
        members = house.members.signed(house.authority)
        invented = house.topics.person(new_person())
        with Probe(broker.port, house.topics.everything) as vandal:
            vandal.send(ada.topic, b"", retain=True)
            vandal.send(ben.topic, ada.payload, retain=True)
            vandal.send(house.topics.keys, b"mine now", retain=True)
            vandal.send(invented, b"{}", retain=True)
            vandal.wait(invented)
        seen = {"site_cleared", "site_moved", "site_malformed"}
        wait_until(lambda: seen <= set(two.site.refused), "each refusal to be counted")
        state = second.link.state()
        assert seen <= set(state.refused)
        assert "site_messages_refused" in second.link.problems(state)
        nobody_changed(two, "site_cleared", "site_moved")
        wait_until(
            lambda: (
                still(broker.port, house)
                == {ada.topic: ada.payload, ben.topic: ben.payload, house.topics.keys: members}
            ),
            "the doors to put their own back",
        )
        assert first.link.is_synced
    assert one.site.digest == two.site.digest


def still(port: int, house: House) -> dict[str, bytes]:
    """What the broker keeps of people and members, without what cannot be anybody's."""
    with Probe(port, house.topics.people, house.topics.keys) as probe:
        time.sleep(0.3)
        return {heard.topic: heard.payload for heard in probe.heard if len(heard.payload) > 8}
