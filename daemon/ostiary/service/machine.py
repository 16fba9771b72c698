"""What the machine has: a clock that is synchronised or not, glibc's memory, OpenBLAS's threads."""

import ctypes
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

TIME_ERROR = 5
"""adjtimex(2): the clock is not synchronised."""
REFUSED = -1
LARGER_THAN_TIMEX = 512
BUILT_AFTER = 1_760_000_000
"""October 2025, s since 1970: no door is older than this program."""
TIMESYNCD_DONE = Path("/run/systemd/timesync/synchronized")
ASK_TIMEDATED = (
    "busctl",
    "get-property",
    "org.freedesktop.timedate1",
    "/org/freedesktop/timedate1",
    "org.freedesktop.timedate1",
    "NTPSynchronized",
)
ASK_S = 2.0
_M_ARENA_MAX = -8  # malloc.h


def is_synchronised() -> bool:
    """Whether the clock is synchronised, by adjtimex(2), which only reads without a mode. Where the
    unit's sandbox (ProtectClock) refuses that, systemd is asked; without an answer it is not."""
    known = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(LARGER_THAN_TIMEX))
    if known != REFUSED:
        return bool(known != TIME_ERROR)
    return TIMESYNCD_DONE.exists() or _systemd_says_so()


def _systemd_says_so() -> bool:
    if shutil.which(ASK_TIMEDATED[0]) is None:
        return False
    try:
        asked = subprocess.run(ASK_TIMEDATED, capture_output=True, timeout=ASK_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return asked.stdout.strip() == b"b true"


class Synchronised:
    """Whether the clock was synchronised when `look` asked last; never in a year before this
    program. Asking may take two seconds, too long while a face waits."""

    def __init__(self, ask: Callable[[], bool] = is_synchronised) -> None:
        self._ask = ask
        self._answer = False
        self.look()

    def look(self) -> None:
        self._answer = self._ask() and time.time() >= BUILT_AFTER

    def __call__(self) -> bool:
        return self._answer


def use_one_arena() -> None:
    """Let all threads share one arena of glibc: each would keep freed pictures of several
    megabytes, measured as 32 MB more after every reload. Call it before threads are started."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, 1)


def use_one_blas_thread() -> None:
    """Let OpenBLAS multiply in the thread that asks. Several threads wait for each other to be
    given a core: beside busy cores a search through 100,000 templates took 12 ms, and 1.5 ms with
    one. Call it before NumPy is imported."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def return_freed() -> None:
    """Give freed memory back to the system, which glibc would keep: 100 MB from loading the
    networks, 19 MB from each PIN that is checked. Takes about a millisecond."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
