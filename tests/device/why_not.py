"""Why no machine can be had here."""

import os
import platform
import shutil

import pytest

PROGRAMS = {
    "qemu-system-x86_64": "qemu-system-x86",
    "qemu-img": "qemu-utils",
    "swtpm": "swtpm",
    "mmdebstrap": "mmdebstrap",
    "mke2fs": "e2fsprogs",
    "linux.uml": "user-mode-linux",
    "slirp-fullbolt": "slirp",
    "ssh": "openssh-client",
}
"""Each program, and Debian's package of it."""


def why_not() -> str | None:
    """None where everything is there. A machine's program that is missing is no reason to skip:
    `make debian` installs it, and the test fails, naming it."""
    if os.geteuid() != 0:
        return "a machine's disk can be built by root only"
    if platform.machine() != "x86_64":
        return "the machine is an amd64 one"
    return None


def missing() -> list[str]:
    return [package for program, package in PROGRAMS.items() if shutil.which(program) is None]


MARKS = [
    pytest.mark.machine,
    pytest.mark.timeout(3600),  # the first test builds the disk
    pytest.mark.skipif(why_not() is not None, reason=why_not() or "it can"),
]
"""Of every file that starts a machine."""

WHOLE = "OSTIARY_DEVICE_WHOLE" in os.environ
LONG = [
    pytest.mark.timeout(7200),
    *MARKS,
    pytest.mark.skipif(
        not WHOLE, reason="takes long where the processor is emulated: `make device` runs it"
    ),
]
"""Of those in which the door decides inside QEMU's machine."""
