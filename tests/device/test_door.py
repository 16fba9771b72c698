"""The whole appliance on a machine: camera, decision, relay, card reader, and what the doctor says
of it."""

import base64
import json
import time
from pathlib import Path
from typing import Any

import pytest

from demo.scenes import REGISTERED
from ostiary.messages.words import Reason
from testing.probe import Heard, Probe
from tests.device.clips import jpegs
from tests.device.conftest import tell
from tests.device.door import BASE, CAMERA, EMULATED_S, PULSE_S, READER, RELAY_LINE, UNIT, Door
from tests.device.why_not import LONG

pytestmark = LONG
CARD = "1234567890"


@pytest.fixture(scope="module")
def lived(door: Door, portraits: Path) -> dict[str, Any]:
    """Somebody comes to the camera, then with a card; the daemon is killed while it holds the lock
    open. What was seen."""
    machine = door.machine
    seen: dict[str, Any] = {}
    door.start("reader", "keypad", READER)
    door.feed(jpegs(portraits))
    seen["doctor"] = machine.run("ostiary doctor --json", check=False, timeout_s=EMULATED_S)
    door.start("watch", "watch_line", str(RELAY_LINE), "7200")
    with Probe(door.port, f"{BASE}/#") as probe:
        machine.run(f"systemctl restart {UNIT}", timeout_s=EMULATED_S)
        probe.wait_for(f"{BASE}/availability", b"online", timeout_s=EMULATED_S)
        image = base64.b64encode((portraits / "obama.jpg").read_bytes()).decode()
        began = time.monotonic()
        _ask(door, probe, "register", username=REGISTERED, image=image)
        seen["granted"] = _granted(probe, began).json
        seen["granted after s"] = round(time.monotonic() - began)
        time.sleep(PULSE_S + 2)
        seen["pulse"] = _changes(door)
        seen["in use"] = machine.run("gpioinfo 2>&1 | grep -w relay")
        machine.run("systemctl stop feeder")
        _ask(door, probe, "set_group", group="staff")
        rule = {"name": "by card", "groups": ["staff"], "needs": "card"}
        _ask(door, probe, "set_rule", rule=rule)
        _ask(door, probe, "set_access", username=REGISTERED, groups=["staff"], confirm=True)
        _ask(door, probe, "add_card", username=REGISTERED, card=CARD)
        began = time.monotonic()
        seen["killed"] = door.run("kill_while_open", UNIT, str(RELAY_LINE), CARD)
        seen["by card"] = _granted(probe, began).json
        machine.run(f"systemctl stop {UNIT}")
        seen["released"] = machine.run("gpioinfo 2>&1 | grep -w relay")
        machine.run("systemctl stop watch reader")
    tell(f"door: {json.dumps(seen)}")
    return seen


def _ask(door: Door, probe: Probe, command: str, **request: Any) -> None:
    answer = door.ask(probe, command, **request)
    assert answer["status"] == "ok", answer


def _granted(probe: Probe, since: float) -> Heard:
    def found() -> list[Heard]:
        heard = [each for each in probe.of(f"{BASE}/event/login") if each.at > since]
        return [each for each in heard if each.json["reason"] == Reason.GRANTED]

    probe.wait_until(lambda: bool(found()), EMULATED_S)
    return found()[0]


def _changes(door: Door) -> list[tuple[float, str]]:
    lines = door.machine.run("cat /run/watch").splitlines()
    return [(float(at), level) for at, level in (line.split() for line in lines)]


def test_a_registered_person_before_a_real_camera_is_let_in(lived: dict[str, Any]) -> None:
    assert lived["granted"]["username"] == REGISTERED
    assert lived["granted"]["source"] == "front"
    assert lived["granted"]["liveness"] > 0.5


def test_the_relays_pulse_is_as_long_as_it_was_set(lived: dict[str, Any]) -> None:
    levels = lived["pulse"]
    assert [level for _, level in levels] == ["0", "1", "0"]
    assert levels[2][0] - levels[1][0] == pytest.approx(PULSE_S, abs=0.5)
    assert "ostiary" in lived["in use"]


def test_a_card_at_a_real_input_device_lets_in(lived: dict[str, Any]) -> None:
    event = lived["by card"]
    assert (event["username"], event["source"]) == (REGISTERED, "front")
    assert event["distance"] is None


def test_the_line_is_let_go_when_the_service_is_killed_with_9(lived: dict[str, Any]) -> None:
    assert lived["killed"]["kill_to_released_s"] < PULSE_S / 2
    assert "ostiary" not in lived["released"]


def test_the_doctor_names_every_device_and_what_the_door_takes(lived: dict[str, Any]) -> None:
    page = json.loads(lived["doctor"])
    found = [f"{check['name']}: {check['found']}" for check in page["checks"]]
    assert any(CAMERA in line and "camera front takes MJPG" in line for line in found), found
    assert any("/dev/gpiochip0, used by the relay" in line for line in found), found
    assert any("Door Reader, used by a reader" in line for line in found), found
    assert any("device tpm: TPM 2.0" in line for line in found), found
