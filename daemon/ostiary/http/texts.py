"""The console's words: one file a language, with the same keys."""

import tomllib
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from starlette.requests import HTTPConnection

LANGUAGES = {"en": "English", "zh": "简体中文"}
"""By code, each in its own words."""
TAGS = {"en": "en", "zh": "zh-Hans"}
"""BCP 47, for the page's lang attribute."""


class Texts:
    """`find("zh", "nav.live")`: the text with that key, in that language."""

    def __init__(self) -> None:
        self._words = {code: _flat(_read(code)) for code in LANGUAGES}

    def find(self, language: str, key: str) -> str | None:
        return self._words[language].get(key)

    def raw(self, language: str, key: str) -> str:
        """As it is written. KeyError where there is no such text."""
        return self._words[language][key]

    def get(self, language: str, key: str, **values: object) -> str:
        """With `{name}` filled in. KeyError where there is no such text."""
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
