"""`python -m demo.pictures`: draw the pictures of the README from a demo that really ran."""

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import cv2
import typer
from playwright.sync_api import Page, sync_playwright
from rich.console import Console

from demo.errors import DemoError
from demo.run import Plan, run

CHROMIUM = "/usr/bin/chromium-headless-shell"
PORTRAITS = Path("resources/portraits")
NO_SAMPLES = Path("build/pictures/no-samples")
"""The recorded replay shows somebody who did not agree to be shown."""
SHEET_WIDTH = 1100
QUALITY = 72  # JPEG, of 100
WINDOW = {"width": 1180, "height": 740}
PASSWORD = "a long password for the pictures"
ENROL_WITHIN_S = 120.0
SHOWN_AFTER_S = 1.0
VISITORS_S = 75.0
"""Long enough for everybody to have come once."""

app = typer.Typer(add_completion=False)


@app.command()
def main(
    output: Annotated[Path, typer.Option(help="Folder for the pictures.")] = Path("docs/pictures"),
) -> None:
    """The contact sheet of `make demo`, and the console in a browser while visitors come."""
    output.mkdir(parents=True, exist_ok=True)
    _sheet(output / "sheet.jpg")
    with _console() as (address, code), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_context(viewport=WINDOW, locale="en-GB").new_page()  # type: ignore[arg-type]
        _set_up(page, address, code)
        _enrol(page, address)
        page.goto(f"{address}/")
        time.sleep(VISITORS_S)
        _wait_for_a_grant(page, address)
        for path, name in (("", "live"), ("events", "events")):
            if path:
                page.goto(f"{address}/{path}")
                page.wait_for_load_state("networkidle")
            page.screenshot(path=output / f"{name}.jpg", type="jpeg", quality=QUALITY)
        browser.close()
    for picture in sorted(output.glob("*.jpg")):
        typer.echo(f"{picture}: {picture.stat().st_size // 1024} KiB")


def _sheet(target: Path) -> None:
    plan = Plan(Path("build/pictures"), PORTRAITS, NO_SAMPLES)
    if not run(plan, Console()):
        raise DemoError("Not every answer was as it should be; no pictures are drawn of that.")
    sheet = cv2.imread(str(plan.output / "sheet.png"))
    if sheet is None:
        raise DemoError(f"{plan.output}/sheet.png: the contact sheet cannot be read.")
    height = round(sheet.shape[0] * SHEET_WIDTH / sheet.shape[1])
    small = cv2.resize(sheet, (SHEET_WIDTH, height), interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(target), small, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])


@contextmanager
def _console() -> Iterator[tuple[str, str]]:
    """A running `demo.console`: its address, and its set-up code."""
    command = [sys.executable, "-m", "demo.console", "--output", "build/pictures/console"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            said = ""
            for line in process.stdout:
                said += line
                if "Ctrl-C" in line:
                    break
            address = re.search(r"http://127\.0\.0\.1:\d+", said)
            code = re.search(r"[A-Z2-9]{4}(-[A-Z2-9]{4}){2}", said)
            if address is None or code is None:
                raise DemoError(f"The console did not start: {said}")
            yield address[0], code[0]
        finally:
            process.terminate()


def _set_up(page: Page, address: str, code: str) -> None:
    page.goto(f"{address}/setup")
    page.locator("input[name=code]").fill(code)
    page.locator("input[name=name]").fill("anna")
    page.locator("input[name=password]").fill(PASSWORD)
    page.locator("input[name=again]").fill(PASSWORD)
    page.locator("main form button.primary").click()
    page.wait_for_url(f"{address}/")


def _enrol(page: Page, address: str) -> None:
    """Enrol a live person before the camera. Attackers come, too, and are refused."""
    until = time.monotonic() + ENROL_WITHIN_S
    page.goto(f"{address}/enrol")
    while time.monotonic() < until:
        page.locator("input[name=username]").fill("Barack")
        page.locator("#take").click()
        page.locator("#take:not([disabled])").wait_for(timeout=60_000)
        if page.locator(".notice.good").count():
            return
    raise DemoError("Nobody could be enrolled in time.")


def _wait_for_a_grant(page: Page, address: str) -> None:
    """Wait until a person before the camera was let in."""
    newest = f"{address}/api/v1/events?limit=1&kind=login"
    before = page.request.get(newest).json()["events"][0]["seq"]
    until = time.monotonic() + ENROL_WITHIN_S
    while time.monotonic() < until:
        (event,) = page.request.get(newest).json()["events"]
        if event["seq"] > before and event["success"]:
            time.sleep(SHOWN_AFTER_S)
            return
        time.sleep(0.2)
    raise DemoError("Nobody was let in in time.")


if __name__ == "__main__":
    app()
