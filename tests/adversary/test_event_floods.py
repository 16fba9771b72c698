"""A viewer who asks for charts and lists as fast as they can takes neither the memory nor the
console from others; and what was seen stays nowhere."""

import tracemalloc
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, timedelta

import numpy as np
import pytest
import requests

from ostiary.clock import utc_now
from ostiary.http.events import figures
from ostiary.messages.decision import Decision
from ostiary.messages.words import Reason
from ostiary.store.accounts import Role
from ostiary.store.snapshots import Snapshots
from ostiary.store.users import Users
from ostiary.vision.engine import VisionEngine
from testing.console import PASSWORD, Browser, ConsoleDoor, console_settings
from testing.waiting import PATIENCE_S

EVENTS = 5000
AT_ONCE = 60
MOST_MB = 12


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory, engine: VisionEngine) -> Iterator[ConsoleDoor]:
    settings = console_settings(
        tmp_path_factory.mktemp("door"), http={"connections_per_address": 200}
    )
    with ConsoleDoor(settings, engine) as running:
        now = utc_now()
        with running.database.transaction():
            for number in range(50):
                name, face = f"somebody {number}", np.full(128, 0.1)
                Users(running.database).add(name, [face], now, recognizer="dlib", source="test")
            for number in range(EVENTS):
                running.events.append_login(
                    Decision(
                        Reason.GRANTED if number % 4 else Reason.UNKNOWN_FACE,
                        f"somebody {number % 50}" if number % 4 else None,
                        distance=0.5,
                        liveness=0.9,
                        threshold=1.0,
                        recognizer="sface",
                    ),
                    source="front",
                    now=now - timedelta(minutes=number % 9000),
                )
        running.operator()
        yield running


@pytest.fixture(scope="module")
def browser(door: ConsoleDoor) -> Browser:
    viewer = Browser(door.url)
    viewer.sign_in("anna", PASSWORD)
    return viewer


def peak_mb(door: ConsoleDoor, path: str, headers: dict[str, str]) -> tuple[float, Counter[int]]:
    """What so many requests at once took at most, and how they were answered."""

    def ask(_number: int) -> int:
        return requests.get(f"{door.url}{path}", headers=headers, timeout=120).status_code

    ask(0)
    tracemalloc.start()
    with ThreadPoolExecutor(AT_ONCE) as askers:
        statuses = Counter(askers.map(ask, range(AT_ONCE)))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return most / 1e6, statuses


@pytest.mark.parametrize("path", ["/charts?days=30", "/api/v1/events.csv"])
def test_many_at_once_take_the_memory_of_one(
    door: ConsoleDoor, browser: Browser, path: str
) -> None:
    cookie = "; ".join(f"{each.name}={each.value}" for each in browser.http.cookies)
    token = {"Authorization": f"Bearer {door.token(Role.VIEWER)}"}
    most, statuses = peak_mb(door, path, token if path.startswith("/api") else {"Cookie": cookie})
    assert set(statuses) <= {200, 503}
    assert statuses[200] >= 1
    bodies = AT_ONCE * 1.0  # what is being answered, on both sides of this test
    assert most < MOST_MB + bodies, f"{most:.0f} MB"


def test_charts_take_no_memory_for_each_decision(door: ConsoleDoor) -> None:
    figures(door.events, utc_now() - timedelta(days=30), UTC)
    tracemalloc.start()
    found = figures(door.events, utc_now() - timedelta(days=30), UTC)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found.granted + found.denied == EVENTS
    assert most < 1000 * EVENTS, f"{most / EVENTS:.0f} bytes each"


def test_charts_count_every_decision(door: ConsoleDoor, browser: Browser) -> None:
    page = browser.http.get(f"{door.url}/charts?days=30", timeout=60).text
    assert str(EVENTS // 4) in page
    assert str(EVENTS - EVENTS // 4) in page


def test_a_picture_of_an_event_is_kept_in_no_cache(door: ConsoleDoor) -> None:
    seq = door.events.last_seq()
    Snapshots(door.database).keep(seq, b"\xff\xd8 a picture", utc_now())
    headers = {"Authorization": f"Bearer {door.token(Role.VIEWER)}"}
    answer = requests.get(
        f"{door.url}/api/v1/events/{seq}/snapshot", headers=headers, timeout=PATIENCE_S
    )
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
