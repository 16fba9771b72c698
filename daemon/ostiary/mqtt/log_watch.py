"""What the bus keeps of this door's own log: a head that does not fit what is here shows that an
earlier database was put in the place of this one."""

import queue
import time

import structlog
from pydantic import ValidationError

from ostiary.crypto.door_key import DoorKey
from ostiary.messages.log import LogHead
from ostiary.store.chain import Chain
from ostiary.store.own_entries import is_head_of

log = structlog.get_logger(__name__)

WITHIN_S = 2.0
"""So long after it was asked for, what the bus keeps has come."""
ECHO_WITHIN_S = 30.0


class LogWatch:
    """`heard` may be called on any thread, the others on the publisher's."""

    def __init__(self, chain: Chain, key: DoorKey, door: str) -> None:
        self._chain = chain
        self._key = key
        self._door = door
        self._heard: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._asked_at = 0.0
        self._has_come = False
        self._told_at: float | None = None
        self._suspect: LogHead | None = None

    @property
    def is_put_back(self) -> bool:
        """Whether this door has signed more than is here, and nobody restored a backup since."""
        return self._suspect is not None

    @property
    def is_unheard(self) -> bool:
        """Whether the broker does not tell this door what it keeps of the door's own log."""
        told_at = self._told_at
        return not self._has_come and told_at is not None and _passed(told_at, ECHO_WITHIN_S)

    @property
    def is_ready(self) -> bool:
        """Whether what the bus keeps has been heard, before it is replaced."""
        return self._has_come or _passed(self._asked_at, WITHIN_S)

    def asked(self) -> None:
        """On a new connection: it was asked for."""
        self._asked_at, self._has_come, self._told_at = time.monotonic(), False, None

    def told(self) -> None:
        """A head was told, and comes back."""
        self._told_at = self._told_at or time.monotonic()

    def heard(self, payload: bytes) -> None:
        """Something is on the topic of this door's log."""
        self._heard.put(payload)

    def look(self) -> None:
        """At what was heard, and again at what did not fit. Raises DatabaseUnwritable."""
        suspect = self._suspect
        while not self._heard.empty():
            self._has_come = True
            head = self._read(self._heard.get())
            if head is not None and (suspect is None or head.position > suspect.position):
                suspect = head if self._chain.contradicts(head) else suspect
        if suspect is not None and not self._chain.contradicts(suspect):
            suspect = None  # a backup was restored, and an operator said so
        if suspect is not None and self._suspect is None:
            log.critical(
                "log_put_back",
                signed=suspect.position,
                advice="An earlier database is in this one's place. `ostiary verify-log`",
            )
        self._suspect = suspect

    def _read(self, payload: bytes) -> LogHead | None:
        """None for what this door has not signed: whoever may write there proves nothing."""
        try:
            head = LogHead.model_validate_json(payload)
        except ValidationError:
            return None
        return head if head.door == self._door and is_head_of(head, self._key.public) else None


def _passed(since: float, within_s: float) -> bool:
    return time.monotonic() - since > within_s
