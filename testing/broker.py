"""A real mosquitto on a free loopback port, which can be killed and started again."""

import shutil
import subprocess
from pathlib import Path
from typing import Self

from testing.ports import free_port, listens
from testing.waiting import wait_until


def find_mosquitto() -> str | None:
    """The program, None where it is not installed (Debian: `apt-get install mosquitto`)."""
    return shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")


class Mosquitto:
    """`config` is added to a configuration that listens on `port` and keeps its files in
    `folder`; with `listener=False` it has to bring its own listener (on `port`)."""

    def __init__(
        self,
        folder: Path,
        config: str = "allow_anonymous true",
        *,
        port: int | None = None,
        listener: bool = True,
        persistent: bool = True,
    ) -> None:
        self.port = free_port() if port is None else port
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        lines = [
            "user root",  # only used by root, to read the test's own files
            *([f"listener {self.port} 127.0.0.1"] if listener else []),
            "log_dest stderr",
            "log_type all",
            "max_queued_messages 0",
            config,
        ]
        if persistent:
            lines += [
                "persistence true",
                f"persistence_location {folder}/",
                "autosave_interval 1",
                "autosave_on_changes true",
            ]
        self._config = folder / "mosquitto.conf"
        self._config.write_text("\n".join(lines) + "\n", encoding="utf-8")

    @property
    def log(self) -> str:
        return (self._folder / "mosquitto.log").read_text(encoding="utf-8", errors="replace")

    def start(self) -> Self:
        program = find_mosquitto()
        assert program is not None, "mosquitto is not installed"
        with (self._folder / "mosquitto.log").open("ab") as log:
            self._process = subprocess.Popen(
                [program, "-c", str(self._config)], stdout=log, stderr=log
            )
        wait_until(self._listens, "mosquitto to listen")
        return self

    def _listens(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise RuntimeError(f"mosquitto ended: {self.log[-2000:]}")
        return listens(self.port)

    def stop(self) -> None:
        """An orderly end."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(60)
            self._process = None

    def kill(self) -> None:
        """kill -9."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(60)
            self._process = None

    def pause(self) -> None:
        """Still there, but answers nothing, as behind a broken network."""
        assert self._process is not None
        self._process.send_signal(19)  # SIGSTOP

    def resume(self) -> None:
        assert self._process is not None
        self._process.send_signal(18)  # SIGCONT

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.kill()
