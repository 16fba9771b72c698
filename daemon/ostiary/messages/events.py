"""Events that a door tells the building: one model for each. Schema and docs are made of them."""

from datetime import datetime
from functools import partial
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, PlainSerializer

from ostiary.messages.words import DoorWhat, Mode, Prompt, Reason, RecognizerName

NOT_A_CAMERA = ("mqtt", "http", "cli")
"""Sources of an event that are no camera."""


def rfc3339(moment: datetime) -> str:
    """Write a moment in UTC, with milliseconds and `Z`. Such texts sort as the moments do."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _significant(value: float) -> float:
    return float(f"{value:.3g}")


Timestamp = Annotated[AwareDatetime, PlainSerializer(rfc3339, return_type=str, when_used="json")]
Tenths = Annotated[float, AfterValidator(partial(round, ndigits=1))]
Thousandths = Annotated[float, AfterValidator(partial(round, ndigits=3))]
Millionths = Annotated[float, AfterValidator(partial(round, ndigits=6))]
Significant = Annotated[float, AfterValidator(_significant)]
"""Rounded to three significant digits."""


class Message(BaseModel):
    """Base of all messages. It refuses unknown fields, and names them."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Event(Message):
    """Fields of every event."""

    event_id: UUID = Field(description="UUIDv7. A repeated id is the same event, delivered again.")
    seq: int = Field(ge=1, description="Grows by one with every event of this device.")
    timestamp: Timestamp = Field(description="Time of the event: RFC 3339, UTC.")


class LoggedEvent(Event):
    """Fields of every event that can be looked up later."""

    forgotten: bool = Field(
        default=False,
        description="true: the event named a person who was deleted since, and the name is gone. "
        "Only in events that are looked up later.",
    )


class LoginEvent(LoggedEvent):
    """One decision about one person before the door."""

    success: bool = Field(description="True for granted, false for denied.")
    username: str | None = Field(description="The person; of a denial, the one it would have been.")
    distance: float | None = Field(
        ge=0,
        description="Euclidean distance to the nearest person, in the metric of `recognizer`. "
        "Smaller is more alike.",
    )
    similarity: Millionths | None = Field(description="1 - distance.")
    threshold: float | None = Field(
        default=None,
        ge=0,
        description="Largest distance that was near enough then. It follows the number of "
        "registered people: compare with this, never with a number of your own.",
    )
    recognizer: RecognizerName | None = Field(
        default=None,
        description="The recogniser of `distance`; null in an event of an older version.",
    )
    liveness: float | None = Field(ge=0, le=1, description="P(live), 0 to 1.")
    reason: Reason = Field(description="Reason of the decision.")
    message: str = Field(description="The reason in words.")
    source: str = Field(description="Name of the camera; `mqtt` or `http` for one sent image.")


class UserEvent(LoggedEvent):
    """A person was registered, changed or removed."""

    action: Literal["registered", "updated", "renamed", "deleted"]
    username: str | None = Field(description="null only where `forgotten` is true.")
    previous_username: str | None = Field(
        default=None, description="Of `renamed`: the name before."
    )
    source: str = Field(
        description="Way by which it was asked: `mqtt`, `http` or `cli`. Or the door did it "
        "itself: `migration`, for a template of a newer recogniser; `visit`, for a person's second "
        "template; `expiry`, for a person whose time was over."
    )


class EntranceEvent(LoggedEvent):
    """A change at the physical door."""

    source: str = Field(description="Name of the door's camera.")
    what: DoorWhat = Field(
        description="`forced`: it opened though nobody was let in. `held_open`: it stays open for "
        "too long. `alarm_over`: neither any more. `silenced`: somebody heard the alarm. "
        "`released`: opened remotely. `forgiven`: anti-passback begins anew. `mode`: its mode "
        "changed. `fault`: a part of it cannot be used, see `by`. `calibrated`: its camera has a "
        "last layer of its own. `calibration_dropped`: that layer is used no more."
    )
    username: str | None = Field(
        default=None, description="Of `opened`: the person who was let in, if any."
    )
    mode: Mode | None = Field(default=None, description="Of `mode`: the new mode.")
    by: str | None = Field(
        default=None,
        description="Of `mode`, `released`, `silenced` and `forgiven`: `mqtt`, `http`, `cli`, or "
        "`schedule`. Of `fault` and `fault_over`: `contact`, `exit_button` or `keypad`. Of "
        "`calibration_dropped`: `camera`, `size` or `networks` (another than it was made for), "
        "`damaged`, or `forgotten`.",
    )
    asker: str | None = Field(
        default=None,
        description="Of `mode`, `released`, `silenced` and `forgiven`: the account, `token:…`, "
        "`client:…` or `local:…` (this machine's user) that asked, where that is known.",
    )


class DuressEvent(LoggedEvent):
    """Tells that somebody was let in with the duress PIN: they are forced. The door and all other
    events behave as always, so show this to nobody who may stand there. Its `event_id` and `seq`
    are those of the login, so no gap shows it."""

    username: str | None = Field(description="null only where `forgotten` is true.")
    source: str = Field(description="Name of the door's camera.")


class DoorEvent(Event):
    """Open the door now. It is sent only for a granted decision of a camera, and only while that
    is fresh. A lock ignores one that it has seen, that has expired, or that the door did not sign
    (config/lock has a verifier in Python and in C)."""

    door: str = Field(description="Topic of the door: `ostiary/<device id>`.")
    username: str
    source: str = Field(description="The camera's name.")
    expires: Timestamp = Field(
        description="End of its validity: from then on it must not open anything."
    )
    signature: str = Field(
        description="Ed25519 in base64, by the key that `ostiary door-key` shows, over "
        "`ostiary-door-v1` and the texts of door, seq, event_id, expires, source and username, "
        "with a line feed between each."
    )

    @classmethod
    def unsigned(cls, event: LoginEvent, username: str, door: str, expires: datetime) -> Self:
        """The message that opens `door`, by its topic, for `event`; its signature is empty."""
        return cls(
            event_id=event.event_id,
            seq=event.seq,
            timestamp=event.timestamp,
            door=door,
            username=username,
            source=event.source,
            expires=expires,
            signature="",
        )

    def signed_text(self) -> bytes:
        """The text that is signed. The name comes last: it alone is anybody's text."""
        parts = (
            "ostiary-door-v1",
            self.door,
            str(self.seq),
            str(self.event_id),
            rfc3339(self.expires),
            self.source,
            self.username,
        )
        return "\n".join(parts).encode()


class PromptMessage(Message):
    """Prompt to show or say at the door now. It names nobody."""

    timestamp: Timestamp
    source: str = Field(description="The camera's name.")
    prompt: Prompt | None = Field(
        description="Movement to ask for, by the person's own left and right; null: nothing is "
        "asked any more, and the decision is in `…/event/login`."
    )
    step: int = Field(
        ge=0, description="Number of the prompt, from 1 on; 0 with null and `step_back`."
    )
    expires: Timestamp = Field(description="End of the time for all prompts.")


class LogHead(Message):
    """One hash of the log (events and audit rows) up to here. Keep these messages: they show later
    that something before was altered or taken away (`ostiary verify-log --head FILE`)."""

    door: str = Field(description="Topic of the door: `ostiary/<device id>`.")
    position: int = Field(ge=1, description="Position of the chain's newest entry.")
    link: str = Field(
        pattern="^[0-9a-f]{64}$",
        description="Hash of that entry (SHA-256 in hex), over all before it.",
    )
    signed_at: Timestamp
    signature: str = Field(
        description="Ed25519 in base64, by the key that `ostiary door-key` shows, over "
        "`ostiary-log-v1` and the texts of door, position, link and signed_at, with a line feed "
        "between each."
    )

    def signed_text(self) -> bytes:
        """The text that is signed."""
        parts = ("ostiary-log-v1", self.door, str(self.position), self.link)
        return "\n".join((*parts, rfc3339(self.signed_at))).encode()


AnyEvent = LoginEvent | UserEvent | EntranceEvent | DuressEvent
"""Every event that is stored, and told once."""
