"""Inside the machine: a keypad or card reader that is a keyboard, as a USB one, of `uinput`.

Run, it is the reader of this door until it is stopped, and types each line that comes to /run/card.
"""

import contextlib
import fcntl
import os
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from ostiary.hardware.input_device import EVENT

UI_DEV_CREATE, UI_DEV_DESTROY = 0x5501, 0x5502
UI_SET_EVBIT, UI_SET_KEYBIT, UI_DEV_SETUP = 0x40045564, 0x40045565, 0x405C5503
ENTER = 28
CARDS = Path("/run/card")


@contextlib.contextmanager
def keypad(name: str) -> Iterator[tuple[int, Path]]:
    """Where its keys are pressed, and its device."""
    subprocess.run(["modprobe", "uinput"], check=True)
    fd = os.open("/dev/uinput", os.O_WRONLY | os.O_NONBLOCK)
    fcntl.ioctl(fd, UI_SET_EVBIT, 1)
    for code in range(1, 120):
        fcntl.ioctl(fd, UI_SET_KEYBIT, code)
    fcntl.ioctl(fd, UI_DEV_SETUP, struct.pack("HHHH80sI", 3, 0x1234, 0x5678, 1, name.encode(), 0))
    fcntl.ioctl(fd, UI_DEV_CREATE)
    subprocess.run(["udevadm", "settle"], check=True)
    try:
        names = Path("/sys/class/input").glob("event*/device/name")
        ours = next(each for each in names if each.read_text().strip() == name)
        yield fd, Path("/dev/input") / ours.parent.parent.name
    finally:
        fcntl.ioctl(fd, UI_DEV_DESTROY)
        os.close(fd)


def press(fd: int, *codes: int) -> None:
    for code in codes:
        for value in (1, 0):
            os.write(fd, EVENT.pack(0, 0, 1, code, value) + EVENT.pack(0, 0, 0, 0, 0))


def main() -> None:
    link = Path(sys.argv[1])
    CARDS.unlink(missing_ok=True)
    os.mkfifo(CARDS)
    with keypad("Door Reader") as (fd, path):
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(path)
        while True:
            for card in CARDS.read_text(encoding="ascii").split():
                press(fd, *(2 + "1234567890".index(digit) for digit in card), ENTER)


if __name__ == "__main__":
    main()
