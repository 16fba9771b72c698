"""Waits for a thing: as long as a slow machine may take, and no longer."""

import time
from collections.abc import Callable
from typing import TypeVar

PATIENCE_S = 60.0
"""What has not happened after so long is not going to happen, on however busy a machine."""

Found = TypeVar("Found")


def wait_until(
    happened: Callable[[], Found], what: str, timeout_s: float = PATIENCE_S, every_s: float = 0.02
) -> Found:
    """What `happened` returns, as soon as that is true; it is asked every `every_s` seconds.

    Raises `AssertionError`, which names `what` was waited for.
    """
    give_up = time.monotonic() + timeout_s
    while not (found := happened()):
        assert time.monotonic() < give_up, f"waited {timeout_s:.0f} s in vain for {what}"
        time.sleep(every_s)
    return found
