"""Backups that are taken while the door runs, and restored when it does not."""

import threading
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from ostiary.errors import (
    BackupRefused,
    DatabaseCorrupt,
    DatabaseInUse,
    DatabaseUnwritable,
    DatabaseVersion,
)
from ostiary.store.backup import backup, verify
from ostiary.store.database import Database
from ostiary.store.events import Events
from ostiary.store.restore import restore
from ostiary.store.users import Users

pytestmark = pytest.mark.quick

NOW = datetime(2025, 3, 1, 12, 0, tzinfo=UTC)
FACE = np.linspace(-0.2, 0.2, 128)


def register(database: Database, name: str) -> int:
    with database.transaction():
        Users(database).add(name, [FACE], NOW, recognizer="dlib", source="image")
        return (
            Events(database)
            .append_user(action="registered", username=name, source="mqtt", now=NOW)
            .seq
        )


def test_a_backup_of_a_running_door_is_one_consistent_state(
    database: Database, path: Path, tmp_path: Path
) -> None:
    stop = threading.Event()

    def keep_registering() -> None:
        number = 0
        while not stop.is_set():
            register(database, f"user {number}")
            number += 1

    thread = threading.Thread(target=keep_registering)
    thread.start()
    try:
        for number in range(5):
            contents = backup(path, tmp_path / f"backup-{number}.db")
            assert contents.users == contents.events
    finally:
        stop.set()
        thread.join(timeout=60)
    assert sorted(file.suffix for file in tmp_path.glob("backup-*")) == [".db"] * 5
    assert (tmp_path / "backup-0.db").stat().st_mode & 0o777 == 0o600


def test_a_restored_backup_has_the_people_of_its_day_and_keeps_the_old_file(
    path: Path, tmp_path: Path
) -> None:
    with Database.open(path) as database:
        register(database, "Anna")
        backup(path, tmp_path / "backup.db")
        register(database, "Ben")
        register(database, "Carl")
    restored = restore(tmp_path / "backup.db", path, NOW)
    assert restored.contents.users == 1
    assert restored.kept_as is not None
    assert verify(restored.kept_as).users == 3
    with Database.open(path) as database:
        assert [user.username for user in Users(database).list()] == ["Anna"]
        assert register(database, "Dora") == 4, "numbers go on after those already given"


def test_a_backup_restores_where_there_is_no_database(path: Path, tmp_path: Path) -> None:
    with Database.open(path) as database:
        register(database, "Anna")
        backup(path, tmp_path / "backup.db")
    other = tmp_path / "elsewhere.db"
    assert restore(tmp_path / "backup.db", other, NOW).kept_as is None
    with Database.open(other) as database:
        assert len(Users(database).templates()) == 1


def test_after_a_restore_nobody_gets_an_id_that_was_given_since(tmp_path: Path) -> None:
    path = tmp_path / "ostiary.db"
    with Database.open(path) as database:
        register(database, "Anna")
        backup(path, tmp_path / "backup.db")
        register(database, "Ben")
    restore(tmp_path / "backup.db", path, NOW)
    with Database.open(path) as database:
        register(database, "Carl")
        with database.reading() as connection:
            ids = connection.execute("SELECT username, id FROM users ORDER BY id").fetchall()
    assert ids == [("Anna", 1), ("Carl", 3)]


def test_a_backup_replaces_a_damaged_database_which_is_kept(path: Path, tmp_path: Path) -> None:
    with Database.open(path) as database:
        register(database, "Anna")
        backup(path, tmp_path / "backup.db")
    path.write_bytes(b"\xff" * 20_000)
    restored = restore(tmp_path / "backup.db", path, NOW)
    assert restored.kept_as is not None
    assert restored.kept_as.read_bytes() == b"\xff" * 20_000
    with Database.open(path) as database:
        assert Users(database).count() == 1


def test_what_a_killed_door_left_in_its_wal_is_kept_with_the_old_file(
    path: Path, tmp_path: Path
) -> None:
    with Database.open(path) as database:
        register(database, "Anna")
        backup(path, tmp_path / "backup.db")
        register(database, "Ben")
        left = {end: path.with_name(path.name + end).read_bytes() for end in ("", "-wal")}
    for end, data in left.items():
        path.with_name(path.name + end).write_bytes(data)
    restored = restore(tmp_path / "backup.db", path, NOW)
    assert restored.kept_as is not None
    with Database.open(path) as database:
        assert Users(database).count() == 1
        assert register(database, "Carl") == 3
    with Database.open(restored.kept_as) as database:
        assert Users(database).count() == 2


def test_a_running_door_is_not_restored_over(
    database: Database, path: Path, tmp_path: Path
) -> None:
    register(database, "Anna")
    backup(path, tmp_path / "backup.db")
    register(database, "Ben")
    with pytest.raises(DatabaseInUse):
        restore(tmp_path / "backup.db", path, NOW)
    assert Users(database).count() == 2
    assert sorted(tmp_path.glob("*.part")) == []


def test_a_bad_backup_is_refused_and_changes_nothing(path: Path, tmp_path: Path) -> None:
    with Database.open(path) as database:
        for number in range(50):
            register(database, f"user {number}")
        backup(path, tmp_path / "good.db")
    before = path.read_bytes()
    damaged = tmp_path / "damaged.db"
    damaged.write_bytes((tmp_path / "good.db").read_bytes()[:-9000] + b"\xff" * 9000)
    empty = tmp_path / "empty.db"
    empty.touch()
    with pytest.raises(DatabaseCorrupt, match=r"damaged\.db"):
        restore(damaged, path, NOW)
    with pytest.raises(DatabaseVersion, match=r"empty\.db"):
        restore(empty, path, NOW)
    with pytest.raises(DatabaseUnwritable, match="no such file"):
        restore(tmp_path / "missing.db", path, NOW)
    with pytest.raises(BackupRefused):
        restore(path, path, NOW)
    assert path.read_bytes() == before


def test_an_older_backup_is_replaced_only_when_asked(
    database: Database, path: Path, tmp_path: Path
) -> None:
    target = tmp_path / "backup.db"
    backup(path, target)
    register(database, "Anna")
    with pytest.raises(BackupRefused, match="exists already"):
        backup(path, target)
    assert backup(path, target, replace=True).users == 1
    with pytest.raises(BackupRefused):
        backup(path, path, replace=True)


def test_a_damaged_database_makes_no_backup(path: Path, tmp_path: Path) -> None:
    path.write_bytes(b"hello " * 2000)
    with pytest.raises(DatabaseCorrupt, match=r"ostiary\.db"):
        backup(path, tmp_path / "backup.db")
    assert not (tmp_path / "backup.db").exists()
