"""Who may: first start, signing in, lock-out, roles, CSRF, tokens, audit, headers, limits."""

import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from ostiary.clock import utc_now
from ostiary.commands.services import CommandLimits
from ostiary.errors import ConfigError
from ostiary.http.server import Server
from ostiary.settings import HttpSettings
from ostiary.store.accounts import ApiTokens, Role
from ostiary.vision.engine import VisionEngine
from ostiary.vision.image import ImageLimits
from testing.certificates import Authority
from testing.console import (
    PASSWORD,
    Browser,
    ConsoleDoor,
    console_settings,
    logged,
)
from testing.waiting import PATIENCE_S, wait_until


@pytest.fixture
def door(tmp_path: Path, engine: VisionEngine) -> Iterator[ConsoleDoor]:
    with ConsoleDoor(console_settings(tmp_path, http={"legacy_api": "token"}), engine) as running:
        yield running


def viewer_of(door: ConsoleDoor, operator: Browser) -> Browser:
    """A second account, signed in."""
    account = {"name": "vera", "password": "four green doors", "role": "viewer"}
    assert operator.ask("POST", "/api/v1/accounts", json=account).status_code == 201
    browser = Browser(door.url)
    browser.sign_in("vera", "four green doors")
    return browser


def code_of(answer: requests.Response) -> str:
    assert answer.headers["content-type"] == "application/problem+json"
    code: str = answer.json()["code"]
    return code


# --- first start ----------------------------------------------------------------------------


def test_before_the_first_account_every_page_leads_to_the_set_up(door: ConsoleDoor) -> None:
    for page in ("/", "/people", "/access", "/sign-in"):
        assert requests.get(door.url + page).url == f"{door.url}/setup"


def test_the_first_account_needs_the_code_from_the_journal(door: ConsoleDoor) -> None:
    form = {"code": "AAAA-BBBB-CCCC", "name": "mallory", "password": PASSWORD}
    assert requests.post(f"{door.url}/setup", data=form).status_code == 401
    assert door.accounts().count() == 0
    door.operator()
    assert [each.role for each in door.accounts().list()] == [Role.OPERATOR]


@pytest.mark.parametrize(
    ("language", "wrong", "differ"),
    [("en", "set-up code is wrong", "not the same"), ("zh", "设置码不对", "不一致")],
)
def test_the_set_up_says_what_is_wrong(
    door: ConsoleDoor, language: str, wrong: str, differ: str
) -> None:
    form = {"code": "AAAA-BBBB-CCCC", "name": "anna", "password": PASSWORD, "again": PASSWORD}
    headers = {"Accept-Language": language}
    answer = requests.post(f"{door.url}/setup", data=form, headers=headers)
    assert wrong in answer.text
    twice = {**form, "code": door.set_up_code, "again": f"{PASSWORD}!"}
    answer = requests.post(f"{door.url}/setup", data=twice, headers=headers)
    assert answer.status_code == 422
    assert differ in answer.text
    assert door.accounts().count() == 0


def test_the_code_may_be_typed_in_any_way(door: ConsoleDoor) -> None:
    assert door.set_up_code is not None
    door.set_up_code = door.set_up_code.lower().replace("-", " ")
    door.operator()


def test_the_set_up_is_closed_after_the_first_account(door: ConsoleDoor) -> None:
    door.operator()
    form = {"code": door.set_up_code, "name": "mallory", "password": PASSWORD}
    requests.post(f"{door.url}/setup", data=form)
    assert [each.name for each in door.accounts().list()] == ["anna"]
    assert requests.get(f"{door.url}/setup").url == f"{door.url}/sign-in"


@pytest.mark.parametrize("password", ["short", "aaaaaaaaaaaaa", "annaannaanna"[:4], "x" * 201])
def test_a_weak_password_is_refused(door: ConsoleDoor, password: str) -> None:
    form = {"code": door.set_up_code, "name": "anna", "password": password}
    assert requests.post(f"{door.url}/setup", data=form).status_code == 422
    assert door.accounts().count() == 0


def test_guessing_the_code_is_locked_out(door: ConsoleDoor) -> None:
    form = {"code": "AAAA-BBBB-CCCC", "name": "mallory", "password": PASSWORD}
    answers = [requests.post(f"{door.url}/setup", data=form) for _ in range(6)]
    assert [each.status_code for each in answers] == [401] * 5 + [429]
    assert int(answers[-1].headers["Retry-After"]) > 30


def test_the_password_is_stored_as_an_argon2id_hash(door: ConsoleDoor) -> None:
    door.operator()
    stored = door.accounts().password_hash("anna")
    assert stored is not None
    assert stored.startswith("$argon2id$")


# --- signing in -----------------------------------------------------------------------------


def test_signing_in_and_out(door: ConsoleDoor) -> None:
    door.operator()
    browser = Browser(door.url)
    assert browser.http.get(f"{door.url}/people").url.startswith(f"{door.url}/sign-in?next=")
    assert browser.sign_in("anna", PASSWORD).url == f"{door.url}/"
    assert browser.http.get(f"{door.url}/people").url == f"{door.url}/people"
    cookies = dict(browser.http.cookies)
    browser.http.post(f"{door.url}/sign-out", data={"csrf": browser.csrf})
    again = requests.get(f"{door.url}/people", cookies=cookies)
    assert "/sign-in" in again.url


def test_after_signing_in_one_is_where_one_wanted_to_be(door: ConsoleDoor) -> None:
    door.operator()
    form = {"name": "anna", "password": PASSWORD, "next": "/person?name=张三"}
    answer = requests.post(f"{door.url}/sign-in", data=form, allow_redirects=False)
    assert answer.headers["location"].startswith("./person?name=")


@pytest.mark.parametrize(
    "elsewhere",
    ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:x", "/\tx", ""],
)
def test_signing_in_never_leads_to_another_site(door: ConsoleDoor, elsewhere: str) -> None:
    door.operator()
    form = {"name": "anna", "password": PASSWORD, "next": elsewhere}
    answer = requests.post(f"{door.url}/sign-in", data=form, allow_redirects=False)
    assert answer.headers["location"] == "./"


def test_the_session_cookie_is_for_the_server_only(door: ConsoleDoor) -> None:
    door.operator()
    form = {"name": "anna", "password": PASSWORD}
    answer = requests.post(f"{door.url}/sign-in", data=form, allow_redirects=False)
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert "Path" not in cookie, "it is where the console is"


def test_wrong_passwords_lock_the_account_even_for_the_right_one(door: ConsoleDoor) -> None:
    door.operator()
    browser = Browser(door.url)
    answers = [browser.sign_in("anna", f"wrong password {number}") for number in range(5)]
    assert [each.status_code for each in answers] == [401] * 5
    locked = browser.sign_in("anna", PASSWORD)
    assert locked.status_code == 429
    assert "Retry-After" in locked.headers


def test_an_account_that_is_not_there_is_answered_as_a_wrong_password(door: ConsoleDoor) -> None:
    door.operator()
    browser = Browser(door.url)
    unknown, wrong = browser.sign_in("nobody", PASSWORD), browser.sign_in("anna", "wrong one")
    assert unknown.status_code == wrong.status_code == 401


def test_a_session_ends_with_its_time(tmp_path: Path, engine: VisionEngine) -> None:
    settings = console_settings(tmp_path, http={"session_hours": 1e-6})
    with ConsoleDoor(settings, engine) as door:
        form = {"code": door.set_up_code, "name": "anna", "password": PASSWORD}
        assert "/sign-in" in requests.post(f"{door.url}/setup", data=form).url


def test_a_session_outlives_a_restart(tmp_path: Path, engine: VisionEngine) -> None:
    settings = console_settings(tmp_path)
    with ConsoleDoor(settings, engine) as door:
        browser = door.operator()
    with ConsoleDoor(settings, engine) as door:
        assert door.set_up_code is None
        assert browser.ask("GET", "/api/v1/state").status_code == 200


def test_a_new_password_ends_all_sessions(door: ConsoleDoor) -> None:
    first = door.operator()
    second = Browser(door.url)
    second.sign_in("anna", PASSWORD)
    wrong = {"current": "not the password", "password": "five yellow doors"}
    assert first.ask("PUT", "/api/v1/password", json=wrong).status_code == 401
    right = {"current": PASSWORD, "password": "five yellow doors"}
    assert first.ask("PUT", "/api/v1/password", json=right).status_code == 204
    for browser in (first, second):
        assert browser.ask("GET", "/api/v1/state").status_code == 401
    assert second.sign_in("anna", "five yellow doors").url == f"{door.url}/"


# --- roles, CSRF, tokens --------------------------------------------------------------------


def test_nobody_reads_the_api_without_signing_in(door: ConsoleDoor) -> None:
    for path in ("/users", "/events", "/state", "/settings", "/accounts", "/tokens", "/audit"):
        answer = requests.get(f"{door.url}/api/v1{path}")
        assert answer.status_code == 401
        assert code_of(answer) == "not_signed_in"
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_viewer_may_look_but_not_change(door: ConsoleDoor) -> None:
    viewer = viewer_of(door, door.operator())
    assert viewer.ask("GET", "/api/v1/users").status_code == 200
    for method, path, body in (
        ("POST", "/api/v1/users", {"username": "x", "source": "camera"}),
        ("DELETE", "/api/v1/users/x", None),
        ("PATCH", "/api/v1/settings", {"live_threshold": 0.1}),
        ("GET", "/api/v1/accounts", None),
        ("POST", "/api/v1/tokens", {"name": "x", "role": "operator"}),
        ("GET", "/api/v1/audit", None),
    ):
        answer = viewer.ask(method, path, json=body)
        assert (path, answer.status_code) == (path, 403)
        assert code_of(answer) == "not_allowed"
    assert viewer.http.get(f"{door.url}/enrol").status_code == 403


def test_a_change_needs_the_pages_own_token(door: ConsoleDoor) -> None:
    browser = door.operator()
    browser.csrf = "guessed"
    answer = browser.ask("PATCH", "/api/v1/settings", json={"live_threshold": 0.5})
    assert answer.status_code == 403
    assert door.access.live_threshold == 0.9


def test_another_site_cannot_make_a_browser_change_anything(door: ConsoleDoor) -> None:
    browser = door.operator()
    for headers in ({"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        answer = browser.ask(
            "PATCH", "/api/v1/settings", json={"live_threshold": 0.5}, headers=headers
        )
        assert answer.status_code == 403


@pytest.mark.parametrize(
    ("name", "role", "is_tablet"),
    [
        ("kiosk:x", Role.VIEWER, False),
        ("kiosk:", Role.VIEWER, False),
        ("kiosk:a:b", Role.OPERATOR, False),
        ("kiosk:front:the:hall", Role.VIEWER, True),
    ],
)
def test_a_programs_token_that_is_called_as_a_tablets_is_shown_as_what_it_is(
    door: ConsoleDoor, name: str, role: Role, is_tablet: bool
) -> None:
    operator = door.operator()
    ApiTokens(door.database).add(name, "as of an earlier version", role, "anna", utc_now())
    page = operator.ask("GET", "/access")
    assert page.status_code == 200, page.text
    assert f"<bdi>{'the:hall' if is_tablet else name}</bdi>" in page.text
    assert ("tablet at front" in page.text) is is_tablet


def test_a_program_uses_a_token_that_is_stored_hashed(door: ConsoleDoor) -> None:
    operator = door.operator()
    new = {"name": "home-assistant", "role": "viewer"}
    made = operator.ask("POST", "/api/v1/tokens", json=new).json()
    bearer = {"Authorization": f"Bearer {made['token']}"}
    assert requests.get(f"{door.url}/api/v1/users", headers=bearer).status_code == 200
    refused = requests.delete(f"{door.url}/api/v1/users/x", headers=bearer)
    assert refused.status_code == 403
    with door.database.reading() as connection:
        rows = connection.execute("SELECT * FROM api_tokens").fetchall()
    assert made["token"] not in repr(rows)
    operator.ask("DELETE", f"/api/v1/tokens/{made['record']['id']}")
    assert requests.get(f"{door.url}/api/v1/users", headers=bearer).status_code == 401


def test_the_only_operator_cannot_be_removed(door: ConsoleDoor) -> None:
    operator = door.operator()
    answer = operator.ask("DELETE", "/api/v1/accounts/anna")
    assert answer.status_code == 409
    assert code_of(answer) == "last_operator"


def test_a_removed_account_is_signed_out_at_once(door: ConsoleDoor) -> None:
    operator = door.operator()
    viewer = viewer_of(door, operator)
    operator.ask("DELETE", "/api/v1/accounts/vera")
    assert viewer.ask("GET", "/api/v1/state").status_code == 401


def test_every_change_leaves_an_audit_row(door: ConsoleDoor, portraits: Path) -> None:
    operator = door.operator()
    viewer_of(door, operator)
    picture = portraits.joinpath("obama.jpg").read_bytes()
    requests.post(
        f"{door.url}/register",
        data={"username": "张三"},
        files={"file": picture},
        headers={"Authorization": f"Bearer {door.token()}"},
    )
    operator.ask("PATCH", "/api/v1/users/张三", json={"username": "李四"})
    operator.ask("PATCH", "/api/v1/settings", json={"live_threshold": 0.9})
    operator.ask("DELETE", "/api/v1/users/李四")
    rows = operator.ask("GET", "/api/v1/audit").json()["rows"]
    assert [(row["actor"], row["action"], row["subject"]) for row in reversed(rows)] == [
        ("anna", "account_added", "anna"),
        ("anna", "account_added", "vera"),
        ("vera", "signed_in", "vera"),
        ("token:test-operator", "user_registered", "张三"),
        ("anna", "user_renamed", "张三"),
        ("anna", "thresholds_set", "access"),
        ("anna", "user_deleted", "李四"),
    ]
    assert rows[1]["detail"] == {"live_threshold": 0.9}
    assert {row["address"] for row in rows} == {"127.0.0.1"}


def test_a_change_that_fails_leaves_no_audit_row(door: ConsoleDoor) -> None:
    operator = door.operator()
    assert operator.ask("DELETE", "/api/v1/users/nobody").status_code == 404
    rows = operator.ask("GET", "/api/v1/audit").json()["rows"]
    assert [row["action"] for row in rows] == ["account_added"]


# --- headers and limits ---------------------------------------------------------------------


def test_every_answer_has_the_security_headers(door: ConsoleDoor) -> None:
    for path in ("/setup", "/api/v1/state", "/nothing", "/static/console.css"):
        headers = requests.get(door.url + path).headers
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["Cache-Control"] in {"no-store", "no-cache"}
        assert "server" not in headers


def test_haste_is_answered_with_429(tmp_path: Path, engine: VisionEngine) -> None:
    settings = console_settings(tmp_path, http={"requests_per_second": 0.01})
    with ConsoleDoor(settings, engine) as door:
        answers = [requests.get(f"{door.url}/api/v1/state") for _ in range(3)]
    assert [each.status_code for each in answers] == [401, 429, 429]
    assert code_of(answers[-1]) == "too_many_attempts"
    assert "Retry-After" in answers[-1].headers


def test_a_large_body_is_refused_before_it_is_read(tmp_path: Path, engine: VisionEngine) -> None:
    settings = console_settings(tmp_path, http={"legacy_api": "token"})
    limits = CommandLimits(ImageLimits(bytes=100_000))
    with ConsoleDoor(settings, engine, limits=limits) as door:
        files = {"file": b"\xff\xd8" + b"x" * 400_000}
        bearer = {"Authorization": f"Bearer {door.token()}"}
        answer = requests.post(
            f"{door.url}/register", data={"username": "x"}, files=files, headers=bearer
        )
        assert answer.status_code == 413

        def unannounced() -> Iterator[bytes]:
            for _ in range(100):
                yield b"x" * 10_000

        json = {**bearer, "Content-Type": "application/json"}
        answer = requests.post(f"{door.url}/api/v1/users", data=unannounced(), headers=json)
        assert answer.status_code == 413
        assert code_of(answer) == "request_too_large"


def test_an_image_of_too_many_pixels_is_refused(
    tmp_path: Path, engine: VisionEngine, portraits: Path
) -> None:
    settings = console_settings(tmp_path, http={"legacy_api": "token"})
    limits = CommandLimits(ImageLimits(pixels=10_000))
    with ConsoleDoor(settings, engine, limits=limits) as door:
        picture = portraits.joinpath("obama.jpg").read_bytes()
        answer = requests.post(
            f"{door.url}/register",
            data={"username": "x"},
            files={"file": picture},
            headers={"Authorization": f"Bearer {door.token()}"},
        )
        assert answer.status_code == 413
        assert code_of(answer) == "image_too_large"


# --- a network ------------------------------------------------------------------------------


def test_a_network_is_not_served_without_tls(tmp_path: Path, engine: VisionEngine) -> None:
    with pytest.raises(ConfigError, match="tls_certificate"):
        ConsoleDoor(console_settings(tmp_path, http={"host": "0.0.0.0"}), engine)


def test_over_tls_the_cookie_is_secure_and_the_first_version_needs_a_token(
    tmp_path: Path, engine: VisionEngine
) -> None:
    authority = Authority(tmp_path / "ca")
    issued = authority.issue("door", host="127.0.0.1")
    cert, key, trusted = issued.certificate, issued.key, str(authority.ca.certificate)
    settings = console_settings(
        tmp_path,
        http={
            "host": "0.0.0.0",
            "tls_certificate": cert,
            "tls_key": key,
            "legacy_api": "token",
        },
    )
    with ConsoleDoor(settings, engine) as door:
        url = f"https://127.0.0.1:{settings.http.port}"
        form = {"code": door.set_up_code, "name": "anna", "password": PASSWORD}
        answer = requests.post(f"{url}/setup", data=form, verify=trusted, allow_redirects=False)
        assert answer.headers["set-cookie"].startswith("__Host-ostiary=")
        assert "Secure" in answer.headers["set-cookie"]
        assert answer.headers["strict-transport-security"].startswith("max-age=")
        assert requests.get(f"{url}/users", verify=trusted).status_code == 401
        bearer = {"Authorization": f"Bearer {door.token()}"}
        assert requests.get(f"{url}/users", headers=bearer, verify=trusted).status_code == 200
        with (
            socket.create_connection(("127.0.0.1", settings.http.port)) as plain,
            ssl.create_default_context(cafile=trusted).wrap_socket(
                plain, server_hostname="127.0.0.1"
            ) as secure,
        ):
            assert secure.version() in {"TLSv1.2", "TLSv1.3"}


def test_a_port_that_is_taken_is_told(tmp_path: Path, engine: VisionEngine) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with ConsoleDoor(console_settings(tmp_path), engine) as door:
            server = Server(door.app, HttpSettings(port=port), door.app.state.connections)
            with pytest.raises(ConfigError, match=str(port)):
                server.start()


def test_a_console_that_is_slow_to_start_is_not_told_as_refused(
    tmp_path: Path, engine: VisionEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The door goes on without it, and it answers later."""
    monkeypatch.setattr("ostiary.http.server.START_WITHIN_S", 0.0)

    with ConsoleDoor(console_settings(tmp_path), engine) as slow:

        def is_answering() -> bool:
            try:
                return requests.get(f"{slow.url}/sign-in", timeout=PATIENCE_S).ok
            except requests.ConnectionError:
                return False

        wait_until(is_answering, "the console answers")


def test_without_accounts_the_set_up_opens_again_with_a_new_code(door: ConsoleDoor) -> None:
    browser = door.operator()
    door.accounts().delete_all()
    assert browser.ask("GET", "/api/v1/state").status_code == 401
    with logged() as lines:
        assert browser.http.get(f"{door.url}/").url == f"{door.url}/setup"
    (line,) = [each for each in lines if each["event"] == "console_set_up_needed"]
    assert line["code"] != door.set_up_code
    door.set_up_code = line["code"]
    door.operator("bert")


def test_a_proxy_on_this_machine_asks_by_the_names_that_the_settings_tell(
    tmp_path: Path, engine: VisionEngine
) -> None:
    http = {"proxy": "127.0.0.1", "names": ["door.example"]}
    with ConsoleDoor(console_settings(tmp_path, http=http), engine) as door:
        asked = {
            host: requests.get(f"{door.url}/sign-in", headers={"Host": host}).status_code
            for host in ("door.example", "localhost", "evil.example")
        }
    assert asked == {"door.example": 200, "localhost": 200, "evil.example": 403}
