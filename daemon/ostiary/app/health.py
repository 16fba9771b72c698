"""How the door is, read from all its parts."""

import time
from collections.abc import Iterator
from contextlib import suppress

from ostiary.app.core import Core
from ostiary.app.pipeline import Pipeline
from ostiary.commands.site import SiteRoster
from ostiary.errors import OstiaryError
from ostiary.hardware.doors import Doors
from ostiary.messages.state import ModelState, State
from ostiary.messages.words import Reason
from ostiary.mqtt.door import MqttDoor
from ostiary.mqtt.site_link import SiteLink
from ostiary.service.health import Readings, state_of
from ostiary.settings import Settings
from ostiary.site.doors import DoorReport


class Health:
    """Every method may be called from any thread."""

    def __init__(self, core: Core, doors: Doors, pipeline: Pipeline, mqtt: MqttDoor) -> None:
        self._core = core
        self._doors = doors
        self._pipeline = pipeline
        self._mqtt = mqtt
        self._started = time.monotonic()
        self._console_served = True
        events = core.events
        self._dropped_before = events.dropped()
        self._counted = (core.people.count(), events.queue_length(), self._dropped_before)

    def console_not_served(self) -> None:
        """The console should answer, and does not."""
        self._console_served = False

    def state(self, site: SiteLink | None) -> State:
        """For everybody to see. `site`: the link to the other doors, where there are some."""
        core, mqtt, recognitions = self._core, self._mqtt, self._pipeline.recognitions
        roster = core.people.roster
        now = time.monotonic()
        users, queued, dropped = self._counts()
        of_site = None if site is None else site.state()
        readings = Readings(
            cameras=tuple(each.camera.state for each in recognitions),
            users=users,
            queue_length=queued,
            events_dropped=dropped,
            uptime_s=now - self._started,
            broker_connected=mqtt.is_connected,
            broker=mqtt.broker,
            broker_problems=mqtt.problems,
            topics_refused=mqtt.refused_topics,
            events_dropped_now=dropped > self._dropped_before,
            hanging=core.heartbeats.stale(),
            failures=tuple(self._failures()),
            thresholds=roster.thresholds.used,
            waiting=len(roster.waiting()),
            unmatched=len(roster.unmatched()),
            one_template=roster.with_one_template,
            models=tuple(ModelState(name=name, sha256=sha) for name, sha in core.models.items()),
            doors=self._doors.problems,
            too_slow=tuple(each.name for each in recognitions if each.is_too_slow),
            attacked=any(each.memory.is_attacked(now) for each in recognitions),
            calibrations={
                each.name: each.calibrated.record.state
                for each in recognitions
                if each.calibrated is not None
            },
            calibration_dropped=self._pipeline.calibration_dropped,
            site=of_site,
            site_problems=() if site is None or of_site is None else site.problems(of_site),
            console_served=self._console_served,
        )
        return state_of(readings, core.clock())

    def report(self, roster: SiteRoster, site: SiteLink) -> DoorReport:
        """What the other doors and the operator are told of this one."""
        return report_of(self._core.settings, roster, self.state(site))

    def _counts(self) -> tuple[int, int, int]:
        """People, events that wait, and dropped ones; as before, where the store cannot be read."""
        core = self._core
        with suppress(OstiaryError):
            queued, dropped = core.events.queue_length(), core.events.dropped()
            self._counted = (core.people.count(), queued, dropped)
        return self._counted

    def _failures(self) -> Iterator[str]:
        """Why nobody is let in, as stable words."""
        yield from self._core.failures
        if self._core.database.failure is not None:
            yield self._core.database.failure.code
        if any(each.is_failing for each in self._pipeline.recognitions):
            yield Reason.PIPELINE_ERROR.value


def report_of(settings: Settings, roster: SiteRoster, state: State) -> DoorReport:
    """What a door in that state tells the other doors of the site."""
    return DoorReport(
        device=settings.device.id,
        name=settings.device.name,
        version=state.version,
        recognizer=settings.vision.recognizer,
        digest=roster.digest,
        newest="" if roster.newest is None else str(roster.newest),
        people=roster.living,
        pending=0 if state.site is None else state.site.pending,
        keys=1 if roster.membership is None else roster.membership.members.version,
        queue=state.queue_length,
        problems=state.problems,
        at=state.timestamp,
    )
