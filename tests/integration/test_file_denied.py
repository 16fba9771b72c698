"""Whoever forgets `sudo`, or names a file that the door's user may not use: what they are told."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

import pytest

from ostiary.service.owner import file_denied
from ostiary.store.database import Database

NOBODY = 65534
COMMANDS = (
    *("run", "doctor", "config", "events", "users list", "rules list", "reload", "door-key"),
    *("backup {folder}/copy.db", "restore {folder}/copy.db", "store status", "verify-log"),
    *("reset-console", "release", "import {folder}/first.db"),
)


@pytest.fixture
def folder() -> Iterator[Path]:
    """Where everybody gets, unlike pytest's own."""
    made = Path(mkdtemp(prefix="ostiary-denied-", dir="/var/tmp"))
    made.chmod(0o755)
    yield made
    rmtree(made)


def nobody(command: str, config: Path) -> subprocess.CompletedProcess[str]:
    drop = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    arguments = [*command.split(), "--config", str(config)]
    return subprocess.run(
        [*drop, sys.executable, "-m", "ostiary.cli.main", *arguments],
        cwd="/",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
@pytest.mark.parametrize("private", ["settings", "data"])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_forgotten_sudo_is_one_line_that_says_what_to_type(
    folder: Path, private: str, command: str
) -> None:
    settings, data = folder / "settings", folder / "data"
    for each in (settings, data):
        each.mkdir(mode=0o755)
    config = settings / "ostiary.toml"
    config.write_text(f'[store]\npath = "{data}/ostiary.db"\n', encoding="utf-8")
    with Database.open(data / "ostiary.db"):
        pass
    (folder / private).chmod(0o700)
    asks_a_door = command.split()[0] in ("events", "users", "rules", "reload", "config", "release")
    if private == "data" and (asks_a_door or command in ("doctor", "run")):
        return  # these need no file of the door's, or say more
    told = nobody(command.format(folder=folder), config)
    assert told.returncode == 77, told.stderr
    (line,) = told.stderr.splitlines()
    assert line.startswith("ostiary: file_denied: ")
    assert f"sudo main.py {command.format(folder=folder)} --config {config}" in line


def test_the_doors_own_user_is_told_of_a_place_where_it_may_write() -> None:
    """As which `sudo ostiary backup /root/x.db` runs."""
    error = PermissionError(13, "Permission denied", "/root/x.db")
    told = file_denied(error, ["/opt/ostiary/bin/ostiary", "backup", "/root/x.db"], "ostiary")
    assert "/root/x.db" in told.message
    assert "/var/tmp" in told.message
    assert "sudo" not in told.message


def test_what_is_typed_again_is_quoted_for_the_shell() -> None:
    error = PermissionError(13, "Permission denied", "/etc/ostiary/ostiary.toml")
    told = file_denied(error, ["/usr/bin/ostiary", "users", "delete", "Ada L"], "ada")
    assert told.message.endswith("Type: sudo ostiary users delete 'Ada L'")


@pytest.mark.parametrize("user", ["root", "ostiary", "ada"])
def test_a_file_that_is_not_there_is_not_asked_for_again_with_sudo(user: str) -> None:
    error = FileNotFoundError(2, "No such file or directory", "words.txt")
    told = file_denied(error, ["ostiary", "restore", "x.db"], user)
    assert told.message == "words.txt: No such file or directory."
