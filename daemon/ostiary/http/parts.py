"""The parts of the daemon that the console uses."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Protocol

from ostiary.clock import utc_now
from ostiary.commands.commands import Commands
from ostiary.decision.admission import Waiting
from ostiary.messages.state import EntranceState, State
from ostiary.people.people import People
from ostiary.people.rulebook import RuleService
from ostiary.pipeline.recognition import View
from ostiary.settings import AccessSettings, Settings
from ostiary.site.doors import DoorLine
from ostiary.store.database import Database
from ostiary.store.events import Events
from ostiary.store.users import Users
from ostiary.vision.arrays import BGRImage
from ostiary.vision.face import Face
from ostiary.vision.quality import Flaw


class Watched(Protocol):
    """A camera whose newest judged frame can be looked at (`Recognition`)."""

    @property
    def view(self) -> View | None: ...

    def wait_view(self, after: int, timeout: float) -> View | None:
        """The newest view whose frame number is above `after`; None if none comes in time."""


@dataclass(frozen=True, slots=True)
class ConsoleLimits:
    """`viewers`: of live pictures at a time; `connections`: in all. A request that is not received
    within `request_s` seconds is refused."""

    viewers: int = 8
    connections: int = 200
    request_s: float = 15.0


@dataclass(slots=True)
class ConsoleParts:
    """The parts of the daemon that the console uses.

    `settings`: those that the daemon started with; `configured`: the thresholds of the
    configuration alone. `access` gives the thresholds in force, and `apply_access` puts others in
    force in every camera and command; neither stores anything. `doors` gives the states of the
    doors, `waiting` what is waited for at one of them, `site` all doors of the site. `flaw` says
    what keeps a face from being judged; None: nothing. `cameras`: by name.
    """

    settings: Settings
    configured: AccessSettings
    database: Database
    commands: Commands
    people: People
    rules: RuleService
    users: Users
    events: Events
    cameras: Mapping[str, Watched]
    state: Callable[[], State]
    access: Callable[[], AccessSettings]
    apply_access: Callable[[AccessSettings], object]
    doors: Callable[[], tuple[EntranceState, ...]] = lambda: ()
    waiting: Callable[[str], Waiting | None] = lambda _door: None
    site: Callable[[], tuple[DoorLine, ...]] = lambda: ()
    flaw: Callable[[BGRImage, Face], Flaw | None] = lambda _image, _face: None
    clock: Callable[[], datetime] = utc_now
    limits: ConsoleLimits = field(default_factory=ConsoleLimits)

    def clear(self) -> None:
        """Let go of everything, once the console has stopped."""
        for each in fields(self):
            delattr(self, each.name)
