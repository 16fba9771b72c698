"""A door with its console, without a broker: real store, models, commands, HTTP, and a camera
that shows a folder or clip, as `ostiary.app` wires them."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Self

import requests
import structlog

from ostiary.camera.reader import CameraReader
from ostiary.clock import utc_now
from ostiary.commands.commands import Commands
from ostiary.commands.services import CommandServices
from ostiary.decision.camera_memory import Announcement
from ostiary.decision.policy import policy_of
from ostiary.decision.risk import risk_of
from ostiary.hardware.doors import Doors, Hardware
from ostiary.http.app import Console
from ostiary.http.parts import ConsoleLimits, ConsoleParts
from ostiary.limits.lock_out import LockOut
from ostiary.messages.state import State
from ostiary.mqtt.security import door_key
from ostiary.people.credential_check import CredentialCheck, PinHasher
from ostiary.people.people import People, roster_of
from ostiary.pipeline.doorkeeper import Doorkeeper
from ostiary.pipeline.recognition import Recognition
from ostiary.pipeline.recording import Recording
from ostiary.service.health import Readings, state_of
from ostiary.service.metrics import Metrics
from ostiary.settings import AccessSettings, CameraSettings, Settings
from ostiary.settings.overrides import with_overrides
from ostiary.site.doors import DoorLine
from ostiary.store.accounts import Accounts, ApiTokens, Role
from ostiary.store.command_log import CommandLog
from ostiary.store.database import Database
from ostiary.store.door_modes import DoorModes
from ostiary.store.events import Events
from ostiary.store.users import Users
from ostiary.vision.engine import VisionEngine
from testing.ports import free_port
from testing.rules import UNMOVED

PASSWORD = "three blue doors"
HASTE = 10_000.0  # requests a second: tests are not to wait


def console_settings(folder: Path, **sections: dict[str, Any]) -> Settings:
    """Settings of a test's console; `sections` go over them."""
    values: dict[str, Any] = {
        "device": {"id": "test", "name": "Test door"},
        "store": {"path": folder / "ostiary.db"},
        "http": {"enabled": True, "port": free_port(), "requests_per_second": HASTE},
    }
    for name, section in sections.items():
        values[name] = {**values.get(name, {}), **section} if name != "cameras" else section
    return Settings.model_validate(values)


@dataclass
class LaterClock:
    """The right time, or so much later."""

    ahead: timedelta = timedelta(0)

    def __call__(self) -> datetime:
        return utc_now() + self.ahead


class ConsoleDoor:
    """Starts on entering, stops cleanly on leaving. `source`: what its only camera shows."""

    def __init__(
        self,
        configured: Settings,
        engine: VisionEngine,
        source: Path | str | None = None,
        clock: Callable[[], datetime] = utc_now,
        served: ConsoleLimits | None = None,
        **room: Any,
    ) -> None:
        settings = with_overrides(configured)
        self.settings = settings
        self.access = settings.access
        self.database = Database.open(settings.store.path, None, door_key(settings))
        self.events = Events(self.database)
        users = Users(self.database)
        self.roster = roster_of(users, engine, risk_of(settings.access))
        self.people = People(users, self.events, self.roster)
        shown = () if source is None else (str(source),)
        cameras = [
            CameraSettings(name="front", source=each, fps=8, loop=True, **UNMOVED) for each in shown
        ]
        keeper = Doorkeeper(self._record)
        hasher = PinHasher()
        presenting = CredentialCheck(
            self.people.credentials, keeper, hasher, LockOut(settings.credentials.tries)
        )
        self.recognitions = tuple(
            Recognition(
                CameraReader(camera),
                engine,
                self.roster,
                self._record,
                policy_of(settings.access),
                Metrics(),
                keeper=keeper,
            )
            for camera in cameras
        )
        recording = Recording(self.database, self.events, DoorModes(self.database), self.people)
        doors = Doors(
            settings.model_copy(update={"cameras": tuple(cameras)}),
            Hardware(),
            recording.at_door,
            lambda _state: None,
            before={},
            modes={},
            clock=utc_now,
            beat=lambda: None,
        )
        self.room = CommandServices(
            settings,
            self.people,
            self.events,
            engine,
            {each.name: each for each in self.recognitions},
            doors=doors.controllers,
            presenting=presenting,
            hasher=hasher,
            thresholds=lambda: self.access,
            **room,
        )
        self.commands = Commands(self.room, CommandLog(self.database))
        self.site: tuple[DoorLine, ...] = ()
        with logged() as lines:
            self.console = Console(
                ConsoleParts(
                    settings=settings,
                    configured=configured.access,
                    database=self.database,
                    commands=self.commands,
                    people=self.people,
                    rules=self.room.rules,
                    users=users,
                    events=self.events,
                    cameras={each.name: each for each in self.recognitions},
                    state=self.state,
                    access=lambda: self.access,
                    apply_access=self.apply,
                    flaw=lambda image, face: engine.quality(image, face).flaw,
                    doors=lambda: tuple(each.state() for each in doors.controllers.values()),
                    waiting=keeper.waiting,
                    site=lambda: self.site,
                    clock=clock,
                    limits=served or ConsoleLimits(),
                )
            )
        self.app = self.console.app
        codes = [line["code"] for line in lines if line["event"] == "console_set_up_needed"]
        self.set_up_code: str | None = codes[0] if codes else None
        self.url = self.console.url.rstrip("/")

    def apply(self, access: AccessSettings) -> None:
        self.access = access
        self.roster.apply(risk_of(access))
        for recognition in self.recognitions:
            recognition.apply(policy_of(access))

    def state(self) -> State:
        readings = Readings(
            cameras=tuple(each.camera.state for each in self.recognitions),
            users=self.people.count(),
            queue_length=self.events.queue_length(),
            events_dropped=0,
            uptime_s=4000.0,
        )
        return state_of(readings, utc_now())

    def operator(self, name: str = "anna", password: str = PASSWORD) -> "Browser":
        """Set up the first account as a browser would, and stay signed in."""
        browser = Browser(self.url)
        answer = browser.http.post(
            f"{self.url}/setup",
            data={"code": self.set_up_code or "", "name": name, "password": password},
        )
        assert answer.url == f"{self.url}/", answer.text
        browser.read_csrf(answer.text)
        return browser

    def token(self, role: Role = Role.OPERATOR) -> str:
        """An API token."""
        token, tokens = f"ostiary_test_{role.value}", ApiTokens(self.database)
        if tokens.find(token, utc_now()) is None:
            tokens.add(f"test-{role.value}", token, role, "test", utc_now())
        return token

    def accounts(self) -> Accounts:
        return Accounts(self.database)

    def __enter__(self) -> Self:
        for recognition in self.recognitions:
            recognition.start()
        self.console.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.console.stop()
        for recognition in self.recognitions:
            recognition.stop()
        self.database.close()

    def _record(self, told: Announcement, camera: str) -> None:
        decision = told.decision
        event = self.events.append_login(decision, source=camera, now=utc_now())
        self.console.decided(event.seq, camera)


@dataclass
class Browser:
    """A person's browser, without scripts: cookies, and the page's CSRF token."""

    url: str
    http: requests.Session = field(default_factory=requests.Session)
    csrf: str = ""

    def read_csrf(self, page: str) -> None:
        found = re.search(r'name="csrf" (?:content|value)="([^"]+)"', page)
        assert found is not None, "the page has no CSRF token"
        self.csrf = found[1]

    def sign_in(self, name: str, password: str) -> requests.Response:
        answer = self.http.post(f"{self.url}/sign-in", data={"name": name, "password": password})
        if answer.url == f"{self.url}/":
            self.read_csrf(answer.text)
        return answer

    def ask(self, method: str, path: str, **more: Any) -> requests.Response:
        """A request to the API, as the console's scripts send it."""
        headers = {"X-CSRF-Token": self.csrf, **more.pop("headers", {})}
        return self.http.request(method, f"{self.url}{path}", headers=headers, **more)


@contextmanager
def logged() -> Iterator[list[dict[str, Any]]]:
    """The log lines of the block."""
    with structlog.testing.capture_logs() as lines:
        yield lines  # type: ignore[misc]
