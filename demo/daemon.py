"""The real daemon, as a process of its own, with a configuration written for the demo."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from demo.errors import DemoError

DEVICE = "demo"
STOP_WITHIN_S = 10.0

CONFIG = """\
# Written by `python -m demo`. What is not named here is as in config/ostiary.toml.
[device]
id = "{device}"
name = "Demo door"

[[cameras]]
name = "front"
source = "{camera}"

[vision]
models = "{models}"

[access]
decide_within_s = 10.0  # patience with a busy machine
cooldown_s = 4.0        # the next visitor comes at once

[store]
path = "{database}"

[mqtt]
host = "127.0.0.1"
port = {port}
"""


def write_config(folder: Path, camera: str, port: int, models: Path, device: str = DEVICE) -> Path:
    """Write the daemon's configuration, with an empty database of its own."""
    database = folder / "demo.db"
    for old in folder.glob("demo.db*"):
        old.unlink()
    config = folder / "ostiary.toml"
    text = CONFIG.format(
        device=device, camera=camera, port=port, models=models.resolve(), database=database
    )
    config.write_text(text, encoding="utf-8")
    return config


class Daemon:
    """A running daemon."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.log = log
        self._process = process

    @property
    def pid(self) -> int:
        return self._process.pid

    def check(self) -> None:
        """Raises DemoError, with the log's last lines, when the daemon has ended."""
        status = self._process.poll()
        if status is not None:
            raise DemoError(
                f"The daemon ended with exit status {status}. {self.log} ends with:\n"
                + "\n".join(last_lines(self.log, 12))
            )


@contextmanager
def running(config: Path, log: Path) -> Iterator[Daemon]:
    """Run `ostiary run` until the end of the block; its output goes to `log`.

    Raises DemoError when it is not installed, and when it does not stop on SIGTERM.
    """
    program = Path(sys.executable).with_name("ostiary")
    if not program.is_file():
        raise DemoError(f"{program}: the daemon is not installed there. `make setup` does it.")
    with log.open("wb") as output:
        process = subprocess.Popen(
            [program, "run", "--config", config],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={key: value for key, value in os.environ.items() if not key.startswith("OSTIARY_")},
            start_new_session=True,  # Ctrl-C is the demo's; the daemon is asked to stop below
        )
    try:
        yield Daemon(process, log)
    finally:
        stopped = _stop(process)
    if not stopped:
        raise DemoError(
            f"The daemon did not stop within {STOP_WITHIN_S:g} s of SIGTERM; see {log}."
        )


def _stop(process: subprocess.Popen[bytes]) -> bool:
    """End the process. False when it had to be killed."""
    if process.poll() is not None:
        return True
    process.terminate()
    try:
        process.wait(STOP_WITHIN_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return False
    return True


def last_lines(path: Path, count: int) -> list[str]:
    """The end of a text file, for an error message."""
    return path.read_text(encoding="utf-8", errors="replace").splitlines()[-count:]
