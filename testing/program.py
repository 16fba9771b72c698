"""A program as a process of its own, which can be killed and started again."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Self

OSTIARY = (sys.executable, "-m", "ostiary.cli.main")
END_WITHIN_S = 60.0


class Program:
    """Starts on entering, unless it is started before; killed on leaving. Its output is added to
    the file `log`."""

    def __init__(self, command: Sequence[str | Path], log: Path, **environment: str) -> None:
        self._command = command
        self._log = log
        self._environment = {**os.environ, **environment}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> Self:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, stdout=log, stderr=log, env=self._environment
            )
        return self

    def send(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def wait(self, timeout_s: float = END_WITHIN_S) -> int:
        """The exit status."""
        assert self._process is not None
        return self._process.wait(timeout_s)

    def stop(self) -> None:
        """An orderly end. Raises TimeoutExpired."""
        if self.is_running:
            self.send(signal.SIGTERM)
            self.wait()

    def kill(self) -> None:
        """kill -9."""
        if self.is_running:
            self.send(signal.SIGKILL)
            self.wait()

    def __enter__(self) -> Self:
        return self if self.is_running else self.start()

    def __exit__(self, *_: object) -> None:
        self.kill()
