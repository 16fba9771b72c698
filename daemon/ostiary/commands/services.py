"""What the commands work with."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from ostiary.clock import always, utc_now
from ostiary.errors import (
    CameraUnavailable,
    CameraUnknown,
    DoorUnknown,
    NotAllowed,
    TooManyAttempts,
)
from ostiary.hardware.keypad import Entry
from ostiary.hardware.physical_door import Contact
from ostiary.limits.lock_out import LockOut
from ostiary.limits.rate import RateLimit
from ostiary.messages.entrance import DoorWhat, Mode
from ostiary.messages.state import EntranceState
from ostiary.people.credential_check import Outcome
from ostiary.people.people import People
from ostiary.people.pins import PinHasher
from ostiary.people.rulebook import RuleService
from ostiary.settings import AccessSettings, Settings
from ostiary.store.credentials import Credentials
from ostiary.store.events import Events
from ostiary.vision.arrays import BGRImage
from ostiary.vision.engine import VisionEngine
from ostiary.vision.face import Face
from ostiary.vision.image import ImageLimits, decode_image


class Camera(Protocol):
    """One camera, as commands use it (`Recognition`)."""

    @property
    def latest(self) -> BGRImage | None:
        """What it saw last; None before the first picture."""
        ...

    def ask(self, pose: str | None) -> None:
        """Show whoever stands there how to look: a word of the console's `guidance` (look_front,
        look_left, look_right); None: nothing is asked any more."""
        ...

    def capture(self, timeout: float, *, alive: bool = True) -> BGRImage:
        """The next frame with exactly one good face, within `timeout` seconds; `alive`: which shows
        what a grant needs of a live person, movement too.

        Raises TimedOut where none came, CameraUnavailable where there is no picture at all.
        """
        ...

    def live_score(self, bgr: BGRImage, face: Face) -> float:
        """P(live), 0 to 1, of a face in a picture of this camera."""
        ...

    @property
    def requires_movement(self) -> bool:
        """Whether a grant here needs a head that moves."""
        ...


class Door(Protocol):
    """The door itself, as commands use it (`Guard`)."""

    def released(self, by: str) -> bool:
        """Open it once; False in a lockdown, when it is not."""
        ...

    def set_mode(self, mode: Mode, by: str) -> None: ...

    def relock(self, by: str) -> None: ...

    def silence(self, by: str) -> None: ...

    def tell(self, what: DoorWhat, by: str) -> None:
        """Record something that changes nothing of the door itself."""
        ...

    def saw(self, contact: Contact) -> None: ...

    def state(self) -> EntranceState: ...


class Presents(Protocol):
    """Who decides what becomes of a PIN or a card (`Presenting`)."""

    def present(self, door: str, entry: Entry, claimed: str | None = None) -> Outcome: ...

    def again(self, door: str, *, is_same: bool) -> bool:
        """A transaction that is known came again, with the same PIN or card or with another, which
        is a wrong try. Whether it may be told so."""
        ...

    def next_card(self, door: str, timeout_s: float) -> str:
        """The number of the next card held to a reader of that door, which opens nothing. Raises
        TimedOut."""
        ...


class DeniedLogins:
    """A denied picture of a face says how near it came. Who may send thousands finds one that
    passes, so denials are counted, by where they come from; who is let in costs nothing."""

    def __init__(self, per_minute: float) -> None:
        self._rate = RateLimit(per_minute / 60.0, per_minute)
        self._lock = threading.Lock()

    def check(self, sender: str) -> None:
        """Raises TooManyAttempts."""
        with self._lock:
            wait_s = self._rate.wait_s(sender)
        if wait_s > 0:
            raise TooManyAttempts(
                f"Too many pictures were denied; try again in {max(1, round(wait_s))} s "
                "(commands.denied_logins_per_minute)."
            )

    def denied(self, sender: str) -> None:
        """Count one."""
        with self._lock:
            self._rate.take(sender)


def _nothing() -> None:
    pass


def _shown_nowhere(_camera: str, _image: BGRImage) -> None:
    pass


def _no_reload() -> None:
    raise NotAllowed("This door cannot be reloaded.")


@dataclass(frozen=True, slots=True)
class CommandLimits:
    """`images`: the largest that is taken, and in bytes the largest command. `waiting`: commands
    that may wait, by each way; more are answered `busy`. `camera_s`: so long the camera waits for a
    good face, or the reader for a card."""

    images: ImageLimits = field(default_factory=ImageLimits)
    waiting: int = 16
    camera_s: float = 8.0


@dataclass(frozen=True, slots=True)
class CommandServices:
    """`cameras` are by name, `doors` by their cameras' names.
    `reload` asks the daemon to start anew, and returns at once. `thresholds` gives those in force
    where they can change while running. `decode` decodes what strangers send. `logins` counts those
    that were denied, `pins_taken` PINs that were refused for being somebody's. `forgive` lets
    anti-passback begin anew. `clock_trusted`: whether the machine's clock is synchronised.
    `show_picture` shows a camera's picture on the bus, where the settings permit it."""

    settings: Settings
    people: People
    events: Events
    engine: VisionEngine
    cameras: Mapping[str, Camera] = field(default_factory=dict)
    reload: Callable[[], None] = _no_reload
    clock: Callable[[], datetime] = utc_now
    decode: Callable[[bytes, ImageLimits], BGRImage] = decode_image
    thresholds: Callable[[], AccessSettings] | None = None
    clock_trusted: Callable[[], bool] = always
    doors: Mapping[str, Door] = field(default_factory=dict)
    presenting: Presents | None = None
    forgive: Callable[[], object] = _nothing
    show_picture: Callable[[str, BGRImage], object] = _shown_nowhere
    hasher: PinHasher = field(default_factory=PinHasher)
    limits: CommandLimits = field(default_factory=CommandLimits)
    logins: DeniedLogins = field(init=False)
    rules: RuleService = field(init=False)
    pins_taken: LockOut = field(init=False)

    def __post_init__(self) -> None:
        per_minute = self.settings.commands.denied_logins_per_minute
        object.__setattr__(self, "logins", DeniedLogins(per_minute))
        object.__setattr__(self, "pins_taken", LockOut(self.settings.credentials.tries))
        rules = RuleService(self.people, self.settings, self.clock, self.clock_trusted)
        object.__setattr__(self, "rules", rules)

    @property
    def access(self) -> AccessSettings:
        """When somebody may pass, as of now."""
        return self.settings.access if self.thresholds is None else self.thresholds()

    def camera(self, name: str | None) -> tuple[str, Camera]:
        """The camera of that name, or without a name the only one; with its name.

        Raises CameraUnknown, which lists them, or CameraUnavailable where there is none.
        """
        if not self.cameras:
            raise CameraUnavailable("There is no camera to take the picture with; send an image.")
        names = ", ".join(self.cameras)
        if name is None and len(self.cameras) > 1:
            raise CameraUnknown(f'There are several cameras; name one of them ("camera"): {names}.')
        known = name or next(iter(self.cameras))
        if known not in self.cameras:
            raise CameraUnknown(f"There is no camera {known}. There are: {names}.")
        return known, self.cameras[known]

    @property
    def credentials(self) -> Credentials:
        return self.people.credentials

    def door_name(self, name: str | None) -> str:
        """The door of that name, or without a name the only one.

        Raises DoorUnknown, which lists them.
        """
        names = ", ".join(self.doors)
        if name is None and len(self.doors) > 1:
            raise DoorUnknown(f'There are several doors; name one of them ("door"): {names}.')
        known = name or next(iter(self.doors), "")
        if known not in self.doors:
            raise DoorUnknown(f"There is no door {known}. There are: {names or 'none'}.")
        return known

    def door(self, name: str | None) -> Door:
        """Likewise, the door itself."""
        return self.doors[self.door_name(name)]
