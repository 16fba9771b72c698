"""The real daemon as a process of its own, with a configuration written for one test."""

from pathlib import Path

from testing.program import OSTIARY, Program

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


class DaemonProcess(Program):
    """`ostiary run`."""

    def __init__(self, config: Path, **environment: str) -> None:
        self.config = config
        command = (*OSTIARY, "run", "--config", config)
        super().__init__(command, config.parent / "daemon.log", **environment)
