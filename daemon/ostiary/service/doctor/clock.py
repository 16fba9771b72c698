"""Is the clock right? Events carry its time, rules go by it, and an opening expires by it."""

import time
from collections.abc import Iterator

from ostiary.service.clock import BUILT_AFTER, is_synchronised
from ostiary.service.doctor.check import Check, green, red, yellow


def check_clock() -> Iterator[Check]:
    now = time.time()
    told = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(now))
    advice = (
        "timedatectl set-ntp true; without a network, fit a real-time clock (RTC) and set "
        'clock.trust = "always". Until then whoever has hours or an end is denied.'
    )
    if now < BUILT_AFTER:
        yield red("clock", f"{told}: in the past", advice)
    elif is_synchronised():
        yield green("clock", f"{told}, synchronised")
    else:
        yield yellow("clock", f"{told}, not synchronised", advice)
