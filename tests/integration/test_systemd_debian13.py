"""The package for the newer Debian, with its newer Python and systemd; else as test_systemd.py."""

import time
from pathlib import Path

from package.build import Target, build, this_arch
from testing import systemd_root
from testing.broker import Mosquitto
from testing.installed_door import (
    BASE,
    UNIT,
    fill_shared,
    granted_since,
    install,
    look_without_the_key,
    register,
)
from testing.probe import Probe
from testing.systemd_root import Machine, until

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build"

pytestmark = systemd_root.MARKS


def test_on_debian_13_it_installs_lets_a_registered_person_in_and_is_purged(
    tmp_path: Path, models: Path, portraits: Path
) -> None:
    package = build(Target(this_arch() or "amd64", "13"), models, BUILD / "deb")
    shared = tmp_path / "shared"
    shared.mkdir()
    fill_shared(shared, package, portraits)
    base = systemd_root.debian(BUILD / "systemd", "13")
    with (
        Mosquitto(tmp_path / "broker", persistent=False) as broker,
        Probe(broker.port, f"{BASE}/#") as probe,
        Machine(base, tmp_path / "machine", shared) as machine,
    ):
        install(machine, shared, broker.port)
        probe.wait_for(f"{BASE}/availability", b"online", timeout_s=30)
        register(probe, portraits)
        began = time.monotonic()
        until(lambda: granted_since(probe, began), 30, "nobody was granted")
        assert machine.show(UNIT, "ActiveState") == "active"
        look_without_the_key(machine, probe, "true")  # it has none
        assert machine.run("systemd-analyze", "verify", f"{UNIT}.service") == ""
        machine.run("dpkg", "--purge", "ostiary")
        assert machine.run("find", "/", "-xdev", "-name", "*ostiary*") == ""
