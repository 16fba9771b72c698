"""What Ostiary tells the building: one model an event, from which schema and docs are made."""

from datetime import datetime
from functools import partial
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, PlainSerializer

from ostiary.messages.words import DoorWhat, Mode, Prompt, Reason, RecognizerName

NOT_A_CAMERA = ("mqtt", "http", "cli")
"""Sources of an event that are nobody at the door."""


def rfc3339(moment: datetime) -> str:
    """UTC with milliseconds and `Z`, so that texts sort as the moments do."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _significant(value: float) -> float:
    return float(f"{value:.3g}")


Timestamp = Annotated[AwareDatetime, PlainSerializer(rfc3339, return_type=str, when_used="json")]
Tenths = Annotated[float, AfterValidator(partial(round, ndigits=1))]
Thousandths = Annotated[float, AfterValidator(partial(round, ndigits=3))]
Millionths = Annotated[float, AfterValidator(partial(round, ndigits=6))]
Significant = Annotated[float, AfterValidator(_significant)]
"""Three digits, however small it is."""


class Message(BaseModel):
    """Base of everything that crosses the wire: unknown fields are refused by name."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Event(Message):
    """What all events have in common."""

    event_id: UUID = Field(description="UUIDv7. A repeated id is the same event, delivered again.")
    seq: int = Field(ge=1, description="Grows by one with every event of this device.")
    timestamp: Timestamp = Field(description="When it was decided: RFC 3339, UTC.")


class LoggedEvent(Event):
    """What those have in common that can be looked up later."""

    forgotten: bool = Field(
        default=False,
        description="It named a person who was deleted since; the name is gone. True only in "
        "events that are looked up later.",
    )


class LoginEvent(LoggedEvent):
    """One decision about one person before the door."""

    success: bool = Field(description="True for granted, false for denied.")
    username: str | None = Field(description="Who it was, or who it would have been.")
    distance: float | None = Field(
        ge=0,
        description="Euclidean distance to the nearest person, in the metric of `recognizer`; "
        "smaller is more alike.",
    )
    similarity: Millionths | None = Field(description="1 - distance.")
    threshold: float | None = Field(
        default=None,
        ge=0,
        description="The largest distance that was near enough then. It follows the number of "
        "registered people: compare with this, never with a number of your own.",
    )
    recognizer: RecognizerName | None = Field(
        default=None,
        description="The recogniser of `distance`; null in an event of an older version.",
    )
    liveness: float | None = Field(ge=0, le=1, description="P(live), 0 to 1.")
    reason: Reason = Field(description="Why it was decided so.")
    message: str = Field(description="The same in words.")
    source: str = Field(description="The camera's name, or `mqtt` or `http` for one sent image.")


class UserEvent(LoggedEvent):
    """A person was registered, changed or removed."""

    action: Literal["registered", "updated", "renamed", "deleted"]
    username: str | None = Field(description="None only where it is `forgotten`.")
    previous_username: str | None = Field(default=None, description="Set when renamed.")
    source: str = Field(
        description="Who asked: `mqtt`, `http` or `cli`; `migration`, `visit` or `expiry`: the "
        "door itself, for a template of a newer recogniser, for somebody's second template, or "
        "for somebody whose time was over."
    )


class EntranceEvent(LoggedEvent):
    """Something happened at the physical door."""

    source: str = Field(description="Which door: its camera's name.")
    what: DoorWhat = Field(
        description="`forced`: it opened though nobody was let in. `held_open`: it stays open for "
        "too long. `alarm_over`: neither any more; `silenced`: somebody heard it. `released`: "
        "opened remotely. `forgiven`: anti-passback begins anew. `mode`: its mode changed. "
        "`fault`: something of it cannot be used, see `by`. `calibrated`: its camera has a last "
        "layer of its own; `calibration_dropped`: it is used no more."
    )
    username: str | None = Field(
        default=None, description="Of `opened`: the person who was let in, if any."
    )
    mode: Mode | None = Field(default=None, description="The new one, of `mode`.")
    by: str | None = Field(
        default=None,
        description="Of `mode`, `released`, `silenced` and `forgiven`: `mqtt`, `http`, `cli`, or "
        "`schedule`. Of `fault` and `fault_over`: `contact`, `exit_button` or `keypad`. Of "
        "`calibration_dropped`: `camera`, `size` or `networks` (another than it was made for), "
        "`damaged`, or `forgotten`.",
    )
    asker: str | None = Field(
        default=None,
        description="Of `mode`, `released`, `silenced` and `forgiven`: whose account it was, or "
        "`token:…`, `client:…` or `local:…` (this machine's user), where that is known.",
    )


class DuressEvent(LoggedEvent):
    """Somebody was let in with the duress PIN: they are forced. Everything at the door, and every
    other event, is as always: show this to nobody who may stand there. Its `event_id` and `seq` are
    those of the login, so no gap shows it."""

    username: str | None = Field(description="None only where it is `forgotten`.")
    source: str = Field(description="Which door: its camera's name.")


class DoorEvent(Event):
    """Open the door, now. Sent only for a granted decision of a camera, and only while it is
    fresh; a lock ignores one that it has seen, that has expired, or that the door did not sign
    (config/lock has a verifier in Python and in C)."""

    door: str = Field(description="Which door: its topic, `ostiary/<device id>`.")
    username: str
    source: str = Field(description="The camera's name.")
    expires: Timestamp = Field(description="From then on it must not open anything.")
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
        """What the signature is over. The name comes last: it alone is anybody's text."""
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
    """What is to be shown or said at the door now. It names nobody."""

    timestamp: Timestamp
    source: str = Field(description="The camera's name.")
    prompt: Prompt | None = Field(
        description="What to do now, in the person's own left and right; null: nothing is asked "
        "any more, and the decision is in `…/event/login`."
    )
    step: int = Field(
        ge=0, description="Counts what is asked, from 1 on; 0 with null and `step_back`."
    )
    expires: Timestamp = Field(description="When the time for all of it is over.")


class LogHead(Message):
    """The log of events and audit rows up to here, in one hash. Whoever keeps these messages can
    show later that something before was altered or taken away: `ostiary verify-log --head FILE`."""

    door: str = Field(description="Which door: its topic, `ostiary/<device id>`.")
    position: int = Field(ge=1, description="Of the chain's newest entry.")
    link: str = Field(
        pattern="^[0-9a-f]{64}$", description="Its hash (SHA-256 in hex), over all before it."
    )
    signed_at: Timestamp
    signature: str = Field(
        description="Ed25519 in base64, by the key that `ostiary door-key` shows, over "
        "`ostiary-log-v1` and the texts of door, position, link and signed_at, with a line feed "
        "between each."
    )

    def signed_text(self) -> bytes:
        """What the signature is over."""
        parts = ("ostiary-log-v1", self.door, str(self.position), self.link)
        return "\n".join((*parts, rfc3339(self.signed_at))).encode()


AnyEvent = LoginEvent | UserEvent | EntranceEvent | DuressEvent
"""Everything that is recorded and told once."""
