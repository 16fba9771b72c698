"""The messages about a person that doors exchange, inside the seal."""

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, Field, ValidationError

from ostiary.messages.events import Message, Timestamp
from ostiary.site.members import Refusal, Refused, Shown
from ostiary.site.versions import Version

MOST_TEMPLATES = 64


class PersonTemplate(Message):
    """A template. A door with another recogniser keeps it and does not match it."""

    recognizer: Annotated[str, Field(pattern=r"^[a-z0-9_.-]{1,32}$")]
    descriptor: Annotated[str, Field(max_length=4096)] = Field(
        description="Little-endian float32 numbers in base64."
    )
    quality: Annotated[float, Field(ge=0, le=1)] | None = None


RULES_FORMAT = 1


class PersonRules(Message):
    """When and where the person may pass. At a door that does not know the `format` of `content`
    the person does not pass."""

    format: int
    content: dict[str, Any]


class PersonAccess(Message):
    """The content of format 1. Each door has its own rules for a group; without one it lets nobody
    of the group pass."""

    groups: Annotated[tuple[str, ...], Field(max_length=100)] = ()
    valid_from: AwareDatetime | None = None
    valid_until: AwareDatetime | None = None


class SitePerson(Message):
    """A registered person. `enrolled`: the version of the enrolment; of two people with one name
    the older enrolment keeps the name."""

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
    """A person who was deleted; it holds no name."""

    kind: Literal["deleted"] = "deleted"
    changed_by: Shown
    changed_at: Timestamp


def read_person(content: bytes, version: Version | None = None) -> SitePerson | Tombstone:
    """Read a person. With the `version` of the message, also check that the enrolment is not newer
    than it. Raises Refused."""
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
