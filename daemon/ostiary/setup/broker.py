"""A broker on this machine for this door alone: mosquitto with a password and an ACL."""

import os
import re
import secrets
import shutil
import subprocess
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ostiary.errors import ConfigError
from ostiary.setup.console import write_for_the_door

SHIPPED = Path("/usr/share/ostiary/mosquitto")
USERS = ("home-assistant", "operator")
"""Further users of the broker, each with a password of its own."""
_OWN = re.compile(
    r"^\s*(listener|port|bind_address|password_file|acl_file|per_listener_settings|"
    r"allow_anonymous|(auth_)?plugin)\b",
    re.MULTILINE,
)
"""Settings by which a broker is known to be set up for others."""


@dataclass(frozen=True, slots=True)
class LocalBroker:
    """mosquitto on this machine: its folder, and the file with the door's password."""

    folder: Path = Path("/etc/mosquitto")
    password_file: Path = Path("/etc/ostiary/mqtt-password-local")
    shipped: Path = SHIPPED

    @property
    def is_installed(self) -> bool:
        return _program("mosquitto") is not None and self.shipped.is_dir()

    @property
    def _conf(self) -> Path:
        return self.folder / "conf.d/ostiary.conf"

    def of_others(self) -> Path | None:
        """The file that configures this broker for others, who would be locked out; None: none."""
        files = (self.folder / "mosquitto.conf", *sorted(self.folder.glob("conf.d/*.conf")))
        for file in files:
            is_of_others = file != self._conf and file.exists()
            if is_of_others and _OWN.search(file.read_text(encoding="utf-8", errors="replace")):
                return file
        return None

    def set_up(
        self,
        device: str,
        restart: Callable[[], bool],
        port: int = 1883,
        former: str | None = None,
    ) -> dict[str, str]:
        """Write configuration, ACL and passwords; new passwords by user. Passwords that are there
        are kept. `restart` says whether the broker runs with them; if not, they are taken back.
        `former` is the door's id until now, whose topics it may clear.

        Raises ConfigError where mosquitto is not installed, is configured for others, has another
        user of this name, or does not start; OSError."""
        program = _program("mosquitto_passwd")
        if program is None or not self.is_installed:
            raise ConfigError("mosquitto is not installed: `sudo apt install mosquitto`.")
        if (file := self.of_others()) is not None:
            raise ConfigError(
                f"mosquitto has a configuration of its own here, {file}: let the door in there, "
                "with a user and an ACL, and answer 127.0.0.1:PORT instead of local."
            )
        acl = (self.shipped / "ostiary.acl").read_text(encoding="utf-8")
        if device != "door" and f"user {device}\n" in acl:
            raise ConfigError(f"{device} is another user of this broker: give the door another id.")
        passwords = self.folder / "ostiary.passwd"
        new = {}
        if not (_knows(passwords, device) and self.password_file.exists()):
            new = {user: secrets.token_urlsafe(18) for user in (device, *USERS)}
            _write_hashed(passwords, new, program)
            write_for_the_door(self.password_file, new.pop(device).encode())
        for of_any, own in (
            ("user door\n", f"user {device}\n"),
            ("ostiary/door/", f"ostiary/{device}/"),
            ("ostiary_door/", f"ostiary_{device}/"),
        ):
            acl = acl.replace(of_any, own)
        if former not in (None, device):
            taken_back = f"ostiary/{former}/#", f"homeassistant/+/ostiary_{former}/+/config"
            lines = "".join(f"topic write {each}\n" for each in taken_back)
            acl = acl.replace(f"user {device}\n", f"user {device}\n{lines}")
        _write_closed(self.folder / "ostiary.acl", acl)
        _give_to_mosquitto(self.folder / "ostiary.acl")
        conf = (self.shipped / "local.conf").read_text(encoding="utf-8")
        conf = conf.replace("/etc/mosquitto", str(self.folder)).replace("1883", str(port))
        self._conf.parent.mkdir(exist_ok=True)
        self._conf.write_text(conf, encoding="utf-8")
        if not restart():
            self._conf.unlink()
            if new:  # which nobody was shown
                passwords.unlink()
            restart()
            raise ConfigError(
                "mosquitto does not start for the door, and is as it was: `journalctl --unit "
                "mosquitto` says why. Answer none, or HOST:PORT of another broker."
            )
        return new


def _knows(passwords: Path, user: str) -> bool:
    if not passwords.exists():
        return False
    lines = passwords.read_text(encoding="utf-8").splitlines()
    return any(line.startswith(f"{user}:") for line in lines)


def _program(name: str) -> str | None:
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/bin")


def _write_hashed(path: Path, passwords: dict[str, str], program: str) -> None:
    """Write passwords as mosquitto reads them. They are in the clear only until its program hashed
    them. Raises ConfigError where that program fails, OSError."""
    new = path.with_name(f"{path.name}.new")
    try:
        _write_closed(new, "".join(f"{user}:{word}\n" for user, word in passwords.items()))
        subprocess.run([program, "-U", str(new)], check=True, capture_output=True)
        _give_to_mosquitto(new)
        new.replace(path)
    except subprocess.CalledProcessError as error:
        raise ConfigError(f"{program} failed: {error.stderr.decode(errors='replace')}") from error
    finally:
        new.unlink(missing_ok=True)


def _write_closed(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)


def _give_to_mosquitto(path: Path) -> None:
    """Give a file to the user mosquitto, as which the broker reads it."""
    with suppress(LookupError, PermissionError):  # it is not installed by its package
        shutil.chown(path, "mosquitto", "mosquitto")
