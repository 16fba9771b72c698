"""The daemon as systemd runs it, for as long as it is being set up."""

import re
import subprocess
from pathlib import Path

UNIT = "ostiary.service"
BOOTED = Path("/run/systemd/system")
GPIO_SHIPPED = Path("/usr/share/doc/ostiary/gpio.conf")
GPIO = Path("/etc/systemd/system/ostiary.service.d/gpio.conf")


class Service:
    """`managed`: stop and start it. Where systemd does not run nothing happens."""

    def __init__(self, *, managed: bool = True) -> None:
        self.managed = managed and BOOTED.is_dir()

    def stop(self) -> None:
        """So that its cameras and lines can be looked at."""
        self._systemctl("stop", UNIT)

    def start(self) -> bool:
        """Whether it is ready; it is, once it watches."""
        self._systemctl("daemon-reload")
        return self._systemctl("restart", UNIT)

    def restart(self, unit: str) -> bool:
        """Whether it runs; nobody says otherwise where systemd does not."""
        return self._systemctl("restart", unit) or not self.managed

    def permit_lines(self) -> None:
        """The drop-in that lets the door use GPIO lines."""
        if self.managed and GPIO_SHIPPED.exists():
            GPIO.parent.mkdir(parents=True, exist_ok=True)
            GPIO.write_bytes(GPIO_SHIPPED.read_bytes())

    def set_up_code(self) -> str | None:
        """The code with which the console's first account is made; None: it has one, or the
        journal does not say."""
        if not self.managed:
            return None
        told = subprocess.run(
            ["journalctl", f"--unit={UNIT}", "--since=-5min", "--output=cat", "--no-pager"],
            capture_output=True,
            text=True,
            check=False,
        ).stdout
        codes = re.findall(r"console_set_up_needed.*?\bcode=(\S+)", told)
        return codes[-1] if codes else None

    def _systemctl(self, *arguments: str) -> bool:
        if not self.managed:
            return False
        done = subprocess.run(["systemctl", *arguments], capture_output=True, check=False)
        return done.returncode == 0
