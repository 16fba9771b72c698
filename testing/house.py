"""A real daemon with a keypad on a pipe and a contact that a test moves."""

import base64
import os
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from testing.daemon import BASE, DaemonProcess, write_config
from testing.keyboard import pressed
from testing.probe import Probe

__all__ = ["BASE", "DOOR_EVENT", "ENTRANCE", "LOGIN", "House"]

LOGIN = f"{BASE}/event/login"
DOOR_EVENT = f"{BASE}/event/door"
ENTRANCE = f"{BASE}/entrance/front"

SETTINGS = """
[commands]
allow_unverified_enrolment = true
[credentials]
tries = 3
[rules]
shown_within_s = 4.0
second_person_s = 10.0
[relay]
pulse_s = 15.0
[clock]
trust = "always"
[[doors]]
camera = "front"
contact = "mqtt"
contact_topic = "zigbee2mqtt/front"
held_open_s = 2.0
grace_s = 0.2
alarm_s = 1.0
[[readers]]
door = "front"
device = "{keypad}"
"""


class House:
    """A daemon with a camera before which somebody may stand, and a keypad on a pipe."""

    def __init__(self, folder: Path, port: int, models: Path, faces: list[Path]) -> None:
        self.folder = folder
        camera = folder / "camera"
        camera.mkdir()
        if faces:
            for number, face in enumerate(faces):
                shutil.copy(face, camera / f"{number}.jpg")
        else:
            wall = np.full((480, 640, 3), 120, np.uint8)
            wall[::7] = 90
            for name in ("a.png", "b.png"):
                cv2.imwrite(str(camera / name), wall)
        keypad = folder / "keypad"
        os.mkfifo(keypad)
        self._cable = os.open(keypad, os.O_RDWR | os.O_NONBLOCK)
        self._typed_at = 100.0
        more = SETTINGS.format(keypad=keypad)
        self.daemon = DaemonProcess(write_config(folder, port, models, camera, more))
        self.probe = Probe(port, f"{BASE}/#")

    def __enter__(self) -> "House":
        self.probe.__enter__()
        self.daemon.__enter__()
        self.probe.wait_for(f"{BASE}/availability", b"online")
        return self

    def __exit__(self, *_: object) -> None:
        self.daemon.__exit__()
        self.probe.__exit__()
        os.close(self._cable)

    def ask(self, command: str, **request: Any) -> Any:
        return self.probe.data(BASE, command, **request)

    def refused(self, command: str, **request: Any) -> str:
        return self.probe.error(BASE, command, **request)

    def type(self, text: str, pace_s: float = 0.3) -> None:
        self._typed_at += 60
        os.write(self._cable, pressed(text, pace_s, self._typed_at))

    def contact(self, state: str) -> None:
        self.probe.send("zigbee2mqtt/front", {"contact": state == "closed"})

    def logins(self) -> list[tuple[str, str | None]]:
        return [(each.json["reason"], each.json["username"]) for each in self.probe.of(LOGIN)]

    def wait_login(self, reason: str, username: str | None = None, count: int = 1) -> None:
        wanted = (reason, username)
        self.probe.wait_until(lambda: self.logins().count(wanted) >= count)

    def wait_door(self, what: str, count: int = 1) -> Any:
        def found() -> list[Any]:
            return [each.json for each in self.probe.of(DOOR_EVENT) if each.json["what"] == what]

        self.probe.wait_until(lambda: len(found()) >= count)
        return found()[-1]

    def wait_state(self, state: str) -> Any:
        def newest() -> Any:
            shown = self.probe.of(ENTRANCE)
            return shown[-1].json if shown else {"state": None}

        self.probe.wait_until(lambda: newest()["state"] == state)
        return newest()

    def rule(self, needs: str, **more: Any) -> None:
        self.ask("set_rule", rule={"name": "R", "groups": ["G"], "needs": needs, **more})

    def people(self, portraits: Path, *names: str) -> None:
        self.ask("set_group", group="G")
        for name in names:
            picture = base64.b64encode((portraits / f"{name}.jpg").read_bytes()).decode()
            self.ask("register", username=name, image=picture, require_live=False)
            self.ask("set_access", username=name, groups=["G"], confirm=True)
