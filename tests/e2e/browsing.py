"""What the browser tests share: a door with its operator, and pictures of what they see."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import FrameLocator, Page, expect

from demo.scenes import Scene
from demo.stream import Camera
from testing.console import Browser, ConsoleDoor
from testing.waiting import PATIENCE_S

CHROMIUM = "/usr/bin/chromium-headless-shell"
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
SCREENSHOTS = Path(__file__).resolve().parents[2] / "build" / "screenshots"
PATIENCE_MS = 1000 * PATIENCE_S
DESKTOP = {"width": 1280, "height": 800}
PHONE = {"width": 360, "height": 740}
LATE = "No good picture of exactly one face came in time"
PRESSES = 6

Open = Callable[..., Page]


@dataclass
class Stage:
    """A door, who stands before it, and its operator."""

    door: ConsoleDoor
    camera: Camera
    scenes: dict[str, Scene]
    operator: Browser

    def show(self, scene: str) -> None:
        self.camera.show(self.scenes[scene])

    def url(self, path: str = "") -> str:
        return f"{self.door.url}/{path}"


def take_the_picture(page: Page | FrameLocator, outcome: str) -> None:
    """Press "Take the picture", and see `outcome`. Where a busy machine saw too little in the
    seconds that a camera has for it, press again, as the page asks for."""
    said = page.locator("#outcome")
    for _ in range(PRESSES):
        page.get_by_role("button", name="Take the picture").click()
        expect(said).to_contain_text(re.compile(f"{re.escape(outcome)}|{LATE}"))
        if LATE not in said.inner_text():
            break
    expect(said).to_contain_text(outcome)


def shoot(page: Page, name: str) -> None:
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    phone = page.viewport_size == PHONE  # whose navigation would lie across a longer picture
    page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=not phone)
