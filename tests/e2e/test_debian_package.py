"""The package on each Debian, with its Python and systemd; test_systemd.py follows one for life."""

import time
from pathlib import Path

import pytest

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
from testing.waiting import PATIENCE_S

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build"

pytestmark = systemd_root.MARKS

HOST_KEY_LOST = {"12": "systemd-creds setup", "13": "true"}  # Debian 13 has none


@pytest.mark.parametrize("debian", ["12", "13"])
def test_it_installs_lets_a_registered_person_in_and_is_purged(
    debian: str, tmp_path: Path, models: Path, portraits: Path
) -> None:
    package = build(Target(this_arch() or "amd64", debian), models, BUILD / "deb")
    shared = tmp_path / "shared"
    shared.mkdir()
    fill_shared(shared, package, portraits)
    base = systemd_root.debian(BUILD / "systemd", debian)
    with (
        Mosquitto(tmp_path / "broker", persistent=False) as broker,
        Probe(broker.port, f"{BASE}/#") as probe,
        Machine(base, tmp_path / "machine", shared) as machine,
    ):
        install(machine, shared, broker.port)
        probe.wait_for(f"{BASE}/availability", b"online")
        register(probe, portraits)
        began = time.monotonic()
        until(lambda: granted_since(probe, began), PATIENCE_S, "nobody was granted")
        assert machine.show(UNIT, "ActiveState") == "active"
        look_without_the_key(machine, probe, HOST_KEY_LOST[debian])
        assert machine.run("systemd-analyze", "verify", f"{UNIT}.service") == ""
        machine.run("dpkg", "--purge", "ostiary")
        assert machine.run("find", "/", "-xdev", "-name", "*ostiary*") == ""
