"""Pulls the plug of a door at random moments, and then counts what was lost: nothing.

`python -m tests.device.power_cut --cuts 50`. Somebody who is registered comes and goes before its
camera, others are registered and deleted; the power goes in the middle, or while it boots. Of the
same disk: the database is whole before the daemon touches it, the log has no gap, what was answered
or published is there, and the door is back by itself and lets the registered person in.
"""

import argparse
import base64
import json
import random
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any

from demo.scenes import REGISTERED, empty_room, visitors
from demo.stream import write_clip
from ostiary.messages.words import Reason
from testing.broker import Mosquitto
from testing.probe import Heard, Probe
from tests.device.image import ROOT, Image, door_image
from tests.device.power import HOST, Mains, write_into

BASE = "ostiary/door"
IN_FLIGHT_S = 12.0
"""The cut comes within so long after somebody was let in."""
WHILE_BOOTING = 0.2
"""The share of cuts that come before that."""
BACK_WITHIN_S = 240.0
CHECK = """#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
# What is on the disk before the daemon has touched it; on a copy.
[ -e /var/lib/ostiary/ostiary.db ] || { echo "CHECK none"; exit 0; }
rm -rf /run/check && mkdir -m 700 /run/check && cp /var/lib/ostiary/* /run/check/
cd /run/check
echo "CHECK integrity $(sqlite3 ostiary.db 'PRAGMA integrity_check' | head -3 | tr '\\n' ' ')"
echo "CHECK foreign $(sqlite3 ostiary.db 'PRAGMA foreign_key_check' | wc -l)"
sqlite3 ostiary.db "SELECT 'EVENT ' || lower(hex(event_id)) FROM events"
chown -R ostiary:ostiary /run/check
ostiary verify-log --database /run/check/ostiary.db
echo "CHECK log $?"
echo "CHECK done"
"""
CHECK_UNIT = """[Unit]
Before=ostiary.service
[Service]
Type=oneshot
ExecStart=/usr/local/sbin/check-disk
StandardOutput=file:/dev/console
StandardError=file:/dev/console
TimeoutStartSec=120
"""
KEY_UNIT = """[Unit]
Before=ostiary.service ostiary-store-key.service
ConditionPathExists=!/etc/credstore.encrypted/ostiary.store-key
[Service]
Type=oneshot
ExecStart=/usr/local/sbin/make-store-key
"""
MAKE_KEY = """#!/bin/sh -e
# As the package does at its installation.
cd /etc && mkdir -p -m 700 credstore.encrypted && cd credstore.encrypted
head -c 32 /dev/urandom | base64 | systemd-creds encrypt --name=store-key - made
sync && mv made ostiary.store-key && sync
"""
WANTS = """[Unit]
Wants=check-disk.service store-key.service
After=check-disk.service store-key.service
"""


@dataclass(slots=True)
class Report:
    """What happened."""

    cuts: int = 0
    while_booting: int = 0
    boots: int = 0
    events_heard: int = 0
    events_lost: int = 0
    """Published to the broker, and not on the disk afterwards."""
    registered: int = 0
    deleted: int = 0
    """Answered *ok*."""
    people_lost: int = 0
    people_risen: int = 0
    """Deleted, and there again."""
    not_whole: list[str] = field(default_factory=list)
    first_decision_s: list[float] = field(default_factory=list)
    """From power to the first decision; of boots that were not cut before."""
    seconds: float = 0.0

    @property
    def good(self) -> bool:
        lost = self.events_lost + self.people_lost + self.people_risen
        return lost == 0 and not self.not_whole and self.boots == self.cuts - self.while_booting

    def line(self) -> str:
        times = sorted(self.first_decision_s)
        said = {
            name: getattr(self, name)
            for name in self.__slots__
            if name not in ("first_decision_s", "not_whole", "seconds")
        }
        said |= {"not_whole": len(self.not_whole), "seconds": round(self.seconds)}
        if times:
            said["power_to_first_decision_s"] = {
                "least": round(times[0], 1),
                "median": round(median(times), 1),
                "most": round(times[-1], 1),
            }
        return json.dumps(said)


class Visitor:
    """Registers and deletes one person after the other, and knows what was answered."""

    def __init__(self, probe: Probe, portrait: Path, report: Report) -> None:
        self._probe = probe
        self._image = base64.b64encode(portrait.read_bytes()).decode()
        self._report = report
        self._number = 0
        self._stopping = threading.Event()
        self.there: dict[str, bool | None] = {}
        """Whether a name is registered; None while an answer is missing."""

    def run(self) -> None:
        self._stopping.clear()
        while not self._stopping.is_set():
            name = f"guest {self._number}"
            self._number += 1
            if self._ask("register", {"username": name, "image": self._image}, name, True):
                self._report.registered += 1
                if self._number % 2 and self._ask("delete", {"username": name}, name, False):
                    self._report.deleted += 1
                self._stopping.wait(random.uniform(0.0, 0.5))

    def stop(self) -> None:
        self._stopping.set()

    def _ask(self, command: str, request: dict[str, Any], name: str, there: bool) -> bool:
        self.there[name] = None
        if command == "register":
            request = {**request, "require_live": False, "allow_twin": True}
        transaction = f"cut-{time.monotonic_ns()}"
        self._probe.send(f"{BASE}/request/{command}", {**request, "transaction": transaction})
        until = time.monotonic() + 20
        while not self._stopping.is_set() and time.monotonic() < until:
            for heard in self._probe.of(f"{BASE}/response/{command}"):
                answer = heard.json
                if answer.get("transaction") == transaction:
                    ok = bool(answer["status"] == "ok")
                    self.there[name] = there if ok else None
                    return ok
            self._stopping.wait(0.05)
        return False


def prepare(image: Image, portraits: Path, folder: Path, port: int) -> Path:
    """A disk of the image's with what makes it this door."""
    disk = folder / "disk.raw"
    shutil.copyfile(image.disk, disk)
    room = empty_room()
    clip = folder / "clip.avi"
    write_clip(clip, [room, visitors(portraits)[0], room])
    config = f"""
[[cameras]]
source = "/srv/clip.avi"
loop = true
require_movement = false
[vision]
models = "/usr/share/ostiary/models"
[access]
cooldown_s = 1.0
decide_within_s = 20.0
[store]
path = "/var/lib/ostiary/ostiary.db"
[mqtt]
host = "{HOST}"
port = {port}
allow_anonymous = true
reconnect_at_most_s = 1.0
[commands]
allow_unverified_enrolment = true
"""
    wants = "/etc/systemd/system/ostiary.service.d/power-cut.conf"
    files = {
        "/etc/ostiary/ostiary.toml": (config.encode(), 0o644),
        "/srv/clip.avi": (clip.read_bytes(), 0o644),
        "/usr/local/sbin/check-disk": (CHECK.encode(), 0o755),
        "/usr/local/sbin/make-store-key": (MAKE_KEY.encode(), 0o755),
        "/etc/systemd/system/check-disk.service": (CHECK_UNIT.encode(), 0o644),
        "/etc/systemd/system/store-key.service": (KEY_UNIT.encode(), 0o644),
        wants: (WANTS.encode(), 0o644),
    }
    write_into(disk, files, folder)
    return disk


def run(image: Image, portraits: Path, folder: Path, cuts: int, seed: int) -> Report:
    """Cut the power `cuts` times or one more, and look what is there. AssertionError where the door
    does not come back."""
    chance = random.Random(seed)
    report = Report()
    began = time.monotonic()
    with Mosquitto(folder / "broker") as broker:
        disk = prepare(image, portraits, folder, broker.port)
        with (
            Probe(broker.port, f"{BASE}/#") as probe,
            Mains(disk, folder / "machine") as mains,
        ):
            visitor = Visitor(probe, portraits / "biden.jpg", report)
            _first_boot(mains, probe, portraits, visitor)
            while report.cuts < cuts:
                _one(mains, probe, visitor, report, chance)
                sys.stderr.write(f"{report.cuts} of {cuts}: {report.line()}\n")
    report.seconds = time.monotonic() - began
    return report


def _first_boot(mains: Mains, probe: Probe, portraits: Path, visitor: Visitor) -> None:
    since = mains.on()
    _wait(mains, lambda: bool(_online(probe, since)), "the door is not online")
    image = base64.b64encode((portraits / "obama.jpg").read_bytes()).decode()
    answer = probe.ask(
        BASE, "register", {"username": REGISTERED, "image": image}, timeout_s=BACK_WITHIN_S
    )
    assert answer["status"] == "ok", answer
    visitor.there[REGISTERED] = True
    _wait(mains, lambda: _granted(probe, since) is not None, "nobody is let in")


def _one(
    mains: Mains, probe: Probe, visitor: Visitor, report: Report, chance: random.Random
) -> None:
    """Registrations and events, a cut in their midst, and what is there afterwards."""
    worker = threading.Thread(target=visitor.run)
    worker.start()
    time.sleep(chance.uniform(0.0, IN_FLIGHT_S))
    mains.off()
    visitor.stop()
    worker.join()
    report.cuts += 1
    while chance.random() < WHILE_BOOTING:
        mains.on()
        time.sleep(chance.uniform(1.0, 15.0))
        mains.off()
        report.cuts += 1
        report.while_booting += 1
    _boot_and_look(mains, probe, visitor, report)


def _boot_and_look(mains: Mains, probe: Probe, visitor: Visitor, report: Report) -> None:
    published = {heard.json["event_id"].replace("-", "") for heard in _events(probe)}
    since = mains.on()
    _wait(mains, lambda: _granted(probe, since) is not None, "nobody is let in")
    decisions = (heard for heard in _events(probe, "login") if heard.at > since)
    first = next(heard for heard in decisions if _new(heard, since))
    report.boots += 1
    report.first_decision_s.append(first.at - since)
    console = mains.console
    for wanted in ("CHECK integrity ok", "CHECK foreign 0", "CHECK log 0"):
        if wanted not in console:
            found = [line for line in console.splitlines() if "CHECK" in line]
            report.not_whole.append(f"{wanted}: {found} {console[-2000:]}")
    on_disk = {line.split()[-1] for line in console.splitlines() if line.startswith("EVENT ")}
    report.events_heard = len(published)
    report.events_lost += len(published - on_disk)
    answer = probe.ask(BASE, "users", {}, timeout_s=BACK_WITHIN_S)
    names = {user["username"] for user in answer["data"]["users"]}
    for name, there in visitor.there.items():
        if there is True and name not in names:
            report.people_lost += 1
        if there is False and name in names:
            report.people_risen += 1
    # What was not answered may still be done: the broker keeps such a command for the door.
    visitor.there = {name: there for name, there in visitor.there.items() if there is not None}


def _events(probe: Probe, kind: str = "+") -> list[Heard]:
    kinds = ("login", "user") if kind == "+" else (kind,)
    return [heard for each in kinds for heard in probe.of(f"{BASE}/event/{each}")]


def _online(probe: Probe, since: float) -> list[Heard]:
    return [
        heard
        for heard in probe.of(f"{BASE}/availability")
        if heard.at > since and heard.payload == b"online" and not heard.retain
    ]


def _new(heard: Heard, since: float) -> bool:
    """Whether it happened since then: an event that waited is sent after the boot, too."""
    happened = datetime.fromisoformat(heard.json["timestamp"]).timestamp()
    return happened > time.time() - (time.monotonic() - since)


def _granted(probe: Probe, since: float) -> Heard | None:
    for heard in _events(probe, "login"):
        if heard.at > since and heard.json["reason"] == Reason.GRANTED and _new(heard, since):
            return heard
    return None


def _wait(mains: Mains, holds: Callable[[], bool], otherwise: str) -> None:
    began = time.monotonic()
    while not holds():
        waited = time.monotonic() - began
        assert waited < BACK_WITHIN_S, (
            f"{otherwise} within {waited:.0f} s:\n{mains.console[-4000:]}"
        )
        time.sleep(0.25)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cuts", type=int, default=50)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ostiary-cut-") as folder:
        portraits = ROOT / "resources/portraits"
        report = run(door_image(), portraits, Path(folder), wanted.cuts, wanted.seed)
    sys.stderr.write("\n".join([f"seed {wanted.seed}", *report.not_whole, ""]))
    sys.stdout.write(f"{report.line()}\n")
    sys.exit(0 if report.good else 1)


if __name__ == "__main__":
    main()
