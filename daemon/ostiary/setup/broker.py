"""A broker on this machine for this door alone: mosquitto with a password and an ACL."""

import os
import secrets
import shutil
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ostiary.errors import ConfigError
from ostiary.setup.console import write_for_the_door

SHIPPED = Path("/usr/share/ostiary/mosquitto")
USERS = ("home-assistant", "operator")
"""Others that may connect, each with a password of its own."""


@dataclass(frozen=True, slots=True)
class LocalBroker:
    """Where it is set up: mosquitto's folder, and the file with the door's password."""

    folder: Path = Path("/etc/mosquitto")
    password_file: Path = Path("/etc/ostiary/mqtt-password")
    shipped: Path = SHIPPED

    @property
    def is_installed(self) -> bool:
        return _program("mosquitto") is not None and self.shipped.is_dir()

    def set_up(self, device: str, port: int = 1883) -> dict[str, str]:
        """Write its configuration, ACL and passwords, and the door's own password. Those that are
        there are kept. Passwords that are new, by user.

        Raises ConfigError where mosquitto is not installed, OSError."""
        program = _program("mosquitto_passwd")
        if program is None or not self.is_installed:
            raise ConfigError("mosquitto is not installed: `sudo apt install mosquitto`.")
        passwords = self.folder / "ostiary.passwd"
        new = {}
        if not (_knows(passwords, device) and self.password_file.exists()):
            new = {user: secrets.token_urlsafe(18) for user in (device, *USERS)}
            _write_closed(passwords, "".join(f"{user}:{word}\n" for user, word in new.items()))
            subprocess.run([program, "-U", str(passwords)], check=True, capture_output=True)
            _give_to_mosquitto(passwords)
            write_for_the_door(self.password_file, new.pop(device).encode())
        acl = (self.shipped / "ostiary.acl").read_text(encoding="utf-8")
        for of_any, own in (
            ("user door\n", f"user {device}\n"),
            ("ostiary/door/", f"ostiary/{device}/"),
            ("ostiary_door/", f"ostiary_{device}/"),
        ):
            acl = acl.replace(of_any, own)
        _write_closed(self.folder / "ostiary.acl", acl)
        _give_to_mosquitto(self.folder / "ostiary.acl")
        conf = (self.shipped / "local.conf").read_text(encoding="utf-8")
        conf = conf.replace("/etc/mosquitto", str(self.folder)).replace("1883", str(port))
        (self.folder / "conf.d").mkdir(exist_ok=True)
        (self.folder / "conf.d/ostiary.conf").write_text(conf, encoding="utf-8")
        return new


def _knows(passwords: Path, user: str) -> bool:
    if not passwords.exists():
        return False
    lines = passwords.read_text(encoding="utf-8").splitlines()
    return any(line.startswith(f"{user}:") for line in lines)


def _program(name: str) -> str | None:
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/bin")


def _write_closed(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)


def _give_to_mosquitto(path: Path) -> None:
    """It reads its files as the user mosquitto."""
    with suppress(LookupError, PermissionError):  # it is not installed by its package
        shutil.chown(path, "mosquitto", "mosquitto")
