"""All doors of this device: each one's controller, and what reads its lines and readers."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType

import structlog

from ostiary.decision.rules import Calendar
from ostiary.hardware.controller import DoorController, Lock, Output, Outputs, Record, Show, Watch
from ostiary.hardware.physical_door import Contact, EntranceRules, PhysicalDoor
from ostiary.hardware.sensor import ContactSensor
from ostiary.hardware.watching import DoorLines, Present, Watching, reader_of
from ostiary.messages.state import EntranceState
from ostiary.messages.times import Hours
from ostiary.messages.words import Mode
from ostiary.settings import Settings
from ostiary.settings.doors import DoorSettings

log = structlog.get_logger(__name__)

SCHEDULE = "schedule"


@dataclass(frozen=True, slots=True)
class Hardware:
    """The locks and alarms of the doors, by their cameras' names; a door may have neither."""

    locks: Mapping[str, Lock] = field(default_factory=lambda: MappingProxyType({}))
    alarms: Mapping[str, Output] = field(default_factory=lambda: MappingProxyType({}))


class Doors:
    """All doors of this device. `before` are their states at a reload, `modes` their modes before a
    restart, and since when. `record` and `shown` are told what changes; `beat` is called once a
    second or more often while the doors are watched."""

    def __init__(
        self,
        settings: Settings,
        hardware: Hardware,
        record: Record,
        shown: Show,
        *,
        before: Mapping[str, PhysicalDoor],
        modes: Mapping[str, tuple[Mode, datetime | None]],
        clock: Callable[[], datetime],
        beat: Callable[[], object],
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._hours = {
            each.camera: tuple(Hours.read(text) for text in each.unlocked)
            for each in settings.doors
            if each.unlocked
        }
        self._was_open: dict[str, bool] = {}
        self._modes = modes
        self.controllers: dict[str, DoorController] = {}
        for camera in settings.cameras:
            name = camera.name
            outputs = Outputs(record, shown, hardware.locks.get(name), hardware.alarms.get(name))
            physical_door = PhysicalDoor(
                _rules_of(settings.door(name), settings.relay.pulse_s),
                mode=modes[name][0] if name in modes else Mode.NORMAL,
            )
            if name in before:
                physical_door = physical_door.remembering(before[name])
            self.controllers[name] = DoorController(
                name, physical_door, outputs, time.monotonic, clock
            )
        self._sensors = tuple(ContactSensor(each) for each in settings.doors if each.contact_topic)
        self._beat = beat
        self._watch = Watch(tuple(self.controllers.values()), self._look)
        self._watching: list[Watching] = []

    def start(self, present: Present) -> None:
        """Begin to read lines and readers; `present` takes what is shown at a reader."""
        for door in self._settings.doors:
            controller = self.controllers[door.camera]
            if door.has_lines:
                self._watching.append(Watching(DoorLines(controller, door), f"lines-{door.camera}"))
            if door.contact == "mqtt" and controller.physical_door.contact is Contact.NONE:
                controller.saw(Contact.UNREADABLE)  # until it says something
        for number, reader in enumerate(self._settings.readers):
            controller = self.controllers[reader.door]
            source = reader_of(controller, reader, present)
            self._watching.append(Watching(source, f"reader-{number}-{reader.door}"))
        for watching in self._watching:
            watching.start()
        self._watch.start()

    def stop(self) -> None:
        for watching in self._watching:
            watching.stop()
        self._watch.stop()
        for controller in self.controllers.values():
            controller.close()

    def physical_doors(self) -> dict[str, PhysicalDoor]:
        """The state of each door, to be handed on at a reload."""
        return {name: controller.physical_door for name, controller in self.controllers.items()}

    def states(self) -> tuple[EntranceState, ...]:
        """The state of each door now."""
        return tuple(controller.state() for controller in self.controllers.values())

    def is_locked_down(self, door: str) -> bool:
        """Whether nobody is let in there."""
        return door in self.controllers and self.controllers[door].mode is Mode.LOCKDOWN

    def granted(self, door: str, username: str | None) -> None:
        """Release the lock for a person whose grant was recorded."""
        if door in self.controllers:
            self.controllers[door].granted(username)

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong at any door, as stable words."""
        return tuple(
            each for controller in self.controllers.values() for each in controller.problems
        )

    def keep_hours(self, calendar: Calendar, *, clock_trusted: bool) -> None:
        """Unlock and lock by the doors' hours, where these begin or end: a door that is locked in
        between stays locked. By a clock that is not trusted the doors are locked."""
        now = self._clock()
        for door, hours in self._hours.items():
            is_open = clock_trusted and _hold(hours, calendar, now)
            if door not in self._was_open:
                set_at = self._modes[door][1] if door in self._modes else None
                self._was_open[door] = set_at is not None and _hold(hours, calendar, set_at)
            if is_open == self._was_open[door]:
                continue
            self._was_open[door] = is_open
            ended, begun = (Mode.NORMAL, Mode.UNLOCKED)[:: 1 if is_open else -1]
            if self.controllers[door].mode is ended:
                self.controllers[door].set_mode(begun, SCHEDULE)

    @property
    def sensor_topics(self) -> tuple[str, ...]:
        """The topics of contacts that are sensors of their own."""
        return tuple(dict.fromkeys(topic for each in self._sensors for topic in each.topics))

    @property
    def optional_topics(self) -> frozenset[str]:
        """Topics of `sensor_topics` that the settings do not name, so that a broker may refuse
        them."""
        asked = {
            topic for each in self._settings.doors for topic in each.contact_availability or ()
        }
        contacts = {each.contact_topic for each in self._settings.doors}
        return frozenset(self.sensor_topics) - asked - contacts

    def heard(self, topic: str, payload: bytes | None) -> None:
        """Take a sensor's message (None: it cannot be heard). Returns at once."""
        for sensor in self._sensors:
            if topic in sensor.topics:
                contact = sensor.heard(topic, payload, time.monotonic())
                self.controllers[sensor.door].heard(contact)
        self._watch.wake()

    def _look(self) -> None:
        """Find sensors that were silent for too long; called once a second."""
        self._beat()
        for sensor in self._sensors:
            if sensor.lapses(time.monotonic()):
                log.warning("contact_silent", door=sensor.door)
                self.controllers[sensor.door].heard(Contact.UNREADABLE)


def _rules_of(door: DoorSettings, release_s: float) -> EntranceRules:
    return EntranceRules(release_s, door.held_open_s, door.grace_s, door.alarm_s)


def _hold(hours: tuple[Hours, ...], calendar: Calendar, moment: datetime) -> bool:
    place = calendar.place(moment)
    return any(each.hold(*place) for each in hours)
