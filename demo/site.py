"""`python -m demo --site`: two doors of one site, and one enrolment that both know."""

import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console

from demo import daemon
from demo.broker import embedded_broker
from demo.door import Door
from demo.errors import DemoError, PortraitMissing
from demo.scenes import ENROLMENT_PORTRAIT, REGISTERED, empty_room, visitors
from demo.stream import Camera
from ostiary.mqtt.topics import Topics
from ostiary.vision.models import models_directory

SITE = "demo-site"
DOORS = ("front", "garage")
ONLINE_WITHIN_S = 120.0
KNOWN_WITHIN_S = 60.0


def run(output: Path, portraits: Path, models: Path | None, console: Console) -> bool:
    """Show a site; true when the second door grants a person whom the first has enrolled. Raises
    DemoError."""
    portrait = portraits / ENROLMENT_PORTRAIT
    if not portrait.is_file():
        raise PortraitMissing(portrait)
    nobody = empty_room()
    registered = next(scene for scene in visitors(portraits) if scene.username == REGISTERED)
    with ExitStack() as stack:
        folders = [output.resolve() / name for name in DOORS]
        output.mkdir(parents=True, exist_ok=True)
        port = stack.enter_context(embedded_broker(output))
        cameras = [stack.enter_context(Camera(nobody)) for _ in DOORS]
        configs = [
            _config(folder, name, camera.url, port, models_directory(models))
            for folder, name, camera in zip(folders, DOORS, cameras, strict=True)
        ]
        _say(console, "the first door begins the site", _ostiary("site", "init", configs[0]))
        console.print("· the second is invited: a code is shown at the first, and typed there")
        _say(console, "the second door", _joined(configs))
        doors = []
        for name, folder, config in zip(DOORS, folders, configs, strict=True):
            door = stack.enter_context(Door(port, Topics(f"ostiary/{name}"), f"building-{name}"))
            process = stack.enter_context(daemon.running(config, folder / "daemon.log"))
            door.wait_online(ONLINE_WITHIN_S, process.check)
            doors.append(door)
        answer = doors[0].register(REGISTERED, portrait.read_bytes())
        console.print(f"· enrolled at {DOORS[0]} only: {answer['message']}")
        begin = time.monotonic()
        cameras[1].show(registered)
        while time.monotonic() < begin + KNOWN_WITHIN_S:
            event = doors[1].next_event(0.2)
            if event is not None:
                granted = event.success and event.username == REGISTERED
                mark = "[green]✔[/]" if granted else "[red]✘[/]"
                after = time.monotonic() - begin
                console.print(f"  {mark} {DOORS[1]}: {event.reason.value} after {after:.1f} s")
                if granted:
                    return True
    return False


def _config(folder: Path, name: str, camera: str, port: int, models: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("site-authority*"):
        old.unlink()
    config = daemon.write_config(folder, camera, port, models, name)
    text = config.read_text(encoding="utf-8")
    config.write_text(f'{text}\n[site]\nid = "{SITE}"\n', encoding="utf-8")
    return config


def _ostiary(*words: str | Path) -> str:
    *command, config = words
    done = subprocess.run(
        [Path(sys.executable).with_name("ostiary"), *command, "--config", config],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise DemoError(f"ostiary {' '.join(map(str, command))}: {done.stderr.strip()}")
    return done.stdout


def _joined(configs: list[Path]) -> str:
    program = Path(sys.executable).with_name("ostiary")
    with subprocess.Popen(
        [
            *(program, "site", "admit", DOORS[1], "--role", "enroller", "--minutes", "5"),
            *("--config", configs[0]),
        ],
        stdout=subprocess.PIPE,
        text=True,
        env={"PYTHONUNBUFFERED": "1"},
    ) as admitting:
        try:
            assert admitting.stdout is not None
            code = admitting.stdout.readline().split()[-1]
            return _ostiary("site", "join", code, configs[1])
        finally:
            if admitting.poll() is None:
                time.sleep(1)
            admitting.kill()


def _say(console: Console, what: str, said: str) -> None:
    console.print(f"· {what}: {said.strip().splitlines()[0]}", highlight=False, soft_wrap=True)
