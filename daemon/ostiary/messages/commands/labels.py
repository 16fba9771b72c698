"""Names of groups and rules, and moments as people write them."""

from typing import Annotated

from pydantic import AfterValidator, Field, WithJsonSchema

from ostiary.errors import GroupInvalid, UsernameInvalid
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
