"""The console as people use it: real Chromium, the real server, the demo's camera."""

import base64
from pathlib import Path

import cv2
import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Page, expect

from demo.scenes import Scene
from demo.stream import Camera
from ostiary.clock import utc_now
from ostiary.messages.decision import Decision
from ostiary.messages.words import Reason
from ostiary.store.accounts import Role
from ostiary.store.snapshots import Snapshots
from ostiary.vision.image import decode_image, encode_jpeg
from testing.console import PASSWORD, Browser, ConsoleDoor
from tests.e2e.browsing import Open, Stage, shoot, take_the_picture

PAGES = (
    "",
    "people",
    "person?name=张三",
    "enrol",
    "events",
    "health",
    "thresholds",
    "access",
    "rules",
    "rule",
    "charts",
    "enrol?visitor=1",
)


def enrol(page: Page, stage: Stage, name: str) -> None:
    stage.show("registered")
    page.goto(stage.url("enrol"))
    page.get_by_label("Name").fill(name)
    expect(page.locator("#guidance")).to_have_text("Good: hold still")
    take_the_picture(page, "is registered")


def test_from_first_start_to_a_person_granted_live_and_deleted_again(
    fresh: tuple[ConsoleDoor, Camera], scenes: dict[str, Scene], visit: Open
) -> None:
    door, camera = fresh
    page = visit()
    page.goto(door.url)
    assert page.url == f"{door.url}/setup"
    shoot(page, "first-start")
    page.get_by_label("Set-up code").fill("AAAA-BBBB-CCCC")
    page.get_by_label("Your name").fill("anna")
    password = page.get_by_label("Password", exact=True)
    password.fill(PASSWORD)
    page.get_by_role("button", name="Show").first.click()
    assert password.get_attribute("type") == "text"
    again = page.get_by_label("Password again")
    again.fill("three blue bricks")
    shoot(page, "first-start-shown")
    page.keyboard.press("Enter")
    assert page.locator("input:invalid").evaluate("field => field.validationMessage") == (
        "The two passwords are not the same."
    )
    again.fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("The set-up code is wrong")
    page.get_by_label("Set-up code").fill(door.set_up_code or "")
    password.fill(PASSWORD)
    again.fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.locator("#said .main")).to_have_text("Nobody is at the door")

    stage = Stage(door, camera, scenes, Browser(door.url))
    enrol(page, stage, "张三")
    shoot(page, "enrolled")

    page.goto(door.url)
    expect(page.locator("#said")).to_contain_text("Welcome, 张三")
    expect(page.locator("#decisions li").first).to_contain_text("Granted")
    shoot(page, "granted")

    stage.show("empty")
    expect(page.locator("#said .main")).to_have_text("Nobody is at the door")
    stage.show("phone")
    expect(page.locator("#said")).to_contain_text("A photo or a screen")
    shoot(page, "attack")

    page.goto(stage.url("people"))
    page.get_by_role("link", name="张三").click()
    page.get_by_role("button", name="Delete").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Delete 张三?")
    shoot(page, "delete")
    dialog.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Delete").click()
    dialog.get_by_role("button", name="Delete").click()
    page.wait_for_url(stage.url("people"))
    expect(page.locator("main")).to_contain_text("Nobody is registered yet")
    assert door.people.count() == 0


def test_the_guidance_says_what_is_missing(stage: Stage, visit: Open) -> None:
    page = visit(stage)
    page.goto(stage.url("enrol"))
    expect(page.locator("#guidance")).to_have_text("Step in front of the camera")
    stage.show("phone")
    expect(page.locator("#guidance")).to_have_text("Judged a photo or a screen")
    page.get_by_label("Name").fill("mallory")
    take_the_picture(page, "a live person is needed")
    assert stage.door.people.count() == 0


def test_a_person_is_enrolled_from_a_file_and_given_another_picture(
    stage: Stage, visit: Open, portraits: Path
) -> None:
    page = visit(stage)
    page.goto(stage.url("enrol"))
    page.get_by_label("Name").fill("Zoë Müller")
    page.get_by_text("From a file").click()
    page.get_by_label("Picture", exact=True).set_input_files(portraits / "obama.jpg")
    page.get_by_role("button", name="Upload").click()
    expect(page.locator("#outcome")).to_contain_text("Zoë Müller is registered.")
    page.get_by_role("link", name="Add a picture of Zoë Müller").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("One more picture of Zoë Müller")
    page.get_by_text("From a file").click()
    page.get_by_label("Picture", exact=True).set_input_files(portraits / "biden.jpg")
    page.get_by_role("button", name="Upload").click()
    expect(page.locator("#outcome")).to_contain_text("too far from this person's pictures")
    page.get_by_label("Picture", exact=True).set_input_files(portraits / "obama2.jpg")
    page.get_by_role("button", name="Upload").click()
    expect(page.locator("#outcome")).to_contain_text("has one more picture")
    page.get_by_role("link", name="Show Zoë Müller").click()
    page.get_by_role("button", name="Remove picture 2").click()
    expect(page.get_by_text("the only one")).to_be_visible()
    assert stage.door.people.get("Zoë Müller").templates == 1


def test_a_picture_of_fifty_megapixels_is_made_smaller_before_it_is_sent(
    stage: Stage, visit: Open, portraits: Path, tmp_path: Path
) -> None:
    portrait = decode_image(portraits.joinpath("obama.jpg").read_bytes())
    height, width = portrait.shape[:2]
    scale = (50e6 / (height * width)) ** 0.5
    large = cv2.resize(portrait, (round(width * scale), round(height * scale)))
    tmp_path.joinpath("large.jpg").write_bytes(encode_jpeg(np.asarray(large, np.uint8), 95))
    tmp_path.joinpath("no-picture.jpg").write_bytes(bytes(9_000_000))
    page = visit(stage)
    sent: list[int] = []
    page.on("request", lambda asked: sent.append(len(asked.post_data_buffer or b"")))
    page.goto(stage.url("enrol"))
    page.get_by_label("Name").fill("Ada")
    page.get_by_text("From a file").click()
    page.get_by_label("Picture", exact=True).set_input_files(tmp_path / "no-picture.jpg")
    page.get_by_role("button", name="Upload").click()
    expect(page.locator("#outcome")).to_contain_text("It has 9.0 MB, and at most 8.4 MB are taken")
    assert max(sent) == 0
    page.get_by_label("Picture", exact=True).set_input_files(tmp_path / "large.jpg")
    page.get_by_role("button", name="Upload").click()
    expect(page.locator("#outcome")).to_contain_text("Ada is registered")
    assert 20_000 < max(sent) < 220_000


def test_a_face_that_is_somebody_elses_is_enrolled_only_as_a_twin(
    stage: Stage, visit: Open, portraits: Path
) -> None:
    page = visit(stage)
    for name, picture, outcome in (
        ("Ada", "obama.jpg", "Ada is registered."),
        ("Bea", "obama2.jpg", "somebody else's already"),
    ):
        page.goto(stage.url("enrol"))
        page.get_by_label("Name").fill(name)
        page.get_by_text("From a file").click()
        page.get_by_label("Picture", exact=True).set_input_files(portraits / picture)
        page.get_by_role("button", name="Upload").click()
        expect(page.locator("#outcome")).to_contain_text(outcome)
    shoot(page, "enrol-twin")
    page.get_by_label("Enrol all the same").check()
    page.get_by_role("button", name="Upload").click()
    expect(page.locator("#outcome")).to_contain_text("Bea is registered.")
    page.goto(stage.url("people"))
    page.get_by_text("Look-alikes (1)").click()
    shoot(page, "people-look-alikes")
    assert [(pair.one, pair.other) for pair in stage.door.roster.look_alikes().pairs] == [
        ("Ada", "Bea")
    ]


def test_the_picture_of_an_event_is_enlarged_and_added_to_whom_it_is_of(
    stage: Stage, visit: Open, portraits: Path
) -> None:
    image = base64.b64encode(portraits.joinpath("obama.jpg").read_bytes()).decode()
    person = {"username": "Ada", "image": image}
    stage.operator.ask("POST", "/api/v1/users", json=person).raise_for_status()
    event = stage.door.events.append_login(
        Decision(
            Reason.UNKNOWN_FACE,
            distance=stage.door.roster.one_person_distance - 0.01,
            liveness=0.95,
            recognizer="sface",
        ),
        source="front",
        now=utc_now(),
    )
    picture = portraits.joinpath("obama2.jpg").read_bytes()
    Snapshots(stage.door.database).keep(event.seq, picture, utc_now())
    phone = visit(stage, phone=True, language="zh")
    phone.goto(stage.url("events?kind=login"))
    phone.locator(".enlarge").click()
    expect(phone.get_by_role("dialog")).to_contain_text("添加这张照片")
    shoot(phone, "event-picture-zh")
    page = visit(stage)
    page.goto(stage.url("events?kind=login"))
    page.locator(".enlarge").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("img")).to_be_visible()
    dialog.get_by_label("Who is this?").fill("Ada")
    assert Axe().run(page).response["violations"] == []
    shoot(page, "event-picture")
    dialog.get_by_role("button", name="Add this picture").click()
    expect(dialog).to_contain_text("Ada has one more picture")
    assert stage.door.people.get("Ada").templates == 2
    expect(page.locator(".enlarge")).to_have_count(0)


def test_the_effect_of_thresholds_is_seen_before_they_are_saved(stage: Stage, visit: Open) -> None:
    page = visit(stage)
    enrol(page, stage, "张三")
    page.goto(stage.url())
    expect(page.locator("#said")).to_contain_text("Welcome, 张三")
    page.goto(stage.url("thresholds"))
    expect(page.locator("#effect")).to_contain_text("all have come out the same")
    expect(page.locator("#distance")).to_contain_text("one stranger in 1,000")
    page.locator("#false_accept").fill("0.00001")
    expect(page.locator("#effect")).to_contain_text("one stranger in 100,000")
    page.locator("#live_threshold").fill("1")
    expect(page.locator("#effect")).to_contain_text("Granted → ")
    assert stage.door.access.false_accept == 0.001
    shoot(page, "thresholds-effect")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("em", has_text="set here").first).to_be_visible()
    assert stage.door.access.false_accept == 0.00001
    page.locator("#votes").fill("9")
    expect(page.locator("#effect")).to_contain_text("do not go together")
    page.reload()
    page.get_by_role("button", name="Back to the configuration").click()
    page.get_by_role("dialog").get_by_role("button", name="Back to the configuration").click()
    expect(page.locator("em", has_text="set here")).to_have_count(0)
    assert stage.door.access.false_accept == 0.001


def test_wrong_passwords_lock_the_account(stage: Stage, visit: Open) -> None:
    page = visit()
    page.goto(stage.url("events"))
    for number in range(5):
        page.get_by_label("Name").fill("anna")
        page.get_by_label("Password").fill(f"wrong password {number}")
        with page.expect_navigation():  # or the alert of the try before would do
            page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("alert")).to_contain_text("Wrong name or password")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("Too many tries")
    shoot(page, "locked-out")


def test_signing_in_with_the_keyboard_only(stage: Stage, visit: Open) -> None:
    page = visit()
    page.goto(stage.url("health"))
    expect(page.get_by_label("Name")).to_be_focused()  # by the first drawing, after the loading
    page.keyboard.type("anna")
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(stage.url("health"))
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()


def test_a_token_is_shown_once_and_works(stage: Stage, visit: Open) -> None:
    page = visit(stage)
    page.goto(stage.url("access"))
    page.get_by_label("Name of the program").fill("home-assistant")
    page.get_by_role("button", name="Make a token").click()
    token = page.locator("#tokens ~ form [data-shown] code")
    expect(token).to_contain_text("ostiary_")
    text = token.text_content() or ""
    page.reload()
    expect(page.get_by_text("home-assistant").first).to_be_visible()
    assert text not in page.content()
    answer = page.request.get(
        stage.url("api/v1/users"), headers={"Authorization": f"Bearer {text}"}
    )
    assert answer.ok


def test_a_viewer_is_offered_nothing_that_changes(stage: Stage, visit: Open) -> None:
    new = {"name": "vera", "password": "four green doors", "role": Role.VIEWER.value}
    stage.operator.ask("POST", "/api/v1/accounts", json=new)
    page = visit()
    page.goto(stage.url())
    page.get_by_label("Name").fill("vera")
    page.get_by_label("Password").fill("four green doors")
    page.keyboard.press("Enter")
    expect(page.locator("#said .main")).to_have_text("Nobody is at the door")
    expect(page.get_by_role("link", name="Enrol")).to_have_count(0)
    page.goto(stage.url("thresholds"))
    expect(page.get_by_role("button", name="Save")).to_have_count(0)
    expect(page.locator("#live_threshold")).to_be_disabled()


def test_the_language_can_be_chosen(stage: Stage, visit: Open) -> None:
    page = visit(stage)
    page.goto(stage.url("health"))
    page.get_by_role("button", name="简体中文").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("状态")
    assert page.url == stage.url("health")
    page.get_by_role("button", name="English").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Health")


@pytest.mark.parametrize(
    ("phone", "language"),
    [(False, "en"), (True, "zh"), pytest.param(True, "en", marks=pytest.mark.long)],
)
def test_every_page_is_clean_for_axe_and_fits(
    stage: Stage, visit: Open, portraits: Path, phone: bool, language: str
) -> None:
    image = base64.b64encode(portraits.joinpath("obama.jpg").read_bytes()).decode()
    person = {"username": "张三", "image": image}
    stage.operator.ask("POST", "/api/v1/users", json=person).raise_for_status()
    stage.show("registered")
    page = visit(stage, phone=phone, language=language)
    page.goto(stage.url())
    expect(page.locator("#said.granted")).to_be_visible()
    stranger = visit(phone=phone, language=language)
    kind = f"{'phone' if phone else 'desktop'}-{language}"
    for visitor, paths in ((page, PAGES), (stranger, ("sign-in", "no-such-page"))):
        for path in paths:
            visitor.goto(stage.url(path))
            if path in {"", "enrol"}:
                expect(visitor.locator(".curtain")).to_be_hidden()
            if path == "thresholds":
                expect(visitor.locator("#effect p").first).to_be_visible()
            found = Axe().run(visitor)
            assert found.violations_count == 0, f"/{path}: {found.generate_report()}"
            wide = visitor.evaluate("document.documentElement.scrollWidth")
            assert wide <= visitor.viewport_size["width"], path  # type: ignore[index]
            shoot(visitor, f"{kind}-{path.split('?')[0] or 'live'}")


def test_a_camera_that_is_gone_is_told(stage: Stage, visit: Open) -> None:
    page = visit(stage)
    page.goto(stage.url())
    expect(page.locator(".curtain")).to_be_hidden()
    stage.door.recognitions[0].stop()
    expect(page.locator(".curtain")).to_have_text("The camera gives no new picture.")
