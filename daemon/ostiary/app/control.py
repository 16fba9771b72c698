"""What others ask of a running door."""

import threading

BETWEEN_ROWS_S = 0.05
"""How long work on many rows (new keys, forgetting) pauses between some rows and the next, so that
people at the door come first."""


class LoopControl:
    """Every method may be called from any thread, and `stop` and `ask_reload` from a signal
    handler."""

    def __init__(self) -> None:
        self._stopped = threading.Event()
        self._wanted = threading.Event()
        self._reload_asked = False

    def stop(self) -> None:
        """End the door."""
        self._stopped.set()
        self._wanted.set()

    def ask_reload(self) -> None:
        """Read the settings again; broken ones are refused, and the door goes on."""
        self._reload_asked = True
        self._wanted.set()

    def wake(self) -> None:
        """There is something to look at now."""
        self._wanted.set()

    def has_stopped(self, within_s: float = 0.0) -> bool:
        """Whether `stop` was called, waiting for it so long."""
        return self._stopped.wait(within_s)

    def wait(self, at_most_s: float) -> None:
        """Until something is asked."""
        self._wanted.wait(at_most_s)
        self._wanted.clear()

    def takes_reload(self) -> bool:
        """Whether a reload was asked for since this was called last."""
        asked, self._reload_asked = self._reload_asked, False
        return asked
