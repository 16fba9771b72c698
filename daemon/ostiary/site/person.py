"""A person as doors tell each other, inside the seal."""

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, Field, ValidationError

from ostiary.messages.events import Message, Timestamp
from ostiary.site.clock import Version
from ostiary.site.refusal import Refusal, Refused
from ostiary.site.report import Shown

MOST_TEMPLATES = 64


class PersonTemplate(Message):
    """One template. A door whose recogniser is another one keeps it, and does not match it."""

    recognizer: Annotated[str, Field(pattern=r"^[a-z0-9_.-]{1,32}$")]
    descriptor: Annotated[str, Field(max_length=4096)] = Field(
        description="Little-endian float32 numbers in base64."
    )
    quality: Annotated[float, Field(ge=0, le=1)] | None = None


RULES_FORMAT = 1


class PersonRules(Message):
    """When and where the person may pass. `content` is of the given `format`; at a door that does
    not know it the person does not pass."""

    format: int
    content: dict[str, Any]


class PersonAccess(Message):
    """The content of format 1. What a group may is each door's own: one without a rule for it lets
    nobody of it pass."""

    groups: Annotated[tuple[str, ...], Field(max_length=100)] = ()
    valid_from: AwareDatetime | None = None
    valid_until: AwareDatetime | None = None


class SitePerson(Message):
    """Somebody who is registered. `enrolled` is the version of the enrolment, by which the older of
    two with one name is found."""

    kind: Literal["person"] = "person"
    name: Annotated[str, Field(min_length=1, max_length=64)]
    enrolled: str
    templates: Annotated[tuple[PersonTemplate, ...], Field(min_length=1, max_length=MOST_TEMPLATES)]
    rules: PersonRules | None = None
    changed_by: Shown = Field(
        description="The door's name, for people; of what the key-holder signed anew, whose it was."
    )
    changed_at: Timestamp


class Tombstone(Message):
    """Somebody who was deleted; no name any more."""

    kind: Literal["deleted"] = "deleted"
    changed_by: Shown
    changed_at: Timestamp


def read_person(content: bytes, version: Version | None = None) -> SitePerson | Tombstone:
    """With the `version` of the message also whether it can be: nobody was enrolled after they were
    changed, nor at no time. Raises Refused."""
    for model in (SitePerson, Tombstone):
        try:
            found = model.model_validate_json(content)
        except ValidationError:
            continue
        if isinstance(found, SitePerson) and version is not None:
            _check_enrolled(found, version)
        return found
    raise Refused(Refusal.MALFORMED)


def _check_enrolled(person: SitePerson, version: Version) -> None:
    try:
        enrolled = Version.parse(person.enrolled)
    except ValueError as error:
        raise Refused(Refusal.MALFORMED) from error
    if (enrolled.millis, enrolled.count) > (version.millis, version.count):
        raise Refused(Refusal.MALFORMED)
