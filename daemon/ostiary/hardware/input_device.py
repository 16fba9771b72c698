"""A Linux input device (evdev): a keypad or card reader that is a keyboard.

It is taken for this program alone (EVIOCGRAB), so that a PIN reaches no console. It gives the
kernel's records, `struct input_event` of linux/input.h; linux/input-event-codes.h has the numbers
of the keys.
"""

import errno
import fcntl
import os
import select
import struct
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from ostiary.errors import InputUnavailable

EVENT = struct.Struct("@llHHi")
"""Seconds, microseconds, type, code, value."""
EV_SYN, EV_KEY = 0, 1
SYN_DROPPED = 3
_EVIOCGRAB = 0x40044590
_EVIOCSCLOCKID = 0x400445A0
_READ_AT_ONCE = 64

_SHIFTS = (42, 54)
_KEYS: dict[int, str] = {
    1: "\x1b",  # escape
    14: "\x1b",  # backspace: a keypad's "clear"
    15: "\n",  # tab
    28: "\n",
    96: "\n",
    55: "*",
    **{2 + place: digit for place, digit in enumerate("1234567890")},
    **dict(zip((82, 79, 80, 81, 75, 76, 77, 71, 72, 73), "0123456789", strict=True)),  # its block
    **{512 + place: key for place, key in enumerate("0123456789*#")},  # of a telephone
    **dict(zip((30, 48, 46, 32, 18, 33), "ABCDEF", strict=True)),
}
_SHIFTED = {4: "#", 9: "*"}


@dataclass(slots=True)
class Keys:
    """Turns records into keys. It remembers the shift key and half a record, and does no I/O."""

    _rest: bytes = b""
    _shift: set[int] = field(default_factory=set)

    def of(self, data: bytes) -> list[tuple[float, str | None]]:
        """(seconds, key) of each key that went down; None for the key where some were lost."""
        whole = self._rest + data
        used = len(whole) - len(whole) % EVENT.size
        self._rest = whole[used:]
        found: list[tuple[float, str | None]] = []
        for seconds, micros, kind, code, value in EVENT.iter_unpack(whole[:used]):
            at = seconds + micros / 1e6
            if kind == EV_SYN and code == SYN_DROPPED:
                found.append((at, None))
            elif kind == EV_KEY and code in _SHIFTS:
                (self._shift.add if value else self._shift.discard)(code)
            elif kind == EV_KEY and value == 1:  # 0: let go, 2: held down
                key = _SHIFTED.get(code) if self._shift else _KEYS.get(code)
                if key is None and self._shift:
                    key = _KEYS.get(code)
                found += [(at, key)] if key is not None else []
        return found


class InputDevice:
    """An open input device. `read` and `open` raise InputUnavailable."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path = path
        self._descriptor = descriptor
        self._keys = Keys()
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLIN)

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open it, and take it for us alone."""
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise _unavailable(path, error) from error
        try:
            fcntl.ioctl(descriptor, _EVIOCGRAB, 1)
            fcntl.ioctl(descriptor, _EVIOCSCLOCKID, struct.pack("i", time.CLOCK_MONOTONIC))
        except OSError as error:
            if error.errno not in (errno.ENOTTY, errno.EINVAL):  # those: a pipe, nobody else's
                os.close(descriptor)
                raise _unavailable(path, error) from error
        return cls(path, descriptor)

    def read(self, timeout_s: float) -> list[tuple[float, str | None]]:
        """Keys as `Keys.of` gives them; none when time is up."""
        try:
            if not self._poll.poll(timeout_s * 1000):
                return []
            data = os.read(self._descriptor, EVENT.size * _READ_AT_ONCE)
        except BlockingIOError:
            return []
        except OSError as error:
            raise _unavailable(self._path, error) from error
        if not data:
            raise InputUnavailable(f"{self._path}: it was pulled out.")
        return self._keys.of(data)

    def close(self) -> None:
        os.close(self._descriptor)


def _unavailable(path: Path, error: OSError) -> InputUnavailable:
    advice = (
        "Something else has it: stop that program."
        if error.errno == errno.EBUSY
        else "`ls /dev/input/by-id` lists what is plugged in; the daemon's group must be `input`."
    )
    return InputUnavailable(f"{path}: {error.strerror}. {advice}")
