"""A body is not read before it is known whose it is, and of large ones few at once."""

import asyncio
import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
import requests
from starlette.types import Message, Receive, Scope, Send

from ostiary.http.connections import Connections
from ostiary.http.parts import ConsoleLimits
from ostiary.http.shield import LARGE_AT_ONCE, LargeBodies, Shield
from ostiary.limits.rate import RateLimit
from ostiary.store.accounts import Role
from ostiary.vision.engine import VisionEngine
from testing.console import PASSWORD, ConsoleDoor, console_settings
from testing.waiting import PATIENCE_S

LARGE = 11_000_000
FORM = "Content-Type: application/x-www-form-urlencoded"
ROUTES = [
    ("POST", "/api/v1/users"),
    ("POST", "/api/v1/users/ada/templates"),
    ("POST", "/api/v1/login"),
    ("POST", "/api/v1/people/line"),
    ("POST", "/api/v1/people/read"),
    ("PUT", "/api/v1/holidays"),
    ("POST", "/register"),
    ("POST", "/login"),
]
OTHERS = [
    ("POST", "/sign-in"),
    ("POST", "/setup"),
    ("POST", "/language"),
    ("PUT", "/api/v1/password"),
    ("PATCH", "/api/v1/settings"),
    ("PUT", "/api/v1/rules"),
]


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory, engine: VisionEngine) -> Iterator[ConsoleDoor]:
    http = {"legacy_api": "token"}
    settings = console_settings(tmp_path_factory.mktemp("door"), http=http)
    served = ConsoleLimits(request_s=3 * PATIENCE_S)  # 11 MB, on a slow machine
    with ConsoleDoor(settings, engine, served=served) as running:
        running.operator()
        yield running


def asked(door: ConsoleDoor, head: str, stack: ExitStack) -> socket.socket:
    """A connection that has sent these lines and not one byte of the body that they announce."""
    port = door.settings.http.port
    client = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S))
    client.sendall(f"{head}\r\nHost: 127.0.0.1\r\n\r\n".encode())
    return client


@pytest.mark.parametrize("length", [f"Content-Length: {LARGE}", "Transfer-Encoding: chunked"])
@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_who_is_nobody_is_told_so_before_a_byte_of_a_large_body(
    door: ConsoleDoor, method: str, path: str, length: str
) -> None:
    with ExitStack() as stack:
        client = asked(door, f"{method} {path} HTTP/1.1\r\n{length}", stack)
        assert client.recv(64).startswith(b"HTTP/1.1 401")


@pytest.mark.parametrize(("method", "path"), OTHERS)
def test_a_route_of_no_pictures_takes_a_small_body_only_from_anybody(
    door: ConsoleDoor, method: str, path: str
) -> None:
    token = f"Authorization: Bearer {door.token()}"
    with ExitStack() as stack:
        head = f"{method} {path} HTTP/1.1\r\nContent-Length: 200000\r\n{FORM}\r\n{token}"
        assert asked(door, head, stack).recv(64).startswith(b"HTTP/1.1 413")


def test_a_chunked_body_without_end_is_cut_short(door: ConsoleDoor) -> None:
    with ExitStack() as stack:
        client = asked(
            door, f"POST /sign-in HTTP/1.1\r\n{FORM}\r\nTransfer-Encoding: chunked", stack
        )
        with suppress(OSError):
            for _ in range(100):
                client.sendall(b"4000\r\n" + b"a" * 0x4000 + b"\r\n")
        assert client.recv(64).startswith(b"HTTP/1.1 413")


def test_a_viewer_sends_no_large_body(door: ConsoleDoor) -> None:
    token = f"Authorization: Bearer {door.token(Role.VIEWER)}"
    with ExitStack() as stack:
        head = f"POST /api/v1/users HTTP/1.1\r\nContent-Length: {LARGE}\r\n{token}"
        assert asked(door, head, stack).recv(64).startswith(b"HTTP/1.1 403")


def test_another_sites_page_sends_none_by_a_browsers_cookie(door: ConsoleDoor) -> None:
    cookie = "; ".join(f"{each.name}={each.value}" for each in signed_in(door).cookies)
    with ExitStack() as stack:
        head = f"POST /api/v1/users HTTP/1.1\r\nContent-Length: {LARGE}\r\nCookie: {cookie}"
        assert asked(door, head, stack).recv(64).startswith(b"HTTP/1.1 403")


def signed_in(door: ConsoleDoor) -> requests.Session:
    session = requests.Session()
    session.post(f"{door.url}/sign-in", data={"name": "anna", "password": PASSWORD})
    return session


def test_few_large_bodies_are_taken_in_at_once() -> None:
    """Nothing of the others is read until one of them was answered."""
    reading = most = 0

    async def app(_scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal reading, most
        reading += 1
        most = max(most, reading)
        while (await receive()).get("more_body"):
            await asyncio.sleep(0)
        reading -= 1
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def request() -> int:
        scope = {
            "type": "http",
            "method": "POST",
            "path": "/api/v1/users",
            "headers": [(b"host", b"localhost"), (b"content-length", b"%d" % LARGE)],
        }
        left, statuses = LARGE, []

        async def receive() -> Message:
            nonlocal left
            left -= 65536
            return {"type": "http.request", "body": b" " * 65536, "more_body": left > 0}

        async def send(message: Message) -> None:
            statuses.append(message.get("status"))

        await shield(scope, receive, send)
        return int(statuses[0] or 0)

    async def all_of_them() -> list[int]:
        return await asyncio.gather(*(request() for _ in range(10)))

    limits = Connections(200, 64, 15.0, 60.0)
    bodies = LargeBodies(2 * LARGE, "POST /api/v1/users", lambda _caller: None)
    shield = Shield(app, "127.0.0.1", False, bodies, 15.0, RateLimit(1000, 1000), limits)
    assert asyncio.run(all_of_them()) == [204] * 10
    assert most == LARGE_AT_ONCE


def test_a_body_of_very_many_values_is_refused(door: ConsoleDoor) -> None:
    """Each `{}` takes three bytes of the request and sixty-four of memory."""
    body = b"[" + b"{}," * 1_000_000 + b"{}]"
    answer = requests.post(
        f"{door.url}/api/v1/users",
        data=body,
        headers={"Authorization": f"Bearer {door.token()}", "Content-Type": "application/json"},
        timeout=PATIENCE_S,
    )
    assert (answer.status_code, answer.json()["code"]) == (413, "request_too_large")


def test_whoever_sends_a_large_body_for_nothing_is_told_why(door: ConsoleDoor) -> None:
    """Also a client that reads the answer only once it has sent everything."""
    body = json.dumps({"username": "Ada", "image": "A" * LARGE})
    answer = requests.post(f"{door.url}/api/v1/users", data=body, timeout=60)
    assert (answer.status_code, answer.json()["code"]) == (401, "not_signed_in")


def test_ten_at_once_leave_the_console_answering(door: ConsoleDoor) -> None:
    def send(_number: int) -> int | None:
        with suppress(requests.ConnectionError):
            url = f"{door.url}/api/v1/users"
            return requests.post(url, data=b"[" * LARGE, timeout=60).status_code
        return None

    with ThreadPoolExecutor(10) as senders:
        assert set(senders.map(send, range(10))) <= {401, None}
    assert requests.get(f"{door.url}/sign-in", timeout=PATIENCE_S).status_code == 200


def test_a_door_that_fell_often_comes_back_and_takes_no_disk_for_memory() -> None:
    unit = Path(__file__).parents[2].joinpath("systemd/ostiary.service").read_text().splitlines()
    assert "StartLimitIntervalSec=0" in unit
    assert "Restart=always" in unit
    assert "MemorySwapMax=0" in unit
