"""What the commands use: people, events, cameras, doors, limits."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from ostiary.clock import utc_now
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
from ostiary.messages.state import EntranceState
from ostiary.messages.words import DoorWhat, Mode
from ostiary.people.credential_check import Outcome, PinHasher
from ostiary.people.people import People
from ostiary.people.rulebook import RuleService
from ostiary.settings import AccessSettings, Settings
from ostiary.store.credentials import Credentials
from ostiary.store.events import Events
from ostiary.vision.arrays import BGRImage
from ostiary.vision.engine import VisionEngine
from ostiary.vision.face import Face
from ostiary.vision.image import ImageLimits, decode_image


class Camera(Protocol):
    """A camera as commands use it (`Recognition`)."""

    @property
    def latest(self) -> BGRImage | None:
        """The newest picture; None before the first."""

    def ask(self, pose: str | None) -> None:
        """Ask whoever stands there to look somewhere: `look_front`, `look_left` or `look_right`;
        None: ask nothing any more."""

    def capture(self, timeout: float, *, alive: bool = True) -> BGRImage:
        """Wait up to `timeout` seconds for a frame with exactly one good face. `alive`: one that
        shows all that a grant needs of a live person, movement too.

        Raises TimedOut where none came, CameraUnavailable where there is no picture at all.
        """

    def live_score(self, bgr: BGRImage, face: Face) -> float:
        """P(live), 0 to 1, of a face in a picture of this camera."""

    @property
    def requires_movement(self) -> bool:
        """Whether a grant here needs a head that moves."""


class Door(Protocol):
    """A physical door as commands use it (`DoorController`)."""

    def released(self, by: str) -> bool:
        """Open the door once; False: it is in lockdown and stays closed."""

    def set_mode(self, mode: Mode, by: str) -> None: ...

    def relock(self, by: str) -> None: ...

    def silence(self, by: str) -> None: ...

    def tell(self, what: DoorWhat, by: str) -> None:
        """Record something that does not change the door itself."""

    def saw(self, contact: Contact) -> None: ...

    def state(self) -> EntranceState: ...


class Presents(Protocol):
    """Decides about PINs and cards that are presented at a door (`people/credential_check.py`)."""

    def present(self, door: str, entry: Entry, claimed: str | None = None) -> Outcome: ...

    def again(self, door: str, *, is_same: bool) -> bool:
        """Note that a known transaction came again. `is_same`: with the same PIN or card; another
        one is a wrong try. Returns whether the asker may be told."""

    def next_card(self, door: str, timeout_s: float) -> str:
        """Wait for the next card at a reader of that door, and give its number; it opens nothing.
        Raises TimedOut."""


class DeniedLogins:
    """Limits how many denied pictures somebody may send with `login`. A denial says how near the
    face came, and by thousands of pictures one is found that passes. Grants are not counted."""

    def __init__(self, per_minute: float) -> None:
        self._rate = RateLimit(per_minute / 60.0, per_minute)
        self._lock = threading.Lock()

    def check(self, sender: str) -> None:
        """Raises TooManyAttempts where `sender` was denied too often."""
        with self._lock:
            wait_s = self._rate.wait_s(sender)
        if wait_s > 0:
            raise TooManyAttempts(
                f"Too many pictures were denied; try again in {max(1, round(wait_s))} s "
                "(commands.denied_logins_per_minute)."
            )

    def denied(self, sender: str) -> None:
        """Count a denial."""
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
    """`images`: the largest image, and in bytes the largest command. `waiting`: commands that may
    wait on each way; more are answered `busy`. `camera_s`: how long a camera waits for a good face,
    or a reader for a card, in seconds."""

    images: ImageLimits = field(default_factory=ImageLimits)
    waiting: int = 16
    camera_s: float = 8.0


@dataclass(frozen=True, slots=True)
class CommandServices:
    """What commands use. `cameras` and `doors` are by the camera's name.

    `reload` makes the daemon start anew, and returns at once. `decode` decodes what strangers send.
    `thresholds` gives those in force where they can change while running. `forgive` begins
    anti-passback anew. `show_picture` publishes a camera's picture, where the settings permit it.
    `logins` counts denied pictures, `pins_taken` refused PINs that are somebody's already."""

    settings: Settings
    people: People
    events: Events
    engine: VisionEngine
    rules: RuleService
    logins: DeniedLogins
    pins_taken: LockOut
    cameras: Mapping[str, Camera] = field(default_factory=dict)
    reload: Callable[[], None] = _no_reload
    clock: Callable[[], datetime] = utc_now
    decode: Callable[[bytes, ImageLimits], BGRImage] = decode_image
    thresholds: Callable[[], AccessSettings] | None = None
    doors: Mapping[str, Door] = field(default_factory=dict)
    credential_check: Presents | None = None
    forgive: Callable[[], object] = _nothing
    show_picture: Callable[[str, BGRImage], object] = _shown_nowhere
    hasher: PinHasher = field(default_factory=PinHasher)
    limits: CommandLimits = field(default_factory=CommandLimits)

    @property
    def access(self) -> AccessSettings:
        """The thresholds in force."""
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
        """The name of the door of that name, or without a name of the only one.

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
        """The door that `door_name` names. Raises DoorUnknown."""
        return self.doors[self.door_name(name)]
