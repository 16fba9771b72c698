"""The first version's API is nobody's who was not let in."""

import json
import socket
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from ostiary.vision.engine import VisionEngine
from testing.console import ConsoleDoor, console_settings
from testing.ports import free_port
from testing.waiting import PATIENCE_S


@contextmanager
def plain_proxy(port: int) -> Iterator[int]:
    """What `proxy_pass` alone does: bytes handed on from this machine, no header added."""
    with socket.create_server(("127.0.0.1", free_port())) as server:

        def serve() -> None:
            try:
                client, _ = server.accept()
            except OSError:
                return
            with client, socket.create_connection(("127.0.0.1", port)) as behind:
                behind.sendall(client.recv(65536))
                while data := behind.recv(65536):
                    client.sendall(data)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        thread.join(5)


@pytest.mark.parametrize("choice", [None, "loopback", "token", "socket"])
def test_a_proxy_that_says_nothing_of_itself_opens_nothing(
    tmp_path: Path, engine: VisionEngine, choice: str | None
) -> None:
    http = {"legacy_socket": tmp_path / "first.sock"} | ({"legacy_api": choice} if choice else {})
    with (
        ConsoleDoor(console_settings(tmp_path, http=http), engine) as door,
        plain_proxy(door.settings.http.port) as port,
    ):
        answer = requests.get(
            f"http://127.0.0.1:{port}/users", headers={"Connection": "close"}, timeout=PATIENCE_S
        )
        assert answer.status_code == (404 if choice is None else 401)


def test_a_local_program_is_no_operator(
    tmp_path: Path, engine: VisionEngine, portraits: Path
) -> None:
    with ConsoleDoor(console_settings(tmp_path), engine) as door:
        with portraits.joinpath("obama.jpg").open("rb") as file:
            answer = requests.post(
                f"{door.url}/register",
                data={"username": "Eve"},
                files={"file": file},
                timeout=PATIENCE_S,
            )
        assert answer.status_code == 404
        assert door.people.count() == 0


def test_the_unix_socket_is_for_user_and_group(tmp_path: Path, engine: VisionEngine) -> None:
    path = tmp_path / "first.sock"
    http = {"legacy_api": "socket", "legacy_socket": path}
    with ConsoleDoor(console_settings(tmp_path, http=http), engine):
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            client.sendall(b"GET /users HTTP/1.1\r\nHost: door\r\nConnection: close\r\n\r\n")
            answer = b"".join(iter(lambda: client.recv(65536), b""))
        assert json.loads(answer.partition(b"\r\n\r\n")[2]) == {"success": True, "users": []}
    assert not path.exists()
