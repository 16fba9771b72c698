"""The daemon's own report, retained under `…/state`."""

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from ostiary.messages.calibration import CalibrationState
from ostiary.messages.events import Message, Significant, Tenths, Thousandths, Timestamp
from ostiary.messages.words import DoorState, Mode, RecognizerName


class CameraState(Message):
    """One camera."""

    name: str
    status: Literal["ok", "stalled", "reconnecting", "absent", "ended"]
    fps: Tenths = Field(ge=0, description="Frames that arrive, a second.")
    calibration: CalibrationState | None = Field(
        default=None, description="Its own last layer; null: the networks themselves judge."
    )


class ModelState(Message):
    """One model file."""

    name: str
    sha256: str


class SiteScale(Message):
    """How much the people of this door resemble each other, and what that costs."""

    reference: Thousandths = Field(
        ge=0, description="The distance for people who are no more alike than those measured."
    )
    alike: Thousandths = Field(
        ge=1, description="How many times as near to each other these are; 1: no more."
    )
    turned_away: Thousandths = Field(
        ge=0,
        le=1,
        description="Share of single pictures beside a single template that are turned away at the "
        "distance in force, as measured.",
    )
    turned_away_at_reference: Thousandths = Field(
        ge=0, le=1, description="Likewise, at `reference`."
    )

    def in_words(self, distance: float) -> str:
        """For an operator; `distance` is the one in force."""
        return (
            f"your people resemble each other more than most (as {self.alike:.1f} to 1): the door "
            f"asks for {distance:.2f} instead of {self.reference:.2f}, and of single looks beside "
            f"a single template it turns away {_percent(self.turned_away)} instead of "
            f"{_percent(self.turned_away_at_reference)}; a second template of everybody mends that"
        )


class RecognitionState(Message):
    """How people are told apart now."""

    recognizer: RecognizerName
    threshold: Thousandths = Field(ge=0, description="The distance that is near enough.")
    false_accept: Significant = Field(
        ge=0, le=1, description="The chance that one stranger is taken for anybody at it."
    )
    extrapolated: bool = Field(
        description="That chance is smaller than the measured pairs can show."
    )
    waiting: int = Field(ge=0, description="People who are known by a former recogniser only.")
    scale: SiteScale | None = Field(
        default=None, description="null: these people are no more alike than those measured."
    )
    one_template: int = Field(
        default=0, ge=0, description="People with one template only: two are the rule."
    )
    promised: bool = Field(
        default=True,
        description="false: `false_accept` is of one group of people only, and may be a hundred "
        "times as large for others (dlib).",
    )


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


class BrokerState(Message):
    """What the MQTT broker takes, as far as it says."""

    packet_limit: int | None = Field(
        description="The largest message in bytes, with its topic; null: no limit is known."
    )
    qos: int = Field(ge=0, le=2, description="The highest quality of service.")
    retain: bool = Field(description="Whether it keeps the last message of a topic.")
    session_expiry_s: int | None = Field(
        default=None,
        description="How long it keeps commands for a door that is away; null: an hour, as the "
        "door asks for.",
    )
    keepalive_s: int | None = Field(
        default=None, description="How often it wants a sign of life; null: as offered."
    )
    too_large: tuple[str, ...] = Field(
        default=(), description="Topics of messages that were not sent, as they are larger."
    )


class SiteState(Message):
    """What this door knows of its site."""

    site: str
    role: Literal["door", "enroller", "revoked"] | None = Field(
        description="What this door may do there; null: it has not joined."
    )
    heard: bool = Field(description="Everything that the broker keeps was heard.")
    people: int = Field(ge=0, description="People of the site.")
    pending: int = Field(ge=0, description="Changes that the broker has not got yet.")
    doors: int = Field(ge=0, description="Members that are not revoked, with the key-holder.")
    unconfirmed: tuple[str, ...] = Field(
        default=(), description="Doors that did not confirm for an hour."
    )
    refused: dict[str, int] = Field(
        default_factory=dict, description="Messages that were not believed, by why."
    )


class State(Message):
    """Is the door well?"""

    timestamp: Timestamp
    version: str
    health: Literal["ok", "degraded", "failed"] = Field(
        description="degraded: something needs attention; failed: everybody is denied."
    )
    problems: tuple[str, ...] = Field(default=(), description="What is wrong, as stable words.")
    uptime_s: Tenths = Field(ge=0)
    cameras: tuple[CameraState, ...]
    users: int = Field(ge=0, description="Registered people.")
    queue_length: int = Field(ge=0, description="Events the broker does not have yet.")
    events_dropped: int = Field(
        ge=0, description="Events ever removed undelivered, because too many waited."
    )
    recognition: RecognitionState | None = Field(
        default=None, description="null in the report of an older version."
    )
    models: tuple[ModelState, ...] = ()
    site: SiteState | None = Field(default=None, description="null: this door is on its own.")
    broker: BrokerState | None = Field(default=None, description="null: there is no connection.")

    def shortened(self) -> Iterator["State"]:
        """The report, and shorter ones for a broker that does not take so much: without models,
        then without the site's doors, then without cameras."""
        yield self
        short = self.model_copy(update={"models": ()})
        yield short
        site = self.site and self.site.model_copy(update={"unconfirmed": (), "refused": {}})
        short = short.model_copy(update={"site": site})
        yield short
        yield short.model_copy(update={"cameras": (), "site": None, "recognition": None})


class EntranceState(Message):
    """How the door is now, retained."""

    door: str = Field(description="Which one: its camera's name.")
    state: DoorState
    mode: Mode
    lock: str = Field(description="`locked` or `unlocked`: what the lock is told to be.")
    contact: str = Field(
        description="`open` or `closed`; `none`: there is no contact; `unreadable`: it cannot be "
        "read."
    )
    alarm: bool = Field(description="Whether the alarm sounds.")
    faults: tuple[str, ...] = Field(
        default=(),
        description="Which of `contact`, `exit_button`, `keypad`, `alarm` cannot be used now.",
    )
    since: Timestamp = Field(description="Of the last change.")
