"""The store's key is sealed to the machine: its disk in another machine opens to nobody."""

import base64
import json
import time
from pathlib import Path
from typing import Any

import pytest

from tests.device.conftest import tell
from tests.device.door import BASE, UNIT, Door
from tests.device.why_not import LONG
from tests.integration.probe import Probe

pytestmark = LONG
KEY = "/etc/credstore.encrypted/ostiary.store-key"
DATABASE = "/var/lib/ostiary/ostiary.db"
COUNT = f"sqlite3 'file:{DATABASE}?mode=ro' 'SELECT count(*) FROM users'"
NAME = "Ada Quartermaine"
OPENS = f"systemd-creds decrypt --name=store-key {KEY} - >/dev/null 2>&1; echo $?"


@pytest.fixture(scope="module")
def lived(door: Door, portraits: Path) -> dict[str, Any]:
    """Somebody is registered; the machine is switched off; its disk comes into another, and back.
    What was seen each time."""
    machine = door.machine
    machine.run("systemctl stop feeder watch", check=False)
    seen: dict[str, Any] = {"tpm": machine.run("systemd-analyze has-tpm2 | head -1").strip()}
    with Probe(door.port, f"{BASE}/#") as probe:
        _start(door, probe)
        picture = base64.b64encode((portraits / "biden.jpg").read_bytes()).decode()
        request = {"username": NAME, "image": picture}
        seen["registered"] = probe.ask(BASE, "register", request, timeout_s=400)["status"]
        seen["at home"] = _look(door, probe)
        own = machine.folder / "own-tpm"
        for where in ("another machine", "at home again"):
            machine.power_off()
            if where == "another machine":
                (machine.folder / "tpm").rename(own)
            else:
                machine.new_tpm()
                own.rename(machine.folder / "tpm")
            tell(f"{where}: up after {machine.start():.0f} s")
            if where == "another machine":
                seen[where] = _try(door)
            else:
                machine.run(f"systemctl reset-failed {UNIT}", check=False)
                _start(door, probe)
                seen[where] = _look(door, probe)
    tell(f"TPM: {json.dumps(seen)}")
    return seen


def _start(door: Door, probe: Probe) -> None:
    since = time.monotonic()
    door.machine.run(f"systemctl restart {UNIT}", timeout_s=400)

    def told() -> bool:
        return any(heard.at > since and not heard.retain for heard in probe.of(f"{BASE}/state"))

    probe.wait_until(told, 300)


def _try(door: Door) -> dict[str, Any]:
    """What becomes of the service where systemd cannot open the key."""
    machine = door.machine
    machine.run(f"systemctl restart {UNIT}", check=False, timeout_s=400)
    return {
        "journal": machine.run(f"journalctl -b -u {UNIT} -o cat --no-pager -n 20"),
        "active": machine.run(f"systemctl is-active {UNIT}", check=False).strip(),
        "rows": int(machine.run(COUNT)),
        "decrypt": int(machine.run(OPENS)),
    }


def _look(door: Door, probe: Probe) -> dict[str, Any]:
    answer = probe.ask(BASE, "users", {}, timeout_s=120)
    data = answer.get("data", {"users": []})
    return {
        "problems": probe.of(f"{BASE}/state")[-1].json["problems"],
        "status": answer["status"],
        "code": answer.get("error", {}).get("code"),
        "users": [user["username"] for user in data["users"]],
        "rows": int(door.machine.run(COUNT)),
        "decrypt": int(door.machine.run(OPENS)),
        "name on the disk": int(door.machine.run(f"cat {DATABASE}* | grep -c '{NAME}' || true")),
    }


def test_the_machine_has_a_tpm_that_debian_uses(lived: dict[str, Any]) -> None:
    assert lived["tpm"] == "yes"


def test_the_door_opens_its_store_and_the_disk_names_nobody(lived: dict[str, Any]) -> None:
    assert lived["registered"] == "ok"
    assert NAME in lived["at home"]["users"]
    assert lived["at home"]["name on the disk"] == 0


def test_in_another_machine_the_disk_opens_to_nobody_and_keeps_everything(
    lived: dict[str, Any],
) -> None:
    away = lived["another machine"]
    assert away["decrypt"] != 0
    # systemd gives up before the daemon: the door stays shut, and `…/state` stays silent.
    assert away["active"] != "active"
    assert "CREDENTIALS" in away["journal"]
    assert away["rows"] == lived["at home"]["rows"]


def test_back_in_its_own_machine_it_opens_again(lived: dict[str, Any]) -> None:
    again = lived["at home again"]
    assert again["decrypt"] == 0
    assert "store_locked" not in again["problems"]
    assert again["users"] == lived["at home"]["users"]
