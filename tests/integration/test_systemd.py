"""The Debian package under a real systemd: installed, used, broken, upgraded and purged.

The tests follow one machine through its life, in this order.
"""

import json
import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from demo.scenes import REGISTERED
from package.build import Target, build, pack, root_of, this_arch
from testing import systemd_root
from testing.broker import Mosquitto
from testing.installed_door import (
    BASE,
    CONFIG,
    UNIT,
    fill_shared,
    granted_since,
    install,
    look_without_the_key,
    register,
)
from testing.probe import Probe
from testing.stopped_thread import all_but_main, stopped
from testing.systemd_root import Machine, until
from testing.waiting import PATIENCE_S

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build"
TARGET = Target(this_arch() or "amd64", "12")
NEXT_VERSION = "9.9.9"
WATCHDOG_S = 20
SETTLED_S = PATIENCE_S

pytestmark = [*systemd_root.MARKS, pytest.mark.long]


@pytest.fixture(scope="module")
def package(models: Path) -> Path:
    """The .deb for the Debian that is booted."""
    return build(TARGET, models, BUILD / "deb")


@pytest.fixture(scope="module")
def shared(
    package: Path, portraits: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("shared")
    fill_shared(folder, package, portraits)
    later = pack(TARGET, root_of(TARGET, BUILD / "deb"), folder, NEXT_VERSION)
    later.rename(folder / "next.deb")
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path_factory.mktemp("broker"), persistent=False) as running:
        yield running


@pytest.fixture(scope="module")
def probe(broker: Mosquitto) -> Iterator[Probe]:
    with Probe(broker.port, f"{BASE}/#") as listening:
        yield listening


@pytest.fixture(scope="module")
def machine(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    base = systemd_root.debian(BUILD / "systemd", TARGET.debian)
    with Machine(base, tmp_path_factory.mktemp("machine"), shared) as booted:
        yield booted


@pytest.fixture(scope="module")
def door(machine: Machine, broker: Mosquitto, shared: Path) -> Machine:
    """The machine with the package installed and the configuration edited, as a person would."""
    install(machine, shared, broker.port)
    return machine


def main_pid(machine: Machine) -> str:
    return machine.show(UNIT, "MainPID")


def is_active(machine: Machine) -> bool:
    return machine.show(UNIT, "ActiveState") == "active"


def restarted(machine: Machine, before: str) -> Callable[[], bool]:
    return lambda: main_pid(machine) not in ("0", before) and is_active(machine)


def users(probe: Probe) -> list[str]:
    answer = probe.ask(BASE, "users", {})
    return [user["username"] for user in answer["data"]["users"]]


def sends_online(probe: Probe) -> None:
    probe.wait_for(f"{BASE}/availability", b"online")


# --- the unit -------------------------------------------------------------------------------


def test_the_unit_is_sound_and_exposes_at_most_1_5(door: Machine) -> None:
    assert door.run("systemd-analyze", "verify", f"{UNIT}.service") == ""
    rated = door.run("systemd-analyze", "security", "--offline=yes", f"{UNIT}.service")
    exposure = re.search(r"Overall exposure level for ostiary.service: ([\d.]+)", rated)
    assert exposure is not None
    assert float(exposure[1]) <= 1.5


def test_the_unit_is_enabled_active_and_its_door_online(door: Machine, probe: Probe) -> None:
    sends_online(probe)
    assert is_active(door)
    assert door.run("systemctl", "is-enabled", UNIT).strip() == "enabled"


def test_the_daemon_runs_as_its_own_user_without_a_capability(door: Machine) -> None:
    status = door.run("cat", f"/proc/{main_pid(door)}/status")
    assert re.search(r"^CapEff:\s0+$", status, re.MULTILINE)
    assert re.search(r"^NoNewPrivs:\s1$", status, re.MULTILINE)
    assert door.run("stat", "--format=%U", "/var/lib/ostiary/ostiary.db").strip() == "ostiary"


@pytest.mark.usefixtures("door")
def test_a_registered_person_on_a_real_clip_is_granted(probe: Probe, portraits: Path) -> None:
    register(probe, portraits)
    began = time.monotonic()
    until(lambda: granted_since(probe, began), SETTLED_S, "nobody was granted")


def test_the_status_is_one_line_for_people(door: Machine) -> None:
    until(
        lambda: door.show(UNIT, "StatusText") == "camera ok, 1 user, queue 0",
        SETTLED_S,
        "the status text did not follow",
    )


def test_the_journal_finds_decisions_by_their_fields(door: Machine) -> None:
    found = door.run("journalctl", "OSTIARY_REASON=granted", "--output=json")
    entry = json.loads(found.splitlines()[0])
    assert entry["MESSAGE"].startswith("decided camera=front")
    assert REGISTERED not in found  # whom it let in stands, sealed, in the event of that number
    assert int(entry["OSTIARY_SEQ"]) > 0
    assert entry["_SYSTEMD_UNIT"] == "ostiary.service"
    assert entry["PRIORITY"] == "6"


def test_rules_go_by_what_systemd_knows_of_the_clock(door: Machine, probe: Probe) -> None:
    """The unit may not ask the kernel (ProtectClock)."""
    asked = door.run(
        *("busctl", "get-property", "org.freedesktop.timedate1", "/org/freedesktop/timedate1"),
        *("org.freedesktop.timedate1", "NTPSynchronized"),
    )
    answer = probe.ask(BASE, "rules", {})
    assert answer["data"]["clock_trusted"] is (asked.strip() == "b true")


def test_the_models_left_no_reports_of_their_maker(door: Machine) -> None:
    assert door.run("find", "/var/lib/ostiary", "-path", "*/.cache*") == ""


def test_a_new_door_is_sealed_and_its_backup_opens_with_the_words(
    door: Machine, probe: Probe
) -> None:
    status = json.loads(door.run("ostiary", "store", "status"))
    assert (status["sealed"], status["locked"]) == (True, False)
    words = [line.split()[1] for line in door.run("ostiary", "store", "recovery").splitlines()[:12]]
    assert len(words) == 12
    door.run("rm", "-f", "/var/backups/ostiary/sealed.db")
    door.run("ostiary", "backup", "/var/backups/ostiary/sealed.db")
    for file in ("/var/lib/ostiary/ostiary.db", "/var/backups/ostiary/sealed.db"):
        assert door.run("sh", "-c", f"grep -c {REGISTERED} {file} || true").strip() == "0"
    # With the service stopped its credentials are gone, and root opens the key itself.
    door.run("systemctl", "stop", UNIT)
    door.run("ostiary", "restore", "/var/backups/ostiary/sealed.db")
    assert json.loads(door.run("ostiary", "store", "status"))["recovery"] is True
    assert door.run("sh", "-c", "ls -d /run/ostiary-command.* 2>/dev/null || true") == ""
    door.run("systemctl", "start", UNIT)
    sends_online(probe)
    until(lambda: users(probe) == [REGISTERED], SETTLED_S, "the restored door knows nobody")
    door.run("rm", "/var/backups/ostiary/sealed.db")


def test_the_stores_key_is_where_the_daemon_reads_it_and_nowhere_else(door: Machine) -> None:
    kept = "/run/credentials/ostiary.service/store-key"
    assert door.run("find", "/run", "-name", "*store-key", "-type", "f").split() == [kept]
    assert door.run("stat", "--format=%a %U", "/run/credstore").strip() == "700 root"


def test_with_another_host_key_the_door_starts_locked(door: Machine, probe: Probe) -> None:
    look_without_the_key(door, probe, "systemd-creds setup")
    assert users(probe) == [REGISTERED]


def test_a_video_device_is_permitted_and_a_disk_is_not(door: Machine) -> None:
    allowed = door.show(UNIT, "DeviceAllow")
    assert "char-video4linux rw" in allowed
    assert door.show(UNIT, "DevicePolicy") == "closed"
    assert door.run("id", "--name", "--groups", "ostiary").split() == ["ostiary", "video"]


def test_a_secret_reaches_the_daemon_as_a_credential(door: Machine) -> None:
    door.run(
        "sh",
        "-c",
        "mkdir -p /etc/credstore && umask 077 && "
        "echo secret > /etc/credstore/ostiary.mqtt-password",
    )
    door.run("systemctl", "restart", UNIT)
    secret = "/run/credentials/ostiary.service/mqtt-password"
    as_user = ["setpriv", "--reuid=ostiary", "--regid=ostiary", "--init-groups"]
    assert door.run(*as_user, "cat", secret) == "secret\n"
    assert "Permission denied" in door.run(
        "setpriv", "--reuid=nobody", "--clear-groups", "cat", secret, check=False
    )
    door.run("rm", "/etc/credstore/ostiary.mqtt-password")
    door.run("systemctl", "restart", UNIT)


def test_the_drop_in_for_a_relay_leaves_the_lock_closed_at_every_end(door: Machine) -> None:
    folder = f"/etc/systemd/system/{UNIT}.service.d"
    door.run("groupadd", "--system", "gpio")
    door.run("install", "-D", "/usr/share/doc/ostiary/gpio.conf", f"{folder}/gpio.conf")
    door.run("systemctl", "daemon-reload")
    door.run("systemctl", "restart", UNIT)
    assert "char-gpiochip rw" in door.show(UNIT, "DeviceAllow")
    door.run("systemctl", "stop", UNIT)
    closed = door.show(UNIT, "ExecStopPost")
    assert "ostiary release" in closed
    assert "status=0" in closed
    door.run("rm", "-r", folder)
    door.run("systemctl", "daemon-reload")
    door.run("systemctl", "start", UNIT)


# --- what goes wrong ------------------------------------------------------------------------


def test_a_daemon_killed_with_9_is_back_by_itself(door: Machine, probe: Probe) -> None:
    before = main_pid(door)
    door.run("sh", "-c", f"kill -9 {before}")
    until(restarted(door, before), SETTLED_S, "it was not restarted")
    sends_online(probe)
    assert users(probe) == [REGISTERED]  # with the store's key again


def test_a_reload_keeps_the_process_and_takes_the_new_settings(door: Machine, probe: Probe) -> None:
    before = main_pid(door)
    door.run("sed", "--in-place", "s/state_every_s = 30.0/state_every_s = 1.0/", CONFIG)
    door.run("systemctl", "reload", UNIT)
    until(lambda: is_active(door), SETTLED_S, "the reload did not end")
    assert main_pid(door) == before
    heard = len(probe.of(f"{BASE}/state"))
    until(  # by the old one, four take two minutes
        lambda: len(probe.of(f"{BASE}/state")) > heard + 3,
        SETTLED_S,
        "the new rate is not in force",
    )


def test_a_broken_configuration_is_refused_and_the_old_stays(door: Machine, probe: Probe) -> None:
    before = main_pid(door)
    door.run("cp", CONFIG, "/root/good.toml")
    door.run("sed", "--in-place", "s/^votes = 3/votes = -3/", CONFIG)
    with pytest.raises(AssertionError, match="reload"):
        door.run("systemctl", "reload", UNIT)
    until(lambda: "access.votes" in door.journal(UNIT), SETTLED_S, "nothing was said")
    door.run("cp", "/root/good.toml", CONFIG)
    began = time.monotonic()
    until(lambda: granted_since(probe, began), SETTLED_S, "the door does not work any more")
    assert main_pid(door) == before


def test_it_stops_before_systemd_kills_it_and_says_offline(door: Machine, probe: Probe) -> None:
    door.run("systemctl", "stop", UNIT)
    assert door.show(UNIT, "Result") == "success"
    assert door.show(UNIT, "TimeoutStopUSec") == "5s"
    probe.wait_for(f"{BASE}/availability", b"offline")
    door.run("systemctl", "start", UNIT)
    sends_online(probe)


def test_a_stopped_process_is_restarted_by_the_watchdog(door: Machine, probe: Probe) -> None:
    before = main_pid(door)
    door.run("sh", "-c", f"kill -STOP {before}")
    took = until(restarted(door, before), WATCHDOG_S + SETTLED_S, "the watchdog did not bite")
    assert took > WATCHDOG_S / 2
    assert "Watchdog timeout" in door.journal(UNIT)
    sends_online(probe)


def test_a_main_thread_that_lives_on_alone_does_not_calm_the_watchdog(
    door: Machine, probe: Probe
) -> None:
    before = main_pid(door)
    process = door.host_pid(before)
    with stopped(all_but_main(process)):
        took = until(restarted(door, before), 2 * WATCHDOG_S + SETTLED_S, "it did not bite")
    assert took > WATCHDOG_S / 2
    sends_online(probe)


# --- the package ----------------------------------------------------------------------------


def test_the_doctor_finds_the_installed_door_well(door: Machine) -> None:
    page = door.run("ostiary", "doctor")
    assert "every SHA-256 as built" in page
    assert "BAD" not in page


def test_an_upgrade_keeps_people_and_settings(door: Machine, probe: Probe) -> None:
    settings, before = door.run("cat", CONFIG), main_pid(door)
    door.run("dpkg", "--install", "/mnt/next.deb")
    assert door.run("dpkg-query", "--show", "--showformat=${Version}", "ostiary").startswith(
        NEXT_VERSION
    )
    assert restarted(door, before)()
    sends_online(probe)
    assert door.run("cat", CONFIG) == settings
    assert users(probe) == [REGISTERED]
    began = time.monotonic()
    until(lambda: granted_since(probe, began), SETTLED_S, "the door does not work any more")


def test_removal_stops_the_door_and_leaves_its_data(door: Machine, probe: Probe) -> None:
    door.run("dpkg", "--remove", "ostiary")
    probe.wait_for(f"{BASE}/availability", b"offline")
    assert door.run("ls", "/var/lib/ostiary/ostiary.db", CONFIG)
    assert (
        door.run("sh", "-c", "ls -d /opt/ostiary || true")
        .strip()
        .endswith("No such file or directory")
    )


def test_a_purge_leaves_nothing(door: Machine) -> None:
    door.run("dpkg", "--purge", "ostiary")
    left = door.run("find", "/", "-xdev", "-name", "*ostiary*", "-not", "-path", "/proc/*")
    assert left == ""
    assert "ostiary" not in door.run("cat", "/etc/passwd", "/etc/group")
