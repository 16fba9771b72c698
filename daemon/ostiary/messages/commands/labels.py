"""Names of groups and rules, moments as people write them, and what somebody may by them."""

from typing import Annotated

from pydantic import AfterValidator, Field, WithJsonSchema

from ostiary.errors import GroupInvalid, UsernameInvalid
from ostiary.messages.events import Message
from ostiary.messages.username import LONGEST, checked_username

SEPARATORS = ";|"
"""Between groups in a list of people; no name has one."""


def _label(text: str) -> str:
    try:
        name = checked_username(text)
    except UsernameInvalid as error:
        said = error.message.replace("A user name", "The name of a group or rule")
        raise GroupInvalid(said) from None
    if any(each in name for each in SEPARATORS):
        raise GroupInvalid(f"The name of a group or rule must not have {' or '.join(SEPARATORS)}.")
    return name


Label = Annotated[
    str,
    AfterValidator(_label),
    WithJsonSchema(
        {
            "type": "string",
            "minLength": 1,
            "maxLength": LONGEST,
            "description": "1 to 64 characters, none of them a control character, ; or |.",
        }
    ),
]
Moment = Annotated[str, Field(min_length=1, max_length=64)]
WHEN = (
    "RFC 3339; without an offset by the site's clocks. A date alone is its first moment, or as an "
    "end its last."
)


class Allowance(Message):
    """Which groups somebody is in, and from when until when they may pass at all. A field that is
    left out says nothing: what it was stays. An empty list, and null, clear it."""

    groups: tuple[Label, ...] = Field(
        default=(), max_length=100, strict=False, description="Left out: as before. []: none."
    )
    valid_from: Moment | None = Field(
        default=None, description="Left out: as before. null: none. " + WHEN
    )
    valid_until: Moment | None = Field(
        default=None, description="Left out: as before. null: none. " + WHEN
    )
