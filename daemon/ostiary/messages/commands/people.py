"""People and their templates."""

from typing import Literal, Self

from pydantic import Field, model_validator

from ostiary.messages.commands.base import Answer, Base64Image, FirstVersionAnswer, Request
from ostiary.messages.commands.rules import Allowance
from ostiary.messages.events import Message, Timestamp
from ostiary.messages.state import SiteScale
from ostiary.messages.username import Username
from ostiary.messages.words import RecognizerName

LOOKS = 5
"""Pictures of one person in one request, at most."""


Scope = Literal["door", "site"]


class UsersRequest(Request):
    """List the registered people."""

    limit: int | None = Field(
        default=None, ge=1, le=10_000, description="Number of people at most; unset: everybody."
    )
    cursor: str | None = Field(
        default=None, max_length=256, description="Go on from here: the last answer's `cursor`."
    )


class UserRecord(Message):
    """One registered person."""

    username: str
    created_at: Timestamp | None = Field(description="null: an old database does not say.")
    templates: int = Field(ge=0, description="Number of stored face templates.")
    scope: Scope = Field(
        default="door", description="Doors that know the person: this one, or those of the site."
    )
    recognizers: tuple[str, ...] = Field(
        default=(),
        description="Recognisers of the templates; without the one in use, none counts yet.",
    )
    look_alikes: tuple[str, ...] = Field(
        default=(),
        description="Registered people nearer than the threshold; each needs a clear margin.",
    )
    groups: tuple[str, ...] = Field(default=(), description="Groups of the person; see `rules`.")
    valid_from: Timestamp | None = Field(
        default=None, description="Moment from which the person may pass."
    )
    valid_until: Timestamp | None = Field(
        default=None, description="Moment until which the person may pass; not included."
    )


class UsersAnswer(Answer):
    users: tuple[UserRecord, ...] = Field(description="Everybody, by name.")
    recognizer: RecognizerName = Field(description="Recogniser in use.")
    threshold: float = Field(description="Largest distance that is near enough for this roster.")
    false_accept: float = Field(
        description="Chance that one stranger is taken for anybody at that distance, 0 to 1."
    )
    waiting: int = Field(
        ge=0,
        description="Number of people who have templates of a former recogniser only, until their "
        "next visit.",
    )
    cursor: str | None = Field(
        default=None, description="Send it to get the next page; null after the last."
    )
    scale: SiteScale | None = Field(
        default=None, description="null: these people are no more alike than those measured."
    )
    one_template: int = Field(
        default=0, ge=0, description="Number of people with one template only; two are wanted."
    )
    promised: bool = Field(
        default=True, description="false: the recogniser (dlib) promises no `false_accept`."
    )


class PicturesRequest(Request):
    """A person, and pictures of the face."""

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
        default=None, description="`camera` instead of `image`: the door takes the pictures."
    )
    camera: str | None = Field(
        default=None,
        description="Name of the camera, where the door has several; with `source` only.",
    )
    require_live: bool = Field(
        default=True,
        description="false enrols from a photo; only where the settings permit it.",
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


class RegisterRequest(Allowance, PicturesRequest):
    """Register a person from one image, or the person who stands before the camera now. `groups`
    hold from the start; a visitor has a `valid_until`."""

    scope: Scope | None = Field(
        default=None,
        description="Doors that know the person: this `door` only, or the whole `site`. "
        "Unset: the site, if this door belongs to one and may enrol for it.",
    )


VERIFIED = (
    "Whether a live person stood at the door's camera and moved the head, as for a grant. A sent "
    "picture proves no life, whatever its P(live)."
)


class RegisterAnswer(FirstVersionAnswer):
    templates: int = Field(ge=1, description="Number of looks that were kept.")
    missing: tuple[str, ...] = Field(
        default=(),
        description="What was missing for a second template, where only one was kept: "
        "`look_left` and `look_right` at the camera, `second_picture` of sent pictures.",
    )
    liveness: float | None = Field(description="P(live) of the image, 0 to 1.")
    verified: bool = Field(default=False, description=VERIFIED)


class DeleteRequest(Request):
    """Forget a person and all their templates."""

    username: Username


class DeleteAnswer(Answer):
    username: str = Field(description="The person who is no longer registered.")


class ShareRequest(Request):
    """Let the whole site know people of this door."""

    username: Username | None = Field(default=None, description="The person; unset: everybody.")


class ShareAnswer(Answer):
    shared: tuple[str, ...] = Field(description="People who were not known at the site before.")


class RenameRequest(Request):
    """Give a person another name; templates stay, and old events keep the old name."""

    username: Username
    new_username: Username


class RenameAnswer(Answer):
    username: str = Field(description="The name from now on.")
    previous_username: str


class AddTemplateRequest(PicturesRequest):
    """Give a registered person one more face template, from another image: with glasses, without
    a beard, in other light."""


class TemplateRecord(Message):
    """One stored template, without its numbers."""

    id: int
    created_at: Timestamp | None = Field(description="null: an old database does not say.")
    source: str = Field(
        description="Way by which it was asked: `mqtt`, `http` or `cli`. Or the door made it "
        "itself: `migration`, of a granted person whom a former recogniser knew; `visit`, a "
        "person's second template, from visits."
    )
    recognizer: str = Field(description="Recogniser that made it.")
    quality: float | None = Field(description="Quality of the picture, 0 to 1; null: unknown.")


class AddTemplateAnswer(Answer):
    username: str
    template: TemplateRecord
    distance: float | None = Field(
        description="Distance to the person's nearest other template. A large one means another "
        "view, or another person."
    )
    looks_like: str | None = Field(
        description="Another person whom it resembles more; null: nobody."
    )
    liveness: float | None = Field(description="P(live) of the image, 0 to 1.")
    verified: bool = Field(default=False, description=VERIFIED)


class RemoveTemplateRequest(Request):
    """Forget one of a person's templates, but not the only one."""

    username: Username
    template: int = Field(ge=1, le=2**62, description="Id of the template.")


class RemoveTemplateAnswer(Answer):
    username: str
    template: int
