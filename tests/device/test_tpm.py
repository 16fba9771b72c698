"""The store's key is sealed to the machine: its disk in another machine opens to nobody."""

import base64
import json
import random
import time
from pathlib import Path
from typing import Any

import pytest

from testing.probe import Heard, Probe
from tests.device.conftest import tell
from tests.device.door import BASE, EMULATED_S, UNIT, Door
from tests.device.why_not import LONG

pytestmark = LONG
KEY = "/etc/credstore.encrypted/ostiary.store-key"
DATABASE = "/var/lib/ostiary/ostiary.db"
NAME = "Ada Quartermaine"
OPENS = f"systemd-creds decrypt --name=store-key {KEY} - >/dev/null 2>&1; echo $?"
ROWS = "SELECT count(*) FROM users"
EVENTS = "SELECT lower(hex(event_id)) FROM events"
WHOLE = "PRAGMA integrity_check; PRAGMA foreign_key_check"
IN_FLIGHT_S = 20.0
"""The machine is killed within so long after the first of several registrations was answered."""


@pytest.fixture(scope="module")
def lived(door: Door, portraits: Path) -> dict[str, Any]:
    """Somebody is registered; the machine is killed while it registers others; its disk comes into
    another machine, which is killed, too, and back. What was seen each time."""
    machine = door.machine
    door.stop()
    seen: dict[str, Any] = {"tpm": machine.run("systemd-analyze has-tpm2 | head -1").strip()}
    picture = base64.b64encode((portraits / "biden.jpg").read_bytes()).decode()
    with Probe(door.port, f"{BASE}/#") as probe:
        since = time.monotonic()
        machine.run(f"systemctl restart {UNIT}", timeout_s=EMULATED_S)
        _wait_for_state(probe, since)
        answer = door.ask(probe, "register", username=NAME, image=picture)
        seen["registered"] = answer["status"]
        seen["at home"] = _look(door, probe)
        seen["answered"] = _kill_while_registering(door, probe, picture)
        own = machine.folder / "own-tpm"
        (machine.folder / "tpm").rename(own)
        seen["another machine"] = _back_by_itself(door, probe)
        machine.pull_the_plug()
        machine.new_tpm()
        own.rename(machine.folder / "tpm")
        seen["at home again"] = _back_by_itself(door, probe)
        seen["log"] = machine.run("ostiary verify-log >/dev/null 2>&1; echo $?").strip()
    tell(f"TPM: {json.dumps(seen)}")
    return seen


def _kill_while_registering(door: Door, probe: Probe, picture: str) -> list[str]:
    """QEMU is killed; who was registered until then, as far as the answers tell."""
    topic = f"{BASE}/response/register"
    before = len(probe.of(topic))
    for number in range(4):
        name = f"guest {number}"
        request = {"username": name, "image": picture, "require_live": False, "allow_twin": True}
        probe.send(f"{BASE}/request/register", {**request, "transaction": name})
    probe.wait(topic, before + 1, EMULATED_S)
    time.sleep(random.uniform(0.0, IN_FLIGHT_S))
    door.machine.pull_the_plug()
    answers = [heard.json for heard in probe.of(topic)[before:]]
    return [answer["transaction"] for answer in answers if answer["status"] == "ok"]


def _back_by_itself(door: Door, probe: Probe) -> dict[str, Any]:
    """Switched on; what is there once the door tells its state."""
    published = {heard.json["event_id"].replace("-", "") for heard in _events(probe)}
    since = time.monotonic()
    up_s = door.machine.start()
    _wait_for_state(probe, since)
    found = _look(door, probe)
    on_disk = set(door.machine.run(_asked(EVENTS)).split())
    found |= {"events heard": len(published), "events lost": len(published - on_disk)}
    return found | {"up after s": round(up_s)}


def _wait_for_state(probe: Probe, since: float) -> None:
    def told() -> bool:
        return any(heard.at > since and not heard.retain for heard in probe.of(f"{BASE}/state"))

    probe.wait_until(told, EMULATED_S)


def _events(probe: Probe) -> list[Heard]:
    return [heard for kind in ("login", "user") for heard in probe.of(f"{BASE}/event/{kind}")]


def _asked(query: str) -> str:
    return f"sqlite3 'file:{DATABASE}?mode=ro' '{query}'"


def _look(door: Door, probe: Probe) -> dict[str, Any]:
    machine = door.machine
    answer = door.ask(probe, "users")
    data = answer.get("data", {"users": []})
    return {
        "problems": probe.of(f"{BASE}/state")[-1].json["problems"],
        "status": answer["status"],
        "code": answer.get("error", {}).get("code"),
        "users": [user["username"] for user in data["users"]],
        "active": machine.run(f"systemctl is-active {UNIT}", check=False).strip(),
        "key unit": machine.run(f"systemctl is-failed {UNIT}-store-key", check=False).strip(),
        "key files": machine.run("find /run -name '*store-key' -type f").split(),
        "rows": int(machine.run(_asked(ROWS))),
        "decrypt": int(machine.run(OPENS)),
        "name on the disk": int(machine.run(f"cat {DATABASE}* | grep -c '{NAME}' || true")),
        "whole": machine.run(_asked(WHOLE)).strip(),
    }


def test_the_machine_has_a_tpm_that_debian_uses(lived: dict[str, Any]) -> None:
    assert lived["tpm"] == "yes"


def test_the_door_opens_its_store_and_the_disk_names_nobody(lived: dict[str, Any]) -> None:
    assert lived["registered"] == "ok"
    assert NAME in lived["at home"]["users"]
    assert lived["at home"]["name on the disk"] == 0


def test_the_opened_key_is_where_the_daemon_reads_it_and_nowhere_else(
    lived: dict[str, Any],
) -> None:
    assert lived["at home"]["key files"] == ["/run/credentials/ostiary.service/store-key"]


def test_in_another_machine_the_door_starts_locked_says_so_and_keeps_everything(
    lived: dict[str, Any],
) -> None:
    away = lived["another machine"]
    assert away["decrypt"] != 0
    assert (away["active"], away["key unit"]) == ("active", "failed")
    assert "store_locked" in away["problems"]
    assert (away["status"], away["code"]) == ("error", "store_locked")
    assert lived["at home"]["rows"] <= away["rows"] <= lived["at home again"]["rows"]


def test_back_in_its_own_machine_it_opens_again(lived: dict[str, Any]) -> None:
    again = lived["at home again"]
    assert again["decrypt"] == 0
    assert "store_locked" not in again["problems"]
    assert NAME in again["users"]


def test_killed_while_it_registers_the_machine_loses_nothing_that_it_answered(
    lived: dict[str, Any],
) -> None:
    assert set(lived["answered"]) <= set(lived["at home again"]["users"])
    for where in ("another machine", "at home again"):
        assert lived[where]["whole"] == "ok"
        assert lived[where]["events lost"] == 0
    assert lived["log"] == "0"
