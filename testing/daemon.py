"""The real daemon as a process of its own, with a configuration written for one test."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Self

DEVICE = "test"
BASE = f"ostiary/{DEVICE}"

CONFIG = """\
[device]
id = "{device}"

[[cameras]]
name = "front"
source = "{camera}"
fps = 8
loop = true
require_movement = false  # portraits are shown to it

[vision]
models = "{models}"

[store]
path = "{folder}/ostiary.db"

[mqtt]
port = {port}
reconnect_at_most_s = 0.5

[log]
format = "json"
{more}
"""


def write_config(folder: Path, port: int, models: Path, camera: Path | str, more: str = "") -> Path:
    """A configuration in `folder`, where the database will be, too."""
    config = folder / "ostiary.toml"
    config.write_text(
        CONFIG.format(
            device=DEVICE, camera=camera, models=models, folder=folder, port=port, more=more
        ),
        encoding="utf-8",
    )
    return config


class DaemonProcess:
    """`ostiary run`, ended with SIGKILL on leaving unless it has ended before."""

    def __init__(self, config: Path, **environment: str) -> None:
        self.config = config
        self._log = config.parent / "daemon.log"
        self._command = [sys.executable, "-m", "ostiary.cli.main", "run", "--config", str(config)]
        self._environment = {**os.environ, **environment}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def log(self) -> str:
        return self._log.read_text(encoding="utf-8")

    def send(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def wait(self, timeout_s: float) -> int:
        """The exit status."""
        assert self._process is not None
        return self._process.wait(timeout_s)

    def __enter__(self) -> Self:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, stdout=log, stderr=log, env=self._environment
            )
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait(60)
