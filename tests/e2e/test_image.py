"""The container image and the Home Assistant app, run by podman against a real broker."""

import json
import os
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests

from demo.scenes import REGISTERED, empty_room, visitors
from demo.stream import write_clip
from package import image
from package.build import Target, build, this_arch
from testing.broker import Mosquitto
from testing.installed_door import BASE, granted_since, register
from testing.podman import LIMITS, TOOLS, Podman
from testing.ports import free_port
from testing.probe import Probe
from testing.systemd_root import until
from testing.waiting import PATIENCE_S, wait_until

ROOT = Path(__file__).resolve().parents[2]
LARGEST = 450_000_000
SUPERVISOR = "127.0.0.5"
"""Of loopback: there, and at port 80, Home Assistant's Supervisor tells an app of its broker."""
MISSING = [each for each in (*image.NEEDED, *TOOLS) if shutil.which(each) is None]

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(1200),  # the first test makes the package and the image
    pytest.mark.skipif(bool(MISSING), reason=f"missing: {', '.join(MISSING)} (make containers)"),
    pytest.mark.skipif(os.geteuid() != 0, reason="these containers need root"),
]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Path:
    """The folder in which `make image` leaves what it made."""
    arch = this_arch() or "amd64"
    out = tmp_path_factory.mktemp("image")
    image.build(build(Target(arch, "12"), models, ROOT / "build/deb"), arch, "12", out)
    return out


@pytest.fixture
def shared(tmp_path: Path, portraits: Path) -> Path:
    """A folder with a clip on which somebody comes."""
    folder = tmp_path / "shared"
    folder.mkdir()
    room = empty_room()
    write_clip(folder / "clip.avi", [room, room, visitors(portraits)[0], room])
    for path in (folder, *folder.iterdir()):
        path.chmod(0o755)
    return folder


@pytest.fixture
def podman() -> Iterator[Podman]:
    with Podman() as podman:
        yield podman


def environment(**settings: object) -> list[str]:
    """Options that give a container settings."""
    given = {
        "CAMERAS": [{"source": "/mnt/clip.avi", "loop": True}],
        "ACCESS__COOLDOWN_S": 2,
        "COMMANDS__ALLOW_UNVERIFIED_ENROLMENT": True,
        "SERVICE__METRICS_PORT": 0,
        **settings,
    }
    return [f"--env=OSTIARY_{key}={json.dumps(value)}" for key, value in given.items()]


def somebody_is_let_in(probe: Probe) -> None:
    began = time.monotonic()
    until(lambda: granted_since(probe, began), PATIENCE_S, "nobody was granted")


def test_a_container_lets_in_keeps_its_people_and_is_upgraded(
    tmp_path: Path, made: Path, shared: Path, portraits: Path, podman: Podman
) -> None:
    (archive,) = made.glob("ostiary_*.tar")
    podman("load", "--input", archive)
    size = int(podman("image", "inspect", "--format", "{{.Size}}", image.NAME))
    assert size <= LARGEST, f"{size / 1e6:.0f} MB"
    with (
        Mosquitto(tmp_path / "broker", persistent=False) as broker,
        Probe(broker.port, f"{BASE}/#") as probe,
    ):
        volumes = ("--volume=settings:/etc/ostiary", "--volume=data:/var/lib/ostiary")
        options = (*volumes, f"--volume={shared}:/mnt:ro", *environment(MQTT__PORT=broker.port))
        podman.start("door", image.NAME, *options)
        probe.wait_for(f"{BASE}/availability", b"online")
        register(probe, portraits)
        somebody_is_let_in(probe)
        assert podman("exec", "door", "id", "-un").strip() == "ostiary"
        assert "Read-only file system" in podman("exec", "door", "touch", "/x", check=False)
        assert REGISTERED in podman("exec", "door", "ostiary", "users", "list")

        podman("restart", "--time", "20", "door")
        somebody_is_let_in(probe)

        podman.build("newer", made / "context")
        podman("rm", "--force", "--time", "20", "door")
        podman.start("door", "newer", *options)
        somebody_is_let_in(probe)


@contextmanager
def supervisor(broker_port: int, token: str) -> Iterator[None]:
    """What an app asks of Home Assistant's Supervisor: which broker there is."""
    service = {
        "host": "127.0.0.1",
        "port": broker_port,
        "ssl": False,
        "username": "addons",
        "password": "pass word",
    }

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = self.headers["Authorization"] == f"Bearer {token}"
            known = known and self.path == "/services/mqtt"
            self.send_response(200 if known else 403)
            self.end_headers()
            self.wfile.write(json.dumps({"result": "ok", "data": service}).encode())

    with ThreadingHTTPServer((SUPERVISOR, 80), Answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield
        server.shutdown()


def test_the_home_assistant_app_takes_its_options_and_home_assistants_broker(
    tmp_path: Path, made: Path, shared: Path, podman: Podman
) -> None:
    podman.build("app", made / "home-assistant/ostiary")
    data, config = tmp_path / "data", tmp_path / "config"
    data.mkdir()
    config.mkdir()
    options = {
        "device": {"id": "hall", "name": "The hall"},
        "cameras": [{"name": "front", "source": "/mnt/clip.avi"}],
        "relay": {"enabled": False},
    }
    (data / "options.json").write_text(json.dumps(options), encoding="utf-8")
    (data / "options.json").chmod(0o600)
    port = free_port()
    with (
        Mosquitto(tmp_path / "broker", persistent=False) as broker,
        Probe(broker.port, "ostiary/hall/#", "homeassistant/#") as probe,
        supervisor(broker.port, "4f5e"),
    ):
        podman(
            *("run", "--detach", "--name", "app", *LIMITS, f"--add-host=supervisor:{SUPERVISOR}"),
            *(f"--volume={data}:/data", f"--volume={config}:/config", f"--volume={shared}:/mnt:ro"),
            *("--env=SUPERVISOR_TOKEN=4f5e", f"--env=OSTIARY_HTTP__PORT={port}"),
            *("--env=OSTIARY_SERVICE__METRICS_PORT=0", "app"),
        )
        probe.wait_for("ostiary/hall/availability", b"online")
        probe.wait_until(lambda: any("homeassistant/" in each.topic for each in probe.heard))
        process = podman("exec", "app", "grep", "^Uid", "/proc/1/status").split()
        assert process == ["Uid:", "900", "900", "900", "900"]
        assert "[[cameras]]" in (config / "ostiary.toml").read_text(encoding="utf-8")
        assert (data / "options.json").stat().st_uid == 0, "is Home Assistant's"
        wait_until(lambda: (data / "ostiary.db").exists(), "the database")
        # Ingress asks from an address of its own; nobody else is answered.
        assert requests.get(f"http://127.0.0.1:{port}/sign-in").status_code == 403
