"""When a picture of a stream was captured. Pure arithmetic on times."""

from collections import deque

import numpy as np


class StreamClock:
    """Tells when a picture was captured, from the time in the stream and the time of arrival.

    The quickest journey ever seen counts as no journey at all; a picture that took longer is that
    much older than its arrival. So a backlog (FFmpeg's probing at the start, a network that hung)
    is known for what it is although its pictures all arrive now.

    Many cameras stamp another rate than they send. Their journeys seem to grow or shrink along a
    straight line, while every picture is waited for: then the line is the journey, and the time of
    arrival counts. A backlog comes in a jump, or is not waited for.
    """

    SETTLED = 2
    """After the start, pictures in a row that came no quicker than those before them: the edge."""
    DRIFT = 0.001
    """The camera's clock may run this much slower than ours."""
    LEARN_S, LEARN_PICTURES = 2.0, 8
    """A line is drawn through the pictures of so many seconds, and so many at least."""
    SCATTER_S = 0.08
    """Standard deviation from a line above which it is none."""
    WAITED = 0.75
    """The least share of them that was waited for."""
    NEAR_S = 0.15
    """A line is the journey only where it passes the last quick picture as near as this."""

    def __init__(self) -> None:
        self._offset: float | None = None  # arrival less stream time of the quickest journey
        self._drift = 0.0
        self._settled = 0
        self._before = (0.0, 0.0)
        self._quick = (0.0, 0.0)  # arrival and offset where the quickest journey was last seen
        self._seen: deque[tuple[float, float, bool]] = deque()

    def captured_at(self, arrived: float, stream_time: float, waited: bool = True) -> float | None:
        """Seconds on the clock of `arrived`; None while the stream is still catching up. `waited`:
        the picture was not there yet when it was asked for."""
        offset = arrived - stream_time
        before, self._before = self._before, (arrived, stream_time)
        if self._offset is None:
            self._offset, self._quick = offset, (arrived, offset)
            return None
        if stream_time <= before[1]:  # the stream has no times, or began them anew
            self._offset, self._drift = offset, 0.0
        else:
            self._offset += (self.DRIFT + self._drift) * (arrived - before[0])
        quicker = self._offset - offset
        self._settled = 0 if quicker > 0.02 else self._settled + 1
        if quicker >= 0:
            self._offset, self._quick = offset, (arrived, offset)
        self._remember(arrived, offset, waited, before)
        if self._settled < self.SETTLED or quicker < -0.02:
            self._learn(arrived)
        if self._settled < self.SETTLED:
            return None
        return arrived - (offset - self._offset) / (1 - self._drift)

    def _remember(
        self, arrived: float, offset: float, waited: bool, before: tuple[float, float]
    ) -> None:
        change, since = offset - (before[0] - before[1]), arrived - before[0]
        jumped = not -1.0 - 10 * since < change < 1.0
        if jumped or (self._settled < self.SETTLED and not waited):
            self._seen.clear()
        self._seen.append((arrived, offset, waited))
        while len(self._seen) > self.LEARN_PICTURES and arrived - self._seen[1][0] > self.LEARN_S:
            self._seen.popleft()

    def _learn(self, arrived: float) -> None:
        """Take the line through the last pictures for the journey, where it is one."""
        if len(self._seen) < self.LEARN_PICTURES or arrived - self._seen[0][0] < self.LEARN_S:
            return
        times, offsets, waited = np.array(self._seen).T
        slope, height = np.polyfit(times - arrived, offsets, 1)
        off = offsets - (height + slope * (times - arrived))
        is_far = abs(height + slope * (self._quick[0] - arrived) - self._quick[1]) > self.NEAR_S
        if off.std() > self.SCATTER_S or waited.mean() < self.WAITED or is_far:
            return
        self._offset, self._drift = float(height + off.min()), max(0.0, float(slope))
        self._quick = arrived, self._offset
        self._settled = max(self._settled, self.SETTLED)
