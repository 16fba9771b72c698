"""The daemon's own sentences in the console's languages.

Each is said once, in English, where it is raised. Below `said` the texts have them with `{…}` for
what differs: by those a sentence is found again, and said in another language. What `{what}` and
`{why}` stand for is itself such a sentence.
"""

import re

from ostiary.http.texts import Texts

LONGEST = 1000
"""Letters of a sentence that is looked for: one that lists much is for programs."""
INSIDE = ("what", "why")
DEEPEST = 8
"""Sentences in one another: what somebody sent may look like more."""
_BLANK = re.compile(r"\{(\w+)\}")
_KEY = re.compile(r"[\w.]+|\(top\)")


class Sayings:
    """Made once; may be asked from any thread."""

    def __init__(self, texts: Texts) -> None:
        self._texts = texts
        english = texts.under("en", "said")
        parts = {key: tuple(_BLANK.split(text)) for key, text in english.items()}
        self._known = tuple(sorted(parts.items(), key=lambda item: _rank(item[1])))

    def said(self, sentence: str, language: str) -> str | None:
        """`sentence`, or several fields with what is wrong with each (`key: words; key: words`), in
        that language; None where it is not known there."""
        if language == "en":
            return sentence
        if len(sentence) > LONGEST:
            return None
        return self._fields(sentence, language) or self._whole(sentence, language)

    def _whole(self, sentence: str, language: str, deepest: int = DEEPEST) -> str | None:
        for key, parts in self._known:
            found = _filled(parts, sentence)
            if found is not None and self._fill_inside(found, language, deepest - 1):
                return self._texts.get(language, f"said.{key}", **found)
        return None

    def _fill_inside(self, found: dict[str, str], language: str, deepest: int) -> bool:
        """Say what is a sentence itself, too; whether all of it is known."""
        for name in found.keys() & INSIDE:
            said = self._whole(found[name], language, deepest) if deepest else None
            if said is None:
                return False
            found[name] = said
        return True

    def _fields(self, text: str, language: str) -> str | None:
        said, open_one = [], ""  # what is wrong with a field may have "; " in it
        for part in text.split("; "):
            open_one += part
            if (field := self._field(open_one, language)) is None:
                open_one += "; "
            else:
                said.append(field)
                open_one = ""
        return None if open_one else "；".join(said)

    def _field(self, text: str, language: str) -> str | None:
        key, mark, words = text.partition(": ")
        if not mark or _KEY.fullmatch(key) is None:
            return None
        said = self._whole(words, language)
        return said if said is None or key == "(top)" else f"{key}：{said}"


def _rank(parts: tuple[str, ...]) -> tuple[bool, int]:
    """Those around another sentence first, then those that say more themselves."""
    return not any(name in INSIDE for name in parts[1::2]), -sum(map(len, parts[::2]))


def _filled(parts: tuple[str, ...], sentence: str) -> dict[str, str] | None:
    """What stands in the blanks, where `sentence` has these words. Each blank ends where the next
    words first come, so the time is that of one look at it."""
    words, names = parts[::2], parts[1::2]
    if not names:
        return {} if sentence == words[0] else None
    end = len(sentence) - len(words[-1])
    if not (sentence.startswith(words[0]) and sentence.endswith(words[-1])):
        return None
    found, at = {}, len(words[0])
    for name, following in zip(names, words[1:], strict=True):
        last = name is names[-1]
        until = end if last else sentence.find(following, at + 1, end)
        if until <= at:
            return None
        found[name] = sentence[at:until]
        at = until + len(following)
    return found
