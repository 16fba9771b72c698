"""What may be a person's name: the one place where it is decided."""

import unicodedata
from functools import cache
from typing import Annotated

from confusable_homoglyphs import confusables
from precis_i18n import get_profile
from pydantic import AfterValidator, WithJsonSchema

from ostiary.errors import UsernameInvalid

LONGEST = 64
"""Unicode code points, after normalisation."""

_JOINERS = "\u200c\u200d"  # spelling in Persian and Indic scripts; every other Cf only deceives
_REFUSED = {"Cc", "Cf", "Cs", "Zl", "Zp"}
_MEANING = "/\\+#"
_NICKNAME = get_profile("NicknameCasePreserved")
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


def new_username(text: str) -> str:
    """`text` in its stored form, if somebody may be given that name from now on.

    Besides what `checked_username` asks: PRECIS's profile for nicknames (RFC 8266), which knows
    invisible, unassigned and old characters and other forms of a letter, at least one letter or
    digit, no symbol, and nothing that means something in topics and paths. Raises UsernameInvalid.
    """
    name = checked_username(text)
    try:
        plain = _NICKNAME.enforce(name)
    except UnicodeEncodeError as error:
        refused = (error.object[error.start : error.end] or name)[0]
        raise UsernameInvalid(
            f"A user name must not have the character U+{ord(refused):04X} there."
        ) from None
    if plain != name:
        raise UsernameInvalid(f"A user name has plain letters and single spaces: write {plain}.")
    meaning = next((each for each in name if each in _MEANING), None)
    if meaning is not None or not name.strip("."):
        raise UsernameInvalid(f"A user name must not have {' '.join(_MEANING)}, or only dots.")
    kinds = {unicodedata.category(character) for character in name}
    if "So" in kinds or not any(kind[0] in "LN" for kind in kinds):
        raise UsernameInvalid("A user name has letters or digits, and no pictures.")
    return name


def looks_of(name: str) -> frozenset[str]:
    """Names that look alike, or differ in case only, have one of these in common.

    Unicode TR 39's confusable characters are one character here (of those that stand for several,
    such as `rn` and `m`, it knows nothing).
    """
    return frozenset(_skeleton(each) for each in (name, name.casefold()))


def _skeleton(name: str) -> str:
    alike = _alike()
    plain = unicodedata.normalize("NFKD", name)
    return "".join(alike.get(each, each) for each in plain if each not in _JOINERS)


@cache
def _alike() -> dict[str, str]:
    """For each confusable character, the first of all that look like it."""
    first: dict[str, str] = {}

    def root(character: str) -> str:
        while (before := first.get(character, character)) != character:
            character = before
        return character

    for character, others in confusables.confusables_data.items():
        for other in (each["c"].strip("\u200e") for each in others):
            if len(character) == len(other) == 1:
                one, two = sorted((root(character), root(other)))
                first[two] = first[character] = first[other] = one
    return {character: root(character) for character in first}


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
