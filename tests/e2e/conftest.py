"""A real Chromium before a real console, and a camera that shows scenes."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import BrowserContext, Page, expect, sync_playwright

from demo.scenes import Scene
from demo.stream import Camera
from ostiary.vision.engine import VisionEngine
from testing.console import ConsoleDoor, LaterClock, console_settings
from tests.e2e.browsing import CHROMIUM, DESKTOP, PATIENCE_MS, PHONE, QUIET, Open, Stage


@pytest.fixture(scope="module")
def chromium() -> Iterator[Chromium]:
    if not Path(CHROMIUM).exists():
        pytest.fail(f"{CHROMIUM} is not there; `make debian` installs it")
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*QUIET])
        yield browser
        browser.close()


@pytest.fixture
def clock() -> LaterClock:
    """The console's."""
    return LaterClock()


@pytest.fixture
def fresh(
    tmp_path: Path, engine: VisionEngine, scenes: dict[str, Scene], clock: LaterClock
) -> Iterator[tuple[ConsoleDoor, Camera]]:
    """A door at its first start, before which nobody stands."""
    settings = console_settings(
        tmp_path,
        access={"cooldown_s": 1.0, "decide_within_s": 20.0},
        store={"keep_snapshots_days": 1.0},
        relay={"pulse_s": 60.0},  # a slow page still finds a door open that was opened once
    )
    with (
        Camera(scenes["empty"]) as camera,
        ConsoleDoor(settings, engine, camera.url, clock) as door,
    ):
        yield door, camera


@pytest.fixture
def stage(fresh: tuple[ConsoleDoor, Camera], scenes: dict[str, Scene]) -> Stage:
    """A door that was set up."""
    door, camera = fresh
    return Stage(door, camera, scenes, door.operator())


@pytest.fixture
def visit(chromium: Chromium) -> Iterator[Open]:
    """Opens a page in a browser of its own. At the end nothing may have gone wrong in any, and
    nothing may have been asked for elsewhere."""
    contexts: list[BrowserContext] = []
    wrong: list[str] = []
    hosts: set[str] = set()

    def open_page(stage: Stage | None = None, phone: bool = False, language: str = "en") -> Page:
        context = chromium.new_context(
            viewport=PHONE if phone else DESKTOP,  # type: ignore[arg-type]
            locale="zh-CN" if language == "zh" else "en-GB",
            color_scheme="dark" if phone else "light",
            device_scale_factor=2 if phone else 1,
            has_touch=phone,
            reduced_motion="reduce",
        )
        contexts.append(context)
        if stage is not None:
            (cookie,) = [each for each in stage.operator.http.cookies if each.name == "ostiary"]
            value = cookie.value or ""
            context.add_cookies([{"name": "ostiary", "value": value, "url": stage.door.url}])
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda line: wrong.append(line.text) if "policy" in line.text else None)
        page.on("request", lambda request: hosts.add(request.url.split("/")[2].split(":")[0]))
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert wrong == []
    assert hosts <= {"127.0.0.1"}
