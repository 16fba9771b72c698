"""Rules for a person's name. They are decided here only."""

import json
import re
import unicodedata
from functools import cache
from importlib import resources
from typing import Annotated, Any

from precis_i18n import get_profile
from pydantic import AfterValidator, WithJsonSchema

from ostiary.errors import UsernameInvalid

LONGEST = 64
"""Unicode code points of a name at most, after normalisation."""

_JOINERS = "\u200c\u200d"
_SPELLING = _JOINERS + "\u180e"
"""Invisible characters with which Persian, Indic scripts and Mongolian are spelt. Any other of the
category Cf only deceives."""
_REFUSED = {"Cc", "Cf", "Cs", "Zl", "Zp"}
_MEANING = "/\\+#"
_NICKNAME = get_profile("NicknameCasePreserved")
_DECOMPOSED_AT_MOST = LONGEST * 16  # bounds the work of normalising an absurd text
_LETTERS = "ªºĲĳĿŀŉǄǅǆǇǈǉǊǋǌև\u0675\u0676\u0677\u0678ำຳໜໝ\u0f77\u0f79"
"""Letters of living languages that Unicode takes for two."""
_JOINING = r"[\u0600-\u07ff\u0840-\u109f\u1780-\u18af\u1a20-\u1c4f\ua840-\ua9df\uabc0-\uabff]"
"""Scripts that are spelt with joiners: Arabic to Thaana, the Indic ones, Khmer, Mongolian."""
_SPELT = re.compile(
    # a dot between the parts of a name, as in Uyghur, Japanese and Catalan ones
    r"(?<=[^\s·・.'’-])[·・](?=\w)"
    # a joiner between letters that join or not, or after a sign that takes a vowel away
    rf"|(?<={_JOINING})[{_JOINERS}](?={_JOINING})"
    # a vowel apart from its word, and forms of letters, in Mongolian
    r"|(?<=[\u1820-\u18aa])[\u180b-\u180f]+(?=[\u1820-\u18aa]|\b|$)"
    # a form of a Chinese character, as Japanese registers have it
    r"|(?<=[\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff])[\ufe00-\ufe0f\U000e0100-\U000e01ef]"
    # a syllable of older Korean, in parts
    r"|[\u1100-\u115e\ua960-\ua97c]+[\u1161-\u11a7\ud7b0-\ud7c6]+[\u11a8-\u11ff\ud7cb-\ud7fb]*"
    r"|(?<=[가-힣])[\u11a8-\u11ff\ud7cb-\ud7fb]+"
    rf"|[{_LETTERS}]"
)
"""Spellings that names have, and that PRECIS refuses, or takes in one language only."""
_UNSEEN = re.compile(r"[\u180b-\u180f\u200c\u200d\ufe00-\ufe0f\U000e0100-\U000e01ef]")


def same_name(text: str) -> str:
    """Give the form in which names are stored and looked up: NFC, without space around it."""
    return unicodedata.normalize("NFC", text).strip()


def checked_username(text: str) -> str:
    """Give `text` in its stored form, if it may be a name.

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
        if unicodedata.category(character) in _REFUSED and character not in _SPELLING:
            raise UsernameInvalid(
                f"A user name must not have control characters; this has U+{ord(character):04X}."
            )
    return name


def new_username(text: str) -> str:
    """Give `text` in its stored form, if a person may get that name from now on.

    It asks more than `checked_username`. PRECIS's profile for nicknames (RFC 8266) refuses
    invisible, unassigned and old characters and other forms of a letter; those that people's names
    have (`_SPELT`) are taken. A name has a letter or a digit, no symbol, and no character that
    means something in topics and paths. Raises UsernameInvalid.
    """
    name = checked_username(text)
    unusual = _SPELT.sub(_stand_in, name)
    try:
        plain = _NICKNAME.enforce(unusual)
    except UnicodeEncodeError as error:
        found = (error.object[error.start : error.end] or name)[0]
        refused = next((c for c in name if found in unicodedata.normalize("NFKC", c)), found)
        raise UsernameInvalid(
            f"A user name must not have the character U+{ord(refused):04X} there."
        ) from None
    if plain != unusual:
        raise UsernameInvalid(_advice(name))
    meaning = next((each for each in name if each in _MEANING), None)
    if meaning is not None or not name.strip("."):
        raise UsernameInvalid(f"A user name must not have {' '.join(_MEANING)}, or only dots.")
    kinds = {unicodedata.category(character) for character in name}
    if "So" in kinds or not any(kind[0] in "LN" for kind in kinds):
        raise UsernameInvalid("A user name has letters or digits, and no pictures.")
    return name


def _stand_in(spelt: re.Match[str]) -> str:
    """Put a plain letter for a letter, and nothing for what is between letters."""
    return "x" if spelt[0][0].isalpha() else ""


def _advice(name: str) -> str:
    """Say what to write instead of a name that is not plain: by numbers, as both may look alike."""
    said = "A user name has plain letters and single spaces"
    unplain = {each: unicodedata.normalize("NFKC", each) for each in name if not _SPELT.match(each)}
    instead = [
        f"U+{ord(each):04X}: write {plain!r}"
        for each, plain in unplain.items()
        if plain != each and plain.isprintable()
    ]
    return f"{said}; it has {', '.join(instead)}." if instead else f"{said} between its parts."


def looks_of(name: str) -> frozenset[str]:
    """Give the looks of a name: names that look alike, or differ in case only, have one in common.

    Characters that Unicode TR 39 calls confusable are one character here. It knows of no character
    that looks like several, such as `m` and `rn`.
    """
    return frozenset(_skeleton(each) for each in (name, name.casefold()))


def _skeleton(name: str) -> str:
    alike = _alike()
    plain = unicodedata.normalize("NFKD", _UNSEEN.sub("", name))
    return "".join(alike.get(each, each) for each in plain)


@cache
def _alike() -> dict[str, str]:
    """Map each confusable character to the first of all that look like it."""
    first: dict[str, str] = {}

    def root(character: str) -> str:
        while (before := first.get(character, character)) != character:
            character = before
        return character

    # The package's own module would keep all of it, with every character's name: 6 MB.
    file = resources.files("confusable_homoglyphs").joinpath("confusables.json")
    for character, others in json.loads(file.read_bytes(), object_pairs_hook=_nameless):
        for other in (each.strip("\u200e") for each in others):
            if len(character) == len(other) == 1:
                one, two = sorted((root(character), root(other)))
                first[two] = first[character] = first[other] = one
    return {character: root(character) for character in first}


def _nameless(pairs: list[tuple[str, Any]]) -> Any:
    """The character of `{"c": CHARACTER, "n": ITS NAME}`; the table itself as it is."""
    return pairs[0][1] if len(pairs) == 2 else pairs


def decoded_username(data: object) -> str:
    """Decode a name from a file; it is not checked yet. Raises UsernameInvalid unless it is UTF-8
    bytes."""
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
