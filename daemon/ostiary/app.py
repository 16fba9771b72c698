"""Wires the rooms together: the one file that knows them all."""

import gc
import signal
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from types import FrameType, MappingProxyType
from typing import TYPE_CHECKING

import structlog

from ostiary.camera.reader import CameraReader
from ostiary.clock import utc_now
from ostiary.commands.calibration import Calibrations
from ostiary.commands.commands import Commands
from ostiary.commands.services import CommandServices
from ostiary.commands.site import SiteRoster
from ostiary.crypto.identity import Identity
from ostiary.decision.admission import Direction, Patience
from ostiary.decision.calibration import CalibratedCamera
from ostiary.decision.camera_memory import Announcement, CameraMemory
from ostiary.decision.policy import policy_of
from ostiary.decision.risk import risk_of
from ostiary.decision.rules import Ruling
from ostiary.decision.stepup import Asked
from ostiary.decoding.decoder import Decoder
from ostiary.errors import Busy, ConfigError, OstiaryError, StoreLocked
from ostiary.hardware.doors import Doors, Hardware
from ostiary.hardware.gpio import Lines, lines_in, open_alarms, open_relays
from ostiary.hardware.physical_door import DoorChange, PhysicalDoor
from ostiary.limits.lock_out import LockOut
from ostiary.local.server import LocalServer
from ostiary.messages.calibration import WhyDropped
from ostiary.messages.events import PromptMessage
from ostiary.messages.state import ModelState, State
from ostiary.messages.words import Mode, Reason
from ostiary.mqtt.door import MqttDoor
from ostiary.mqtt.publisher import RESEND
from ostiary.mqtt.security import door_key
from ostiary.mqtt.site_link import SiteLink
from ostiary.opening import open_database
from ostiary.people.credential_check import CredentialCheck, PinHasher
from ostiary.people.people import People, former_needed, roster_of
from ostiary.pipeline.doorkeeper import Doorkeeper, Passage
from ostiary.pipeline.recognition import Recognition
from ostiary.pipeline.recording import Recording
from ostiary.service import machine
from ostiary.service.health import Readings, state_of, status_text
from ostiary.service.logging import configure_logging
from ostiary.service.machine import Synchronised
from ostiary.service.metrics import Metrics
from ostiary.service.systemd import Heartbeats, Notifier, Watchdog
from ostiary.settings import AccessSettings, Settings
from ostiary.settings.overrides import with_overrides
from ostiary.site.doors import DoorReport
from ostiary.store.announced import Announced
from ostiary.store.command_log import CommandLog
from ostiary.store.door_modes import DoorModes
from ostiary.store.events import Events
from ostiary.store.forgetting import Forgetting
from ostiary.store.sealing import Rotation
from ostiary.store.site import SiteStore
from ostiary.store.users import Users
from ostiary.version import described
from ostiary.vision.engine import VisionEngine
from ostiary.vision.image import ImageLimits
from ostiary.vision.models import checked_models, models_directory, needed_files

if TYPE_CHECKING:
    from ostiary.http.app import Console

log = structlog.get_logger(__name__)

STATE_CHECK_S = 1.0
ENDED_CHECK_S = 30.0
LAST_PASSAGES = timedelta(days=7)
RECOGNITION_BEAT_S = 10.0
WORK_PAUSE_S = 0.05  # between some rows and the next: people come first
FORGETTING_ENDS_WITHIN_S = 1.0
SITE_BEAT_S = 60.0  # it may be applying a whole roster
DOORS_BEAT_S = 10.0
PUBLISHER_BEAT_S = 45.0  # it may be waiting half a minute for a full disk


@dataclass(frozen=True, slots=True)
class Remembered:
    """What outlives a reload: what each camera remembers and how each door is, by the cameras'
    names, and who is locked out."""

    doorways: Mapping[str, CameraMemory] = field(default_factory=lambda: MappingProxyType({}))
    entrances: Mapping[str, PhysicalDoor] = field(default_factory=lambda: MappingProxyType({}))
    locked_out: LockOut | None = None


@dataclass(frozen=True, slots=True)
class Next:
    """What to begin anew with: settings with which an `App` was made, and its networks."""

    settings: Settings
    engine: VisionEngine


class App:
    """The whole daemon, from open database to open door. Made anew on reload."""

    def __init__(
        self,
        configured: Settings,
        reread: Callable[[], Settings],
        notifier: Notifier,
        before: "Remembered | None" = None,
        engine: VisionEngine | None = None,
        held: Lines = frozenset(),
    ) -> None:
        """`configured` are the settings without what was set in the console; `reread` gives them
        as they are now, or raises ConfigError. `before` is what was remembered at a reload, and
        `engine` the networks that were loaded for it. `held` are lines of a door that still runs:
        they are not taken.

        Raises ConfigError, ModelMissing, DatabaseVersion… before anything is started.
        """
        self._made = ExitStack()
        try:
            self._make(
                with_overrides(configured), configured, reread, notifier, before, engine, held
            )
        except BaseException:
            self._made.close()
            raise

    def _make(
        self,
        settings: Settings,
        configured: Settings,
        reread: Callable[[], Settings],
        notifier: Notifier,
        before: "Remembered | None",
        engine: VisionEngine | None,
        held: Lines,
    ) -> None:
        before = before or Remembered()
        self._access = settings.access
        policy = policy_of(settings.access, prompts=settings.http.enabled)
        self._configured = configured
        self._settings = settings
        self._reread = reread
        self._notifier = notifier
        self._next: Next | None = None
        self._reloading = threading.Lock()
        self._ended = threading.Event()
        self._wanted = threading.Event()  # something for the main loop to do
        self._reload_asked = False
        self._started = time.monotonic()
        self.metrics = Metrics()
        self._heartbeats = Heartbeats()
        self._watchdog = Watchdog(notifier, self._heartbeats)
        self.database, self._failures = open_database(settings)
        self._made.callback(self.database.close)
        self.database.on_failure(self._wanted.set)
        self.events = Events(self.database)
        self._rotation = Rotation(self.database)
        self._forgetting = Forgetting(self.database, door_key(settings), RESEND)
        self._forgetter: threading.Thread | None = None
        self.users = Users(self.database)
        used, migrate = settings.vision.recognizer, settings.access.migrate
        former = former_needed(self.users, used, migrate=migrate)
        self._models = checked_models(
            models_directory(settings.vision.models),
            needed_files(used, settings.vision.liveness, former),
        )
        if engine is None or (engine.former and engine.former.name) != former:
            engine = VisionEngine.load(settings.vision, former)
        self.engine = engine
        roster = roster_of(self.users, self.engine, risk_of(settings.access))
        self.people = People(self.users, self.events, roster)
        self._synchronised = Synchronised()
        self._relays = open_relays(settings, held)
        alarms = open_alarms(settings, held)
        for output in self._relays.values():
            self._made.callback(output.close)
        for alarm in alarms.values():
            self._made.callback(alarm.release)
        door_modes = DoorModes(self.database)
        self._recording = Recording(self.database, self.events, door_modes, self.people)
        modes = {each.name: door_modes.get(each.name) for each in settings.cameras}
        self.doors = Doors(
            settings,
            Hardware(self._relays, alarms),
            self._record_at_door,
            lambda state: self.mqtt.publish_entrance(state),
            before=before.entrances,
            modes={name: (each.mode, each.at) for name, each in modes.items() if each is not None},
            clock=utc_now,
            beat=self._heartbeats.expect("doors", DOORS_BEAT_S),
        )
        gates = {each.name: Passage(each.direction) for each in settings.cameras}
        patience = Patience(settings.rules.shown_within_s, settings.rules.second_person_s)
        last = self._last_passages(gates)
        self._calibrations = Calibrations(self.database, self.events)
        calibrated = self._calibrated()
        self.doorkeeper = Doorkeeper(
            self._recording.decided,
            self._rule,
            gates,
            patience,
            last,
            self.database.transaction,
            self._follow,
        )
        self.recognitions = tuple(
            Recognition(
                CameraReader(camera),
                self.engine,
                roster,
                self._recording.decided,
                policy,
                self.metrics,
                self._heartbeats.expect(f"recognition-{camera.name}", RECOGNITION_BEAT_S),
                before.doorways.get(camera.name),
                self.doorkeeper,
                self._prompt,
                calibrated=calibrated.get(camera.name),
                drop=self._drop_calibration,
            )
            for camera in settings.cameras
        )
        hasher = PinHasher()
        self.locked_out = before.locked_out or LockOut(settings.credentials.tries)
        self.presenting = CredentialCheck(
            self.people.credentials, self.doorkeeper, hasher, self.locked_out
        )
        self._decoder = Decoder(ImageLimits())
        self._made.callback(self._decoder.close)
        services = CommandServices(
            settings,
            self.people,
            self.events,
            self.engine,
            cameras={each.name: each for each in self.recognitions},
            reload=self._reload,
            decode=self._decoder.decode,
            thresholds=lambda: self._access,
            clock_trusted=self._synchronised,
            doors=self.doors.controllers,
            presenting=self.presenting,
            forgive=lambda: self.doorkeeper.remember({}),
            show_picture=lambda camera, image: self.mqtt.show_picture(camera, image),
            hasher=hasher,
        )
        self.rules = services.rules
        command_log = CommandLog(self.database)
        self.commands = Commands(services, command_log)
        self.mqtt = MqttDoor(
            settings,
            self.commands,
            self.events,
            command_log,
            Announced(self.database),
            beat=self._heartbeats.expect("publisher", PUBLISHER_BEAT_S),
            sensors=self.doors,
            clock_trusted=self.rules.clock_trusted,
            locked_down=self._is_locked_down,
        )
        self._local = LocalServer(self.commands, settings)
        self._site = self._make_site()
        served = settings.http.enabled and not self.database.is_locked  # it shows names throughout
        self._console = self._make_console() if served else None
        self._console_served = True
        self._dropped_before = self.events.dropped()
        self._counted = (self.people.count(), self.events.queue_length(), self._dropped_before)
        self._store_failure = ""

    def run(self) -> Next | None:
        """Work until `stop` or a reload, and close within two seconds.

        Returns what to start anew with, None to end.
        """
        with ExitStack() as closing:
            closing.callback(self._close)
            self._start()
            self._notifier.ready()
            log.info("started", version=described(), users=self.people.count())
            self._attend()
            log.info("stopping")
        return self._next

    def stop(self) -> None:
        """Ask `run` to return. May be called from a signal handler or any thread."""
        self._ended.set()
        self._wanted.set()

    def ask_reload(self) -> None:
        """Ask `run` to read the settings again; broken ones are refused, and it goes on."""
        self._reload_asked = True
        self._wanted.set()

    def remembered(self) -> "Remembered":
        """What is to be handed on at a reload."""
        return Remembered(self.doorways(), self.doors.entrances(), self.locked_out)

    def doorways(self) -> dict[str, CameraMemory]:
        """What each camera remembers."""
        return {recognition.name: recognition.memory for recognition in self.recognitions}

    def state(self) -> State:
        """How the door is, for everybody to see."""
        users, queued, dropped = self._counts()
        site = None if self._site is None else self._site.state()
        readings = Readings(
            cameras=tuple(recognition.camera.state for recognition in self.recognitions),
            users=users,
            queue_length=queued,
            events_dropped=dropped,
            uptime_s=time.monotonic() - self._started,
            broker_connected=self.mqtt.is_connected,
            broker=self.mqtt.broker,
            broker_problems=self.mqtt.problems,
            topics_refused=self.mqtt.refused_topics,
            events_dropped_now=dropped > self._dropped_before,
            hanging=self._heartbeats.stale(),
            failures=tuple(self._all_failures()),
            thresholds=self.people.roster.thresholds.used,
            waiting=len(self.people.roster.waiting()),
            unmatched=len(self.people.roster.unmatched()),
            one_template=self.people.roster.with_one_template,
            models=tuple(ModelState(name=name, sha256=sha) for name, sha in self._models.items()),
            doors=self.doors.problems,
            too_slow=tuple(each.name for each in self.recognitions if each.is_too_slow),
            attacked=any(each.is_attacked(time.monotonic()) for each in self.doorways().values()),
            calibrations={
                each.name: each.calibrated.record.state
                for each in self.recognitions
                if each.calibrated is not None
            },
            calibration_dropped=bool(self._uncalibrated),
            site=site,
            site_problems=() if self._site is None or site is None else self._site.problems(site),
            console_served=self._console_served,
        )
        return state_of(readings, utc_now())

    def _counts(self) -> tuple[int, int, int]:
        """People, events that wait, and dropped ones; as before, where the store cannot be read."""
        with suppress(OstiaryError):
            queued, dropped = self.events.queue_length(), self.events.dropped()
            self._counted = (self.people.count(), queued, dropped)
        return self._counted

    def _all_failures(self) -> Iterator[str]:
        """Why nobody is let in, as stable words."""
        yield from self._failures
        if self.database.failure is not None:
            yield self.database.failure.code
        if any(recognition.is_failing for recognition in self.recognitions):
            yield Reason.PIPELINE_ERROR.value

    def _look_at_store(self) -> bool:
        """Whether it can be written; told in the log when it cannot any more, and when it can."""
        self.database.try_again()
        failure = self.database.failure
        code = "" if failure is None else failure.code
        if code != self._store_failure:
            if failure is not None:
                log.critical(code, reason=failure.message, consequence="nobody is let in")
            else:
                log.warning("database_writable_again")
            self._store_failure = code
        return failure is None

    def _start(self) -> None:
        settings = self._settings.service
        self.metrics.follow(
            lambda: (recognition.camera.state for recognition in self.recognitions),
            self.events.queue_length,
        )
        if settings.metrics_port:
            try:
                self.metrics.serve(settings.metrics_port)
            except ConfigError as error:  # a port that is taken keeps nobody out of the house
                log.error("metrics_not_served", reason=error.message)
        self._forgetter = threading.Thread(target=self._forget, name="forgetting", daemon=True)
        self._forgetter.start()
        self.doors.start(self.presenting.submit)
        self.presenting.start()
        self.mqtt.start()
        try:
            self._local.start()
        except ConfigError as error:  # MQTT and the console are there all the same
            log.warning("commands_not_served", reason=error.message)
        if self._site is not None:
            self._site.start()
        for recognition in self.recognitions:
            recognition.start()
        if self._console is not None:
            try:
                self._console.start()
                log.info("console_served", address=self._console.url)
            except ConfigError as error:  # likewise
                self._console_served = False
                log.error("console_not_served", reason=error.message)

    def _apply_access(self, access: AccessSettings) -> None:
        """Judge by other thresholds from the next frame and command on."""
        policy = policy_of(access, prompts=self._settings.http.enabled)
        self._access = access
        self.people.roster.apply(risk_of(access))
        for recognition in self.recognitions:
            recognition.apply(policy)

    def _attend(self) -> None:
        """The main loop: watchdog, health, reload."""
        told: State | None = None
        told_at = 0.0
        looked_at = 0.0
        wait_s = min(STATE_CHECK_S, self._watchdog.every_s or STATE_CHECK_S)
        while not self._ended.is_set():
            self._watchdog.feed()
            self._attend_doors()
            is_writable = self._look_at_store()
            if time.monotonic() - looked_at >= ENDED_CHECK_S:
                looked_at = time.monotonic()
                machine.return_freed()
                self._synchronised.look()
                if is_writable:
                    self._remove_ended()
            is_working = is_writable and self._rotate()
            state = self.state()
            self._notifier.status(status_text(state))
            now = time.monotonic()
            due = now - told_at >= self._settings.service.state_every_s
            if told is None or due or state.problems != told.problems:
                self.mqtt.publish_state(state)
                told, told_at = state, now
            self._wanted.wait(WORK_PAUSE_S if is_working else wait_s)
            self._wanted.clear()
            if self._reload_asked:
                self._reload_asked = False
                threading.Thread(target=self._try_to_reload, name="reload", daemon=True).start()

    def _calibrated(self) -> dict[str, CalibratedCamera]:
        """Each camera's own last layer. Where the store does not open, or cannot be written, the
        networks themselves judge; so do they at a camera whose layer was dropped."""
        names = {camera.name for camera in self._settings.cameras}
        self._uncalibrated: set[str] = set()
        try:
            found = self._calibrations.in_force(utc_now())
            self._uncalibrated = self._calibrations.dropped().keys() & names
        except OstiaryError as error:
            log.error("not_calibrated", code=error.code, reason=error.message)
            return {}
        return found

    def _drop_calibration(self, camera: str, why: WhyDropped) -> None:
        self._uncalibrated.add(camera)
        self._calibrations.drop(camera, why, utc_now())

    def _attend_doors(self) -> None:
        """Who was waited for too long is denied; doors are unlocked and locked by their hours."""
        self.doors.keep_hours(self.rules.book.calendar, clock_trusted=self.rules.clock_trusted())
        try:
            for told in self.doorkeeper.attend(time.monotonic()):
                self.metrics.decision(told.decision.reason)
        except OstiaryError as error:
            if self.database.failure is None:  # else it was told
                log.error("decision_not_recorded", code=error.code)

    def _last_passages(self, gates: Mapping[str, Passage]) -> dict[str, Direction]:
        """Which way people passed last, by their events: a restart lets nobody in twice."""
        ways = {name: gate.direction for name, gate in gates.items() if gate.direction is not None}
        if not ways:
            return {}
        passed = self.events.last_passed(tuple(ways), utc_now() - LAST_PASSAGES)
        return {who: ways[door] for who, door in passed.items()}

    def _is_locked_down(self, door: str) -> bool:
        return door in self.doors.controllers and self.doors.mode(door) is Mode.LOCKDOWN

    def _rule(self, username: str, door: str) -> Ruling:
        if self.doors.mode(door) is Mode.LOCKDOWN:
            return Ruling(Reason.LOCKDOWN)
        return self.rules.ruling(username, door)

    def _remove_ended(self) -> None:
        """People whose time has been over for long enough."""
        try:
            removed = self.rules.remove_ended()
        except OstiaryError as error:
            log.error("ended_not_removed", code=error.code, reason=error.message)
            return
        if removed:
            log.info("ended_removed", people=removed)

    def _rotate(self) -> bool:
        """Some rows, where the data key was changed; whether there are more."""
        try:
            return self._rotation.step()
        except OstiaryError as error:
            log.error("rotation_failed", code=error.code, reason=error.message)
            return False

    def _forget(self) -> None:
        """Who was deleted, in what was recorded. A thread of its own: to write a large file anew
        takes seconds, and is begun while nobody stands at a door."""
        is_working = False
        while not self._ended.wait(WORK_PAUSE_S if is_working else STATE_CHECK_S):
            is_working = False
            is_quiet = not any(each.tracks for each in self.doorways().values())
            try:
                if self.database.failure is None:
                    is_working = self._forgetting.step(utc_now(), is_quiet=is_quiet)
            except OstiaryError as error:
                log.error("forgetting_failed", code=error.code, reason=error.message)
            except Exception:  # what cannot be forgotten now is tried again
                log.exception("forgetting_failed")

    def _try_to_reload(self) -> None:
        try:
            self._reload()
        except Exception as error:  # noqa: BLE001 - whatever it is, this door goes on
            _refuse(error)

    def _reload(self) -> None:
        """End, to begin anew with the settings as they are now: once an `App` could be made of
        them whole, beside this one. Raises OstiaryError: go on."""
        if not self._reloading.acquire(blocking=False):
            raise Busy("The settings are being read already.")
        try:
            settings = self._reread()
            made = App(settings, self._reread, self._notifier, held=lines_in(self._settings))
            try:
                made.mqtt.login()
                is_locked = made.database.is_locked
            finally:
                made.dismiss()
            if is_locked and not self.database.is_locked:
                raise StoreLocked("With these settings the store's key is not to be had.")
            self._next = Next(settings, made.engine)
            self.stop()
        finally:
            self._reloading.release()

    def dismiss(self) -> None:
        """Let go of all that it has, where it was not run."""
        self._made.close()

    def _follow(self, told: Announcement, source: str, number: object) -> None:
        if told.decision.success:
            self.doors.granted(source, told.decision.username)
        if isinstance(number, int):
            self._show(told, source, number)
        self._recording.let_come_over(told, self._access.live_threshold)
        if self._access.learn_second:
            self._recording.let_learn(told, self._access.live_threshold)

    def _show(self, told: Announcement, source: str, number: int) -> None:
        """The picture of an event, to those who keep it and show it."""
        if self._console is not None:
            self._console.decided(number, source)
        image = next(each.latest for each in self.recognitions if each.name == source)
        if image is not None:
            self.mqtt.show_picture(source, image, number, told.decision.username)

    def _prompt(self, asked: Asked | None, source: str) -> None:
        """What is asked at a camera, for everything that shows or says it."""
        now = utc_now()
        left = timedelta(seconds=max(0.0, asked.until - time.monotonic()) if asked else 0.0)
        prompt = PromptMessage(
            timestamp=now,
            source=source,
            prompt=asked.prompt if asked else None,
            step=asked.step if asked else 0,
            expires=now + left,
        )
        self.mqtt.publish_prompt(prompt)
        log.info("asked", camera=source, prompt=prompt.prompt, step=prompt.step)

    def _record_at_door(self, door: str, happening: DoorChange, at: datetime) -> None:
        self._recording.at_door(door, happening, at)

    def _make_site(self) -> SiteLink | None:
        """None for a door on its own, and for one that cannot open what it knows of people."""
        settings = self._settings
        if settings.site.id is None or self.database.is_locked:
            return None
        identity = Identity.of(door_key(settings).private)
        roster = SiteRoster(SiteStore(self.database), self.people, identity, settings.site.id)
        self.people.site = roster
        beat = self._heartbeats.expect("site", SITE_BEAT_S)
        report, trusted = partial(self._site_report, roster), self.rules.clock_trusted
        return SiteLink(settings, roster, report, beat, clock_trusted=trusted)

    def _site_report(self, roster: SiteRoster) -> DoorReport:
        """What the other doors and the operator are told of this one."""
        state, device = self.state(), self._settings.device
        return DoorReport(
            device=device.id,
            name=device.name,
            version=state.version,
            recognizer=self._settings.vision.recognizer,
            digest=roster.digest,
            newest="" if roster.newest is None else str(roster.newest),
            people=roster.living,
            pending=0 if state.site is None else state.site.pending,
            keys=1 if roster.membership is None else roster.membership.members.version,
            queue=state.queue_length,
            problems=state.problems,
            at=state.timestamp,
        )

    def _make_console(self) -> "Console":
        try:
            from ostiary.http.app import Console
            from ostiary.http.parts import ConsoleParts
        except ImportError as error:
            raise ConfigError(
                f"http.enabled: {error.name} is missing. The Debian package has it; elsewhere see "
                'operations.md, "Without the package".'
            ) from error
        # FastAPI keeps every endpoint for the life of the process (a cache of theirs), and so what
        # that refers to; after a reload this must not be the networks.
        app = weakref.proxy(self)
        parts = ConsoleParts(
            settings=self._settings,
            configured=self._configured.access,
            database=self.database,
            commands=weakref.proxy(self.commands),
            people=weakref.proxy(self.people),
            rules=weakref.proxy(self.rules),
            users=self.users,
            events=self.events,
            cameras={each.name: weakref.proxy(each) for each in self.recognitions},
            state=lambda: app.state(),
            access=lambda: app._access,
            apply_access=lambda access: app._apply_access(access),
            flaw=lambda image, face: app.engine.quality(image, face).flaw,
            doors=lambda: tuple(each.state() for each in app.doors.controllers.values()),
            waiting=lambda door: app.doorkeeper.waiting(door),
            site=lambda: () if app._site is None else app._site.overview(),
        )
        return Console(parts)

    def _close(self) -> None:
        self._notifier.reloading() if self._next else self._notifier.stopping()
        if self._console is not None:
            self._console.stop()
        for recognition in self.recognitions:
            recognition.stop()
        self.doors.stop()
        self.presenting.stop()
        if self._site is not None:
            self._site.stop()
        self._local.stop()
        self.mqtt.stop()
        self.metrics.close()
        if self._forgetter is not None:
            self._forgetter.join(FORGETTING_ENDS_WITHIN_S)
        self._made.close()
        log.info("stopped")


def run_until_stopped(read: Callable[[], Settings], notifier: Notifier) -> None:
    """Be the daemon until SIGTERM or SIGINT. After a reload an `App` of the new settings goes on,
    with what the cameras remembered. Raises as `App` does."""
    machine.use_one_arena()
    settings = read()
    _begin_with(settings)
    app: App | None = App(settings, read, notifier)
    while app is not None:
        following, remembered = _run(app)
        app = None
        # The networks hang in cycles, and Python does not see how much memory they hold.
        gc.collect()
        if following is None:
            return
        _begin_with(following.settings)
        try:
            app = App(following.settings, read, notifier, remembered, following.engine)
        except Exception as error:  # noqa: BLE001 - taken by somebody in the moment between
            _refuse(error)
            app = App(settings, read, notifier, remembered)
        else:
            settings = following.settings


def _begin_with(settings: Settings) -> None:
    configure_logging(settings.log)
    if settings.retired:
        log.warning("settings_retired", keys=settings.retired)


def _run(app: App) -> tuple[Next | None, Remembered]:
    with signals_to(app):
        return app.run(), app.remembered()


def _refuse(error: Exception) -> None:
    if isinstance(error, OstiaryError):
        log.error("reload_refused", code=error.code, reason=error.message)
    else:
        log.error("reload_refused", code=OstiaryError.code, exc_info=error)


@contextmanager
def signals_to(app: App) -> Iterator[None]:
    """SIGTERM and SIGINT end the app, SIGHUP asks for a reload."""

    def handle(number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGHUP:
            app.ask_reload()
        else:
            app.stop()

    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    with ExitStack() as restored:
        for number in numbers:
            restored.callback(partial(signal.signal, number, signal.signal(number, handle)))
        yield
