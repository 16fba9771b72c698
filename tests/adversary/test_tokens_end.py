"""An API token goes with whoever made it, and does not last for ever."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import requests
from typer.testing import CliRunner

from ostiary.cli.main import app
from ostiary.clock import utc_now
from ostiary.store.accounts import Accounts, ApiTokens, Role
from ostiary.store.database import Database
from ostiary.vision.engine import VisionEngine
from testing.console import Browser, ConsoleDoor, LaterClock, console_settings
from testing.waiting import PATIENCE_S


@pytest.fixture
def clock() -> LaterClock:
    return LaterClock()


@pytest.fixture
def door(tmp_path: Path, engine: VisionEngine, clock: LaterClock) -> Iterator[ConsoleDoor]:
    with ConsoleDoor(console_settings(tmp_path), engine, clock=clock) as running:
        yield running


def status(door: ConsoleDoor, token: str, method: str = "GET", path: str = "state") -> int:
    headers = {"Authorization": f"Bearer {token}"}
    return requests.request(
        method, f"{door.url}/api/v1/{path}", headers=headers, timeout=PATIENCE_S
    ).status_code


def made(door: ConsoleDoor, name: str, by: str | Browser) -> str:
    body = {"name": name, "role": "operator"}
    if isinstance(by, Browser):
        answer = by.ask("POST", "/api/v1/tokens", json=body)
    else:
        headers = {"Authorization": f"Bearer {by}"}
        url = f"{door.url}/api/v1/tokens"
        answer = requests.post(url, json=body, headers=headers, timeout=PATIENCE_S)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["token"])


def test_tokens_go_with_the_operator_who_made_them_and_with_what_those_made(
    door: ConsoleDoor,
) -> None:
    anna = door.operator()
    body = {"name": "eve", "password": "four green doors", "role": "operator"}
    assert anna.ask("POST", "/api/v1/accounts", json=body).status_code == 201
    eve = Browser(door.url)
    eve.sign_in("eve", "four green doors")
    kept, first = made(door, "annas", anna), made(door, "eves", eve)
    second = made(door, "of-eves-token", first)
    third = made(door, "of-that-one", second)
    assert {status(door, each) for each in (kept, first, second, third)} == {200}
    assert anna.ask("DELETE", "/api/v1/accounts/eve").status_code == 200
    assert [status(door, each) for each in (kept, first, second, third)] == [200, 401, 401, 401]


def test_what_a_token_made_goes_with_it(door: ConsoleDoor) -> None:
    anna = door.operator()
    first = made(door, "one", anna)
    second = made(door, "two", first)
    (one,) = (each for each in ApiTokens(door.database).list() if each.name == "one")
    assert anna.ask("DELETE", f"/api/v1/tokens/{one.id}").status_code == 200
    assert (status(door, first), status(door, second)) == (401, 401)


def test_a_token_ends_after_its_time(door: ConsoleDoor, clock: LaterClock) -> None:
    anna = door.operator()
    token = made(door, "one", anna)
    listed = anna.ask("GET", "/api/v1/tokens").json()["tokens"]
    assert listed[0]["expires_at"][:4] > listed[0]["created_at"][:4]
    clock.ahead = timedelta(days=door.settings.http.token_days - 1)
    assert status(door, token) == 200
    clock.ahead = timedelta(days=door.settings.http.token_days)
    assert status(door, token) == 401


def test_resetting_the_console_leaves_no_token(tmp_path: Path) -> None:
    path = tmp_path / "ostiary.db"
    with Database.open(path) as database:
        Accounts(database).add("anna", "hash", Role.OPERATOR, utc_now())
        ApiTokens(database).add("one", "ostiary_secret", Role.OPERATOR, "anna", utc_now())
    config = tmp_path / "ostiary.toml"
    config.write_text(f'[store]\npath = "{path}"\n')
    done = CliRunner().invoke(app, ["reset-console", "--config", str(config)])
    assert done.exit_code == 0, done.output
    with Database.open(path) as database:
        assert ApiTokens(database).find("ostiary_secret", utc_now()) is None
