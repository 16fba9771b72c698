"""Stops and starts the daemon by systemd while it is set up."""

import grp
import re
import shutil
import subprocess
from pathlib import Path

from ostiary.errors import ConfigError

UNIT = "ostiary.service"
BOOTED = Path("/run/systemd/system")
GPIO_SHIPPED = Path("/usr/share/doc/ostiary/gpio.conf")
GPIO = Path("/etc/systemd/system/ostiary.service.d/gpio.conf")
GPIO_GROUP = "gpio"
"""The group that `gpio.conf` names: systemd starts no unit whose group is missing."""
GPIO_RULE = Path("/etc/udev/rules.d/60-ostiary-gpio.rules")


class Service:
    """The daemon's unit. It does nothing unless `managed`, and where systemd does not run."""

    def __init__(self, *, managed: bool = True) -> None:
        self.managed = managed and BOOTED.is_dir()

    def stop(self) -> None:
        """Stop it, so that its cameras and lines are free."""
        self._systemctl("stop", UNIT)

    def start(self) -> bool:
        """Start it anew; whether it is ready."""
        self._systemctl("daemon-reload")
        return self._systemctl("restart", UNIT)

    def restart(self, unit: str) -> bool:
        """Restart a unit; whether it runs, or nothing is managed."""
        return self._systemctl("restart", unit) or not self.managed

    def permit_lines(self) -> None:
        """Let the door use GPIO lines, by a drop-in and the lines' group, which is made if need be.
        Raises ConfigError, OSError."""
        if not (self.managed and GPIO_SHIPPED.exists()):
            return
        try:
            grp.getgrnam(GPIO_GROUP)
        except KeyError:
            _make_group()
        GPIO.parent.mkdir(parents=True, exist_ok=True)
        GPIO.write_bytes(GPIO_SHIPPED.read_bytes())

    def set_up_code(self) -> str | None:
        """The code for the console's first account; None: it has an account, or the journal does
        not say."""
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


def _make_group() -> None:
    """Make the chips' group, as Raspberry Pi OS has it, and udev's rule that gives them to it."""
    try:
        subprocess.run(["groupadd", "--system", GPIO_GROUP], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise ConfigError(
            f"There is no group {GPIO_GROUP} for the lock's line, and none could be made: "
            f"`groupadd --system {GPIO_GROUP}` as root."
        ) from error
    rule = f'SUBSYSTEM=="gpio", KERNEL=="gpiochip*", GROUP="{GPIO_GROUP}", MODE="0660"\n'
    GPIO_RULE.parent.mkdir(parents=True, exist_ok=True)
    GPIO_RULE.write_text(rule, encoding="ascii")
    if shutil.which("udevadm") is None:  # a container, to which chips are given from outside
        return
    for arguments in (("control", "--reload"), ("trigger", "--subsystem-match=gpio", "--settle")):
        subprocess.run(["udevadm", *arguments], check=False, capture_output=True)
