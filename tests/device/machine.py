"""A machine under QEMU that can be asked, rebooted, moved to another mainboard, and unplugged."""

import os
import shutil
import socket
import subprocess
import time
from functools import cache
from pathlib import Path
from typing import Self

from testing.ports import free_port
from tests.device.image import Image

FIRMWARE = Path("/usr/share/OVMF/OVMF_CODE_4M.fd")
VARIABLES = Path("/usr/share/OVMF/OVMF_VARS_4M.fd")
MEMORY_MB = 2048
UP_WITHIN_S = 900.0
HOST = "10.0.2.2"
"""This machine's loopback, as the machine sees it."""


class Machine:
    """One machine: a folder with its disk, its TPM and its firmware's variables.

    Started again with the same folder it is the same machine; with a new TPM it is another one
    that has got this one's disk.
    """

    def __init__(self, image: Image, folder: Path, *, disk: str | None = None) -> None:
        """`disk` is QEMU's drive for the root disk; else one in the folder, over the image's."""
        self._image = image
        self.folder = self._folder = folder
        self._processes: list[subprocess.Popen[bytes]] = []
        self._port = free_port()
        folder.mkdir(parents=True, exist_ok=True)
        overlay = folder / "disk.qcow2"
        self._disk = disk or f"file={overlay},format=qcow2"
        if disk is None and not overlay.exists():
            base = ["-b", str(image.disk), "-F", "raw"]
            _run("qemu-img", "create", "-q", "-f", "qcow2", *base, str(overlay))
        if not (folder / "variables").exists():
            shutil.copy(VARIABLES, folder / "variables")

    def start(self) -> float:
        """Switch on; seconds until it lets somebody in. Switched off before."""
        began = time.monotonic()
        (self._folder / "tpm").mkdir(exist_ok=True)
        control = self._folder / "tpm.socket"
        control.unlink(missing_ok=True)
        state = ["--tpmstate", f"dir={self._folder}/tpm", "--ctrl", f"type=unixio,path={control}"]
        self._spawn("swtpm", "socket", "--tpm2", *state, "--terminate")
        while not control.exists():
            assert self._processes[-1].poll() is None, self.output()
            time.sleep(0.02)
        self._spawn("qemu-system-x86_64", *self._options(control))
        while not self._answers():
            assert self._processes[-1].poll() is None, self.output()
            assert time.monotonic() - began < UP_WITHIN_S, self.output()
            time.sleep(0.3)
        return time.monotonic() - began

    def pull_the_plug(self) -> None:
        """It is off at once."""
        for process in reversed(self._processes):
            process.kill()
        for process in self._processes:
            process.wait(20)
        self._processes.clear()
        self._close_way_in()

    def power_off(self) -> None:
        """Switch off in order."""
        self.run("systemctl --no-block poweroff")
        for process in reversed(self._processes):
            process.wait(180)
        self._processes.clear()
        self._close_way_in()

    def new_tpm(self) -> None:
        """From the next start on its disk is in another machine."""
        assert not self._processes
        shutil.rmtree(self._folder / "tpm")

    def __enter__(self) -> Self:
        """It is switched off at the end; on, by `start`."""
        return self

    def __exit__(self, *_: object) -> None:
        self.pull_the_plug()

    def run(self, script: str, *, check: bool = True, timeout_s: float = 300) -> str:
        """Run a shell script as root; what it printed. AssertionError where it fails."""
        done = subprocess.run(
            [*self._ssh(), script],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=timeout_s,
            check=False,
        )
        if check:
            assert done.returncode == 0, f"{script}\nended with {done.returncode}: {done.stdout}"
        return done.stdout

    def put(self, content: bytes | str, path: str) -> None:
        """Write a file of the machine."""
        data = content.encode() if isinstance(content, str) else content
        subprocess.run([*self._ssh(), f"cat >{path}"], input=data, check=True, timeout=300)

    def output(self) -> str:
        """The end of what console and QEMU said."""
        texts = [
            (self._folder / name).read_text(encoding="utf-8", errors="replace")[-3000:]
            for name in ("console.log", "machine.log")
            if (self._folder / name).exists()
        ]
        return "\n".join(texts)

    def _options(self, tpm: Path) -> list[str]:
        firmware = f"if=pflash,format=raw,unit=0,readonly=on,file={FIRMWARE}"
        variables = f"if=pflash,format=raw,unit=1,file={self._folder}/variables"
        way_in = f"hostfwd=tcp:127.0.0.1:{self._port}-:22"
        append = "root=/dev/vda rw console=ttyS0 panic=-1 quiet"
        return [
            *("-machine", "q35", "-m", str(MEMORY_MB), "-nodefaults", "-display", "none"),
            *processor(self._image),
            *("-no-reboot", "-serial", f"file:{self._folder}/console.log"),
            *("-drive", firmware, "-drive", variables),
            *("-kernel", str(self._image.kernel), "-initrd", str(self._image.initrd)),
            *("-append", append if accelerated(self._image) else f"{append} mitigations=off"),
            *("-drive", f"if=virtio,{self._disk}"),
            *("-chardev", f"socket,id=tpm,path={tpm}", "-tpmdev", "emulator,id=tpm,chardev=tpm"),
            *("-device", "tpm-crb,tpmdev=tpm", "-device", "virtio-rng-pci"),
            *("-netdev", f"user,id=net,{way_in}", "-device", "virtio-net-pci,netdev=net,romfile="),
        ]

    def _spawn(self, *command: str) -> None:
        with (self._folder / "machine.log").open("ab") as log:
            # It does not outlive a test run that is killed.
            with_us = ["setpriv", "--pdeathsig=KILL", "--"]
            self._processes.append(
                subprocess.Popen(
                    [*with_us, *command], stdin=subprocess.DEVNULL, stdout=log, stderr=log
                )
            )

    def _ssh(self) -> list[str]:
        options = {
            "StrictHostKeyChecking": "no",
            "UserKnownHostsFile": "/dev/null",
            "ConnectTimeout": "10",
            "ControlMaster": "auto",
            "ControlPath": self._way_in,
            "ControlPersist": "yes",
        }
        named = [part for key, value in options.items() for part in ("-o", f"{key}={value}")]
        key = ["-i", str(self._image.key), "-p", str(self._port)]
        return ["ssh", "-q", *key, *named, "root@127.0.0.1"]

    @property
    def _way_in(self) -> str:
        return f"/tmp/ostiary-{os.getpid()}-{self._port}"

    def _close_way_in(self) -> None:
        subprocess.run([*self._ssh(), "-O", "exit"], capture_output=True, check=False)

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self._port), 1) as tried:
                tried.settimeout(10)
                if not tried.recv(1):
                    return False
        except OSError:
            return False
        return (
            subprocess.run([*self._ssh(), "true"], capture_output=True, check=False).returncode == 0
        )


def processor(image: Image) -> list[str]:
    """QEMU's options. Emulated, a second processor now and then panics the kernel: it patches its
    own code, which QEMU's threads see too late."""
    if accelerated(image):
        return ["-accel", "kvm", "-cpu", "host", "-smp", "2"]
    return ["-accel", "tcg", "-cpu", "Nehalem", "-smp", "1"]


@cache
def accelerated(image: Image) -> bool:
    """Whether /dev/kvm really runs a kernel: one that opens may not, in a nested machine. It is
    asked for a kernel that soon panics for want of a disk."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return False
    command = ["qemu-system-x86_64", "-machine", "q35,accel=kvm", "-cpu", "host", "-m", "512"]
    quiet = ["-nodefaults", "-display", "none", "-no-reboot", "-serial", "stdio"]
    kernel = ["-kernel", str(image.kernel), "-append", "console=ttyS0 panic=-1"]
    try:
        said = subprocess.run(
            [*command, *quiet, *kernel],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=15,
            check=False,
        ).stdout
    except subprocess.TimeoutExpired:
        return False
    return b"Unable to mount root fs" in said


def _run(*command: str) -> None:
    subprocess.run(command, check=True)
