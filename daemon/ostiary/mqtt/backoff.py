"""How long to wait before trying again."""

import random


class Backoff:
    """Doubles from `first_s` to `at_most_s`, with jitter so that many doors do not come back to a
    restarted broker in the same moment."""

    def __init__(self, first_s: float, at_most_s: float) -> None:
        self._first_s = first_s
        self._at_most_s = at_most_s
        self._next_s = first_s

    def wait_s(self) -> float:
        """Seconds to wait this time: half to all of the next step."""
        step = min(self._next_s, self._at_most_s)
        self._next_s = min(step * 2, self._at_most_s)
        return step * random.uniform(0.5, 1.0)

    def reset(self) -> None:
        """It went well."""
        self._next_s = self._first_s
