"""What the publisher does besides events: it signs the log, tells the log's head, and removes what
is old."""

import queue
import time
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog
from pydantic import ValidationError

from ostiary.crypto.door_key import DoorKey
from ostiary.errors import OstiaryError
from ostiary.messages.events import LogHead
from ostiary.mqtt.connection import Connection
from ostiary.mqtt.signing import SIGNATURE_AGE
from ostiary.settings import StoreSettings
from ostiary.store.audit import Audit
from ostiary.store.chain import Chain
from ostiary.store.command_log import CommandLog
from ostiary.store.events import Events
from ostiary.store.own_entries import is_head_of

log = structlog.get_logger(__name__)

HEARD_WITHIN_S = 2.0
"""Within so long after it was asked for, the head that the broker keeps has come."""
ECHO_WITHIN_S = 30.0
"""Within so long a head that was told has come back."""
KEEP_ANSWERS = timedelta(hours=24)
"""So long a command that is delivered again gets its first answer…"""
MOST_ANSWERS = 50_000
"""…or, oldest first, while there are no more than so many. Signatures that are fresh are always
kept."""
_PRUNE_AUDIT_EVERY_S = 3600.0


class SignedLog:
    """The signed head of this door's log, and the head that the broker keeps of it. A kept head
    that does not fit the database shows that an earlier database was put in its place: then no
    newer head is told, which would write over it.

    `heard` may be called on any thread, the others on the publisher's.
    """

    def __init__(self, chain: Chain, key: DoorKey, door: str, topic: str) -> None:
        """`door`: the door's name in the head; `topic`: where the head is told."""
        self._chain = chain
        self._key = key
        self._door = door
        self._topic = topic
        self._head: LogHead | None = None  # to be told
        self._heard: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._asked_at = 0.0
        self._has_come = False
        self._told_at: float | None = None
        self._suspect: LogHead | None = None

    @property
    def is_put_back(self) -> bool:
        """Whether this door has signed more than the database has, and no backup was restored."""
        return self._suspect is not None

    @property
    def is_unheard(self) -> bool:
        """Whether the broker does not send this door the head that it keeps."""
        told_at = self._told_at
        return not self._has_come and told_at is not None and _passed(told_at, ECHO_WITHIN_S)

    @property
    def waits(self) -> bool:
        """Whether a head is to be told."""
        return self._head is not None

    def begin(self) -> None:
        """On a new connection: the kept head was asked for, and the newest is to be told."""
        self._head = self._chain.newest_head()
        self._asked_at, self._has_come, self._told_at = time.monotonic(), False, None

    def heard(self, payload: bytes) -> None:
        """Take in what came on the topic of this door's log."""
        self._heard.put(payload)

    def sign(self, now: datetime) -> None:
        """Sign the newest link, where that is not done yet. Raises DatabaseUnwritable."""
        self._head = self._chain.sign(self._key, self._door, now) or self._head

    def tell(self, connection: Connection) -> None:
        """Publish the newest head, once the kept one was heard and fits. Raises
        DatabaseUnwritable."""
        self._look()
        is_ready = self._has_come or _passed(self._asked_at, HEARD_WITHIN_S)
        if self._head is None or not is_ready or self.is_put_back:
            return
        if connection.publish(self._topic, self._head.model_dump_json().encode(), retain=True):
            self._head = None
            self._told_at = self._told_at or time.monotonic()

    def _look(self) -> None:
        """Compare the heads that were heard, and again one that did not fit."""
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
        """Parse a head; None where this door has not signed it: others may write there, too."""
        try:
            head = LogHead.model_validate_json(payload)
        except ValidationError:
            return None
        return head if head.door == self._door and is_head_of(head, self._key.public) else None


class Pruner:
    """Removes events, answers and audit rows that are older or more than the settings keep. By a
    clock that is not trusted it removes nothing for its age."""

    def __init__(
        self,
        events: Events,
        command_log: CommandLog,
        settings: StoreSettings,
        clock: Callable[[], datetime],
        clock_trusted: Callable[[], bool],
    ) -> None:
        self._events = events
        self._command_log = command_log
        self._audit = Audit(events.database)
        self._settings = settings
        self._clock = clock
        self._clock_trusted = clock_trusted
        self._prune_audit_at = 0.0  # monotonic s

    def prune(self) -> None:
        """Remove what is too old or too much. Raises DatabaseUnwritable."""
        settings, now, trusted = self._settings, self._clock(), self._clock_trusted()
        keep_for = timedelta(days=settings.keep_events_days)
        self._events.prune(
            now,
            keep_for=keep_for if trusted else None,
            keep_at_most=settings.keep_events,
            queue_limit=settings.queue_limit,
        )
        self._command_log.prune(
            now,
            keep_for=KEEP_ANSWERS if trusted else None,
            keep_at_most=MOST_ANSWERS,
            signed_for=2 * SIGNATURE_AGE,  # taken from so long before to so long after this clock
        )
        if trusted and time.monotonic() >= self._prune_audit_at:
            self._prune_audit_at = time.monotonic() + _PRUNE_AUDIT_EVERY_S
            try:
                self._audit.prune(now, keep_for=keep_for)
            except OstiaryError as error:  # a locked store; nothing waits for that
                log.warning("audit_not_pruned", code=error.code)


def _passed(since: float, within_s: float) -> bool:
    return time.monotonic() - since > within_s
