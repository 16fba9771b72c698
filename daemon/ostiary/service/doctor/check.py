"""One line of the doctor's page, and the page for people and for programs."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from rich.console import Console
from rich.text import Text

INDENT = " " * 6


class Level(StrEnum):
    """The state that a check found."""

    GREEN = "green"
    YELLOW = "yellow"
    """Works, but somebody should look."""
    RED = "red"
    """The door cannot do its work."""


@dataclass(frozen=True, slots=True)
class Check:
    """One line: what was checked, its state, what was found, and what to do unless it is green."""

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


STYLES = {Level.GREEN: "green", Level.YELLOW: "yellow", Level.RED: "bold red"}
WORDS = {Level.GREEN: "ok", Level.YELLOW: "look", Level.RED: "BAD"}
"""Words beside the colours, which not everybody sees."""


def render(checks: Iterable[Check], console: Console) -> tuple[Check, ...]:
    """Print each line as its check comes in; all checks."""
    shown = []
    for check in checks:
        line = Text(f"{WORDS[check.level]:<6}", style=STYLES[check.level])
        line.append(f"{check.name}: ", style="bold").append(check.found, style="default")
        console.print(line, soft_wrap=True)
        if check.advice:
            console.print(Text(f"{INDENT}→ {check.advice}"), soft_wrap=True)
        shown.append(check)
    return tuple(shown)


def as_json(checks: Iterable[Check]) -> str:
    """`{"level": the worst, "checks": [{"name", "level", "found", "advice"}, …]}`."""
    found = tuple(checks)
    lines = [
        {
            "name": check.name,
            "level": check.level.value,
            "found": check.found,
            "advice": check.advice,
        }
        for check in found
    ]
    return json.dumps({"level": worst(found).value, "checks": lines}, ensure_ascii=False)


def worst(checks: Iterable[Check]) -> Level:
    levels = {check.level for check in checks}
    return next((level for level in (Level.RED, Level.YELLOW) if level in levels), Level.GREEN)


def exit_status(checks: Iterable[Check]) -> int:
    """1 where the door cannot do its work, otherwise 0."""
    return int(worst(checks) is Level.RED)
