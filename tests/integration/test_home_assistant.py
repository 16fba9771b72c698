"""The announcements, read by a real Home Assistant.

`tests/install-home-assistant` makes its Python environment, apart from ours; where it is not
there these tests are skipped by name, and the announcements are checked by
tests/unit/mqtt/test_discovery.py alone.
"""

import base64
import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from ostiary.clock import utc_now
from ostiary.messages.decision import Decision
from ostiary.messages.events import PromptMessage
from ostiary.messages.state import CameraState, State
from ostiary.messages.words import Prompt, Reason
from ostiary.mqtt.discovery import announcements
from ostiary.mqtt.topics import Topics
from ostiary.settings import Settings
from ostiary.vision.engine import VisionEngine
from testing.broker import Mosquitto
from testing.cameras import Still
from testing.daemon import DaemonProcess, write_config
from testing.doorway import BASE, Doorway, door_settings
from testing.probe import Probe
from testing.waiting import PATIENCE_S, wait_until

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build"
PYTHONS = tuple(
    Path(each)
    for each in os.environ.get(
        "OSTIARY_HOME_ASSISTANT",
        f"{BUILD}/home-assistant/bin/python:{BUILD}/home-assistant-2026/bin/python",
    ).split(":")
)
"""Of Home Assistant 2024.3.3, which reads `object_id`, and of 2026.2.3, which reads both."""
NODE = "ostiary_test"

pytestmark = pytest.mark.home_assistant


@pytest.fixture(params=PYTHONS, ids=lambda path: path.parents[1].name)
def python(request: pytest.FixtureRequest) -> Path:
    found: Path = request.param
    if not found.is_file():
        pytest.skip("no Home Assistant there: tests/install-home-assistant")
    return found


@dataclass(slots=True)
class HomeAssistant:
    """A running one, asked by lines of text."""

    process: subprocess.Popen[str]

    def ask(self, line: str) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        return answer

    def wait(self, wanted: Callable[[dict[str, Any]], bool], timeout_s: float = PATIENCE_S) -> Any:
        give_up = time.monotonic() + timeout_s
        while not wanted(states := self.ask("states")):
            assert time.monotonic() < give_up, states
            time.sleep(0.1)
        return states


@contextmanager
def home_assistant(
    python: Path, folder: Path, port: int, automations: Path | None = None
) -> Iterator[HomeAssistant]:
    script = ROOT / "testing" / "home_assistant.py"
    arguments = [script, port, folder, *([automations] if automations else [])]
    process = subprocess.Popen(
        [str(python), *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert "version" in json.loads(process.stdout.readline())
        yield HomeAssistant(process)
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def home(tmp_path: Path, broker: Mosquitto, python: Path) -> Iterator[HomeAssistant]:
    with home_assistant(python, tmp_path / "home-assistant", broker.port) as running:
        yield running


def decide(door: Doorway, reason: Reason, username: str | None = None) -> None:
    door.events.append_login(
        Decision(reason, username, liveness=0.5), source="front", now=utc_now()
    )


def in_state(entity: str, wanted: str) -> Callable[[dict[str, Any]], bool]:
    return lambda states: bool(states[entity]["state"] == wanted)


def ask(door: Doorway, prompt: Prompt | None) -> None:
    until = utc_now() + timedelta(seconds=15)
    door.mqtt.publish_prompt(
        PromptMessage(timestamp=utc_now(), source="front", prompt=prompt, step=1, expires=until)
    )


def healthy() -> State:
    return State(
        timestamp=utc_now(),
        version="1",
        health="degraded",
        uptime_s=1,
        cameras=(CameraState(name="front", status="stalled", fps=0),),
        users=2,
        queue_length=7,
        events_dropped=0,
    )


def test_home_assistant_shows_the_door_and_forgets_it_when_discovery_is_off(
    tmp_path: Path, broker: Mosquitto, home: HomeAssistant, engine: VisionEngine
) -> None:
    picture = np.full((48, 64, 3), 200, np.uint8)
    mqtt = {"discovery": True}
    with (
        Probe(broker.port, f"{BASE}/response/snapshot") as probe,
        Doorway(
            door_settings(tmp_path, broker.port, mqtt=mqtt),
            engine,
            ("front", Still(picture)),
        ) as door,
    ):
        names = {
            f"event.{NODE}_login",
            f"sensor.{NODE}_last_person",
            f"sensor.{NODE}_prompt",
            f"sensor.{NODE}_health",
            f"sensor.{NODE}_queue",
            f"button.{NODE}_snapshot",
            f"binary_sensor.{NODE}_attack",
            f"lock.{NODE}_lock",
            f"binary_sensor.{NODE}_door_fault",
            f"select.{NODE}_mode",
            f"event.{NODE}_door",
        }
        states = home.wait(lambda states: set(states) == names)
        called = [each["attributes"]["friendly_name"] for each in states.values()]
        assert sorted(called)[:3] == ["Door", "Door Activity", "Door Attack seen"]
        assert not [name for name in called if name.startswith("Door Door")]
        # It shows an entity first, and gathers what it wants to hear for a while.
        broker.wait_for_listener(f"{BASE}/event/login", f"{BASE}/state")
        door.mqtt.publish_state(healthy())
        decide(door, Reason.GRANTED, "张三")
        decide(door, Reason.UNKNOWN_FACE)
        states = home.wait(
            lambda states: states[f"event.{NODE}_login"]["attributes"].get("seq") == 2
        )
        assert states[f"event.{NODE}_login"]["attributes"]["event_type"] == "unknown_face"
        assert states[f"sensor.{NODE}_last_person"]["state"] == "张三"
        assert states[f"sensor.{NODE}_health"]["state"] == "degraded"
        assert states[f"sensor.{NODE}_queue"]["state"] == "7"
        assert states[f"binary_sensor.{NODE}_attack"]["state"] == "off"
        decide(door, Reason.PRESENTATION_ATTACK)
        home.wait(lambda states: states[f"binary_sensor.{NODE}_attack"]["state"] == "on")
        home.ask(f"press button.{NODE}_snapshot")
        assert probe.wait(f"{BASE}/response/snapshot")[0].json["status"] == "ok"
    home.wait(lambda states: states[f"sensor.{NODE}_health"]["state"] == "unavailable")
    with Doorway(door_settings(tmp_path, broker.port), engine):
        home.wait(lambda states: not states)


def test_home_assistant_shows_the_last_decisions_picture_and_snapshots_until_it_is_switched_off(
    tmp_path: Path, broker: Mosquitto, home: HomeAssistant, engine: VisionEngine
) -> None:
    dark, bright = (np.full((480, 640, 3), value, np.uint8) for value in (20, 230))
    entity = f"image.{NODE}_picture"

    def shows(brightness: int) -> bool:
        jpeg = base64.b64decode(home.ask(f"picture {entity}")["jpeg"])
        shown = cv2.imdecode(np.frombuffer(jpeg, np.uint8), 1) if jpeg else None
        return shown is not None and abs(float(shown.mean()) - brightness) < 5

    mqtt = {"discovery": True, "event_pictures": True}
    with Doorway(
        door_settings(tmp_path, broker.port, mqtt=mqtt), engine, ("front", Still(bright))
    ) as door:
        states = home.wait(lambda states: entity in states)
        assert states[entity]["attributes"]["friendly_name"] == "Door Picture"
        broker.wait_for_listener(f"{BASE}/event/login", f"{BASE}/picture/front")
        decide(door, Reason.UNKNOWN_FACE)
        door.mqtt.show_picture("front", dark, 1)
        home.wait(lambda states: states[entity]["state"] != "unknown")
        wait_until(lambda: shows(20), "the picture of the decision")
        home.ask(f"press button.{NODE}_snapshot")
        wait_until(lambda: shows(230), "the picture that the button asked for")
    settings = door_settings(tmp_path, broker.port, mqtt={"discovery": True})
    with Doorway(settings, engine, ("front", Still(bright))):
        home.wait(lambda states: entity not in states and f"button.{NODE}_snapshot" in states)


def test_what_a_challenge_asks_is_said_and_shown_by_the_example_automations(
    tmp_path: Path, broker: Mosquitto, engine: VisionEngine, python: Path
) -> None:
    example = (ROOT / "config" / "home-assistant" / "automations.yaml").read_text(encoding="utf-8")
    automations = tmp_path / "automations.yaml"
    automations.write_text(example.replace("ostiary_door", NODE), encoding="utf-8")
    settings = door_settings(tmp_path, broker.port, mqtt={"discovery": True})
    prompt = f"sensor.{NODE}_prompt"
    with (
        home_assistant(python, tmp_path / "home-assistant", broker.port, automations) as home,
        Doorway(settings, engine, ("front", Still(None))) as door,
    ):
        home.wait(lambda states: prompt in states)
        broker.wait_for_listener(f"{BASE}/door/prompt")

        def called(*services: str) -> dict[str, Any]:
            """With what each was called, once all have been."""

            def found() -> dict[str, Any]:
                calls = {each["service"]: each["data"] for each in home.ask("calls")["calls"]}
                return calls if calls.keys() >= set(services) else {}

            return wait_until(found, f"the automations to call {services}")

        ask(door, Prompt.TURN_LEFT)
        home.wait(in_state(prompt, "turn_left"))
        by_service = called("tts.speak", "light.turn_on")
        assert by_service["tts.speak"]["message"] == "Turn your head to your left, and back."
        assert by_service["light.turn_on"]["rgb_color"] == [0, 80, 255]
        ask(door, None)
        states = home.wait(in_state(prompt, "nothing"))
        assert states[prompt]["attributes"]["source"] == "front"
        called("light.turn_off")


def test_home_assistant_shows_lock_contact_and_alarms_and_opens_the_real_door(
    tmp_path: Path, broker: Mosquitto, home: HomeAssistant, models: Path
) -> None:
    camera = tmp_path / "camera"
    camera.mkdir()
    for name in ("a.png", "b.png"):
        cv2.imwrite(str(camera / name), np.full((480, 640, 3), 120, np.uint8))
    more = '[[doors]]\ncontact = "mqtt"\nheld_open_s = 1.0\nalarm_s = 1.0\n'
    config = write_config(tmp_path, broker.port, models, camera, more)
    text = config.read_text(encoding="utf-8").replace("[mqtt]", "[mqtt]\ndiscovery = true")
    config.write_text(text, encoding="utf-8")
    lock, contact = f"lock.{NODE}_lock", f"binary_sensor.{NODE}_contact"
    mode = f"select.{NODE}_mode"
    with Probe(broker.port, f"{BASE}/#") as probe, DaemonProcess(config):
        probe.wait_for(f"{BASE}/availability", b"online")
        home.wait(lambda states: {lock, contact} <= set(states))
        broker.wait_for_listener(f"{BASE}/event/door")

        def tell(said: str) -> None:
            assert probe.ask(BASE, "contact", {"contact": said})["status"] == "ok"

        tell("closed")
        home.wait(in_state(contact, "off"))
        home.wait(in_state(lock, "locked"))
        home.ask(f"lock unlock {lock}")
        home.wait(in_state(lock, "unlocked"))
        home.wait(in_state(lock, "locked"))  # by itself: it was opened once
        assert home.ask("states")[mode]["state"] == "normal"
        home.ask(f"lock open {lock}")
        home.wait(in_state(lock, "unlocked"))
        home.wait(in_state(lock, "locked"))
        home.ask(f"choose {mode} unlocked")
        home.wait(in_state(mode, "unlocked"))
        home.wait(in_state(lock, "unlocked"))
        home.ask(f"lock lock {lock}")
        home.wait(in_state(mode, "normal"))
        home.ask(f"choose {mode} lockdown")
        home.wait(in_state(mode, "lockdown"))
        home.ask(f"lock lock {lock}")  # as every evening, by an automation
        home.ask(f"lock unlock {lock}")
        home.ask(f"choose {mode} normal")
        home.wait(in_state(mode, "normal"))

        def modes() -> list[str]:
            told = [each.json for each in probe.of(f"{BASE}/event/door")]
            return [each["mode"] for each in told if each["what"] == "mode"]

        probe.wait_until(lambda: len(modes()) >= 4)
        assert modes() == ["unlocked", "normal", "lockdown", "normal"]
        time.sleep(1.0)  # nobody holds the handle any more
        tell("open")
        home.wait(in_state(contact, "on"))
        home.wait(in_state(f"binary_sensor.{NODE}_forced", "on"))
        states = home.wait(
            lambda states: (
                states[f"event.{NODE}_door"]["attributes"].get("event_type")
                in ("forced", "held_open")
            )
        )
        assert states[f"event.{NODE}_door"]["attributes"]["source"] == "front"
        tell("closed")
        home.wait(in_state(f"binary_sensor.{NODE}_forced", "off"))
        probe.ask(BASE, "door", {"action": "open"})
        tell("open")
        home.wait(in_state(f"binary_sensor.{NODE}_held_open", "on"))
        tell("unreadable")
        home.wait(in_state(f"binary_sensor.{NODE}_door_fault", "on"))
        home.wait(in_state(contact, "unknown"))


def several(folder: Path, port: int, device: str, *cameras: str, contact: bool = False) -> Settings:
    doors = [{"camera": name, "contact": "mqtt"} for name in cameras] if contact else []
    return Settings.model_validate(
        {
            **door_settings(folder, port, mqtt={"discovery": True}).model_dump(
                include={"mqtt", "store"}
            ),
            "device": {"id": device, "name": device},
            "cameras": [{"name": name} for name in cameras],
            "doors": doors,
        }
    )


@pytest.mark.parametrize(
    ("device", "cameras"),
    [
        ("前门", ("入口", "出口")),
        ("後门", ("a.b", "a_b", "a-b", "A_B")),
        ("door", ("Front", "front")),
    ],
)
def test_every_camera_is_shown_whatever_its_name(
    tmp_path: Path,
    broker: Mosquitto,
    home: HomeAssistant,
    engine: VisionEngine,
    device: str,
    cameras: tuple[str, ...],
) -> None:
    settings = several(tmp_path, broker.port, device, *cameras)
    expected = {
        json.loads(payload)["default_entity_id"]
        for payload in announcements(settings, Topics.of(settings)).values()
        if payload
    }
    with Doorway(settings, engine):
        states = home.wait(lambda states: len(states) >= len(expected))
    assert set(states) == expected
    locks = [each for each in states if each.startswith("lock.")]
    assert len(locks) == len(cameras)


def test_a_camera_that_is_renamed_or_removed_is_shown_no_more(
    tmp_path: Path, broker: Mosquitto, home: HomeAssistant, engine: VisionEngine
) -> None:
    def locks(states: dict[str, Any]) -> set[str]:
        return {each for each in states if each.startswith("lock.")}

    for cameras, shown in (
        (("front",), {"lock.ostiary_door_lock"}),
        (("front", "back"), {"lock.ostiary_door_lock_front", "lock.ostiary_door_lock_back"}),
        (("front", "rear"), {"lock.ostiary_door_lock_front", "lock.ostiary_door_lock_rear"}),
        (("rear",), {"lock.ostiary_door_lock"}),
    ):
        with Doorway(several(tmp_path, broker.port, "door", *cameras), engine):
            home.wait(lambda states, shown=shown: locks(states) == shown)  # type: ignore[misc]
