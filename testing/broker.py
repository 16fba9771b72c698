"""A real mosquitto on a free loopback port, which can be killed and started again."""

import shutil
import signal
from pathlib import Path
from typing import Self

from testing.ports import free_port, listens
from testing.program import Program
from testing.waiting import wait_until


def find_mosquitto() -> str | None:
    """The program, None where it is not installed (Debian: `apt-get install mosquitto`)."""
    return shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")


class Mosquitto(Program):
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
        program, path = find_mosquitto(), folder / "mosquitto.conf"
        assert program is not None, "mosquitto is not installed"
        super().__init__((program, "-c", path), folder / "mosquitto.log")
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
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def start(self) -> Self:
        super().start()
        wait_until(self._listens, "mosquitto to listen")
        return self

    def _listens(self) -> bool:
        if not self.is_running:
            raise RuntimeError(f"mosquitto ended: {self.log[-2000:]}")
        return listens(self.port)

    def wait_for_listener(self, *topics: str) -> None:
        """Until somebody has subscribed to each of them, as it is written here."""
        wait_until(
            lambda: all(f"\t{topic} (QoS" in self.log for topic in topics),
            f"somebody to listen to {', '.join(topics)}",
        )

    def pause(self) -> None:
        """Still there, but answers nothing, as behind a broken network."""
        self.send(signal.SIGSTOP)

    def resume(self) -> None:
        self.send(signal.SIGCONT)
