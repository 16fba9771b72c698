"""Five doors of one site: real daemons with made-up cameras, one broker or a cluster of them."""

import base64
import os
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from demo.scenes import Scene, empty_room
from demo.stream import Camera
from testing import command_line
from testing.daemon import DaemonProcess
from testing.probe import Probe
from testing.program import OSTIARY
from testing.waiting import PATIENCE_S

SITE = "house"
CAMERA_FPS = 6.0
"""Five doors share a test machine's cores."""

CONFIG = """\
[device]
id = "{name}"
name = "Door {name}"

[[cameras]]
name = "front"
source = "{camera}"
fps = 6
require_movement = false

[vision]
models = "{models}"

[access]
decide_within_s = 10.0
cooldown_s = 1.0

[store]
path = "{folder}/ostiary.db"

[mqtt]
port = {port}
cluster = {cluster}
reconnect_at_most_s = 0.5

[commands]
allow_unverified_enrolment = true

[site]
id = "{site}"

[service]
state_every_s = 2.0

[log]
format = "json"
"""


class SiteDoor(DaemonProcess):
    """One door: its files, its camera, and its daemon while it runs."""

    def __init__(
        self, folder: Path, name: str, models: Path, ports: Sequence[int], camera: Camera
    ) -> None:
        self.name = name
        self.camera = camera
        self.base = f"ostiary/{name}"
        self.folder = folder / name
        self.folder.mkdir(parents=True, exist_ok=True)
        super().__init__(self.folder / "ostiary.toml", OMP_NUM_THREADS="1")
        cluster = [f"127.0.0.1:{port}" for port in ports[1:]]
        self.config.write_text(
            CONFIG.format(
                name=name,
                camera=camera.url,
                models=models.resolve(),
                folder=self.folder,
                port=ports[0],
                cluster=cluster,
                site=SITE,
            ).replace("'", '"'),
            encoding="utf-8",
        )


def ostiary(*arguments: str) -> str:
    """What a command of the command line says; AssertionError where it fails."""
    done = command_line.ostiary(*arguments)
    assert done.returncode == 0, f"ostiary {' '.join(arguments)}: {done.stdout}{done.stderr}"
    return done.stdout


class Site:
    """`count` doors, joined, and a probe that hears them all. `ports` are the brokers'; the probe
    uses `probe_port` where that is another way in."""

    def __init__(
        self,
        folder: Path,
        models: Path,
        ports: Sequence[int],
        count: int = 5,
        *,
        probe_options: dict[str, Any] | None = None,
    ) -> None:
        self._stack = ExitStack()
        self._ports = ports
        self._probe_options = probe_options or {}
        self.empty = empty_room()
        self.doors: list[SiteDoor] = []
        for number in range(1, count + 1):
            camera = self._stack.enter_context(Camera(self.empty, CAMERA_FPS))
            turned = [*ports[(number - 1) % len(ports) :], *ports[: (number - 1) % len(ports)]]
            self.doors.append(SiteDoor(folder, f"door{number}", models, turned, camera))

    def __enter__(self) -> Self:
        try:
            self.join()
            self.probe = self._stack.enter_context(
                Probe(self._ports[0], "ostiary/#", "ostiary-site/#", **self._probe_options)
            )
            for door in self.doors:
                self._stack.callback(door.kill)
                door.start()
            for door in self.doors:
                self.wait_heard(door)
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def join(self) -> None:
        """From one door to all, as an installer does it."""
        first, *others = self.doors
        ostiary("site", "init", "--config", str(first.config))
        for door in others:
            invite(first, door)

    def wait_heard(self, door: SiteDoor, timeout_s: float = PATIENCE_S) -> None:
        """Until the door has heard everything of its site."""

        def heard() -> bool:
            states = self.probe.of(f"{door.base}/state")
            return bool(states) and bool((states[-1].json.get("site") or {}).get("heard"))

        self.probe.wait_until(heard, timeout_s)

    def enrol(self, door: SiteDoor, name: str, picture: bytes) -> None:
        image = base64.b64encode(picture).decode("ascii")
        request = {"username": name, "image": image}
        self.probe.data(door.base, "register", **request)

    def delete(self, door: SiteDoor, name: str) -> None:
        self.probe.data(door.base, "delete", username=name)

    def names(self, door: SiteDoor) -> list[str]:
        return [user["username"] for user in self.probe.data(door.base, "users")["users"]]

    def decided(
        self, door: SiteDoor, scene: Scene, timeout_s: float = PATIENCE_S
    ) -> dict[str, Any]:
        """What the door says of who steps up, and nobody is there any more."""
        topic = f"{door.base}/event/login"
        before = len(self.probe.of(topic))
        door.camera.show(scene)
        try:
            event: dict[str, Any] = self.probe.wait(topic, before + 1, timeout_s)[before].json
            return event
        finally:
            door.camera.show(self.empty)

    def wait_all(
        self, is_so: Callable[[SiteDoor], bool], timeout_s: float = PATIENCE_S, demand: bool = True
    ) -> float:
        """Until it is so at every door; how long that took, seconds. Without `demand` it is given
        up after that time."""
        begin = time.monotonic()
        left = list(self.doors)
        while left:
            left = [door for door in left if not is_so(door)]
            if left:
                names = [door.name for door in left]
                is_late = time.monotonic() - begin > timeout_s
                assert not (is_late and demand), (
                    f"not so at {names}: {[self.names(d) for d in left]}"
                )
                if is_late:
                    break
                time.sleep(0.1)
        return time.monotonic() - begin


def invite(holder: SiteDoor, door: SiteDoor) -> None:
    """Admit one more: a code is shown at one, and typed at the other."""
    with subprocess.Popen(
        [
            *(*OSTIARY, "site", "admit", door.name, "--role", "enroller", "--minutes", "5"),
            *("--config", str(holder.config)),
        ],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    ) as admitting:
        try:
            assert admitting.stdout is not None
            code = admitting.stdout.readline().split()[-1]
            ostiary("site", "join", code, "--config", str(door.config))
            assert admitting.wait(60) == 0
        finally:
            admitting.kill()
