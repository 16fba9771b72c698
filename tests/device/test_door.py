"""The whole appliance on a machine: camera, decision, relay, and what the doctor says of it."""

import base64
import json
import time
from pathlib import Path
from typing import Any

import pytest

from demo.scenes import REGISTERED
from ostiary.messages.reason import Reason
from tests.device.clips import jpegs
from tests.device.conftest import tell
from tests.device.door import BASE, CAMERA, FEED, PULSE_S, UNIT, Door
from tests.device.why_not import LONG
from tests.integration.probe import Heard, Probe

pytestmark = LONG
GUEST = Path(__file__).with_name("guest")
EMULATED_S = 420.0
"""Somebody is let in within so long, where a picture takes some twenty seconds."""


@pytest.fixture(scope="module")
def lived(door: Door, portraits: Path) -> dict[str, Any]:
    """Somebody comes, the daemon is killed while it holds the lock open. What was seen."""
    machine = door.machine
    seen: dict[str, Any] = {}
    door.put_clip(jpegs(portraits))
    machine.run(FEED)
    seen["doctor"] = machine.run("ostiary doctor --json", check=False)
    machine.put((GUEST / "watch_line.py").read_text(encoding="utf-8"), "/srv/watch.py")
    to_file = "-p StandardOutput=file:/run/line"
    machine.run(f"systemd-run --unit watch {to_file} python3 /srv/watch.py 0 3600")
    with Probe(door.port, f"{BASE}/#") as probe:
        machine.run(f"systemctl restart {UNIT}", timeout_s=400)
        probe.wait_for(f"{BASE}/availability", b"online", timeout_s=120)
        image = base64.b64encode((portraits / "obama.jpg").read_bytes()).decode()
        answer = probe.ask(
            BASE, "register", {"username": REGISTERED, "image": image}, timeout_s=EMULATED_S
        )
        seen["registered"] = answer["status"]
        began = time.monotonic()
        seen["granted"] = _granted(probe, began).json
        time.sleep(PULSE_S + 2)
        seen["pulse"] = _changes(door)
        seen["in use"] = machine.run("gpioinfo 2>&1 | grep -w relay")
        # Killed while it holds the lock open.
        machine.run("systemctl stop feeder")
        _granted_again(door, probe)
        seen["killed"] = machine.run(
            f"systemctl kill -s KILL {UNIT}; "
            "python3 -c 'import time; print(time.monotonic())'; sleep 8"
        )
        seen["after kill"] = _changes(door)
        machine.run(f"systemctl stop {UNIT}")
        seen["released"] = machine.run("gpioinfo 2>&1 | grep -w relay")
    tell(f"door: {json.dumps(seen)}")
    return seen


def _granted(probe: Probe, since: float) -> Heard:
    def found() -> list[Heard]:
        heard = [each for each in probe.of(f"{BASE}/event/login") if each.at > since]
        return [each for each in heard if each.json["reason"] == Reason.GRANTED]

    probe.wait_until(lambda: bool(found()), EMULATED_S)
    return found()[0]


def _granted_again(door: Door, probe: Probe) -> None:
    began = time.monotonic()
    door.machine.run(FEED)
    _granted(probe, began)


def _changes(door: Door) -> list[tuple[float, str]]:
    lines = door.machine.run("cat /run/line").splitlines()
    return [(float(at), level) for at, level in (line.split() for line in lines)]


def test_a_registered_person_before_a_real_camera_is_let_in(lived: dict[str, Any]) -> None:
    assert lived["registered"] == "ok"
    assert lived["granted"]["username"] == REGISTERED
    assert lived["granted"]["source"] == "front"


def test_the_relays_pulse_is_as_long_as_it_was_set(lived: dict[str, Any]) -> None:
    levels = lived["pulse"]
    assert [level for _, level in levels] == ["0", "1", "0"]
    assert levels[2][0] - levels[1][0] == pytest.approx(PULSE_S, abs=0.5)
    assert "ostiary" in lived["in use"]


def test_the_line_is_let_go_after_kill_9(lived: dict[str, Any]) -> None:
    assert lived["after kill"][-1][1] == "0"
    assert "ostiary" not in lived["released"]


def test_the_doctor_names_every_device_and_what_the_door_takes(lived: dict[str, Any]) -> None:
    page = json.loads(lived["doctor"])
    found = [f"{check['name']}: {check['found']}" for check in page["checks"]]
    assert any(CAMERA in line and "camera front takes MJPG" in line for line in found), found
    assert any("/dev/gpiochip0, used by the relay" in line for line in found), found
    assert any("device tpm: TPM 2.0" in line for line in found), found
