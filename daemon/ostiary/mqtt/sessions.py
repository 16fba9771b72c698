"""What the ends of the last connections say of the broker, and of others there. No clock inside."""

from enum import StrEnum

from ostiary.mqtt.losses import PACKET_TOO_LARGE, SESSION_TAKEN_OVER, Loss

_OFTEN = 3
_UNEXPLAINED = (None, 0x80)
_EXPECTED = (0x00, 0x8B)
_PERHAPS_TOO_LARGE = (None, 0x80, 0x81, 0x82, 0x83, 0x99)
_SMALL = 1024
"""Every broker takes a message of so many bytes."""


class Suspicion(StrEnum):
    """A stable word for `state`."""

    TWIN = "twin_suspected"
    """Another client connects with this one's id."""
    KICKED = "broker_ends_connections"


class BrokerSessions:
    """`short_s`: a connection that lived for less was short. One that a twin ends is, as the twin
    waits no longer than that before it connects again."""

    def __init__(self, short_s: float) -> None:
        self._short_s = short_s
        self._taken_over = False
        self._short = 0
        self._code: int | None = None
        self._suspect = 0
        self._suspected = 0
        self.packet_bytes: int | None = None
        """The largest packet that the broker takes, by how it ended connections."""

    def ended(self, loss: Loss, lived_s: float) -> None:
        """A connection ended by itself."""
        self.lives(lived_s)
        self._taken_over |= loss.code == SESSION_TAKEN_OVER
        if loss.code not in _EXPECTED and lived_s < self._short_s:
            self._short += 1
            self._code = loss.code

    def not_begun(self) -> None:
        """No connection could be made: a twin never causes that, a broker that is down does."""
        self._short = 0

    def lives(self, for_s: float) -> None:
        """A connection has lived for so long until now."""
        if for_s >= self._short_s:
            self._taken_over, self._short = False, 0

    def left_unacknowledged(self, loss: Loss, size: int, *, of_use: bool) -> bool:
        """A connection ended before the broker had acknowledged a message of `size` bytes;
        `of_use`: it did grant or acknowledge others. Whether it is now taken for too large.

        A broker may say so, or hang up each time that it comes.
        """
        if loss.code == PACKET_TOO_LARGE and size:
            return self._learn(size)
        if loss.code not in _PERHAPS_TOO_LARGE or size <= _SMALL or not of_use:
            self._suspected = 0
            return False
        again = abs(size - self._suspect) * 10 <= self._suspect
        self._suspected = self._suspected + 1 if again else 1
        self._suspect = min(size, self._suspect) if again else size
        return self._suspected >= _OFTEN and self._learn(self._suspect)

    def suspicion(self) -> Suspicion | None:
        if self._taken_over:
            return Suspicion.TWIN
        if self._short < _OFTEN:
            return None
        return Suspicion.TWIN if self._code in _UNEXPLAINED else Suspicion.KICKED

    def _learn(self, size: int) -> bool:
        self.packet_bytes = min(size, self.packet_bytes or size) - 1
        self._suspected = 0
        return True
