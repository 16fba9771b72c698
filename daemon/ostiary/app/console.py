"""The console, where the settings want it."""

from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from ostiary.app.building import Building
from ostiary.app.core import Core
from ostiary.app.pipeline import Pipeline
from ostiary.decision.camera_memory import Announcement
from ostiary.errors import ConfigError
from ostiary.hardware.doors import Doors
from ostiary.http.parts import ConsoleParts

log = structlog.get_logger(__name__)


@contextmanager
def opened_parts(
    core: Core, doors: Doors, pipeline: Pipeline, building: Building
) -> Iterator[ConsoleParts]:
    """What a console shows and changes of this door, until the block ends: then they are empty,
    for FastAPI keeps every endpoint, and so these, for the life of the process (in a cache)."""
    engine = core.engine
    parts = ConsoleParts(
        settings=core.settings,
        configured=core.configured.access,
        database=core.database,
        commands=building.commands,
        people=core.people,
        rules=core.rules,
        users=core.users,
        events=core.events,
        cameras=pipeline.cameras,
        state=building.state,
        access=pipeline.access,
        apply_access=pipeline.apply_access,
        flaw=lambda image, face: engine.quality(image, face).flaw,
        doors=doors.states,
        waiting=pipeline.doorkeeper.waiting,
        site=building.site_overview,
    )
    try:
        yield parts
    finally:
        parts.clear()


class ServedConsole:
    """The console and its server. A port that is taken keeps nobody out of the house.

    Making one raises ConfigError where what it needs is not installed, or where it would be open to
    a network.
    """

    def __init__(self, parts: ConsoleParts, core: Core, building: Building) -> None:
        try:
            from ostiary.http.app import Console
        except ImportError as error:
            raise ConfigError(
                f"http.enabled: {error.name} is missing. The Debian package has it; elsewhere see "
                'operations.md, "Without the package".'
            ) from error
        self._health = building.health
        self._console = Console(parts)
        core.signals.decided.add(self._keep_picture)

    def start(self) -> None:
        try:
            self._console.start()
            log.info("console_served", address=self._console.url)
        except ConfigError as error:
            self._health.console_not_served()
            log.error("console_not_served", reason=error.message)

    def stop(self) -> None:
        self._console.stop()

    def _keep_picture(self, _announcement: Announcement, source: str, number: int) -> None:
        self._console.decided(number, source)
