"""Many doors, one roster: however messages come, all doors end equal, and nobody comes back."""

import random
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ostiary.commands.site import Heard
from ostiary.errors import NotAllowed, UserExists, UserUnknown
from ostiary.site.envelope import read_again, write
from ostiary.site.members import MemberRole
from ostiary.site.person import PersonRules, SitePerson, read_person
from ostiary.site.versions import following
from ostiary.store.rules import RuleStore, StoredPerson
from testing.faces import some_look
from testing.site_doors import CameralessDoor, House


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with House(tmp_path) as house:
        yield house


def test_enrolled_at_one_door_known_at_all_and_deleted_at_another_known_at_none(
    house: House,
) -> None:
    one, two, three = (house.door(name) for name in ("one", "two", "three"))
    one.enrol("Ada", 1)
    for message in one.told():
        two.hears(message)
        three.hears(message)
    assert [door.knows(1) for door in house.doors] == ["Ada"] * 3
    assert len({door.site.digest for door in house.doors}) == 1
    three.people.delete("Ada", three.clock(), source="cli")
    for message in three.told():
        one.hears(message)
        two.hears(message)
    assert [door.knows(1) for door in house.doors] == [None] * 3
    assert [door.names() for door in house.doors] == [[]] * 3
    assert len({door.site.digest for door in house.doors}) == 1


def test_this_door_s_own_people_stay_its_own(house: House) -> None:
    one, two = house.door("one"), house.door("two")
    one.enrol("Ada", 1, scope="door")
    one.enrol("Ben", 2, scope="site")
    two.hears(*one.told())
    assert (one.names(), two.names()) == (["Ada", "Ben"], ["Ben"])
    assert one.people.site_usernames() == {"Ben"}
    one.people.share("Ada", one.clock())
    two.hears(*one.told())
    assert two.names() == ["Ada", "Ben"]


def test_a_further_template_and_a_new_name_come_to_all(house: House) -> None:
    one, two = house.door("one"), house.door("two")
    one.enrol("Ada", 1)
    two.hears(*one.told())
    two.people.add_template("Ada", some_look(7), two.clock(), source="cli")
    two.people.rename("Ada", "Ada Lovelace", two.clock(), source="cli")
    one.hears(*two.told())
    assert one.knows(7) == one.knows(1) == "Ada Lovelace"
    assert one.names() == two.names() == ["Ada Lovelace"]
    assert one.site.digest == two.site.digest


def test_two_people_of_one_name_are_called_alike_at_every_door(house: House) -> None:
    one, two, three = (house.door(name) for name in ("one", "two", "three"))
    one.enrol("Ada", 1)
    two.enrol("Ada", 2)
    first, second = one.told(), two.told()
    one.hears(*second)
    two.hears(*first)
    three.hears(*second)
    three.hears(*first)
    names = [(door.knows(1), door.knows(2)) for door in house.doors]
    assert len(set(names)) == 1
    assert names[0][0] == "Ada"
    assert (names[0][1] or "").startswith("Ada ")
    two.people.delete("Ada", two.clock(), source="cli")
    gone = two.told()
    one.hears(*gone)
    three.hears(*gone)
    assert [(door.knows(1), door.knows(2)) for door in house.doors] == [(None, "Ada")] * 3


def test_who_is_known_at_one_door_only_keeps_the_name_there(house: House) -> None:
    one, two = house.door("one"), house.door("two")
    two.enrol("Ada", 9, scope="door")
    one.enrol("Ada", 1)
    two.hears(*one.told())
    assert two.knows(9) == "Ada"
    assert (two.knows(1) or "").startswith("Ada ")
    assert one.site.digest == two.site.digest


def test_a_door_that_may_not_enrol_changes_its_own_people_only(house: House) -> None:
    one, two = house.door("one"), house.door("two", MemberRole.DOOR)
    one.enrol("Ada", 1)
    two.hears(*one.told())
    with pytest.raises(NotAllowed, match="another one"):
        two.people.delete("Ada", two.clock(), source="cli")
    assert two.knows(1) == "Ada"
    two.enrol("Guest", 5)
    assert two.told() == []
    with pytest.raises(NotAllowed):
        two.enrol("Eve", 6, scope="site")
    assert two.names() == ["Ada", "Guest"]


def test_a_restarted_door_knows_all_it_knew(house: House, tmp_path: Path) -> None:
    one, two = house.door("one"), house.door("two", store_key=bytes(range(32)))
    one.enrol("Ada", 1)
    one.enrol("Ben", 2)
    two.hears(*one.told())
    one.people.delete("Ben", one.clock(), source="cli")
    two.hears(*one.told())
    digest = two.site.digest
    two.close()
    again = CameralessDoor(tmp_path, "two", house.clock, bytes(range(32)))
    house.doors[1] = again
    assert again.site.is_joined
    assert (again.site.digest, again.knows(1), again.knows(2)) == (digest, "Ada", None)


CHANGES = st.lists(
    st.tuples(st.integers(0, 2), st.sampled_from(["enrol", "delete", "rename"]), st.integers(0, 4)),
    min_size=1,
    max_size=12,
)


@pytest.mark.thorough
@settings(max_examples=25, suppress_health_check=list(HealthCheck))
@given(CHANGES, st.randoms(use_true_random=False), st.data())
def test_all_doors_end_equal_and_no_deleted_person_comes_back(
    changes: list[tuple[int, str, int]], chance: random.Random, data: st.DataObject
) -> None:
    """Messages come late, twice, in any order, or not at all until the broker tells what it kept
    (the last that was published under each topic)."""
    with TemporaryDirectory() as folder, House(Path(folder)) as house:
        for name in ("one", "two", "three"):
            house.door(name)
        under_way: list[Heard] = []
        everything: list[Heard] = []
        for at, what, who in changes:
            change(house.doors[at], what, who)
            new = house.doors[at].told()
            everything += new
            under_way += new * chance.randint(0, 2)
            chance.shuffle(under_way)
            for door in house.doors:
                some = under_way[: data.draw(st.integers(0, len(under_way)))]
                door.hears(*some)
        for door in house.doors:
            rest = [*everything]
            chance.shuffle(rest)
            for message in rest:
                door.hears(message)
        deleted = {
            person
            for door in house.doors
            for person in door.site.known()
            if (entry := door.site.entry(person)) is not None and entry.deleted
        }
        assert len({door.site.digest for door in house.doors}) == 1
        names = [sorted(door.names()) for door in house.doors]
        assert names[0] == names[1] == names[2]
        assert [[door.knows(seed) for seed in range(20)] for door in house.doors].count(
            [house.doors[0].knows(seed) for seed in range(20)]
        ) == 3
        for door in house.doors:
            assert all(door.store.username_of(person) is None for person in deleted)
            door.hears(*chance.sample(everything, len(everything)))
            assert len(door.names()) == len(names[0])


def change(door: CameralessDoor, what: str, who: int) -> None:
    names = sorted(door.people.site_usernames())
    try:
        if what == "enrol":
            door.enrol(f"Person {'abcde'[who]}", who)
        elif names:
            name = names[who % len(names)]
            if what == "delete":
                door.people.delete(name, door.clock(), source="cli")
            else:
                door.people.rename(name, f"Renamed {'abcde'[who]}", door.clock(), source="cli")
    except (UserExists, UserUnknown):
        pass


def test_groups_and_the_end_of_a_visit_come_along(house: House) -> None:
    one, two = house.door("one"), house.door("two")
    one.enrol("Ada", 1)
    until = house.clock() + timedelta(days=1)
    visitor = StoredPerson(frozenset({"visitors"}), None, until)
    with one.people.changing():
        RuleStore(one.database).add_group("visitors")
        RuleStore(one.database).put_person("Ada", visitor)
        one.people.updated("Ada", one.clock(), source="cli")
    two.hears(*one.told())
    assert RuleStore(two.database).read().people == {"Ada": visitor}
    two.people.rename("Ada", "Ada Lovelace", two.clock(), source="cli")
    one.hears(*two.told())
    assert RuleStore(one.database).read().people == {"Ada Lovelace": visitor}


def test_who_has_rules_that_a_door_does_not_know_does_not_pass_there(house: House) -> None:
    one, two = house.door("one"), house.door("two")
    one.enrol("Ada", 1)
    message = one.told()[0]
    membership = one.site.membership
    assert membership is not None
    person = read_person(read_again(membership, message.topic, message.payload).content)
    assert isinstance(person, SitePerson)
    ruled = person.model_copy(update={"rules": PersonRules(format=2, content={"moon": "full"})})
    version = following(one.site.newest, 0, one.identity.id)
    two.hears(
        message,
        Heard(
            message.topic,
            write(membership, message.topic, version, ruled.model_dump_json().encode()),
        ),
    )
    assert two.knows(1) is None
    assert two.site.living == 1
