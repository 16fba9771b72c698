"""What may be asked, and what is answered: one request and one answer model a command.

The same models serve MQTT, HTTP and the command line; the schema and the pages in docs/ are made
from them.
"""

import base64
import binascii
from dataclasses import dataclass
from typing import Annotated, Literal, Self

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    SerializeAsAny,
    WithJsonSchema,
    model_validator,
)

from ostiary.messages.events import LoginEvent, Message, Timestamp, UserEvent
from ostiary.messages.reason import Reason
from ostiary.messages.recognizer import RecognizerName
from ostiary.messages.username import Username

LOOKS = 5
"""Pictures of one person that are taken at once, at most."""

Transaction = (
    Annotated[str, Field(min_length=1, max_length=128)]
    | Annotated[int, Field(ge=-(2**53), le=2**53)]
)


def _decoded_base64(value: object) -> bytes:
    if isinstance(value, bytes):  # never so in JSON; an answer is made from the image itself
        return value
    if not isinstance(value, str):
        raise ValueError("Input should be base64 text")
    text = value
    if text.startswith("data:"):  # as a browser's canvas gives it
        _, _, text = text.partition(";base64,")
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("Input should be base64 text") from None
    if not data:
        raise ValueError("Input should be base64 text that is not empty")
    return data


Base64Image = Annotated[
    bytes,
    BeforeValidator(_decoded_base64),
    PlainSerializer(lambda data: base64.b64encode(data).decode("ascii"), return_type=str),
    WithJsonSchema(
        {
            "type": "string",
            "contentEncoding": "base64",
            "description": "A JPEG, PNG or WebP image, in base64; a data: URL is taken too.",
        }
    ),
]


class Request(Message):
    """Base of all requests. Types are strict: `"true"` is not true, and 1 is not "1"."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    transaction: Transaction | None = Field(
        default=None,
        description="Comes back in the response. A command that changes something and is sent "
        "again with the same transaction runs once and is answered with the same answer.",
    )


class Answer(Message):
    """Base of all answers: the `data` of a response whose `status` is `ok`."""


# --- ping -----------------------------------------------------------------------------------


class PingRequest(Request):
    """Is somebody there?"""


class PingAnswer(Answer):
    version: str = Field(description="Of Ostiary.")
    timestamp: Timestamp = Field(description="The door's own clock: RFC 3339, UTC.")


# --- users ----------------------------------------------------------------------------------


class UsersRequest(Request):
    """Who is registered?"""


class UserRecord(Message):
    """One registered person."""

    username: str
    created_at: Timestamp | None = Field(description="None where an old database does not say.")
    templates: int = Field(ge=0, description="Stored face templates.")
    recognizers: tuple[str, ...] = Field(
        default=(), description="Whose templates they are; without the one in use, none counts yet."
    )
    look_alikes: tuple[str, ...] = Field(
        default=(),
        description="Registered people nearer than the threshold; each needs a clear margin.",
    )


class UsersAnswer(Answer):
    users: tuple[UserRecord, ...] = Field(description="Everybody, by name.")
    recognizer: RecognizerName = Field(description="The one in use.")
    threshold: float = Field(description="The distance that is near enough for this roster.")
    false_accept: float = Field(
        description="The chance that one stranger is taken for anybody at that distance."
    )
    waiting: int = Field(
        ge=0, description="People who have only templates of a former recogniser until they come."
    )


# --- register -------------------------------------------------------------------------------


class RegisterRequest(Request):
    """Register a person from one image, or from who stands before the camera now."""

    username: Username
    image: Base64Image | None = None
    images: tuple[Base64Image, ...] | None = Field(
        default=None,
        min_length=1,
        max_length=LOOKS,
        strict=False,  # a list, which is what JSON has
        description="Instead of `image`: several of the same face (front, a little left, a little "
        "right). Those that differ are kept.",
    )
    source: Literal["camera"] | None = Field(
        default=None, description="`camera` instead of `image`: take the pictures yourself."
    )
    camera: str | None = Field(
        default=None, description="Which one, where the door has several; with `source` only."
    )
    require_live: bool = Field(
        default=True,
        description="false enrols from a photo; only where the configuration permits it.",
    )
    allow_twin: bool = Field(
        default=False,
        description="Enrol a face although it is somebody else's by the door's threshold.",
    )

    @model_validator(mode="after")
    def _one_of_image_and_source(self) -> Self:
        if [self.image, self.images, self.source].count(None) != 2:
            raise ValueError('Give "image", "images" or "source": "camera", and one of them only')
        if self.camera is not None and self.source is None:
            raise ValueError('"camera" names a camera for "source": "camera" only')
        return self


class FirstVersionAnswer(Answer):
    """The fields that the first version answered, which its clients still read."""

    success: bool
    username: str | None
    distance: float | None = Field(
        description="Euclidean distance to the nearest person, in the metric of `recognizer`."
    )
    similarity: float | None = Field(description="1 - distance.")
    threshold: float | None = Field(
        default=None,
        description="The distance that was near enough. It follows the number of registered "
        "people: compare with this, never with a number of your own.",
    )
    recognizer: RecognizerName | None = None
    message: str = Field(description="The outcome in words.")


class RegisterAnswer(FirstVersionAnswer):
    templates: int = Field(ge=1, description="How many looks were kept.")
    liveness: float | None = Field(description="P(live) of the image, 0 to 1.")


# --- login ----------------------------------------------------------------------------------


class LoginRequest(Request):
    """Judge one image as if its face stood at the door. Recorded; opens no door."""

    image: Base64Image
    username: Username | None = Field(
        default=None, description="Who it claims to be; anybody else is then denied."
    )


class LoginAnswer(FirstVersionAnswer):
    reason: str = Field(description="Why, as in `event/login`.")
    liveness: float | None = Field(description="P(live) of the image, 0 to 1.")
    event_id: str = Field(description="The event this became.")


# --- delete ---------------------------------------------------------------------------------


class DeleteRequest(Request):
    """Forget a person and all their templates."""

    username: Username


class DeleteAnswer(Answer):
    username: str = Field(description="Who is no longer registered.")


# --- rename ---------------------------------------------------------------------------------


class RenameRequest(Request):
    """Give a person another name; templates stay, and old events keep the old name."""

    username: Username
    new_username: Username


class RenameAnswer(Answer):
    username: str = Field(description="The name from now on.")
    previous_username: str


# --- events ---------------------------------------------------------------------------------


class EventsRequest(Request):
    """A page of the audit trail; also what a consumer asks for that saw a gap in `seq`."""

    cursor: int | None = Field(
        default=None, ge=0, le=2**62, description="Go on from here: the last answer's `cursor`."
    )
    limit: int = Field(default=100, ge=1, le=1000)
    newest_first: bool = Field(
        default=True, description="false: oldest first; `cursor` N then gives `seq` above N."
    )
    kind: Literal["login", "user"] | None = None
    username: Username | None = None
    reason: Reason | None = None
    success: bool | None = None
    since: AwareDatetime | None = Field(default=None, description="RFC 3339; included.")
    until: AwareDatetime | None = Field(default=None, description="RFC 3339; not included.")


class EventsAnswer(Answer):
    events: tuple[LoginEvent | UserEvent, ...]
    cursor: int | None = Field(description="Ask with it for the next page; None after the last.")


# --- snapshot -------------------------------------------------------------------------------


class SnapshotRequest(Request):
    """What does a camera see now?"""

    camera: str | None = Field(default=None, description="Which one, where the door has several.")


class SnapshotAnswer(Answer):
    image: Base64Image
    camera: str = Field(description="Whose picture it is.")
    width: int = Field(description="Pixels.")
    height: int = Field(description="Pixels.")
    timestamp: Timestamp


# --- reload ---------------------------------------------------------------------------------


class ReloadRequest(Request):
    """Read the configuration again and start anew with it."""


class ReloadAnswer(Answer):
    message: str


# --- templates ------------------------------------------------------------------------------


class AddTemplateRequest(RegisterRequest):
    """Give a registered person one more face template, from another image: with glasses, without
    a beard, in other light."""


class TemplateRecord(Message):
    """One stored template, without its numbers."""

    id: int
    created_at: Timestamp | None = Field(description="None where an old database does not say.")
    source: str = Field(
        description="Who asked: `mqtt`, `http` or `cli`; `migration`: the door itself, when "
        "somebody known by a former recogniser was granted."
    )
    recognizer: str = Field(description="Which network made it.")
    quality: float | None = Field(description="Of the picture, 0 to 1; null where unknown.")


class AddTemplateAnswer(Answer):
    username: str
    template: TemplateRecord
    distance: float | None = Field(
        description="To the person's nearest other template; large is another view, or another "
        "person."
    )
    looks_like: str | None = Field(description="Who it looks more like, if somebody else.")
    liveness: float | None = Field(description="P(live) of the image, 0 to 1.")


class RemoveTemplateRequest(Request):
    """Forget one of a person's templates, but not the only one."""

    username: Username
    template: int = Field(ge=1, le=2**62, description="Its id.")


class RemoveTemplateAnswer(Answer):
    username: str
    template: int


# --- all of them ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CommandKind:
    """A command's name and models. `recorded`: it changes something, so that its answer is kept
    and a second delivery is answered from there."""

    name: str
    request: type[Request]
    answer: type[Answer]
    recorded: bool = False


COMMANDS: dict[str, CommandKind] = {
    kind.name: kind
    for kind in (
        CommandKind("ping", PingRequest, PingAnswer),
        CommandKind("users", UsersRequest, UsersAnswer),
        CommandKind("register", RegisterRequest, RegisterAnswer, recorded=True),
        CommandKind("login", LoginRequest, LoginAnswer, recorded=True),
        CommandKind("delete", DeleteRequest, DeleteAnswer, recorded=True),
        CommandKind("add_template", AddTemplateRequest, AddTemplateAnswer, recorded=True),
        CommandKind("remove_template", RemoveTemplateRequest, RemoveTemplateAnswer, recorded=True),
        CommandKind("rename", RenameRequest, RenameAnswer, recorded=True),
        CommandKind("events", EventsRequest, EventsAnswer),
        CommandKind("snapshot", SnapshotRequest, SnapshotAnswer),
        CommandKind("reload", ReloadRequest, ReloadAnswer, recorded=True),
    )
}


# --- the envelope ---------------------------------------------------------------------------


class ErrorDetail(Message):
    code: str = Field(description="Stable, for programs.")
    message: str = Field(description="What was wrong and what to do, for people.")


class _Response(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    def to_json(self) -> bytes:
        """As it goes over the wire: without `transaction` where the request had none."""
        leave_out = {"transaction"} if getattr(self, "transaction", None) is None else None
        return self.model_dump_json(exclude=leave_out).encode()


class OkResponse(_Response):
    status: Literal["ok"] = "ok"
    data: SerializeAsAny[Answer]
    transaction: Transaction | None = None


class ErrorResponse(_Response):
    status: Literal["error"] = "error"
    error: ErrorDetail
    transaction: Transaction | None = None
