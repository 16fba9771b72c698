"""People and their templates."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from ostiary.errors import (
    DescriptorInvalid,
    LastTemplate,
    TemplateUnknown,
    UserExists,
    UsernameInvalid,
    UserUnknown,
)
from ostiary.store.database import Database
from ostiary.store.users import Users

NOW = datetime(2025, 3, 1, 12, 0, tzinfo=UTC)


def descriptor(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.1, 128).astype(np.float32)


@pytest.fixture
def users(tmp_path: Path) -> Iterator[Users]:
    with Database.open(tmp_path / "ostiary.db") as database:
        yield Users(database)


def test_a_registered_person_is_listed_and_matchable(users: Users) -> None:
    user = users.add("张三", [descriptor(1), descriptor(2)], NOW, recognizer="dlib", source="image")
    assert (user.username, user.created_at, user.templates) == ("张三", NOW, 2)
    assert users.list() == (user,)
    assert users.get("张三") == user
    assert users.count() == 1
    (name, recognizer, first), (_, _, second) = users.templates()
    assert (name, recognizer) == ("张三", "dlib")
    assert np.array_equal(first, descriptor(1))
    assert np.array_equal(second, descriptor(2))
    assert first.dtype == np.float32


def test_people_survive_closing_and_opening(tmp_path: Path) -> None:
    path = tmp_path / "ostiary.db"
    with Database.open(path) as database:
        before = Users(database).add(
            "Anna", [descriptor(1)], NOW, recognizer="dlib", source="image"
        )
    with Database.open(path) as database:
        assert Users(database).list() == (before,)
        assert len(Users(database).templates()) == 1


def test_a_name_is_given_once_however_it_is_written(users: Users) -> None:
    users.add("Zo\u00eb", [descriptor(1)], NOW, recognizer="dlib", source="image")
    with pytest.raises(UserExists):
        users.add("Zoe\u0308", [descriptor(2)], NOW, recognizer="dlib", source="image")
    assert users.get("Zoe\u0308").templates == 1
    assert len(users.templates()) == 1


@pytest.mark.parametrize("bad", [np.zeros(64), np.full(128, np.nan)])
def test_one_bad_descriptor_leaves_nothing_half_written(users: Users, bad: np.ndarray) -> None:
    with pytest.raises(DescriptorInvalid):
        users.add("Anna", [descriptor(1), bad], NOW, recognizer="dlib", source="image")
    assert users.count() == 0
    assert users.templates() == ()


def test_a_bad_name_is_refused(users: Users) -> None:
    with pytest.raises(UsernameInvalid):
        users.add("a\nb", [descriptor(1)], NOW, recognizer="dlib", source="image")


def test_nobody_is_registered_without_a_descriptor(users: Users) -> None:
    with pytest.raises(ValueError, match="at least one"):
        users.add("Anna", [], NOW, recognizer="dlib", source="image")


def test_templates_can_be_added_and_removed_but_not_the_last(users: Users) -> None:
    users.add("Anna", [descriptor(1)], NOW, recognizer="dlib", source="image")
    added = users.add_template("Anna", descriptor(2), NOW, recognizer="dlib", source="camera")
    first, second = users.templates_of("Anna")
    assert second == added
    assert second.source == "camera"
    users.remove_template("Anna", first.id)
    assert np.array_equal(users.templates()[0][2], descriptor(2))
    with pytest.raises(LastTemplate):
        users.remove_template("Anna", second.id)
    with pytest.raises(TemplateUnknown):
        users.remove_template("Anna", first.id)
    assert users.get("Anna").templates == 1


def test_a_template_of_somebody_else_is_not_removed(users: Users) -> None:
    users.add("Anna", [descriptor(1), descriptor(2)], NOW, recognizer="dlib", source="image")
    users.add("Ben", [descriptor(3), descriptor(4)], NOW, recognizer="dlib", source="image")
    with pytest.raises(TemplateUnknown):
        users.remove_template("Ben", users.templates_of("Anna")[0].id)


def test_the_first_versions_column_holds_the_oldest_template_as_float64(users: Users) -> None:
    def encoding() -> np.ndarray:
        with users.database.reading() as connection:
            (data,) = connection.execute("SELECT encoding FROM users").fetchone()
        return np.frombuffer(data, dtype=np.float64)

    users.add("Anna", [descriptor(1), descriptor(2)], NOW, recognizer="dlib", source="image")
    assert np.array_equal(encoding(), descriptor(1).astype(np.float64))
    users.remove_template("Anna", users.templates_of("Anna")[0].id)
    assert np.array_equal(encoding(), descriptor(2).astype(np.float64))


def test_a_deleted_person_is_gone_with_all_templates(users: Users) -> None:
    users.add("Anna", [descriptor(1), descriptor(2)], NOW, recognizer="dlib", source="image")
    users.add("Ben", [descriptor(3)], NOW, recognizer="dlib", source="image")
    users.delete("Anna")
    assert [name for name, _, _ in users.templates()] == ["Ben"]
    with pytest.raises(UserUnknown):
        users.get("Anna")
    with pytest.raises(UserUnknown):
        users.delete("Anna")


def test_a_deleted_descriptor_is_no_longer_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "ostiary.db"
    with Database.open(path) as database:
        users = Users(database)
        users.add("Anna", [descriptor(1)], NOW, recognizer="dlib", source="image")
    assert descriptor(1).tobytes() in path.read_bytes()
    with Database.open(path) as database:
        Users(database).delete("Anna")
    data = path.read_bytes()
    assert descriptor(1).tobytes() not in data
    assert descriptor(1).astype(np.float64).tobytes() not in data


def test_an_id_is_never_given_again(users: Users) -> None:
    def ids() -> list[tuple[str, int]]:
        with users.database.reading() as connection:
            return connection.execute("SELECT username, id FROM users ORDER BY id").fetchall()

    for name in ("Anna", "Ben"):
        users.add(name, [descriptor(1)], NOW, recognizer="dlib", source="image")
    users.delete("Ben")
    users.add("Ben", [descriptor(2)], NOW, recognizer="dlib", source="image")
    assert ids() == [("Anna", 1), ("Ben", 3)]
    users.rename("Anna", "Zoe")
    assert ids() == [("Zoe", 1), ("Ben", 3)]


def test_a_renamed_person_keeps_the_templates(users: Users) -> None:
    users.add("Anna", [descriptor(1)], NOW, recognizer="dlib", source="image")
    users.add("Ben", [descriptor(2)], NOW, recognizer="dlib", source="image")
    assert users.rename("Anna", "Ann").username == "Ann"
    assert [name for name, _, _ in users.templates()] == ["Ann", "Ben"]
    with pytest.raises(UserExists):
        users.rename("Ann", "Ben")
    with pytest.raises(UserUnknown):
        users.rename("Anna", "Carl")
    with pytest.raises(UsernameInvalid):
        users.rename("Ann", " ")
    assert users.rename("Ann", "Ann").username == "Ann"
