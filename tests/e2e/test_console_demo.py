"""`make console`: the demo, the real daemon and its console, and a clean end."""

import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import requests
from websockets.sync.client import connect

from testing.console import PASSWORD, Browser
from testing.waiting import PATIENCE_S

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.timeout(900)  # it draws the visitors, and waits for one who comes again


@pytest.fixture
def running(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], Browser, str]]:
    """The process, a browser, and the set-up code, as a person reads them from the terminal."""
    process = subprocess.Popen(
        [sys.executable, "-m", "demo.console", "--output", tmp_path],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    said = ""
    for line in process.stdout:  # to its end where it fails; the demo has bounds of its own
        said += line
        if "Ctrl-C" in line:
            break
    address = re.search(r"http://127\.0\.0\.1:\d+", said)
    code = re.search(r"[A-Z2-9]{4}(-[A-Z2-9]{4}){2}", said)
    assert address is not None, said
    assert code is not None, said
    yield process, Browser(address[0]), code[0]
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        process.wait(PATIENCE_S)


def test_it_prints_an_address_where_a_visitor_can_be_enrolled_and_ends_cleanly(
    running: tuple[subprocess.Popen[str], Browser, str],
) -> None:
    process, browser, code = running
    form = {"code": code, "name": "anna", "password": PASSWORD}
    page = browser.http.post(f"{browser.url}/setup", data=form)
    browser.read_csrf(page.text)

    # Attackers come, too: they are refused, and one tries again. All have been there in 90 seconds.
    until = time.monotonic() + 4 * PATIENCE_S
    while time.monotonic() < until:
        body = {"username": "张三", "source": "camera"}
        answer = browser.ask("POST", "/api/v1/users", json=body)
        if answer.status_code == 201:
            break
        assert answer.json()["code"] in {"timed_out", "presentation_attack"}
    assert [user["username"] for user in browser.ask("GET", "/api/v1/users").json()["users"]] == [
        "张三"
    ]
    state = browser.ask("GET", "/api/v1/state").json()
    assert state["cameras"][0]["status"] == "ok"

    # Somebody watches and somebody waits for a picture while it is told to end.
    cookie = "; ".join(f"{each.name}={each.value}" for each in browser.http.cookies)
    live = browser.url.replace("http:", "ws:") + "/api/v1/cameras/front/live"
    headers = {"Cookie": cookie}
    with connect(live, additional_headers=headers, open_timeout=PATIENCE_S) as socket:
        socket.send("next")
        assert socket.recv(PATIENCE_S)
        waiting = threading.Thread(target=_enrol_in_vain, args=(browser,))
        waiting.start()
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == 0
        waiting.join()


def _enrol_in_vain(browser: Browser) -> None:
    with suppress(requests.ConnectionError):  # the daemon ended
        browser.ask("POST", "/api/v1/users", json={"username": "李四", "source": "camera"})
