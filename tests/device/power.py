"""A machine of which nothing is emulated but the hardware, and whose plug is pulled: Linux as a
process (user-mode Linux), with Debian's systemd and our package, as quick as this machine.

Killed, its kernel's memory is gone, with all that was not yet written to the disk. What it has
written stays: the disk is one without a volatile cache (user-mode Linux 6.1 sends no flush to its
disk, so that one with such a cache cannot be had).
"""

import os
import subprocess
import time
from pathlib import Path
from typing import Self

HOST = "10.0.2.2"
"""This machine's loopback, as the machine sees it."""


def why_no_power() -> str | None:
    """Why user-mode Linux runs no program here; None where it does. 6.1 keeps a process's registers
    in a place of one size, and a processor with AMX has more of them."""
    tried = subprocess.run(
        ["linux.uml", "root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro", "init=/bin/true"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=120,
        check=False,
    )
    if b"ptrace set fp regs failed" in tried.stdout + tried.stderr:
        return "user-mode Linux cannot keep the registers of this processor"
    return None


class Mains:
    """One machine on `disk`, a file that is changed. Switched on and off as often as wanted."""

    def __init__(self, disk: Path, folder: Path) -> None:
        self._disk = disk
        self._folder = folder
        self._linux: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)

    def on(self) -> float:
        """Give it power; when that was, monotonic seconds."""
        self._console = self._folder / "console.log"
        began = time.monotonic()
        with self._console.open("wb") as console:
            self._linux = subprocess.Popen(
                [
                    *("setpriv", "--pdeathsig=KILL", "--", "unshare", "--pid", "--fork"),
                    *("--kill-child", "--mount-proc", "linux.uml"),
                    *(f"ubd0={self._disk}", "root=/dev/ubda", "rw", "mem=1500M", "quiet"),
                    *("selinux=0", "con=null", "con0=null,fd:1"),
                    "eth0=slirp,,/usr/bin/slirp-fullbolt",
                ],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                start_new_session=True,
            )
        return began

    def off(self) -> None:
        """Pull the plug."""
        if self._linux is not None:
            os.killpg(self._linux.pid, 9)
            self._linux.wait(20)
        self._linux = None

    @property
    def console(self) -> str:
        """What it has said since it was switched on."""
        return self._console.read_text(encoding="utf-8", errors="replace")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.off()


def write_into(disk: Path, files: dict[str, tuple[bytes, int]], scratch: Path) -> None:
    """Put files (content and mode, by their absolute path) onto an unmounted ext4. They are
    root's."""
    commands: list[str] = []
    made: set[str] = set()
    for number, (path, (content, mode)) in enumerate(files.items()):
        source = scratch / f"file-{number}"
        source.write_bytes(content)
        for parent in reversed(Path(path).parents[:-1]):
            if str(parent) not in made:
                commands.append(f"mkdir {parent}")
                made.add(str(parent))
        commands += [f"rm {path}", f"write {source} {path}"]
        commands.append(f"set_inode_field {path} mode 0{0o100000 | mode:o}")
    script = scratch / "debugfs"
    script.write_text("\n".join(commands) + "\n", encoding="ascii")
    subprocess.run(["debugfs", "-w", "-f", script, disk], capture_output=True, check=True)
