"""A door without a camera: the real store, commands and MQTT, as `ostiary.app` wires them.

Inside a test it is a context manager; as `python -m testing.doorway` it is a process
that can be killed.
"""

import argparse
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import Popen
from typing import Any, Self

from ostiary.commands.commands import Commands
from ostiary.commands.services import Camera, CommandLimits, CommandServices
from ostiary.decision.risk import risk_of
from ostiary.mqtt.door import MqttDoor
from ostiary.mqtt.security import door_key, store_key
from ostiary.people.people import People, roster_of
from ostiary.settings import Settings
from ostiary.store.announced import Announced
from ostiary.store.command_log import CommandLog
from ostiary.store.database import Database
from ostiary.store.events import Events
from ostiary.store.users import Users
from ostiary.vision.arrays import BGRImage
from ostiary.vision.engine import VisionEngine

BASE = "ostiary/test"


def door_settings(folder: Path, port: int, **sections: dict[str, Any]) -> Settings:
    """Settings of a test's door; `sections` go over them."""
    values: dict[str, dict[str, Any]] = {
        "device": {"id": "test"},
        "mqtt": {"port": port, "reconnect_at_most_s": 0.5},
        "store": {"path": folder / "ostiary.db"},
    }
    for name, section in sections.items():
        values[name] = {**values.get(name, {}), **section}
    return Settings.model_validate(values)


class Doorway:
    """Starts on entering, stops cleanly on leaving."""

    def __init__(
        self,
        settings: Settings,
        engine: VisionEngine,
        *cameras: tuple[str, Camera],
        **room: Any,
    ) -> None:
        self.database = Database.open(settings.store.path, store_key(settings), door_key(settings))
        self.events = Events(self.database)
        users = Users(self.database)
        roster = roster_of(users, engine, risk_of(settings.access))
        self.people = People(users, self.events, roster)
        command_log = CommandLog(self.database)
        room.setdefault("show_picture", self._show_picture)
        self.room = CommandServices(
            settings, self.people, self.events, engine, dict(cameras), **room
        )
        self.commands = Commands(self.room, command_log)
        announced = Announced(self.database)
        self.mqtt = MqttDoor(settings, self.commands, self.events, command_log, announced)

    def _show_picture(self, camera: str, image: BGRImage) -> None:
        self.mqtt.show_picture(camera, image)

    def __enter__(self) -> Self:
        self.mqtt.start()
        self.mqtt.wait_connected(60)
        return self

    def __exit__(self, *_: object) -> None:
        self.mqtt.stop()
        self.database.close()


@contextmanager
def door_process(folder: Path, port: int, *, queue_limit: int = 16) -> Iterator[Popen[bytes]]:
    """A door of its own process, which writes its log to `folder`/door.log."""
    with (folder / "door.log").open("wb") as log:
        process = Popen(
            [
                *(sys.executable, "-m", "testing.doorway"),
                *("--folder", str(folder), "--port", str(port)),
                *("--queue-limit", str(queue_limit)),
            ],
            stdout=log,
            stderr=log,
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--queue-limit", type=int, default=16)
    arguments = parser.parse_args()
    settings = door_settings(
        arguments.folder,
        arguments.port,
        commands={"allow_unverified_enrolment": True},
    )
    limits = CommandLimits(waiting=arguments.queue_limit)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    with Doorway(settings, VisionEngine.load(settings.vision), limits=limits):
        stop.wait()


if __name__ == "__main__":
    main()
