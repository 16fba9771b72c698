"""Whoever comes to a site in somebody else's place is seen, and may change nobody."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from testing.broker import Mosquitto
from testing.program import OSTIARY
from testing.site import ostiary

CONFIG = """\
[device]
id = "{name}"

[store]
path = "{folder}/{name}.db"

[mqtt]
port = {port}

[site]
id = "house"
"""
FINGERPRINT = re.compile(r"key is ((?:[0-9a-f]{4} ){4}[0-9a-f]{4})")


@pytest.fixture
def configs(tmp_path: Path, broker: Mosquitto) -> dict[str, str]:
    """Settings of two doors, by their names."""
    found = {}
    for name in ("holder", "new"):
        path = tmp_path / f"{name}.toml"
        path.write_text(CONFIG.format(name=name, folder=tmp_path, port=broker.port))
        found[name] = str(path)
    return found


def test_both_ends_of_an_invitation_show_one_fingerprint_and_who_comes_may_change_nobody(
    configs: dict[str, str],
) -> None:
    ostiary("site", "init", "--config", configs["holder"])
    admit = (*OSTIARY, "site", "admit", "new", "--config", configs["holder"])
    with subprocess.Popen(
        admit, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"}
    ) as admitting:
        try:
            assert admitting.stdout is not None
            code = admitting.stdout.readline().split()[-1]
            joined = ostiary("site", "join", code, "--config", configs["new"])
            admitted, _ = admitting.communicate(timeout=60)
        finally:
            admitting.kill()
    assert "This door belongs to house as new (door)." in joined
    assert FINGERPRINT.findall(admitted) == FINGERPRINT.findall(joined)
    assert len(FINGERPRINT.findall(admitted)) == 1
    assert "Does the door show the same?" in admitted
