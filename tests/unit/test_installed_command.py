"""`ostiary` as the package installs it: a script before the command itself."""

import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "package/ostiary"
PLACES = ("/etc/credstore.encrypted/", "/etc/credstore/", "/opt/", "/run/", "/usr/lib/")
STANDING_IN = {
    "usr/lib/ostiary/open-store-key": 'echo "the key" > "$1"',
    "opt/ostiary/bin/ostiary": 'cd "$CREDENTIALS_DIRECTORY"; grep . *; echo "$1"',
    "tools/id": "echo 0",
    "tools/chown": "",
    "tools/setpriv": 'shift 3; echo "as the daemon"; exec "$@"',
}


@pytest.mark.parametrize("stopped_by", [{}, {"CREDENTIALS_DIRECTORY": "/run/credentials/gone"}])
@pytest.mark.parametrize(
    "command", ["calibrate", "doctor", "import", "restore", "store", "verify-log"]
)
def test_with_the_service_stopped_root_gives_its_secrets_to_what_opens_the_store(
    tmp_path: Path, command: str, stopped_by: dict[str, str]
) -> None:
    for name, text in STANDING_IN.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
    (tmp_path / "run").mkdir()
    sealed = tmp_path / "etc/credstore.encrypted/ostiary.store-key"
    sealed.parent.mkdir(parents=True)
    sealed.touch()
    password = tmp_path / "etc/credstore/ostiary.mqtt-password"
    password.parent.mkdir()
    password.write_text("the password\n")
    script = SCRIPT.read_text()
    for place in PLACES:
        script = script.replace(place, f"{tmp_path}{place}")
    environment = stopped_by | {"PATH": f"{tmp_path / 'tools'}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["sh", "-c", script, "ostiary", command],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    secrets = ["mqtt-password:the password", "store-key:the key"]
    assert done.stdout.splitlines() == ["as the daemon", *secrets, command]
    assert list((tmp_path / "run").iterdir()) == []
