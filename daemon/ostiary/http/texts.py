"""The console's words: one file a language, with the same keys.

The daemon's own sentences are among them. Each is said once, in English, where it is raised. Below
`said` the texts have them with `{…}` for what differs; by those a sentence is found again, and said
in another language. What `{what}` and `{why}` stand for is itself such a sentence.
"""

import re
import tomllib
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from starlette.requests import HTTPConnection

LANGUAGES = {"en": "English", "zh": "简体中文"}
"""By code, each in its own words."""
TAGS = {"en": "en", "zh": "zh-Hans"}
"""BCP 47, for the page's lang attribute."""
LONGEST = 1000
"""Letters of a sentence that is looked for: one that lists much is for programs."""
INSIDE = ("what", "why")
DEEPEST = 8
"""Sentences in one another: what somebody sent may look like more."""
_BLANK = re.compile(r"\{(\w+)\}")
_KEY = re.compile(r"[\w.]+|\(top\)")


class Texts:
    """The texts of all languages by key: `find("zh", "nav.live")`."""

    def __init__(self) -> None:
        self._words = {code: _flat(_read(code)) for code in LANGUAGES}

    def find(self, language: str, key: str) -> str | None:
        return self._words[language].get(key)

    def raw(self, language: str, key: str) -> str:
        """The text as it is written. Raises KeyError where there is none."""
        return self._words[language][key]

    def get(self, language: str, key: str, **values: object) -> str:
        """The text with `{name}` filled in. Raises KeyError where there is none."""
        return self._words[language][key].format(**values)

    def under(self, language: str, prefix: str) -> dict[str, str]:
        """All texts below `prefix`, by the rest of their key."""
        return {
            key.removeprefix(f"{prefix}."): text
            for key, text in self._words[language].items()
            if key.startswith(f"{prefix}.")
        }

    def keys(self, language: str) -> frozenset[str]:
        return frozenset(self._words[language])


def language_of(accept_language: str, default: str) -> str:
    """The best of our languages for an Accept-Language header (RFC 9110, 12.5.4)."""
    wanted: list[tuple[float, int, str]] = []
    for place, part in enumerate(accept_language.split(",")[:20]):
        tag, _, parameter = part.strip().partition(";")
        name, _, value = parameter.strip().partition("=")
        try:
            weight = float(value) if name.strip() == "q" else 1.0
        except ValueError:
            continue
        code = tag.strip().lower().split("-")[0]
        if code in LANGUAGES and weight > 0:
            wanted.append((-weight, place, code))
    return min(wanted)[2] if wanted else default


def asked_language(asked: HTTPConnection) -> str:
    """The best of our languages for a program, and for a page's script."""
    return language_of(asked.headers.get("accept-language", ""), default="en")


def _read(code: str) -> Mapping[str, Any]:
    text = (files("ostiary.http") / "texts" / f"{code}.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


class Sayings:
    """Translates the daemon's sentences. May be called from any thread."""

    def __init__(self, texts: Texts) -> None:
        self._texts = texts
        english = texts.under("en", "said")
        parts = {key: tuple(_BLANK.split(text)) for key, text in english.items()}
        self._known = tuple(sorted(parts.items(), key=lambda item: _rank(item[1])))

    def said(self, sentence: str, language: str) -> str | None:
        """Translate `sentence`, or a list of wrong fields (`key: words; key: words`). None: it is
        not known in that language."""
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
        """Translate the blanks that are sentences themselves; returns whether all are known."""
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
    """Sort sentences that hold another one first, then those with more words of their own."""
    return not any(name in INSIDE for name in parts[1::2]), -sum(map(len, parts[::2]))


def _filled(parts: tuple[str, ...], sentence: str) -> dict[str, str] | None:
    """What stands in the blanks, where `sentence` has these words; None: it has not. Each blank
    ends where the next words first come, so one pass is enough."""
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
