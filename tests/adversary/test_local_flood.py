"""Whoever may use this machine's socket and is many, silent, slow or endless holds up neither the
door nor others who ask."""

import os
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from ostiary.errors import Busy, NotAllowed, RequestLate
from ostiary.local import server as local
from ostiary.local.client import LocalDoor
from ostiary.messages.commands.device import PingAnswer, PingRequest
from ostiary.messages.commands.doors import DoorAnswer, DoorRequest
from ostiary.messages.words import Mode
from ostiary.vision.engine import VisionEngine
from testing.console import ConsoleDoor, console_settings
from testing.waiting import wait_until

OTHERS = 12345
"""A user who is not root."""
HASTY_S = 2.0
"""How long a request may take to come where a test waits for that time."""
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="becomes other users")


@pytest.fixture
def free() -> threading.Event:
    """Until then a reload takes its time."""
    return threading.Event()


@pytest.fixture
def path(
    tmp_path: Path,
    engine: VisionEngine,
    portraits: Path,
    monkeypatch: pytest.MonkeyPatch,
    free: threading.Event,
) -> Iterator[Path]:
    """The socket of a door that watches a camera, in a folder into which others may look."""
    monkeypatch.setattr(local, "READ_S", 20.0)  # for requests from a slow machine
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        path = Path(folder) / "commands.sock"
        settings = console_settings(tmp_path, commands={"socket": path})
        with (
            ConsoleDoor(settings, engine, portraits, reload=free.wait) as door,
            door.at_its_socket(),
        ):
            yield path
            free.set()


def ping(path: Path) -> PingAnswer:
    with LocalDoor(path) as door:
        return door.ask("ping", PingRequest(), PingAnswer)


def opened(path: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.connect(str(path))  # waits in line
    connection.settimeout(30)
    return connection


def said(connection: socket.socket) -> bytes:
    """All that comes until the door hangs up."""
    heard = b""
    with suppress(ConnectionResetError):  # it did not read all that was sent
        while piece := connection.recv(65536):
            heard += piece
    return heard


def answered(path: Path) -> bool:
    try:
        ping(path)
    except (Busy, RequestLate):
        return False
    return True


def locked_down(path: Path) -> bool:
    request = DoorRequest(door="front", action="lockdown")
    try:
        with LocalDoor(path) as door:
            return door.ask("door", request, DoorAnswer).door.mode is Mode.LOCKDOWN
    except Busy:
        return False


def as_other(code: str, *arguments: str, group: int) -> subprocess.Popen[bytes]:
    """Python as another user of that group."""
    become = f"os.setgroups([]); os.setgid({group}); os.setuid({OTHERS})"
    script = f"import os, socket, sys; {become}\n{code}"
    return subprocess.Popen([sys.executable, "-c", script, *arguments], stdout=subprocess.PIPE)


def test_half_a_line_is_never_run_and_is_ended_in_time(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(path) as gone:
        gone.sendall(b'door {"action": "open"}')
        gone.shutdown(socket.SHUT_WR)
        assert b"request_malformed" in said(gone)
    monkeypatch.setattr(local, "READ_S", HASTY_S)
    with opened(path) as silent:
        silent.sendall(b'door {"action": "open"}')
        assert b"request_late" in said(silent)


def test_a_line_without_end_is_refused_before_it_has_come(path: Path) -> None:
    for line, most in ((b"events ", 300 * 1024), (b"login ", 9 * 1024 * 1024), (b"", 300 * 1024)):
        with opened(path) as connection:
            sent = 0
            with suppress(BrokenPipeError, ConnectionResetError):
                connection.sendall(line)
                while sent < 64 * 1024 * 1024:
                    connection.sendall(b"x" * 65536)
                    sent += 65536
            limit = most if line else 9 * 1024 * 1024
            assert sent < limit + 1024 * 1024
            assert b"request_too_large" in said(connection)
    ping(path)


@pytest.mark.parametrize(
    "line",
    [
        *(b"\n", b" \n", b"ping\n", b"ping {}", b"\xff\xfe {}\n", b"ping []\n", b"ping {\x00}\n"),
        b"ping " + b"[" * 100_000 + b"\n",
        *(b"no_such {}\n", b'ping {"transaction": 1e999}\n'),
    ],
)
def test_what_is_no_command_is_told_so_and_harms_nothing(path: Path, line: bytes) -> None:
    with opened(path) as connection:
        connection.sendall(line)
        connection.shutdown(socket.SHUT_WR)
        assert said(connection).startswith(b'{"status":') is True
    ping(path)


def test_who_never_reads_the_answer_is_left(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "READ_S", HASTY_S)
    with ExitStack() as stack:
        for _ in range(local.CONNECTIONS_PER_USER):
            connection = stack.enter_context(opened(path))
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
            connection.sendall(b"snapshot {}\n")
        wait_until(lambda: answered(path), "the door to leave who never reads")


def test_silent_connections_are_few_and_the_next_is_told_so(path: Path) -> None:
    with ExitStack() as stack:
        silent = [stack.enter_context(opened(path)) for _ in range(40)]
        refused = sum(b"busy" in said(each) for each in silent[local.CONNECTIONS_PER_USER :])
        assert refused >= 40 - 2 * local.CONNECTIONS_PER_USER
        threads = [each.name for each in threading.enumerate()]
        assert threads.count("local-command") <= local.CONNECTIONS_PER_USER
    wait_until(lambda: answered(path), "a free place")


def test_commands_that_wait_leave_a_place_for_a_lockdown(path: Path) -> None:
    with ExitStack() as stack:
        waiting = [stack.enter_context(opened(path)) for _ in range(local.CONNECTIONS_PER_USER)]
        for each in waiting:
            each.sendall(b"reload {}\n")
        wait_until(lambda: locked_down(path), "a lockdown")


@needs_root
def test_a_flood_of_one_user_leaves_the_others_their_places(path: Path) -> None:
    flood = (
        "print('ready', flush=True)\n"
        "held = []\n"
        "while True:\n"
        "    each = socket.socket(socket.AF_UNIX)\n"
        "    each.connect(sys.argv[1]); each.sendall(b'ping ')\n"
        "    held = [*held[-100:], each]\n"
    )
    member = as_other(flood, str(path), group=0)
    try:
        assert member.stdout is not None
        assert member.stdout.readline() == b"ready\n"
        for _ in range(10):
            ping(path)
    finally:
        member.kill()
        member.wait()


@needs_root
def test_who_is_not_of_the_group_does_not_get_in(path: Path) -> None:
    tried = (
        "try: socket.socket(socket.AF_UNIX).connect(sys.argv[1])\n"
        "except PermissionError: print('no')\n"
    )
    stranger = as_other(tried, str(path), group=OTHERS)
    assert stranger.communicate(timeout=30)[0] == b"no\n"


@needs_root
def test_who_is_not_of_the_group_is_told_to_say_sudo(path: Path) -> None:
    euid = os.geteuid()
    os.setegid(OTHERS)
    os.seteuid(OTHERS)
    try:
        with pytest.raises(NotAllowed, match="sudo"):
            ping(path)
    finally:
        os.seteuid(euid)
        os.setegid(0)
