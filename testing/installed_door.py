"""What the tests of the Debian package do to a machine, as a person would."""

import base64
import shutil
import time
from pathlib import Path
from typing import Any

from demo.scenes import REGISTERED, empty_room, visitors
from demo.stream import write_clip
from ostiary.messages.words import Reason
from testing.ports import free_port
from testing.probe import Probe
from testing.systemd_root import Machine

BASE = "ostiary/door"
UNIT = "ostiary"
CONFIG = "/etc/ostiary/ostiary.toml"
HOST_KEY = "/var/lib/systemd/credential.secret"
"""What the store's key is sealed by, where there is no TPM."""


def fill_shared(folder: Path, package: Path, portraits: Path) -> None:
    """What a machine finds in /mnt: the package, and a clip on which somebody comes."""
    shutil.copy(package, folder / "ostiary.deb")
    room = empty_room()
    write_clip(folder / "clip.avi", [room, room, visitors(portraits)[0], room])
    for path in (folder, *folder.iterdir()):
        path.chmod(0o755)


def install(machine: Machine, shared: Path, broker_port: int) -> None:
    """Install the package, edit the configuration, restart."""
    machine.run("dpkg", "--install", "/mnt/ostiary.deb")
    edited = machine.run("cat", CONFIG)
    for shipped, ours in (
        ("port = 1883", f"port = {broker_port}"),
        ('source = "0"', 'source = "/mnt/clip.avi"'),
        ("loop = false", "loop = true"),
        ("cooldown_s = 10.0", "cooldown_s = 2.0"),
        ("metrics_port = 9464", f"metrics_port = {free_port()}"),
        ("allow_unverified_enrolment = false", "allow_unverified_enrolment = true"),
    ):
        assert edited.count(shipped) == 1, shipped
        edited = edited.replace(shipped, ours)
    (shared / "edited.toml").write_text(edited, encoding="utf-8")
    machine.run("cp", "/mnt/edited.toml", CONFIG)
    machine.run("systemctl", "restart", UNIT)


def register(probe: Probe, portraits: Path) -> None:
    """Register the person of the clip, from another picture."""
    image = base64.b64encode((portraits / "obama.jpg").read_bytes()).decode()
    answer: Any = probe.ask(BASE, "register", {"username": REGISTERED, "image": image})
    assert answer["status"] == "ok", answer


def granted_since(probe: Probe, since: float) -> bool:
    """Whether somebody was let in after `since`, in monotonic seconds."""
    events = [heard for heard in probe.of(f"{BASE}/event/login") if heard.at > since]
    return any(event.json["reason"] == Reason.GRANTED for event in events)


def look_without_the_key(machine: Machine, probe: Probe, other_key: str) -> None:
    """The disk is in another machine, which `other_key`, a shell command, makes of this one: the
    door starts, denies, says why, and opens again at home."""
    machine.run("systemctl", "stop", UNIT)
    machine.run("sh", "-c", f"mv {HOST_KEY} /root/host-key && {other_key}")
    began = time.monotonic()
    machine.run("systemctl", "start", UNIT)
    probe.wait_until(lambda: denied_since(probe, began))
    answer = probe.ask(BASE, "users", {})
    assert answer["error"]["code"] == "store_locked"
    assert "store_locked" in probe.wait(f"{BASE}/state")[-1].json["problems"]
    assert not granted_since(probe, began)
    assert machine.show(f"{UNIT}-store-key", "ActiveState") == "failed"  # for who watches units
    assert "cannot open the store's key" in machine.run("ostiary", "doctor", check=False)
    machine.run("mv", "/root/host-key", HOST_KEY)
    began = time.monotonic()
    machine.run("systemctl", "restart", UNIT)
    probe.wait_until(lambda: granted_since(probe, began))


def denied_since(probe: Probe, since: float) -> bool:
    events = [heard for heard in probe.of(f"{BASE}/event/login") if heard.at > since]
    return any(not event.json["success"] for event in events)
