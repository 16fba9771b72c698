"""Inside the machine: waits for what a slow machine does late."""

import time
from collections.abc import Callable

PATIENCE_S = 120.0
"""What has not happened after so long, in however slow a machine, is not going to happen."""


def until(happened: Callable[[], bool]) -> float:
    """Wait for it; how many seconds that took. Raises AssertionError after PATIENCE_S."""
    began = time.monotonic()
    while not happened():
        assert time.monotonic() - began < PATIENCE_S, f"not within {PATIENCE_S} s"
        time.sleep(0.01)
    return time.monotonic() - began
