"""What the commands work with."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

from ostiary.commands.logins import DeniedLogins
from ostiary.commands.people import People
from ostiary.config import AccessSettings, Settings
from ostiary.errors import NotAllowed
from ostiary.store.events import Events
from ostiary.vision.arrays import BGRImage
from ostiary.vision.engine import VisionEngine


class FaceCapture(Protocol):
    """The camera, asked for one picture of whoever stands before it."""

    def capture(self, timeout: float) -> BGRImage:
        """The next frame with exactly one good, live face, within `timeout` seconds.

        Raises TimedOut where none came, CameraUnavailable where there is no picture at all.
        """
        ...


def _no_image() -> BGRImage | None:
    return None


def _no_reload() -> None:
    raise NotAllowed("This door cannot be reloaded.")


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Room:
    """`camera` is None where the daemon has no camera. `latest_image` gives what it sees now.
    `reload` asks the daemon to start anew, and returns at once. `thresholds` gives those in force
    where they can change while running. `logins` counts those that were denied."""

    settings: Settings
    people: People
    events: Events
    engine: VisionEngine
    camera: FaceCapture | None = None
    latest_image: Callable[[], BGRImage | None] = _no_image
    reload: Callable[[], None] = _no_reload
    clock: Callable[[], datetime] = utc_now
    thresholds: Callable[[], AccessSettings] | None = None
    logins: DeniedLogins = field(init=False)

    def __post_init__(self) -> None:
        per_minute = self.settings.commands.denied_logins_per_minute
        object.__setattr__(self, "logins", DeniedLogins(per_minute))

    @property
    def access(self) -> AccessSettings:
        """When somebody may pass, as of now."""
        return self.settings.access if self.thresholds is None else self.thresholds()
