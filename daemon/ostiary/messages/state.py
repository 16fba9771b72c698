"""The daemon's own report, retained under `…/state`."""

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from ostiary.messages.calibration import CalibrationState
from ostiary.messages.events import Message, Significant, Tenths, Thousandths, Timestamp
from ostiary.messages.words import DoorState, Mode, RecognizerName


class CameraState(Message):
    """State of one camera."""

    name: str
    status: Literal["ok", "stalled", "reconnecting", "absent", "ended"]
    fps: Tenths = Field(ge=0, description="Frames a second that arrive.")
    calibration: CalibrationState | None = Field(
        default=None, description="Its own last layer; null: the networks themselves judge."
    )


class ModelState(Message):
    """One model file."""

    name: str
    sha256: str


class SiteScale(Message):
    """Likeness of this door's people, and its cost."""

    reference: Thousandths = Field(
        ge=0,
        description="Largest distance that would be near enough for people who are no more alike "
        "than those measured.",
    )
    alike: Thousandths = Field(
        ge=1,
        description="Factor by which these people are nearer to each other; 1: no nearer.",
    )
    turned_away: Thousandths = Field(
        ge=0,
        le=1,
        description="Measured share of single pictures, each beside a single template, that are "
        "turned away at the distance in force.",
    )
    turned_away_at_reference: Thousandths = Field(
        ge=0, le=1, description="The same share at `reference`."
    )

    def in_words(self, distance: float) -> str:
        """Say it to an operator. `distance` is the one in force."""
        return (
            f"your people resemble each other more than most (as {self.alike:.1f} to 1): the door "
            f"asks for {distance:.2f} instead of {self.reference:.2f}, and of single looks beside "
            f"a single template it turns away {_percent(self.turned_away)} instead of "
            f"{_percent(self.turned_away_at_reference)}; a second template of everybody mends that"
        )


class RecognitionState(Message):
    """Recognition as it is now: recogniser, distance and risk."""

    recognizer: RecognizerName
    threshold: Thousandths = Field(ge=0, description="Largest distance that is near enough.")
    false_accept: Significant = Field(
        ge=0, le=1, description="Chance that one stranger is taken for anybody at that distance."
    )
    extrapolated: bool = Field(
        description="true: that chance is smaller than the measured pairs can show."
    )
    waiting: int = Field(
        ge=0, description="Number of people who are known by a former recogniser only."
    )
    scale: SiteScale | None = Field(
        default=None, description="null: these people are no more alike than those measured."
    )
    one_template: int = Field(
        default=0, ge=0, description="Number of people with one template only; two are wanted."
    )
    promised: bool = Field(
        default=True,
        description="false: `false_accept` is of one group of people only, and may be a hundred "
        "times as large for others (dlib).",
    )


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


class BrokerState(Message):
    """Limits of the MQTT broker, as far as it says."""

    packet_limit: int | None = Field(
        description="Largest message with its topic, in bytes; null: no limit is known."
    )
    qos: int = Field(ge=0, le=2, description="Highest quality of service.")
    retain: bool = Field(description="Whether it keeps the last message of a topic.")
    session_expiry_s: int | None = Field(
        default=None,
        description="Seconds for which it keeps commands for a door that is away; null: an hour, "
        "as the door asks for.",
    )
    keepalive_s: int | None = Field(
        default=None,
        description="Seconds within which it wants a sign of life; null: as the door offers.",
    )
    too_large: tuple[str, ...] = Field(
        default=(), description="Topics of messages that were not sent, because they are larger."
    )


class SiteState(Message):
    """The site, as this door knows it."""

    site: str
    role: Literal["door", "enroller", "revoked"] | None = Field(
        description="Role of this door; null: it has not joined."
    )
    heard: bool = Field(description="true: this door has heard everything that the broker keeps.")
    people: int = Field(ge=0, description="Number of people of the site.")
    pending: int = Field(ge=0, description="Number of changes that the broker does not have yet.")
    doors: int = Field(
        ge=0, description="Number of members that are not revoked, with the key-holder."
    )
    unconfirmed: tuple[str, ...] = Field(
        default=(), description="Doors that did not confirm for an hour."
    )
    refused: dict[str, int] = Field(
        default_factory=dict, description="Number of messages that were refused, by reason."
    )


class State(Message):
    """Report on the door's health."""

    timestamp: Timestamp
    version: str
    health: Literal["ok", "degraded", "failed"] = Field(
        description="degraded: something needs attention; failed: everybody is denied."
    )
    problems: tuple[str, ...] = Field(default=(), description="Problems, as stable words.")
    uptime_s: Tenths = Field(ge=0, description="Seconds since the start.")
    cameras: tuple[CameraState, ...]
    users: int = Field(ge=0, description="Number of registered people.")
    queue_length: int = Field(
        ge=0, description="Number of events that the broker does not have yet."
    )
    events_dropped: int = Field(
        ge=0,
        description="Number of events that were ever removed undelivered, because too many waited.",
    )
    recognition: RecognitionState | None = Field(
        default=None, description="null in the report of an older version."
    )
    models: tuple[ModelState, ...] = ()
    site: SiteState | None = Field(default=None, description="null: this door is on its own.")
    broker: BrokerState | None = Field(default=None, description="null: there is no connection.")

    def shortened(self) -> Iterator["State"]:
        """Yield the report, then shorter ones for a broker that does not take so much: without
        models, then without the site's doors, then without cameras."""
        yield self
        short = self.model_copy(update={"models": ()})
        yield short
        site = self.site and self.site.model_copy(update={"unconfirmed": (), "refused": {}})
        short = short.model_copy(update={"site": site})
        yield short
        yield short.model_copy(update={"cameras": (), "site": None, "recognition": None})


class EntranceState(Message):
    """State of a physical door now, retained."""

    door: str = Field(description="Name of the door's camera.")
    state: DoorState
    mode: Mode
    lock: str = Field(description="`locked` or `unlocked`, as the lock is told.")
    contact: str = Field(
        description="`open` or `closed`; `none`: there is no contact; `unreadable`: it cannot be "
        "read."
    )
    alarm: bool = Field(description="Whether the alarm sounds.")
    faults: tuple[str, ...] = Field(
        default=(),
        description="Those of `contact`, `exit_button`, `keypad` and `alarm` that cannot be used.",
    )
    since: Timestamp = Field(description="Time of the last change.")
