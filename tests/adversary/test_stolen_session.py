"""Whoever got hold of a session's cookie, and knows no password, lets nobody in by it; nor does
whoever reached the broker and has no key."""

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from demo.scenes import empty_room
from ostiary.clock import utc_now
from ostiary.commands import people
from ostiary.commands.registry import LOCAL, Asker, Context
from ostiary.http.app import SIGN_IN_TRIES
from ostiary.messages.commands.people import RegisterRequest
from ostiary.mqtt.signing import Signer
from ostiary.store.accounts import Accounts, Role
from ostiary.store.audit import Audit
from ostiary.vision.engine import VisionEngine
from testing.broker import Mosquitto
from testing.console import PASSWORD, Browser, ConsoleDoor, LaterClock, console_settings
from testing.doorway import BASE, Doorway, door_settings
from testing.probe import Probe

LATER = timedelta(minutes=10)
NAME = "张三"
TOPIC = f"{BASE}/request/add_template"
ANSWER = f"{BASE}/response/add_template"


@pytest.fixture
def clock() -> LaterClock:
    return LaterClock()


@pytest.fixture
def door(tmp_path: Path, engine: VisionEngine, clock: LaterClock) -> Iterator[ConsoleDoor]:
    settings = console_settings(tmp_path, http={"legacy_api": "token"})
    with ConsoleDoor(settings, engine, clock=clock) as running:
        yield running


@pytest.fixture
def nobody(tmp_path: Path) -> Path:
    """What a camera sees before which nobody stands."""
    folder = tmp_path / "camera"
    folder.mkdir()
    folder.joinpath("0.jpg").write_bytes(empty_room().frames[0])
    return folder


@pytest.fixture
def operator(door: ConsoleDoor, clock: LaterClock, portraits: Path) -> Browser:
    """Signed in ten minutes ago, when they enrolled somebody."""
    browser = door.operator()
    body = {"username": NAME, "image": picture(portraits, "obama.jpg")}
    assert browser.ask("POST", "/api/v1/users", json=body).status_code == 201
    clock.ahead = LATER
    return browser


@pytest.fixture
def thief(door: ConsoleDoor, operator: Browser) -> Browser:
    """Has the cookie, and with it whatever the pages say."""
    browser = Browser(door.url)
    browser.http.cookies.update(operator.http.cookies)
    browser.read_csrf(browser.http.get(f"{door.url}/people").text)
    return browser


def picture(portraits: Path, name: str) -> str:
    return base64.b64encode(portraits.joinpath(name).read_bytes()).decode()


def code_of(answer: requests.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


NEEDED = (403, "confirmation_needed")


def test_a_stolen_cookie_adds_no_template(
    door: ConsoleDoor, thief: Browser, portraits: Path
) -> None:
    body = {"image": picture(portraits, "obama2.jpg")}
    answer = thief.ask("POST", f"/api/v1/users/{NAME}/templates", json=body)
    assert code_of(answer) == NEEDED
    assert "/api/v1/confirmation" in answer.json()["detail"]
    assert door.people.get(NAME).templates == 1


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "users", {"username": "Eve"}),
        ("POST", "people/line", {"username": "Eve"}),
        ("PUT", f"users/{NAME}/pin", {"pin": "730194"}),
        ("POST", f"users/{NAME}/cards", {"card": "0A1B2C3D"}),
        ("POST", "accounts", {"name": "eve", "password": "four green doors", "role": "operator"}),
        ("POST", "tokens", {"name": "eve", "role": "operator"}),
    ],
)
def test_a_stolen_cookie_gives_nobody_another_way_in(
    door: ConsoleDoor,
    thief: Browser,
    portraits: Path,
    method: str,
    path: str,
    body: dict[str, Any],
) -> None:
    if body.get("username"):
        body = {**body, "image": picture(portraits, "biden.jpg")}
    assert code_of(thief.ask(method, f"/api/v1/{path}", json=body)) == NEEDED
    assert door.people.count() == 1
    assert door.accounts().count() == 1
    assert thief.ask("GET", "/api/v1/tokens").json()["tokens"] == []


RULE = {"name": "R", "groups": ["G"], "needs": "card"}


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", f"users/{NAME}/access", {"groups": []}),
        ("PUT", f"users/{NAME}/access", {"groups": ["G"], "valid_until": "2099-01-01"}),
        ("PUT", "rules", {"rule": RULE, "confirm": True}),
        ("DELETE", "rules/R?confirm=true", None),
        ("PUT", "holidays", {"holidays": [{"date": "2026-12-24"}]}),
        ("PATCH", "settings", {"false_accept": 0.1}),
        ("PATCH", "settings", {"one_person_only": False}),
        ("DELETE", "settings", None),
        ("DELETE", "accounts/anna", None),
        ("POST", "doors/front", {"action": "unlock"}),
        ("POST", "doors/front", {"action": "forgive"}),
    ],
)
def test_a_stolen_cookie_widens_nothing(
    tmp_path: Path,
    engine: VisionEngine,
    nobody: Path,
    method: str,
    path: str,
    body: dict[str, Any] | None,
) -> None:
    clock = LaterClock()
    with ConsoleDoor(console_settings(tmp_path), engine, nobody, clock=clock) as door:
        browser = door.operator()
        clock.ahead = LATER
        answer = browser.ask(method, f"/api/v1/{path}", json=body)
        assert code_of(answer) == NEEDED
        assert browser.ask("POST", "/api/v1/confirmation", json={"password": PASSWORD}).ok
        again = browser.ask(method, f"/api/v1/{path}", json=body)
        assert again.json().get("code") != "confirmation_needed"


def test_a_lockdown_is_begun_at_once_and_ended_with_the_password(
    tmp_path: Path, engine: VisionEngine, nobody: Path
) -> None:
    clock = LaterClock()
    with ConsoleDoor(console_settings(tmp_path), engine, nobody, clock=clock) as door:
        browser = door.operator()
        clock.ahead = LATER
        path = "/api/v1/doors/front"
        for action in ("lock", "silence", "lockdown"):
            assert browser.ask("POST", path, json={"action": action}).status_code == 200
        assert code_of(browser.ask("POST", path, json={"action": "lock"})) == NEEDED


def test_a_stolen_cookie_registers_nobody_by_the_first_versions_api(
    door: ConsoleDoor, thief: Browser, portraits: Path
) -> None:
    with portraits.joinpath("biden.jpg").open("rb") as file:
        answer = thief.ask("POST", "/register", data={"username": "Eve"}, files={"file": file})
    assert answer.json()["code"] == "confirmation_needed"
    assert door.people.count() == 1


def test_guessing_the_password_with_a_stolen_cookie_locks_it_out(
    door: ConsoleDoor, thief: Browser
) -> None:
    guesses = [
        thief.ask("POST", "/api/v1/confirmation", json={"password": f"wrong guess {number}"})
        for number in range(SIGN_IN_TRIES + 1)
    ]
    assert [code_of(each) for each in guesses[:-1]] == [(401, "sign_in_failed")] * 5
    assert code_of(guesses[-1]) == (429, "too_many_attempts")
    right = thief.ask("POST", "/api/v1/confirmation", json={"password": PASSWORD})
    assert code_of(right) == (429, "too_many_attempts")
    signed_in = Browser(door.url).sign_in("anna", PASSWORD)
    assert signed_in.status_code == 429, "the guesses count at sign-in, too"


def test_the_operator_says_the_password_again_and_the_audit_names_them(
    door: ConsoleDoor, operator: Browser, clock: LaterClock, portraits: Path
) -> None:
    path, body = f"/api/v1/users/{NAME}/templates", {"image": picture(portraits, "obama2.jpg")}
    assert code_of(operator.ask("POST", path, json=body)) == NEEDED
    said = operator.ask("POST", "/api/v1/confirmation", json={"password": PASSWORD})
    assert said.status_code == 204
    assert operator.ask("POST", path, json=body).status_code == 201
    rows = Audit(door.database).newest(2)
    assert [(row.actor, row.action, row.subject) for row in rows] == [
        ("anna", "template_added", NAME),
        ("anna", "password_said", "anna"),
    ]
    clock.ahead = 2 * LATER
    assert code_of(operator.ask("POST", path, json=body)) == NEEDED


# --- over MQTT ------------------------------------------------------------------------------


@pytest.fixture
def probe(broker: Mosquitto) -> Iterator[Probe]:
    with Probe(broker.port, f"{BASE}/response/#") as running:
        yield running


def add_template(portraits: Path) -> str:
    return f'{{"username": "{NAME}", "image": "{picture(portraits, "obama2.jpg")}"}}'


@contextmanager
def door_on_the_bus(
    folder: Path, port: int, engine: VisionEngine, portraits: Path, **commands: Any
) -> Iterator[Doorway]:
    """Somebody is registered there."""
    with Doorway(door_settings(folder, port, commands=commands), engine) as door:
        image = portraits.joinpath("obama.jpg").read_bytes()
        request = RegisterRequest(username=NAME, image=image)
        door.commands.run(people.register, request, Context("cli", Asker(None, LOCAL)))
        yield door


def test_an_unsigned_command_adds_no_template_where_somebody_could_confirm(
    tmp_path: Path, broker: Mosquitto, probe: Probe, engine: VisionEngine, portraits: Path
) -> None:
    with door_on_the_bus(tmp_path, broker.port, engine, portraits) as door:
        Accounts(door.database).add("anna", "hash", Role.OPERATOR, utc_now())
        probe.send(TOPIC, add_template(portraits))
        assert probe.wait(ANSWER)[0].json["error"]["code"] == "confirmation_needed"
        assert door.people.get(NAME).templates == 1


def test_a_signed_one_does_and_the_audit_says_whose_key_it_was(
    tmp_path: Path, broker: Mosquitto, probe: Probe, engine: VisionEngine, portraits: Path
) -> None:
    keys = tmp_path / "keys"
    keys.mkdir()
    signer = Signer(b"the front desk's key, of 32 bytes", timedelta(seconds=60), "front-desk")
    keys.joinpath("front-desk").write_bytes(signer.key)
    commands = {"signed": True, "signing_keys": keys}
    with door_on_the_bus(tmp_path, broker.port, engine, portraits, **commands) as door:
        Accounts(door.database).add("anna", "hash", Role.OPERATOR, utc_now())
        command = signer.sign(TOPIC, add_template(portraits), utc_now())
        probe.send(TOPIC, command.model_dump_json())
        assert probe.wait(ANSWER)[0].json["status"] == "ok"
        (row,) = Audit(door.database).newest(1)
        assert (row.actor, row.action, row.subject) == (
            "client:front-desk",
            "template_added",
            NAME,
        )


def test_a_first_versions_door_without_accounts_takes_it_as_before(
    tmp_path: Path, broker: Mosquitto, probe: Probe, engine: VisionEngine, portraits: Path
) -> None:
    with door_on_the_bus(tmp_path, broker.port, engine, portraits) as door:
        probe.send(TOPIC, add_template(portraits))
        assert probe.wait(ANSWER)[0].json["status"] == "ok"
        assert door.people.get(NAME).templates == 2
