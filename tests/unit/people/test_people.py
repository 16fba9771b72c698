"""Who is matched follows what is stored."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ostiary.errors import UserExists
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


def rename_all(door: CameralessDoor, *pairs: tuple[str, str]) -> None:
    for before, after in pairs:
        door.people.rename(before, after, door.clock(), source="cli")


def test_a_face_is_known_by_its_new_name_once_it_is_stored(door: CameralessDoor) -> None:
    with door.people.changing():
        rename_all(door, ("Ada", "Augusta"))
        assert known(door) == ["Ada", "Ben", "Cleo"]
    assert known(door) == ["Augusta", "Ben", "Cleo"]
    assert door.people.names() == ("Augusta", "Ben", "Cleo")


def test_names_that_go_round_in_one_change_end_at_the_right_faces(door: CameralessDoor) -> None:
    with door.people.changing():
        rename_all(door, ("Cleo", "Dora"), ("Ben", "Cleo"), ("Ada", "Ben"), ("Dora", "Ada"))
    assert known(door) == ["Ben", "Cleo", "Ada"]
    assert door.people.names() == ("Ada", "Ben", "Cleo")


def test_a_renaming_that_fails_changes_nobody_s_face(door: CameralessDoor) -> None:
    with pytest.raises(UserExists), door.people.changing():
        rename_all(door, ("Ada", "Augusta"), ("Ben", "Cleo"))
    assert known(door) == ["Ada", "Ben", "Cleo"]
    assert door.people.names() == ("Ada", "Ben", "Cleo")
