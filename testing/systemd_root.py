"""A real systemd as PID 1 of a small Debian of its own, to test the package as it will run.

The Debian is made once by debootstrap and kept under build/. Each boot sees it through an overlay,
so that nothing a test does to it stays. The network is this machine's, its loopback, its broker, or
the machine's own.
"""

import ctypes
import fcntl
import os
import platform
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Self

import pytest

RELEASES = {"12": "bookworm", "13": "trixie"}
PACKAGES = "systemd,systemd-sysv,dbus,python3"
CONTROLLERS = ("cpu", "memory", "pids", "devices", "freezer")
ENVIRONMENT = ("PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8")
WITH_US = ("setpriv", "--pdeathsig=KILL", "--")
"""A machine does not outlive a test run that is killed."""
BOOT_WITHIN_S = 120.0
CLONE_NEWNET = 0x40000000
"""Of <sched.h>; Python has `os.setns` from 3.12 on."""
CGROUP_V1 = ("systemd.unified_cgroup_hierarchy=0", "SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1")
LEFT_OUT = tuple(
    f"systemd.mask={name}.service"
    for name in (
        "console-getty",
        "getty@tty1",
        "systemd-binfmt",
        "systemd-modules-load",
        "systemd-remount-fs",
        "systemd-sysctl",
        "systemd-tmpfiles-setup-dev",
    )
)
"""Services that would reach for this machine's kernel, devices and consoles."""

BOOT = r"""
set -eu
mount -t overlay overlay -o "lowerdir=$BASE,upperdir=$WORK/upper,workdir=$WORK/work" "$WORK/root"
cd "$WORK/root"
mount -t proc proc proc
mount -t tmpfs tmpfs run
mount -t tmpfs tmpfs tmp
mount --rbind /dev dev
mount -t sysfs sysfs sys -o ro
mount -t tmpfs tmpfs sys/fs/cgroup
mkdir sys/fs/cgroup/systemd
mount -t cgroup -o none,name=systemd cgroup sys/fs/cgroup/systemd
for controller in $CONTROLLERS; do
    mkdir "sys/fs/cgroup/$controller"
    mount -t cgroup -o "$controller" cgroup "sys/fs/cgroup/$controller"
done
mount --bind "$SHARED" mnt
mkdir .host
pivot_root . .host  # in a mere chroot the kernel refuses user namespaces
umount --lazy .host
mount --make-rshared /  # as on a real machine; credentials need it
exec env -i container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    /lib/systemd/systemd --log-target=journal $KERNEL_COMMAND_LINE
"""


def why_not() -> str | None:
    """Why no systemd can be booted here; None where it can."""
    if os.geteuid() != 0:
        return "booting a systemd needs root"
    if shutil.which("debootstrap") is None:
        return "debootstrap is not installed"
    controllers = Path("/proc/cgroups").read_text(encoding="ascii").split()
    if not Path("/sys/fs/cgroup/systemd").is_dir() or "devices" not in controllers:
        return "booting a systemd needs the controllers of cgroup v1"
    return None


def debian(cache: Path, number: str) -> Path:
    """The folder of Debian `number` under `cache`, made where it is not there yet (a minute)."""
    release = RELEASES[number]

    def make(making: Path, log: IO[bytes]) -> None:
        options = ["--variant=minbase", f"--include={PACKAGES}"]
        _logged(log, "debootstrap", *options, release, str(making))
        for archive in (making / "var/cache/apt/archives").glob("*.deb"):
            archive.unlink()

    return _made(cache / f"{release}-{platform.machine()}", make)


def with_mirror(base: Path, *packages: str) -> Path:
    """The same Debian with `sudo`, whose apt has `packages` at hand: as with a mirror, and needing
    no network while a test runs."""

    def make(making: Path, log: IO[bytes]) -> None:
        _logged(log, "cp", "--archive", str(base), str(making))
        for command in (
            ("update",),
            ("install", "--yes", "--no-install-recommends", "sudo"),
            ("install", "--yes", "--download-only", *packages),
        ):
            _logged(log, "chroot", str(making), "apt-get", *command)

    return _made(base.with_name("-".join([base.name, "mirror", *packages])), make)


def _made(base: Path, make: Callable[[Path, IO[bytes]], None]) -> Path:
    """`base`; where it is not there, `make` makes it whole, or not at all."""
    base.parent.mkdir(parents=True, exist_ok=True)
    with base.with_name("lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not base.is_dir():
            making = base.with_suffix(".making")
            shutil.rmtree(making, ignore_errors=True)
            with base.with_suffix(".log").open("wb") as log:
                make(making, log)
            making.rename(base)
    return base


def _logged(log: IO[bytes], *command: str) -> None:
    subprocess.run(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=True)


class Machine:
    """Booted between `__enter__` and `__exit__`; `shared` is its folder /mnt. With `own_network`
    nothing of this machine's network is in it: see `network`."""

    def __init__(self, base: Path, work: Path, shared: Path, *, own_network: bool = False) -> None:
        self._environment = os.environ | {
            "BASE": str(base),
            "WORK": str(work),
            "SHARED": str(shared),
            "CONTROLLERS": " ".join(CONTROLLERS),
            "KERNEL_COMMAND_LINE": " ".join([*CGROUP_V1, *LEFT_OUT]),
        }
        self._work = work
        self._namespaces = ["--mount", "--pid", "--uts", "--ipc", "--cgroup"]
        self._namespaces += ["--net"] if own_network else []
        self._boot: subprocess.Popen[bytes] | None = None
        self._init = 0

    def __enter__(self) -> Self:
        for name in ("upper", "work", "root"):
            (self._work / name).mkdir(parents=True)
        namespaces = [*self._namespaces, "--propagation=private"]
        with (self._work / "console.log").open("wb") as console:
            self._boot = subprocess.Popen(
                [*WITH_US, "unshare", *namespaces, "--fork", "--kill-child", "bash", "-c", BOOT],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                env=self._environment,
            )
        until(lambda: bool(self._find_init()), BOOT_WITHIN_S, "systemd has no process")
        until(self._is_up, BOOT_WITHIN_S, "systemd does not get up")
        return self

    def __exit__(self, *_: object) -> None:
        assert self._boot is not None
        self._boot.kill()
        self._boot.wait(20)

    def run(self, *command: str, check: bool = True) -> str:
        """Run a command in the machine; what it printed. AssertionError where it fails."""
        done = subprocess.run(
            self.command(*command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
        )
        if check:
            assert done.returncode == 0, f"{' '.join(command)}: {done.stdout}"
        return done.stdout

    def show(self, unit: str, what: str) -> str:
        """A property of a unit, as `systemctl show` has it."""
        return self.run("systemctl", "show", "--value", f"--property={what}", unit).strip()

    def host_pid(self, pid: str) -> int:
        """This machine's number of a process that is `pid` in there."""
        for status in Path("/proc").glob("[0-9]*/status"):
            try:
                lines = status.read_text(encoding="utf-8").splitlines()
            except OSError:
                continue  # it ended meanwhile
            numbers = next(line for line in lines if line.startswith("NSpid:")).split()[1:]
            if len(numbers) > 1 and numbers[-1] == pid and self._shares_namespace(int(numbers[0])):
                return int(numbers[0])
        raise AssertionError(f"no process {pid}")

    def journal(self, unit: str) -> str:
        return self.run("journalctl", "--unit", unit, "--no-pager", "--output=cat")

    @contextmanager
    def network(self) -> Iterator[None]:
        """The sockets that this thread, and threads that it starts, make meanwhile are in the
        machine's network. Raises OSError."""
        here, there = (
            os.open(f"/proc/{whose}/ns/net", os.O_RDONLY) for whose in ("thread-self", self._init)
        )
        try:
            _enter_network(there)
            yield
        finally:
            _enter_network(here)
            os.close(here)
            os.close(there)

    def command(self, *command: str) -> list[str]:
        """What runs a command in there, from here."""
        return ["nsenter", *self._nsenter(), "--", "env", "-i", *ENVIRONMENT, *command]

    def _nsenter(self) -> list[str]:
        return [f"--target={self._init}", *self._namespaces]

    def _shares_namespace(self, host_pid: int) -> bool:
        theirs, ours = (Path(f"/proc/{pid}/ns/pid") for pid in (host_pid, self._init))
        return theirs.readlink() == ours.readlink()

    def _find_init(self) -> int:
        assert self._boot is not None
        assert self._boot.poll() is None, (self._work / "console.log").read_text()
        pid = self._boot.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
        if children and "systemd" in Path(f"/proc/{children[0]}/comm").read_text():
            self._init = int(children[0])
        return self._init

    def _is_up(self) -> bool:
        state = self.run("systemctl", "is-system-running", check=False).strip()
        return state in ("running", "degraded")


def _enter_network(descriptor: int) -> None:
    if ctypes.CDLL(None, use_errno=True).setns(descriptor, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


def until(holds: Callable[[], bool], within_s: float, otherwise: str) -> float:
    """Wait until it holds; how long that took. AssertionError `otherwise`."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < within_s, f"{otherwise} within {within_s:g} s"
        time.sleep(0.05)
    return time.monotonic() - began


MARKS = [
    pytest.mark.timeout(900),  # the first test makes the Debian
    pytest.mark.skipif(why_not() is not None, reason=why_not() or "it can"),
]
"""Of every file that boots a machine."""
