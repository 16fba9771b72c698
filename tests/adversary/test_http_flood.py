"""Who opens sockets and says nothing, or too little, keeps nobody out."""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
import requests

from ostiary.http.connections import Connections
from ostiary.http.parts import ConsoleLimits
from ostiary.vision.engine import VisionEngine
from testing.console import ConsoleDoor, console_settings
from testing.waiting import PATIENCE_S, wait_until

HALF = b"GET /sign-in HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: "


@pytest.fixture
def door(tmp_path: Path, engine: VisionEngine) -> Iterator[ConsoleDoor]:
    """It has time for a request, however slow the machine."""
    served = ConsoleLimits(request_s=3 * PATIENCE_S)
    with ConsoleDoor(console_settings(tmp_path), engine, served=served) as running:
        yield running


@pytest.fixture
def hasty(tmp_path: Path, engine: VisionEngine) -> Iterator[ConsoleDoor]:
    """It waits for a request no longer than two seconds."""
    served = ConsoleLimits(request_s=2.0)
    with ConsoleDoor(console_settings(tmp_path), engine, served=served) as running:
        yield running


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def unfinished(
    door: ConsoleDoor, stack: ExitStack, count: int, sent: bytes = HALF
) -> list[socket.socket]:
    """Open so many requests and end none."""
    opened = []
    for _ in range(count):
        client = stack.enter_context(
            socket.create_connection(("127.0.0.1", door.settings.http.port), timeout=60)
        )
        opened.append(client)
        with suppress(OSError):  # it gave way already
            client.sendall(sent)
    return opened


def test_unfinished_requests_keep_nobody_out(door: ConsoleDoor) -> None:
    with ExitStack() as stack:
        unfinished(door, stack, 210)
        for _ in range(10):
            assert requests.get(f"{door.url}/sign-in", timeout=60).status_code == 200


def test_a_flood_of_sockets_takes_a_bounded_share_of_the_descriptors(door: ConsoleDoor) -> None:
    requests.get(f"{door.url}/sign-in", timeout=60)
    before = descriptors()
    with ExitStack() as stack:
        mine = len(unfinished(door, stack, 400, b""))
        most = door.settings.http.connections_per_address + 2
        wait_until(lambda: descriptors() - before - mine <= most, "the others to be closed")
        assert requests.get(f"{door.url}/sign-in", timeout=60).status_code == 200


def test_silent_connections_are_closed_in_time(hasty: ConsoleDoor) -> None:
    """Not before their time, and without a word from them."""
    port = hasty.settings.http.port
    with ExitStack() as stack:
        begun = time.monotonic()
        client = stack.enter_context(
            socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
        )
        client.sendall(HALF)
        assert client.recv(1) == b""
        assert time.monotonic() - begun > 1.5


def test_a_body_that_trickles_is_refused(hasty: ConsoleDoor) -> None:
    hasty.app.state.connections._patience_s = PATIENCE_S  # to read the head, on a slow machine
    head = (
        "POST /sign-in HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100000\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\n\r\nname=a"
    )
    with socket.create_connection(("127.0.0.1", hasty.settings.http.port), timeout=60) as client:
        client.sendall(head.encode())
        assert client.recv(4096).startswith(b"HTTP/1.1 408")


def test_two_lengths_are_refused_and_the_connection_ends(door: ConsoleDoor) -> None:
    request = (
        "POST /sign-in HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5\r\n"
        "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", door.settings.http.port), timeout=60) as client:
        client.sendall(request.encode())
        answer = b""
        while received := client.recv(4096):
            answer += received
    assert answer.startswith(b"HTTP/1.1 4")
    assert answer.count(b"HTTP/1.1") == 1


def test_an_answer_in_progress_does_not_give_way() -> None:
    closed: list[int] = []
    connections = Connections(10, 2, patience_s=1, answer_s=10, clock=lambda: 0.0)
    assert connections.admit(("192.0.2.1", 1), lambda: closed.append(1))
    assert connections.admit(("192.0.2.1", 2), lambda: closed.append(2))
    with connections.answering(("192.0.2.1", 1)):
        assert connections.admit(("192.0.2.1", 3), lambda: closed.append(3))
        assert closed == [2]
        with connections.answering(("192.0.2.1", 3)):
            assert not connections.admit(("192.0.2.1", 4), lambda: closed.append(4))
        assert connections.admit(("192.0.2.2", 1), lambda: closed.append(5))


def test_one_host_of_ipv6_is_one_address() -> None:
    connections = Connections(10, 1, patience_s=1, answer_s=10)
    closed: list[int] = []
    assert connections.admit(("2001:db8::1", 1), lambda: closed.append(1))
    assert connections.admit(("2001:db8::2", 1), lambda: closed.append(2))
    assert closed == [1]


SLOW_POST = (
    b"POST /sign-in HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n"
    b"Content-Type: application/x-www-form-urlencoded\r\nExpect: 100-continue\r\n\r\n"
)
SOCKET = (
    b"GET /api/v1/cameras/front/live HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
    b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
READS_NOTHING = b"GET /static/console.css HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


@pytest.mark.parametrize(
    "sent",
    [SLOW_POST, SOCKET, READS_NOTHING],
    ids=["slow bodies", "sockets that part without a word", "answers that nobody takes"],
)
def test_nobody_is_shut_out_by_whose_turn_it_is_and_who_does_nothing(
    tmp_path: Path, engine: VisionEngine, sent: bytes
) -> None:
    settings = console_settings(tmp_path)
    served = ConsoleLimits(request_s=3 * PATIENCE_S)
    with ConsoleDoor(settings, engine, served=served) as door, ExitStack() as stack:
        clients = unfinished(door, stack, settings.http.connections_per_address, sent)
        for client in clients:  # the door has read it, and begun to answer or to ask for the body
            with suppress(ConnectionError):  # or it gave way already
                client.recv(1, socket.MSG_PEEK)
        for _ in range(5):
            assert requests.get(f"{door.url}/sign-in", timeout=PATIENCE_S).status_code == 200


def test_who_sends_or_takes_slowly_gives_way() -> None:
    closed: list[int] = []
    connections = Connections(10, 2, patience_s=1, answer_s=10, clock=lambda: 0.0)
    assert connections.admit(("192.0.2.1", 1), lambda: closed.append(1))
    assert connections.admit(("192.0.2.1", 2), lambda: closed.append(2))
    with connections.answering(("192.0.2.1", 1)), connections.answering(("192.0.2.1", 2)):
        assert not connections.admit(("192.0.2.1", 3), lambda: closed.append(3))
        connections.yields(("192.0.2.1", 2))
        assert connections.admit(("192.0.2.1", 3), lambda: closed.append(3))
        connections.yields(("192.0.2.1", 1))
        connections.holds(("192.0.2.1", 1))
    assert closed == [2]


def test_of_all_addresses_the_one_with_most_connections_gives_way() -> None:
    closed: list[str] = []
    connections = Connections(6, 5, patience_s=1, answer_s=10)
    assert connections.admit(("192.0.2.9", 1), lambda: closed.append("quiet"))
    for port in range(5):
        assert connections.admit(("192.0.2.66", port), lambda: closed.append("loud"))
    assert connections.admit(("192.0.2.10", 1), lambda: closed.append("new"))
    assert closed == ["loud"]
