"""Who is matched follows what is stored."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from testing.site_doors import CameralessDoor, House


@pytest.fixture
def door(tmp_path: Path) -> Iterator[CameralessDoor]:
    with House(tmp_path) as house:
        door = house.door("one")
        for number, name in enumerate(("Ada", "Ben", "Cleo")):
            door.enrol(name, number)
        yield door


def known(door: CameralessDoor) -> list[str | None]:
    return [door.knows(number) for number in range(3)]


def test_a_face_is_known_by_its_new_name_once_it_is_stored(door: CameralessDoor) -> None:
    with door.people.changing():
        door.people.rename("Ada", "Augusta", door.clock(), source="cli")
        assert known(door) == ["Ada", "Ben", "Cleo"]
    assert known(door) == ["Augusta", "Ben", "Cleo"]
    assert door.people.names() == ("Augusta", "Ben", "Cleo")


def test_names_that_go_round_in_one_change_end_at_the_right_faces(door: CameralessDoor) -> None:
    with door.people.changing():
        for before, after in (("Cleo", "Dora"), ("Ben", "Cleo"), ("Ada", "Ben"), ("Dora", "Ada")):
            door.people.rename(before, after, door.clock(), source="cli")
    assert known(door) == ["Ben", "Cleo", "Ada"]
    assert door.people.names() == ("Ada", "Ben", "Cleo")


def test_a_renaming_that_fails_changes_nobody_s_face(door: CameralessDoor) -> None:
    with pytest.raises(RuntimeError), door.people.changing():
        door.people.rename("Ada", "Augusta", door.clock(), source="cli")
        raise RuntimeError
    assert known(door) == ["Ada", "Ben", "Cleo"]
