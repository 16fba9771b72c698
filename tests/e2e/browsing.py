"""What the browser tests share: a door with its operator, and pictures of what they see."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Page

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


def shoot(page: Page, name: str) -> None:
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    phone = page.viewport_size == PHONE  # whose navigation would lie across a longer picture
    page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=not phone)
