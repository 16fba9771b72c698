"""Somebody who sends picture after picture and goes on with those that came nearer."""

import base64
from pathlib import Path
from typing import Any

from ostiary.vision.engine import VisionEngine
from testing.broker import Mosquitto
from testing.doorway import BASE, Doorway, door_settings
from testing.probe import Probe

ALLOWED = 5


def base64_of(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


def digits(number: float) -> int:
    return len(repr(number).partition(".")[2])


def test_denied_pictures_are_counted_and_numbers_are_rounded(
    tmp_path: Path, broker: Mosquitto, engine: VisionEngine, portraits: Path
) -> None:
    settings = door_settings(tmp_path, broker.port, commands={"denied_logins_per_minute": ALLOWED})
    known, stranger = (base64_of(portraits / name) for name in ("obama.jpg", "biden.jpg"))
    with (
        Doorway(settings, engine) as door,
        Probe(broker.port, f"{BASE}/#") as probe,
    ):
        # However long the pictures take, none is allowed anew meanwhile.
        door.services.logins._rate._clock = lambda: 0.0

        def ask(command: str, **request: Any) -> Any:
            return probe.ask(BASE, command, request)

        assert ask("register", username="obama", image=known)["status"] == "ok"
        answers = [ask("login", image=stranger) for _ in range(ALLOWED)]
        for answer in answers:
            assert answer["data"]["success"] is False
            assert digits(answer["data"]["distance"]) <= 2
            assert digits(answer["data"]["similarity"]) <= 2
            assert digits(answer["data"]["liveness"]) <= 2
        refused = ask("login", image=stranger)
        assert refused["error"]["code"] == "too_many_attempts"
        events = [heard.json for heard in probe.wait(f"{BASE}/event/login", ALLOWED)]
        assert all(digits(event["distance"]) <= 2 for event in events)
        assert len(door.events.page().events) == ALLOWED + 1, "nothing was judged any more"


def test_who_is_let_in_is_not_counted(
    tmp_path: Path, broker: Mosquitto, engine: VisionEngine, portraits: Path
) -> None:
    settings = door_settings(tmp_path, broker.port, commands={"denied_logins_per_minute": 1})
    known = base64_of(portraits / "obama.jpg")
    with Doorway(settings, engine), Probe(broker.port, f"{BASE}/#") as probe:
        probe.ask(BASE, "register", {"username": "obama", "image": known})
        for _ in range(4):
            assert probe.ask(BASE, "login", {"image": known})["data"]["success"] is True
