"""The door's ways to the building: commands, MQTT, this machine's socket, the other doors of the
site, and the doors' own lines and readers."""

from dataclasses import replace
from functools import partial

import structlog

from ostiary.app.core import Core, Records
from ostiary.app.health import Health
from ostiary.app.pipeline import Pipeline
from ostiary.commands.commands import Commands
from ostiary.commands.services import CommandServices, DeniedLogins
from ostiary.commands.site import SiteRoster
from ostiary.crypto.identity import Identity
from ostiary.decision.camera_memory import Announcement
from ostiary.errors import ConfigError
from ostiary.hardware.doors import Doors
from ostiary.limits.lock_out import LockOut
from ostiary.local.server import LocalServer
from ostiary.messages.state import State
from ostiary.mqtt.door import MqttDoor
from ostiary.mqtt.security import door_key
from ostiary.mqtt.site_link import SiteLink
from ostiary.people.people import People
from ostiary.site.doors import DoorLine
from ostiary.store.announced import Announced
from ostiary.store.command_log import CommandLog
from ostiary.store.site import SiteStore

log = structlog.get_logger(__name__)

PUBLISHER_BEAT_S = 45.0  # it may be waiting half a minute for a full disk
SITE_BEAT_S = 60.0  # it may be applying a whole roster


def services_without_cameras(core: Core) -> CommandServices:
    """What commands work with where there is no camera and no door."""
    settings = core.settings
    return CommandServices(
        settings,
        core.people,
        core.events,
        core.engine,
        core.rules,
        clock=core.clock,
        show_picture=core.signals.pictured,
        logins=DeniedLogins(settings.commands.denied_logins_per_minute),
        pins_taken=LockOut(settings.credentials.tries),
    )


def services_of(core: Core, doors: Doors, pipeline: Pipeline) -> CommandServices:
    """What commands work with at a whole door."""
    return replace(
        services_without_cameras(core),
        cameras=pipeline.cameras,
        doors=doors.controllers,
        credential_check=pipeline.credential_check,
        hasher=pipeline.hasher,
        thresholds=pipeline.access,
        forgive=partial(pipeline.doorkeeper.remember, {}),
    )


class Bus:
    """Commands and events over MQTT. Without `doors` no contact is a sensor on the bus."""

    def __init__(self, core: Core, services: CommandServices, doors: Doors | None = None) -> None:
        self._cameras = services.cameras
        command_log = CommandLog(core.database)
        self.commands = Commands(services, command_log)
        self.mqtt = MqttDoor(
            core.settings,
            self.commands,
            core.events,
            command_log,
            Announced(core.database),
            beat=core.heartbeats.expect("publisher", PUBLISHER_BEAT_S),
            sensors=doors,
            clock_trusted=core.rules.clock_trusted,
            locked_down=_never if doors is None else doors.is_locked_down,
        )
        signals = core.signals
        signals.door_changed.add(self.mqtt.publish_entrance)
        signals.prompted.add(self.mqtt.publish_prompt)
        signals.pictured.add(self.mqtt.show_picture)
        signals.decided.add(self._show_decided)

    def start(self) -> None:
        self.mqtt.start()

    def stop(self) -> None:
        self.mqtt.stop()

    def _show_decided(self, announcement: Announcement, source: str, number: int) -> None:
        image = self._cameras[source].latest
        if image is not None:
            self.mqtt.show_picture(source, image, number, announcement.decision.username)


class Building:
    """All ways to the building, and how the door is. Nothing runs before `start`."""

    def __init__(
        self, core: Core, doors: Doors, pipeline: Pipeline, services: CommandServices
    ) -> None:
        self._doors = doors
        self._credential_check = pipeline.credential_check
        self._bus = Bus(core, services, doors)
        self.commands, self.mqtt = self._bus.commands, self._bus.mqtt
        self._local = LocalServer(self.commands, core.settings)
        self.health = Health(core, doors, pipeline, self.mqtt)
        self._site = _site_of(core, self.health)

    def state(self) -> State:
        """How the door is, for everybody to see."""
        return self.health.state(self._site)

    def site_overview(self) -> tuple[DoorLine, ...]:
        """All doors of the site; none for a door on its own."""
        return () if self._site is None else self._site.overview()

    def start(self) -> None:
        self._doors.start(self._credential_check.submit)
        self._credential_check.start()
        self._bus.start()
        try:
            self._local.start()
        except ConfigError as error:  # MQTT and the console are there all the same
            log.warning("commands_not_served", reason=error.message)
        if self._site is not None:
            self._site.start()

    def stop(self) -> None:
        """The doors first: that they are locked is still told."""
        self._doors.stop()
        self._credential_check.stop()
        if self._site is not None:
            self._site.stop()
        self._local.stop()
        self._bus.stop()


def _never(_door: str) -> bool:
    return False


def site_roster(records: Records, people: People) -> SiteRoster | None:
    """The people of the site at this door. None for a door on its own, and for one that cannot
    open what it knows of people."""
    settings = records.settings
    if settings.site.id is None or records.database.is_locked:
        return None
    identity = Identity.of(door_key(settings).private)
    store = SiteStore(records.database)
    roster = SiteRoster(store, people, identity, settings.site.id, records.clock)
    people.join(roster)
    return roster


def _site_of(core: Core, health: Health) -> SiteLink | None:
    roster = site_roster(core, core.people)
    if roster is None:
        return None
    return SiteLink(
        core.settings,
        roster,
        partial(health.report, roster),
        core.heartbeats.expect("site", SITE_BEAT_S),
        core.clock,
        core.rules.clock_trusted,
    )
