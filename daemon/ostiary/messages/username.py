"""What may be a person's name: the one place where it is decided."""

import unicodedata
from typing import Annotated

from pydantic import AfterValidator, WithJsonSchema

from ostiary.errors import UsernameInvalid

LONGEST = 64
"""Unicode code points, after normalisation."""

_JOINERS = "\u200c\u200d"  # spelling in Persian and Indic scripts; every other Cf only deceives
_REFUSED = {"Cc", "Cf", "Cs", "Zl", "Zp"}
_DECOMPOSED_AT_MOST = LONGEST * 16  # bounds the work of normalising an absurd text


def same_name(text: str) -> str:
    """The form in which names are stored and looked up: NFC, no space around it."""
    return unicodedata.normalize("NFC", text).strip()


def checked_username(text: str) -> str:
    """`text` in its stored form, if it may be a name.

    A name has 1 to 64 characters and none that is a control character, a line separator or an
    invisible mark (which would make two names look like one in a log). Raises UsernameInvalid.
    """
    if len(text) > _DECOMPOSED_AT_MOST:
        raise UsernameInvalid(f"A user name has at most {LONGEST} characters.")
    name = same_name(text)
    if not name:
        raise UsernameInvalid("A user name must not be empty or blank.")
    if len(name) > LONGEST:
        raise UsernameInvalid(
            f"A user name has at most {LONGEST} characters; this has {len(name)}."
        )
    for character in name:
        if unicodedata.category(character) in _REFUSED and character not in _JOINERS:
            raise UsernameInvalid(
                f"A user name must not have control characters; this has U+{ord(character):04X}."
            )
    return name


def decoded_username(data: object) -> str:
    """A name as a file has it, before it is checked. Raises UsernameInvalid unless UTF-8 bytes."""
    if not isinstance(data, bytes):
        raise UsernameInvalid("The name is not a text.")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsernameInvalid("The name is not valid UTF-8.") from error


Username = Annotated[
    str,
    AfterValidator(checked_username),
    WithJsonSchema(
        {
            "type": "string",
            "minLength": 1,
            "maxLength": LONGEST,
            "description": "1 to 64 characters, none of them a control character.",
        }
    ),
]
"""A field of a command. A bad name raises UsernameInvalid itself, so that its code is answered."""
