"""Lower priority for threads that must not slow recognition."""

import os
import threading
from contextlib import suppress

NICENESS = 10


def step_back() -> None:
    """Lower this thread's priority. Linux has priorities of threads; elsewhere, and where it is not
    permitted, nothing happens."""
    with suppress(OSError, AttributeError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
