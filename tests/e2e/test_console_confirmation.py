"""Whoever has been signed in for a while says the password again before letting somebody in."""

from datetime import timedelta
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import expect

from ostiary.store.audit import Audit
from testing.console import PASSWORD, LaterClock
from tests.e2e.browsing import Open, Stage, shoot

NAME = "Zoë Müller"


@pytest.mark.parametrize("phone", [False, True])
def test_the_password_is_asked_for_again_and_then_it_goes_on(
    stage: Stage, visit: Open, portraits: Path, clock: LaterClock, phone: bool
) -> None:
    page = visit(stage, phone=phone, language="zh" if phone else "en")
    clock.ahead = timedelta(minutes=10)
    page.goto(stage.url("enrol"))
    page.locator("#name").fill(NAME)
    page.locator("summary").click()
    page.locator("#file").set_input_files(portraits / "obama.jpg")
    page.locator("#upload").click()
    dialog = page.locator("#confirmation")
    expect(dialog).to_be_visible()
    assert stage.door.people.count() == 0
    assert Axe().run(page).response["violations"] == []
    shoot(page, f"confirmation-{'phone' if phone else 'desktop'}")

    dialog.locator("#confirmation-no").click()
    words = "需要再次输入密码" if phone else "needs your password again"
    expect(page.locator("#outcome")).to_contain_text(words)
    assert stage.door.people.count() == 0

    page.locator("#upload").click()
    dialog.locator("input[type=password]").fill("not this one, anna")
    page.keyboard.press("Enter")
    expect(dialog.get_by_role("alert")).to_be_visible()
    shoot(page, f"confirmation-wrong-{'phone' if phone else 'desktop'}")
    dialog.locator("input[type=password]").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(dialog).to_be_hidden()
    expect(page.locator("#outcome .good")).to_contain_text(NAME)
    actions = [row.action for row in Audit(stage.door.database).newest(2)]
    assert actions == ["user_registered", "password_said"]
