"""One line of the doctor's page."""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How it is."""

    GREEN = "green"
    YELLOW = "yellow"
    """Works, but somebody should look."""
    RED = "red"
    """The door cannot do its work."""


@dataclass(frozen=True, slots=True)
class Check:
    """What was looked at, how it is, what was found, and what to do where it is not green."""

    name: str
    level: Level
    found: str
    advice: str = ""


def green(name: str, found: str) -> Check:
    return Check(name, Level.GREEN, found)


def yellow(name: str, found: str, advice: str) -> Check:
    return Check(name, Level.YELLOW, found, advice)


def red(name: str, found: str, advice: str) -> Check:
    return Check(name, Level.RED, found, advice)
