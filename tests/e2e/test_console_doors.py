"""PINs, cards and the door itself in the console: real Chromium, the real server."""

from datetime import UTC, datetime

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Page, expect

from ostiary.messages.words import Mode
from ostiary.store.audit import Audit
from ostiary.store.credentials import Credentials, Holding
from testing.faces import some_look
from tests.e2e.browsing import Open, Stage, shoot

NAME = "张三 O'Neil"


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


@pytest.mark.parametrize(("phone", "language"), [(False, "en"), (True, "zh")])
def test_a_person_is_given_pins_and_a_card_and_they_are_taken_away(
    stage: Stage, visit: Open, phone: bool, language: str
) -> None:
    stage.door.people.register(NAME, [some_look(1)], datetime.now(UTC), source="http")
    credentials = Credentials(stage.door.database)
    words = {
        "en": ("Set a PIN", "Add a card", "too easy", "Remove the PIN", "Remove all cards"),
        "zh": ("设置 PIN", "添加卡", "太容易猜到", "移除 PIN", "移除所有卡"),
    }
    set_pin, add_card, too_easy, remove_pin, remove_cards = words[language]
    page = visit(stage, phone=phone, language=language)
    page.goto(stage.url(f"person?name={NAME}"))
    section = page.get_by_role("region", name={"en": "PIN and cards", "zh": "PIN 和卡"}[language])

    def give(summary: str, field: str, value: str) -> None:
        section.locator("summary", has_text=summary).click()
        page.locator(field).fill(value)
        press(page, summary)

    def count(given: int) -> None:
        expect(section.locator("li strong")).to_have_count(given)

    give(set_pin, "#pin", "1234")
    expect(section.get_by_role("alert")).to_contain_text(too_easy)
    page.locator("#pin").fill("7294")
    press(page, set_pin)
    count(1)
    assert credentials.holding(NAME) == Holding(pin=True, duress=False, cards=0)

    section.locator("summary", has_text=set_pin).click()
    page.locator("#pin").fill("8305")
    section.get_by_role("checkbox").check()
    shoot(page, f"credentials-{language}")
    assert Axe().run(page).response["violations"] == []
    press(page, set_pin)
    count(2)
    give(add_card, "#card", "0012345678")
    count(3)
    assert credentials.holding(NAME) == Holding(pin=True, duress=True, cards=1)
    shoot(page, f"credentials-given-{language}")
    assert "0012345678" not in page.content()

    press(page, remove_cards)
    count(2)
    press(page, remove_pin)
    count(1)
    assert credentials.holding(NAME) == Holding(pin=False, duress=True, cards=0)


def test_a_pin_is_never_in_an_address_though_no_script_has_come_yet(
    stage: Stage, visit: Open
) -> None:
    stage.door.people.register(NAME, [some_look(1)], datetime.now(UTC), source="http")
    page = visit(stage)
    page.route("**/static/*.js", lambda route: route.abort())
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(stage.url(f"person?name={NAME}"))
    page.locator("summary", has_text="Set a PIN").click()
    page.locator("#pin").evaluate("pin => { pin.value = '7294'; pin.form.requestSubmit(); }")
    page.wait_for_timeout(500)
    assert [url for url in asked if "7294" in url] == []
    assert page.url.endswith("O'Neil") or page.url.endswith("O%27Neil")


def test_a_door_is_locked_down_and_opened_from_the_live_page(stage: Stage, visit: Open) -> None:
    guard = stage.door.services.doors["front"]
    page = visit(stage)
    page.goto(stage.url())
    section = page.get_by_role("region", name="The door")
    expect(section).to_contain_text("Locked")

    press(page, "Open once: front")
    shoot(page, "door-question")
    press(page, "Cancel")
    assert guard.state().lock == "locked"
    press(page, "Open once: front")
    press(page, "Open once")
    expect(section).to_contain_text("Unlocked")
    shoot(page, "door-open")
    guard.set_mode(Mode.LOCKDOWN, "http/ben")  # which ends the minute that it would stay open
    guard.set_mode(Mode.NORMAL, "http/ben")
    expect(section).to_contain_text("Locked")  # though nobody has pressed anything here

    bar = page.locator("#lockdown")
    press(page, "Lockdown: front")
    press(page, "Cancel")
    assert guard.state().mode is Mode.NORMAL
    press(page, "Lockdown: front")
    shoot(page, "door-lockdown-question")
    press(page, "Lockdown")
    expect(section).to_contain_text("lockdown")
    assert guard.state().mode is Mode.LOCKDOWN
    expect(bar).to_contain_text("nobody is let in at front")
    expect(page.get_by_role("button", name="Open once: front")).to_have_count(0)
    assert Axe().run(page).response["violations"] == []
    shoot(page, "door-lockdown")
    elsewhere = visit(stage, phone=True, language="zh")
    elsewhere.goto(stage.url("rules"))
    expect(elsewhere.locator("#lockdown")).to_contain_text("封锁中：front")
    assert Axe().run(elsewhere).response["violations"] == []
    shoot(elsewhere, "lockdown-rules-zh")
    press(page, "End the lockdown: front")
    press(page, "End the lockdown")
    expect(section).to_contain_text("normal")
    assert guard.state().mode is Mode.NORMAL
    expect(bar).to_be_hidden()
    expect(elsewhere.locator("#lockdown")).to_be_hidden()
    page.goto(stage.url("events?kind=door"))
    expect(page.locator("tbody tr", has_text="Opened").first).to_contain_text("anna")
    shoot(page, "events-of-the-door")
    rows = [row.subject for row in Audit(stage.door.database).newest(3)]
    assert rows == ["front: lock", "front: lockdown", "front: open"]
