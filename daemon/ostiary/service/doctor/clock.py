"""Is the clock right? Events carry its time, and an opening expires by it."""

import ctypes
import time
from collections.abc import Iterator

from ostiary.service.doctor.check import Check, green, red, yellow

TIME_ERROR = 5
"""adjtimex(2): the clock is not synchronised."""
LARGER_THAN_TIMEX = 512
BUILT_AFTER = 1_760_000_000
"""October 2025, s since 1970: no door is older than this program."""


def check_clock() -> Iterator[Check]:
    now = time.time()
    told = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(now))
    advice = "timedatectl set-ntp true; without a network, fit a real-time clock (RTC)."
    if now < BUILT_AFTER:
        yield red("clock", f"{told}: in the past", advice)
    elif is_synchronised():
        yield green("clock", f"{told}, synchronised")
    else:
        yield yellow("clock", f"{told}, not synchronised", advice)


def is_synchronised() -> bool:
    """What the kernel knows of its clock; adjtimex(2) with no mode set only reads."""
    libc = ctypes.CDLL(None)
    return bool(libc.adjtimex(ctypes.create_string_buffer(LARGER_THAN_TIMEX)) != TIME_ERROR)
