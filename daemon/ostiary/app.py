"""Wires the rooms together: the one file that knows them all."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from types import FrameType

import structlog

from ostiary import __version__
from ostiary.access.decision import Decision
from ostiary.camera.frame import CameraStatus
from ostiary.camera.reader import CameraReader
from ostiary.commands.commands import Commands
from ostiary.commands.people import People
from ostiary.commands.room import Room, utc_now
from ostiary.config import Settings
from ostiary.errors import ConfigError
from ostiary.messages.state import CameraState, State
from ostiary.mqtt.door import MqttDoor
from ostiary.recognition import Recognition, policy_of
from ostiary.store.command_log import CommandLog
from ostiary.store.database import Database
from ostiary.store.events import Events
from ostiary.store.users import Users
from ostiary.vision.engine import VisionEngine

log = structlog.get_logger(__name__)


class Ending(Enum):
    """Why `App.run` returned."""

    STOP = "stop"
    RELOAD = "reload"


class App:
    """The whole daemon, from open database to open door. Made anew on reload."""

    def __init__(self, settings: Settings) -> None:
        """Raises ConfigError, ModelMissing, DatabaseCorrupt… before anything is started."""
        self._settings = settings
        try:
            policy = policy_of(settings.access)
        except ValueError as error:
            raise ConfigError(f"access: {error}") from error
        self._ending: Ending | None = None
        self._ended = threading.Event()
        self._started = time.monotonic()
        self.engine = VisionEngine.load(settings.vision)
        self.database = Database.open(settings.store.path)
        self.events = Events(self.database)
        self.people = People(Users(self.database), self.events)
        self.command_log = CommandLog(self.database)
        self.recognitions = tuple(
            Recognition(CameraReader(camera), self.engine, self.people.match, self._record, policy)
            for camera in settings.cameras
        )
        room = Room(settings, self.people, self.events, self.engine, self.recognitions[0])
        self.commands = Commands(room, self.command_log, self._committed)
        self.mqtt = MqttDoor(settings, self.commands, self.events, self.command_log)

    def run(self) -> Ending:
        """Work until `end` is called; then stop within two seconds."""
        try:
            self.mqtt.start()
            for recognition in self.recognitions:
                recognition.start()
            log.info("started", version=__version__, users=self.people.count())
            while not self._ended.is_set():
                self.mqtt.publish_state(self.state())
                self._ended.wait(self._settings.service.state_every_s)
        finally:
            self._close()
        return self._ending or Ending.STOP

    def end(self, ending: Ending) -> None:
        """Ask `run` to return. May be called from a signal handler or any thread."""
        self._ending = ending
        self._ended.set()

    def state(self) -> State:
        """How the door is, for everybody to see."""
        cameras = tuple(recognition.camera.state for recognition in self.recognitions)
        problems = tuple(
            f"camera_{camera.status}" for camera in cameras if camera.status != CameraStatus.OK
        )
        return State(
            timestamp=utc_now(),
            version=__version__,
            health="degraded" if problems else "ok",
            problems=problems,
            uptime_s=time.monotonic() - self._started,
            cameras=tuple(
                CameraState(name=camera.camera, status=camera.status.value, fps=camera.fps)
                for camera in cameras
            ),
            users=self.people.count(),
            queue_length=self.events.queue_length(),
            events_dropped=self.events.dropped(),
        )

    def _record(self, decision: Decision, source: str) -> None:
        event = self.events.append_login(
            success=decision.success,
            reason=decision.reason,
            message=decision.message,
            source=source,
            now=utc_now(),
            username=decision.username,
            distance=decision.distance,
            liveness=decision.liveness,
        )
        self._committed()
        log.info(
            "decided",
            camera=source,
            seq=event.seq,
            reason=decision.reason.value,
            username=decision.username,
            distance=decision.distance,
            liveness=decision.liveness,
        )

    def _committed(self) -> None:
        self.mqtt.wake()

    def _close(self) -> None:
        for recognition in self.recognitions:
            recognition.stop()
        self.mqtt.stop()
        self.database.close()
        log.info("stopped")


@contextmanager
def signals_to(app: App) -> Iterator[None]:
    """SIGTERM and SIGINT end the app, SIGHUP asks for a reload."""

    def handle(number: int, _frame: FrameType | None) -> None:
        app.end(Ending.RELOAD if number == signal.SIGHUP else Ending.STOP)

    before = {
        number: signal.signal(number, handle)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
