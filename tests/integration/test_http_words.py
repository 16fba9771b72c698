"""Every page of the console in Chinese: nothing on it is English but names, commands and codes."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from html import unescape
from pathlib import Path

import pytest

from ostiary.messages.decision import Decision
from ostiary.messages.words import Reason
from ostiary.vision.engine import VisionEngine
from testing.console import Browser, ConsoleDoor, console_settings
from testing.faces import some_look

PAGES = (
    *("/", "/people", "/person?name=Ann", "/enrol", "/rules", "/rule", "/rule?name=Office"),
    *("/events", "/health", "/thresholds", "/access", "/charts", "/site", "/person?name=Nobody"),
    *("/nowhere", "/sign-in"),
)
SAID = re.compile(r'(?:aria-label|title|placeholder|data-ask|data-ask-text|data-done)="([^"]*)"')
LATIN = re.compile(r"\b[A-Za-z]?[a-z]+ [a-z]+\b")


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory, engine: VisionEngine) -> Iterator[ConsoleDoor]:
    folder: Path = tmp_path_factory.mktemp("door")
    with ConsoleDoor(console_settings(folder), engine) as running:
        now = datetime.now(UTC)
        running.people.register("Ann", [some_look(1)], now, source="http")
        for reason in Reason:
            who = "Ann" if reason is Reason.GRANTED else None
            decision = Decision(reason, who, distance=0.5, liveness=0.9)
            running.events.append_login(decision, source="front", now=now)
        yield running


@pytest.fixture(scope="module")
def operator(door: ConsoleDoor) -> Browser:
    found = door.operator()
    found.ask("POST", "/api/v1/groups", json={"group": "Staff"}).raise_for_status()
    rule = {"name": "Office", "groups": ["Staff"]}
    found.ask("PUT", "/api/v1/rules", json={"rule": rule}).raise_for_status()
    return found


@pytest.mark.parametrize("page", PAGES)
def test_no_page_in_chinese_has_an_english_sentence(
    door: ConsoleDoor, operator: Browser, page: str
) -> None:
    who = Browser(door.url) if page == "/sign-in" else operator
    asks = {"Accept": "text/html", "Accept-Language": "zh"}
    html = who.ask("GET", page, headers=asks).text
    html = re.sub(r"<(script|style|svg|code)\b.*?</\1>", "", html, flags=re.DOTALL)
    shown = unescape("|".join([re.sub(r"<[^>]+>", "|", html), *SAID.findall(html)]))
    names = re.sub(r"`[^`]*`|Test door", "", shown)
    assert re.search("[一-鿿]", shown)
    assert LATIN.findall(names) == []
