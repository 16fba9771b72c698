"""Threads that recognition goes before."""

import os
import threading
from contextlib import suppress

NICENESS = 10


def step_back() -> None:
    """Let every other thread go before this one. Linux has priorities of threads, not only of
    processes; elsewhere, and where it is not permitted, nothing happens."""
    with suppress(OSError, AttributeError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
