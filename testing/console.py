"""A door with its console, without a broker: everything else of `ostiary.app`, and a
camera that shows a folder or clip."""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Self

import requests
import structlog

from ostiary.app.building import Building, services_of
from ostiary.app.console import opened_parts
from ostiary.app.core import opened_core
from ostiary.app.doors import opened_doors
from ostiary.app.pipeline import Pipeline
from ostiary.camera.reader import CameraReader
from ostiary.clock import utc_now
from ostiary.decision.camera_memory import Announcement
from ostiary.http import server
from ostiary.http.app import Console
from ostiary.http.parts import ConsoleLimits
from ostiary.local.client import LocalDoor
from ostiary.local.server import LocalServer
from ostiary.messages.state import State
from ostiary.service.health import Readings, state_of
from ostiary.settings import AccessSettings, CameraSettings, Settings
from ostiary.site.doors import DoorLine
from ostiary.store.accounts import Accounts, ApiTokens, Role
from ostiary.vision.engine import VisionEngine
from testing.ports import free_port
from testing.rules import UNMOVED
from testing.waiting import PATIENCE_S

PASSWORD = "three blue doors"
HASTE = 10_000.0  # requests a second: tests are not to wait
server.START_WITHIN_S = PATIENCE_S  # its thread steps back behind every other; so for requests


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
    """Starts on entering, stops cleanly on leaving. `shows`: what its only camera shows, or that
    camera itself."""

    def __init__(
        self,
        configured: Settings,
        engine: VisionEngine,
        shows: Path | str | CameraReader | None = None,
        clock: Callable[[], datetime] = utc_now,
        served: ConsoleLimits | None = None,
        **services: Any,
    ) -> None:
        """Without `shows` nobody looks at its door. `services` go over those of a whole door."""
        cameras: list[CameraReader] = []
        if isinstance(shows, CameraReader):
            cameras = [shows]
        elif shows is not None:
            front = CameraSettings(name="front", source=str(shows), fps=8, loop=True, **UNMOVED)
            cameras = [CameraReader(front)]
            configured = configured.model_copy(update={"cameras": (front,)})
        self.site: tuple[DoorLine, ...] = ()
        with ExitStack() as making:
            core = making.enter_context(opened_core(configured, engine))
            doors = making.enter_context(opened_doors(core))
            self._pipeline = Pipeline(core, doors, cameras=cameras)
            self.services = replace(services_of(core, doors, self._pipeline), **services)
            building = Building(core, doors, self._pipeline, self.services)
            parts = opened_parts(core, doors, self._pipeline, building)
            shown = replace(
                making.enter_context(parts),
                state=self.state,
                site=lambda: self.site,
                clock=clock,
                limits=served or ConsoleLimits(request_s=PATIENCE_S),
            )
            with logged() as lines:
                self.console = Console(shown)
            self._made = making.pop_all()
        core.signals.decided.add(self._keep_picture)
        self.settings, self.database, self.events = core.settings, core.database, core.events
        self.people, self.roster = core.people, core.people.roster
        self.commands = building.commands
        self.recognitions = self._pipeline.recognitions
        self.app = self.console.app
        codes = [line["code"] for line in lines if line["event"] == "console_set_up_needed"]
        self.set_up_code: str | None = codes[0] if codes else None
        self.url = self.console.url.rstrip("/")

    @property
    def access(self) -> AccessSettings:
        """The thresholds in force."""
        return self._pipeline.access()

    def state(self) -> State:
        """How the door would be if all of it ran."""
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

    @contextmanager
    def at_its_socket(self) -> Iterator[LocalDoor]:
        """The door as this machine's command line asks it, until the block ends."""
        server = LocalServer(self.commands, self.settings)
        server.start()
        try:
            yield LocalDoor(self.settings.commands.socket)
        finally:
            server.stop()

    def accounts(self) -> Accounts:
        return Accounts(self.database)

    def __enter__(self) -> Self:
        self._pipeline.start()
        self.console.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.console.stop()
        self._pipeline.stop()
        self._made.close()

    def _keep_picture(self, _announcement: Announcement, source: str, number: int) -> None:
        self.console.decided(number, source)


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
