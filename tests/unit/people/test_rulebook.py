"""Who is deleted once their period is over."""

from datetime import timedelta
from pathlib import Path

from ostiary.people.rulebook import RuleService
from ostiary.site.members import MemberRole
from ostiary.store.rules import RuleStore, StoredPerson
from testing.site_doors import CameralessDoor, House


def rules_of(door: CameralessDoor) -> RuleService:
    return RuleService(door.people, door.settings, door.clock, lambda: True)


def end_period(door: CameralessDoor, name: str) -> None:
    long_ago = door.clock() - timedelta(days=400)
    with door.people.changing():
        RuleStore(door.database).put_person(name, StoredPerson(valid_until=long_ago))
        door.people.updated(name, door.clock(), source="cli")


def test_a_door_deletes_and_counts_only_whom_it_may_change(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        one, two = house.door("one"), house.door("two", MemberRole.DOOR)
        one.enrol("Ada", 1)
        end_period(one, "Ada")
        two.enrol("Guest", 2)
        end_period(two, "Guest")
        two.hears(*one.told())
        assert two.names() == ["Ada", "Guest"]
        at_two = rules_of(two)
        assert [at_two.remove_ended(), at_two.remove_ended()] == [1, 0]
        assert two.names() == ["Ada"]
        assert rules_of(one).remove_ended() == 1
        two.hears(*one.told())
        assert two.names() == []
