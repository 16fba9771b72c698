"""A door without a camera: its store, commands and MQTT.

Inside a test it is a context manager; as `python -m testing.doorway` it is a process
that can be killed.
"""

import argparse
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from subprocess import Popen
from typing import Any, Self

from ostiary.app.building import Bus, services_without_cameras
from ostiary.app.core import opened_core
from ostiary.clock import always, utc_now
from ostiary.commands.services import Camera, CommandLimits
from ostiary.settings import Settings
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
        clock: Callable[[], datetime] = utc_now,
        clock_trusted: Callable[[], bool] = always,
        **services: Any,
    ) -> None:
        """`services` go over those of a door without cameras."""
        with ExitStack() as making:
            opening = opened_core(settings, engine, clock=clock, clock_trusted=clock_trusted)
            core = making.enter_context(opening)
            self.services = replace(
                services_without_cameras(core), cameras=dict(cameras), **services
            )
            bus = Bus(core, self.services)
            self._made = making.pop_all()
        self.database, self.events, self.people = core.database, core.events, core.people
        self.commands, self.mqtt = bus.commands, bus.mqtt

    def __enter__(self) -> Self:
        self.mqtt.start()
        self.mqtt.wait_connected(60)
        return self

    def __exit__(self, *_: object) -> None:
        self.mqtt.stop()
        self._made.close()


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
