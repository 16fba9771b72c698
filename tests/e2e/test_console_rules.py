"""Rules, visitors, lists and charts in the console: real Chromium, the real server."""

import base64
import csv
import io
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Page, Route, expect

from ostiary.messages.decision import Decision
from ostiary.messages.words import Reason
from testing.faces import some_look
from tests.e2e.browsing import Open, Stage, shoot, take_the_picture

OFFICE = {
    "name": "Office",
    "groups": ["Staff"],
    "hours": [
        {"days": ["mon", "tue", "wed", "thu", "fri"], "start": "07:30", "end": "18:15"},
        {"days": ["fri"], "start": "22:00", "end": "06:00"},
    ],
    "needs": "face+pin",
}


def ask(stage: Stage, method: str, path: str, body: dict[str, Any]) -> None:
    stage.operator.ask(method, f"/api/v1/{path}", json=body).raise_for_status()


def house(stage: Stage) -> None:
    """Two groups, a rule, a holiday, three people, and a week of visits."""
    for group in ("Staff", "Cleaners"):
        ask(stage, "POST", "groups", {"group": group})
    ask(stage, "PUT", "rules", {"rule": OFFICE})
    ask(stage, "PUT", "holidays", {"holidays": [{"date": "2026-12-25", "name": "Christmas"}]})
    now = datetime.now(UTC)
    for number, name in enumerate(("Ann", "张三", "Visitor")):
        stage.door.people.register(name, [some_look(number)], now, source="http")
    ask(stage, "PUT", "users/Ann/access", {"groups": ["Staff"]})
    ask(stage, "PUT", "users/Visitor/access", {"valid_until": "2020-01-01"})
    reasons = [Reason.GRANTED] * 6 + [
        Reason.UNKNOWN_FACE,
        Reason.OUTSIDE_SCHEDULE,
        Reason.UNCERTAIN,
    ]
    for number in range(120):
        reason = reasons[number % len(reasons)]
        stage.door.events.append_login(
            Decision(
                reason,
                None if reason is Reason.UNKNOWN_FACE else "Ann",
                distance=0.6 + 0.012 * (number % 50),
                liveness=0.55 + 0.009 * (number % 50),
                threshold=1.1,
                recognizer="sface",
            ),
            source="front",
            now=now - timedelta(minutes=61 * (119 - number)),
        )


def hours(stage: Stage, name: str) -> list[tuple[str, str, str]] | None:
    rule = next(rule for rule in stage.door.services.rules.rules() if rule.name == name)
    if rule.hours is None:
        return None
    return [("+".join(each.days), each.start, each.end) for each in rule.hours]


def cell(page: Page, day: str, index: int) -> Any:
    return page.locator(f'.week-row[data-day="{day}"] .week-cell').nth(index)


def drag(page: Page, start: Any, end: Any) -> None:
    page.locator("#week").evaluate("week => week.scrollIntoView({block: 'center'})")
    for where, act in ((start, page.mouse.down), (end, page.mouse.up)):
        box = where.bounding_box()
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, steps=4)
        act()


def test_a_rule_is_drawn_on_a_week_with_the_pointer(stage: Stage, visit: Open) -> None:
    page = visit(stage)
    page.goto(stage.url("rules"))
    page.get_by_placeholder("New group").fill("Cleaners")
    page.get_by_role("button", name="Add").first.click()
    page.get_by_role("link", name="New rule").click()
    page.get_by_label("Name").fill("Cleaning")
    page.get_by_label("Cleaners").check()
    page.get_by_label("At any time").uncheck()
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#outcome")).to_contain_text("Draw at least some hours")
    drag(page, cell(page, "mon", 36), cell(page, "fri", 39))
    drag(page, cell(page, "wed", 38), cell(page, "wed", 39))  # open already: shut again
    shoot(page, "rule-drawn")
    page.get_by_role("button", name="Save").click()
    page.wait_for_url(stage.url("rules"))
    expect(page.locator(".rule")).to_contain_text("Cleaning")
    assert hours(stage, "Cleaning") == [
        ("mon+tue+thu+fri", "18:00", "20:00"),
        ("wed", "18:00", "19:00"),
    ]


def test_a_rule_is_drawn_with_the_keyboard_and_by_exact_times(stage: Stage, visit: Open) -> None:
    house(stage)
    page = visit(stage)
    page.goto(stage.url("rule?name=Office"))
    cell(page, "sat", 16).evaluate("cell => cell.focus()")
    page.locator('.week-cell[tabindex="0"]').focus()
    for key in ("ArrowDown",) * 5:
        page.keyboard.press(key)
    page.keyboard.press("Space")
    for key in ("Shift+ArrowRight", "Shift+ArrowRight", "Shift+ArrowDown"):
        page.keyboard.press(key)
    expect(page.locator("#week-said")).to_have_text("Sun 09:00–09:30: may pass")
    page.get_by_text("Exact times").click()
    page.locator("#exact-day").select_option("holiday")
    page.locator("#exact-end").fill("11:10")
    page.locator("#exact-start").fill("10:05")
    page.locator("#exact-add").click()
    expect(page.locator("#exact")).to_contain_text("Holiday 10:05–11:10")
    shoot(page, "rule-exact")
    page.get_by_role("button", name="Save").click()
    page.wait_for_url(stage.url("rules"))
    found = hours(stage, "Office")
    assert found is not None
    assert set(found) == {
        ("mon+tue+wed+thu+fri", "07:30", "18:15"),
        ("fri", "22:00", "06:00"),
        ("sat", "08:00", "09:30"),
        ("sun", "09:00", "09:30"),
        ("holiday", "10:05", "11:10"),
    }


def test_a_rule_without_which_nobody_passes_is_removed_only_when_said_twice(
    stage: Stage, visit: Open
) -> None:
    house(stage)
    for name in ("张三", "Visitor"):
        stage.operator.ask("DELETE", f"/api/v1/users/{name}").raise_for_status()
    page = visit(stage)
    page.goto(stage.url("rules"))
    page.get_by_role("button", name="Remove the rule Office?").click()
    dialog = page.get_by_role("dialog")
    dialog.locator("#question-yes").click()
    expect(dialog).to_contain_text("nobody could pass that door any more")
    shoot(page, "rules-locked-out")
    dialog.get_by_role("button", name="Cancel").click()
    assert hours(stage, "Office") is not None
    page.get_by_role("button", name="Remove the rule Office?").click()
    dialog.locator("#question-yes").click()
    dialog.get_by_role("button", name="Do it all the same").click()
    expect(page.locator("main")).to_contain_text("There is no rule yet")
    page.get_by_role("button", name="Remove 2026-12-25").click()
    expect(page.locator("#holiday-list li")).to_have_count(0)
    page.get_by_label("Date").fill("2027-01-01")
    page.locator("#holiday").get_by_label("Name").fill("New Year")
    page.locator("#holiday").get_by_role("button").click()
    expect(page.locator("#holiday-list")).to_contain_text("2027-01-01")


def test_a_visitor_is_enrolled_in_two_taps_and_their_end_is_seen(stage: Stage, visit: Open) -> None:
    stage.door.people.register("Ann", [some_look(1)], datetime.now(UTC), source="http")
    stage.show("registered")
    page = visit(stage, phone=True)
    page.goto(stage.url("people"))
    page.get_by_role("link", name="Visitor").click()
    page.get_by_label("Name").fill("Plumber")
    page.get_by_label("Tomorrow").check()
    expect(page.locator("#guidance")).to_have_text("Good: hold still")
    take_the_picture(page, "is registered")
    shoot(page, "visitor-enrolled")
    until = stage.door.services.rules.person("Plumber").valid_until
    assert until is not None
    assert timedelta(hours=23) < until - datetime.now(UTC) <= timedelta(days=2)
    page.get_by_role("link", name="Show Plumber").click()
    page.get_by_label("Until", exact=True).fill("2019-12-31")
    page.locator("#access").get_by_role("button").click()
    expect(page.locator(".rulings")).to_contain_text("Their time is over")
    page.goto(stage.url("people"))
    expect(page.locator(".chip.over")).to_be_visible()
    shoot(page, "people-visitor-over")


def test_a_person_gets_groups_and_the_week_they_may_pass_is_seen(stage: Stage, visit: Open) -> None:
    house(stage)
    page = visit(stage)
    page.goto(stage.url("person?name=张三"))
    expect(page.locator(".rulings")).to_contain_text("may pass now")
    page.locator("#access").get_by_label("Staff").check()
    page.locator("#access").get_by_role("button").click()
    expect(page.locator(".rule svg")).to_be_visible()
    expect(page.locator(".rule")).to_contain_text("Face and PIN")
    shoot(page, "person-access")
    assert stage.door.services.rules.person("张三").groups == {"Staff"}


def test_a_list_is_taken_line_by_line_with_a_report_and_saved_again(
    stage: Stage, visit: Open, portraits: Path, tmp_path: Path
) -> None:
    house(stage)
    listed = tmp_path / "people.csv"
    listed.write_text(
        "name,groups,until,photo\n"
        "Barack,Staff,2030-01-01,obama.jpg\n"
        "=cmd,Staff,,biden.jpg\n"
        "Joe,Nobody,,biden.jpg\n"
        "Eve,Staff,,../../etc/passwd\n"
        "Ann,Cleaners,,\n",
        encoding="utf-8",
    )
    page = visit(stage)
    page.goto(stage.url("people"))
    page.locator("#list summary").click()
    page.locator("#list-file").set_input_files(listed)
    photos = [portraits / "obama.jpg", portraits / "biden.jpg"]
    page.locator("#list-photos").set_input_files(photos)
    page.get_by_role("button", name="Import").click()
    expect(page.locator("#list-outcome")).to_contain_text("3 imported, 2 not")
    report = page.locator("#list-report li")
    expect(report.nth(2)).to_contain_text("There is no such group")
    expect(report.nth(3)).to_contain_text("was not chosen")
    shoot(page, "people-list")
    with page.expect_download() as saving:
        page.get_by_role("link", name="Export").click()
    text = Path(saving.value.path()).read_text("utf-8-sig")
    rows = {row["name"]: row for row in csv.DictReader(io.StringIO(text))}
    assert rows["Barack"]["groups"] == "Staff"
    assert rows["Ann"]["groups"] == "Cleaners"
    assert "'=cmd" in rows


def test_the_console_in_chinese_says_no_english_whatever_was_wrong(
    stage: Stage, visit: Open, tmp_path: Path
) -> None:
    house(stage)
    for name in ("张三", "Visitor"):
        stage.operator.ask("DELETE", f"/api/v1/users/{name}").raise_for_status()
    page = visit(stage, phone=True, language="zh")
    page.goto(stage.url("person?name=Ann"))
    page.locator("#access [name=valid_from]").fill("2027-01-02")
    page.locator("#access [name=valid_until]").fill("2027-01-01")
    page.locator("#access").get_by_role("button").click()
    outcome = page.locator("#access-outcome")
    expect(outcome).to_have_text("这些日期不能用。 (结束必须晚于开始。)")
    shoot(page, "person-period-zh")
    page.locator("#new-name").fill("Ann/Bo")
    page.locator("#new-name + button").click()
    expect(page.get_by_text("姓名不能含 / \\ + #，也不能只有点。")).to_be_visible()
    page.goto(stage.url("rules"))
    page.get_by_role("button", name="Office").click()
    dialog = page.get_by_role("dialog")
    dialog.locator("#question-yes").click()
    expect(dialog.locator("#question-text")).to_have_text(
        "之后就没有人能通过 front 了。确实要这样吗？"
    )
    shoot(page, "rules-locked-out-zh")
    listed = tmp_path / "people.csv"
    listed.write_text("name,groups,until\nBo,Nobody,\nCy,Staff,1/2/2027\n", encoding="utf-8")
    page.goto(stage.url("people"))
    page.locator("#list summary").click()
    page.locator("#list-file").set_input_files(listed)
    page.locator("#import button").click()
    report = page.locator("#list-report li")
    expect(report.nth(0)).to_contain_text("没有组“Nobody”，现有：Cleaners, Staff。")
    expect(report.nth(1)).to_contain_text("1/2/2027 可能是 2027-02-01")


def test_todays_log_is_filtered_and_saved_and_charts_say_the_same(
    stage: Stage, visit: Open
) -> None:
    house(stage)
    page = visit(stage)
    page.goto(stage.url("events"))
    page.get_by_role("link", name="Today at the door").click()
    expect(page.locator(".events tbody tr").first).to_be_visible()
    page.get_by_label("Outcome").select_option("outside_schedule")
    page.get_by_label("Day").fill("")
    page.get_by_role("button", name="Show", exact=True).click()
    expect(page.locator(".events tbody tr")).to_have_count(13)
    with page.expect_download() as saving:
        page.get_by_role("link", name="Save as CSV").click()
    rows = list(csv.DictReader(io.StringIO(Path(saving.value.path()).read_text("utf-8-sig"))))
    assert {row["reason"] for row in rows} == {"outside_schedule"}
    assert len(rows) == 13
    page.get_by_role("link", name="Charts").click()
    page.get_by_role("link", name="30 days").click()
    expect(page.locator(".lead")).to_contain_text("denied 39 times")
    expect(page.locator(".scatter circle")).to_have_count(120)
    page.get_by_text("As a table").click()
    shoot(page, "charts-30-days")


@pytest.mark.parametrize(("phone", "language"), [(False, "en"), (True, "zh")])
def test_pages_about_rules_are_clean_for_axe_and_fit(
    stage: Stage, visit: Open, portraits: Path, phone: bool, language: str
) -> None:
    house(stage)
    image = base64.b64encode(portraits.joinpath("obama.jpg").read_bytes()).decode()
    ask(stage, "POST", "users", {"username": "Barack", "image": image, "groups": ["Cleaners"]})
    page = visit(stage, phone=phone, language=language)
    kind = f"{'phone' if phone else 'desktop'}-{language}"
    for path in (
        "rules",
        "rule?name=Office",
        "charts?days=30",
        "person?name=Ann",
        "people",
        "enrol?visitor=1",
        "events",
    ):
        page.goto(stage.url(path))
        if path == "people":
            page.locator("#list summary").click()
        if path.startswith("rule?"):
            page.locator("#week-editor summary").click()
        found = Axe().run(page)
        assert found.violations_count == 0, f"/{path}: {found.generate_report()}"
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= page.viewport_size["width"], path  # type: ignore[index]
        shoot(page, f"rules-{kind}-{path.split('?')[0]}")


def test_a_viewer_sees_rules_and_may_change_none(stage: Stage, visit: Open) -> None:
    house(stage)
    password = "four green doors"
    ask(stage, "POST", "accounts", {"name": "vera", "password": password, "role": "viewer"})
    page = visit()
    page.goto(stage.url("rules"))
    page.get_by_label("Name").fill("vera")
    page.get_by_label("Password").fill(password)
    page.keyboard.press("Enter")
    expect(page.locator(".rule")).to_contain_text("Office")
    expect(page.get_by_role("button", name="Add")).to_have_count(0)
    expect(page.get_by_role("link", name="New rule")).to_have_count(0)
    page.goto(stage.url("rule?name=Office"))
    expect(page.locator("main")).to_contain_text("operator")
    page.goto(stage.url("person?name=Ann"))
    expect(page.locator("#access")).to_have_count(0)


@pytest.mark.parametrize(
    "path", ["person?name=Ann", "enrol", "people", "rules", "rule", "access", "thresholds"]
)
def test_no_press_is_lost_before_the_scripts_of_a_page_are_there(
    stage: Stage, visit: Open, path: str
) -> None:
    house(stage)
    page = visit(stage)
    late: list[Route] = []
    page.route("**/static/*.js", lambda route: late.append(route))
    page.goto(stage.url(path), wait_until="commit")
    expect(page.locator("#question")).to_be_attached()
    forms = page.locator('main form[method="dialog"], #holiday-list')
    inert = page.locator('main form[method="dialog"][inert], #holiday-list[inert]')
    assert forms.count() > 0
    assert inert.count() == forms.count()
    page.route("**/static/*.js", lambda route: route.continue_())
    for route in late:
        route.continue_()
    expect(inert).to_have_count(0)
    assert forms.count() > 0
