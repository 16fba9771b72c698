"""Who was deleted is in no page of the database and its WAL, while the door runs."""

from pathlib import Path

from ostiary.access.risk import Risk
from ostiary.commands.people import People, roster_of
from ostiary.commands.room import utc_now
from ostiary.store.database import Database
from ostiary.store.events import Events
from ostiary.store.users import Users
from ostiary.vision.engine import VisionEngine
from tests.faces import some_look


def test_the_bytes_of_a_deleted_face_are_gone_at_once(tmp_path: Path, engine: VisionEngine) -> None:
    path = tmp_path / "ostiary.db"
    look = some_look()
    with Database.open(path) as database:
        users = Users(database)
        people = People(users, Events(database), roster_of(users, engine, Risk(0.001, None)))
        people.register("Ada", [look], utc_now(), source="cli")
        people.register("Bert", [some_look(7)], utc_now(), source="cli")
        needle = next(iter(look.descriptors.values())).astype("float32").tobytes()[:64]
        files = [path, path.with_name(path.name + "-wal")]
        assert any(needle in file.read_bytes() for file in files)
        people.delete("Ada", utc_now(), source="cli")
        assert not any(needle in file.read_bytes() for file in files if file.exists())
        assert people.count() == 1
