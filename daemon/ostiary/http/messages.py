"""What the HTTP API takes and gives, where that is not a command's own model."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from ostiary.http.authenticator import LONGEST_PASSWORD, SHORTEST_PASSWORD
from ostiary.messages.commands.people import TemplateRecord
from ostiary.messages.events import AnyEvent, Message, Timestamp
from ostiary.messages.state import SiteScale
from ostiary.messages.username import Username
from ostiary.messages.words import Prompt, Reason, RecognizerName
from ostiary.settings.overrides import ranges
from ostiary.store.accounts import Role

# --- people ---------------------------------------------------------------------------------


class Person(Message):
    """A registered person with their templates."""

    username: str = Field(examples=["张三"])
    created_at: Timestamp | None
    templates: tuple[TemplateRecord, ...]


class NewName(Message):
    """Another name for a person."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"username": "李四"}]})

    username: Username


class PeopleList(Message):
    """A list of people."""

    csv: str = Field(
        max_length=4 * 1024 * 1024,
        description="With the columns name, groups, from, until, photo.",
        examples=["name,groups,until\nAnn,Staff,2030-01-01\n"],
    )


class ListedPerson(Message):
    """A line of a list. `problem`: why it cannot be taken. What the list has no column for is left
    out."""

    line: int
    username: str
    groups: tuple[str, ...] = ()
    valid_from: str | None = None
    valid_until: str | None = None
    photo: str | None
    problem: str | None


class ReadList(Message):
    """What a list says."""

    lines: tuple[ListedPerson, ...]


# --- the door -------------------------------------------------------------------------------


class LiveFace(Message):
    """A face in the live picture. What was not judged on this frame is null."""

    box: tuple[float, float, float, float] = Field(
        description="Left, top, width, height as fractions of the picture; may reach outside."
    )
    username: str | None
    distance: float | None
    liveness: float | None
    reason: Reason | None = Field(description="Of the last decision about this face.")
    success: bool | None


class LivePicture(Message):
    """What is said of a live picture."""

    camera: str
    stale: bool = Field(description="There is no new picture.")
    width: int = 0
    height: int = 0
    view: str = "clear"
    guidance: str | None = None
    prompt: Prompt | None = Field(default=None, description="What a challenge asks for now.")
    faces: tuple[LiveFace, ...] = ()


class Cameras(Message):
    """The cameras by name."""

    cameras: tuple[str, ...] = Field(examples=[["front"]])


class EventPage(Message):
    """Some events."""

    events: tuple[AnyEvent, ...]
    cursor: int | None = Field(description="Ask with it for the next page; null after the last.")
    snapshots: tuple[int, ...] = Field(description="The `seq` of those that have a picture.")


# --- thresholds -----------------------------------------------------------------------------


def _as_the_settings_have_it(schema: dict[str, Any]) -> None:
    """The ranges are those of the settings, which judge them (`setting_invalid`)."""
    schema["examples"] = [{"false_accept": 0.001, "live_threshold": 0.9}]
    for name, limits in ranges().items():
        schema["properties"][name].update(limits)


class ThresholdValues(Message):
    """Thresholds to set; those not named stay."""

    model_config = ConfigDict(json_schema_extra=_as_the_settings_have_it)

    false_accept: float | None = None
    distance_threshold: float | None = Field(
        default=None, description="Only where the configuration sets one."
    )
    live_threshold: float | None = None
    attack_threshold: float | None = None
    votes: int | None = None
    window: int | None = None
    decide_within_s: float | None = None
    cooldown_s: float | None = None
    one_person_only: bool | None = None


class Thresholds(Message):
    """The thresholds in force. What wins: environment, console, configuration file, defaults."""

    recognizer: RecognizerName
    threshold: float = Field(
        description="The distance that is near enough for the people registered now."
    )
    risk: float = Field(description="The chance that one stranger is taken for anybody at it.")
    extrapolated: bool = Field(
        description="That chance is smaller than the measured pairs can show."
    )
    scale: SiteScale | None = Field(
        description="null: these people are no more alike than those measured."
    )
    promised: bool = Field(description="false: the recogniser (dlib) promises no risk.")
    false_accept: float = Field(examples=[0.001], description="What was asked for.")
    distance_threshold: float | None = Field(
        description="Set instead of false_accept; then `risk` is what it comes to."
    )
    live_threshold: float = Field(examples=[0.8])
    attack_threshold: float = Field(examples=[0.2])
    votes: int = Field(examples=[3])
    window: int = Field(examples=[5])
    decide_within_s: float = Field(examples=[4.0])
    cooldown_s: float = Field(examples=[10.0])
    one_person_only: bool
    set_here: tuple[str, ...] = Field(description="Set in the console, over the configuration.")
    fixed: tuple[str, ...] = Field(description="Set by the environment; cannot be set here.")


class ChangedOutcome(Message):
    """A recent decision that would have been another."""

    seq: int
    timestamp: Timestamp
    username: str | None
    distance: float | None
    liveness: float | None
    before: Reason
    after: Reason


class ThresholdPreview(Message):
    """What thresholds would have done to the last decisions."""

    judged: int = Field(description="Recent decisions that could be judged again.")
    unknown: int = Field(description="Those that do not say enough.")
    granted_before: int
    granted_after: int
    threshold: float = Field(description="The distance that would be near enough.")
    risk: float = Field(description="The chance that one stranger is taken for anybody then.")
    turns_most_away: bool = Field(
        description="Hardly anybody would pass with one template and one look."
    )
    changes: tuple[ChangedOutcome, ...]


# --- who may --------------------------------------------------------------------------------

Password = Annotated[str, Field(min_length=SHORTEST_PASSWORD, max_length=LONGEST_PASSWORD)]


class NewAccount(Message):
    """Somebody who may sign in."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"name": "anna", "password": "correct horse battery", "role": "viewer"}]
        }
    )

    name: Username
    password: Password
    role: Role


class NewPassword(Message):
    """One's own new password; `current` is the old one."""

    current: str = Field(max_length=LONGEST_PASSWORD)
    password: Password


class OwnPassword(Message):
    """The password of whoever is signed in, once more."""

    password: str = Field(max_length=LONGEST_PASSWORD)


class AccountRecord(Message):
    """Somebody who may sign in."""

    name: str = Field(examples=["anna"])
    role: Role
    created_at: Timestamp
    password_changed_at: Timestamp


class AccountList(Message):
    """Everybody who may sign in."""

    accounts: tuple[AccountRecord, ...]


class NewToken(Message):
    """Access for a program."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"name": "home-assistant", "role": "viewer"}]}
    )

    name: Username
    role: Role


class TokenRecord(Message):
    """A program's access, without the token."""

    id: int
    name: str = Field(examples=["home-assistant"])
    role: Role
    created_by: str = Field(examples=["anna"])
    created_at: Timestamp
    last_used_at: Timestamp | None = Field(description="To the hour.")
    expires_at: Timestamp


class TokenMade(Message):
    """The only time that the token is shown."""

    token: str = Field(examples=["ostiary_4tX…"])
    record: TokenRecord


class TokenList(Message):
    """All tokens."""

    tokens: tuple[TokenRecord, ...]


class AuditRecord(Message):
    """Who changed what."""

    id: int
    timestamp: Timestamp | None
    actor: str = Field(examples=["anna"])
    action: str = Field(examples=["user_registered"])
    subject: str = Field(examples=["张三"])
    detail: dict[str, str | int | float | bool | None]
    address: str = Field(
        description="By what way: a network address, `mqtt`, `mqtt, signed`, or `local`.",
        examples=["192.0.2.7"],
    )


class AuditPage(Message):
    """Changes, newest first."""

    rows: tuple[AuditRecord, ...]
    cursor: int | None = Field(description="Ask with it for older ones; null after the last.")


# --- the first version ----------------------------------------------------------------------


class LegacyRegistered(Message):
    """The first version's answer to /register."""

    success: bool
    username: str | None = None
    message: str


class LegacyLogin(Message):
    """The first version's answer to /login."""

    success: bool
    username: str | None = None
    distance: float | None = None
    similarity: float | None = None
    threshold: float | None = Field(
        default=None, description="The distance that was near enough: not 0.6 any more."
    )
    recognizer: RecognizerName | None = None
    message: str


class LegacyUser(Message):
    username: str
    created_at: str | None


class LegacyUsers(Message):
    """The first version's answer to /users."""

    success: Literal[True] = True
    users: tuple[LegacyUser, ...]
