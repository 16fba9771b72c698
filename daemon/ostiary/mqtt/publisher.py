"""Sends every event to the broker, in order, until it is acknowledged.

The database is the queue: what is in memory here is only where in it we are. The same event can
be sent twice, always with the same `event_id`; none is ever left out.
"""

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

import structlog

from ostiary.crypto.door_key import DoorKey
from ostiary.errors import BrokerUnavailable, OstiaryError
from ostiary.messages.events import (
    NOT_A_CAMERA,
    AnyEvent,
    DoorEvent,
    DuressEvent,
    EntranceEvent,
    LoginEvent,
    UserEvent,
)
from ostiary.messages.log import LogHead
from ostiary.mqtt.connection import Connection
from ostiary.mqtt.log_watch import LogWatch
from ostiary.mqtt.session import Backoff
from ostiary.mqtt.signing import SIGNATURE_AGE
from ostiary.mqtt.topics import Topics
from ostiary.settings import Settings
from ostiary.store.audit import Audit
from ostiary.store.command_log import CommandLog
from ostiary.store.events import EventFilter, Events, Recorded

log = structlog.get_logger(__name__)

WINDOW = 16
"""Events sent and not yet acknowledged, at most."""
RESEND = timedelta(seconds=30)
"""After a broken connection, events acknowledged within so long before it are sent once more (same
`event_id`): a broker that died may not have stored them. Above the `autosave_interval` of
config/mosquitto."""
KEEP_ANSWERS = timedelta(hours=24)
"""So long a command that is delivered again gets its first answer…"""
MOST_ANSWERS = 50_000
"""…or, oldest first, while there are no more than so many. Signatures that are fresh are always
kept."""
_PRUNE_EVERY_S = 60.0
_PRUNE_AUDIT_EVERY_S = 3600.0
_BEAT_EVERY_S = 5.0
_QUIET_S = 0.01
_LOOK_S = 0.5
_MARK_WITHIN_S = 0.05
"""Acknowledged events are marked together, once it is quiet or after this long: each commit is a
wait for the disk, and decisions wait for the same disk. One that is lost before that is sent again,
with the same id."""


@dataclass(slots=True)
class _Flight:
    """What one connection has under way."""

    connection: Connection
    sent_seq: int
    """The last event that was sent."""
    resend_after: int
    """Of the events up to here only those are sent that the broker does not have."""
    began_seq: int
    """The newest event when it began."""
    unacknowledged: dict[int, int] = field(default_factory=dict)
    """How many PUBACKs each event under way still waits for."""
    forced: dict[int, bytes] = field(default_factory=dict)
    """What is told of them beside it."""


@dataclass(frozen=True, slots=True)
class _Acknowledged:
    """One PUBACK; `refused` says why the broker does not take the event."""

    connection: Connection
    seq: int
    topic: str
    refused: str | None


class Publisher:
    """A thread of its own, which hears of each event that is committed.

    It is handed what was just written, so that it need not be read; where it missed something (no
    connection, a full window, an event of another process), it reads on in the database.
    """

    def __init__(
        self,
        events: Events,
        command_log: CommandLog,
        topics: Topics,
        settings: Settings,
        key: DoorKey,
        clock: Callable[[], datetime],
        beat: Callable[[], object],
        clock_trusted: Callable[[], bool],
        locked_down: Callable[[str], bool] = lambda _door: False,
    ) -> None:
        """`locked_down`: whether a door, by its camera's name, is so now."""
        self._locked_down = locked_down
        self.watch = LogWatch(events.chain, key, topics.base)
        self._head: LogHead | None = None  # to be told
        self._duress_taken = True
        self._untold: list[bytes] = []  # that somebody was forced
        self._clock_trusted = clock_trusted
        self._events = events
        self._command_log = command_log
        self._audit = Audit(events.database)
        self._prune_audit_at = 0.0  # monotonic s
        self._topics = topics
        self._settings = settings
        self._key = key
        self._clock = clock
        self._beat = beat
        self._inbox: queue.SimpleQueue[Recorded | None] = queue.SimpleQueue()  # None: wake up
        self._acknowledged: queue.SimpleQueue[_Acknowledged] = queue.SimpleQueue()
        self._handed: deque[Recorded] = deque()
        self._look = True  # for more in the database than was handed over
        self._hurry = False  # an acknowledgement is worth waking up for
        self._stopping = False
        self._connection: Connection | None = None
        self._flight: _Flight | None = None
        self._delivered: list[int] = []  # acknowledged and not marked yet
        self._mark_at = 0.0  # monotonic s
        self._refused = ""
        self._left_out: dict[int, str] = {}
        self._recent: deque[tuple[float, int]] = deque()  # (monotonic s, seq) as acknowledged
        self._thread = threading.Thread(target=self._run, name="publisher", daemon=True)
        events.follow(self._inbox.put)

    @property
    def refused(self) -> tuple[str, ...]:
        """The topic of the first event that the broker does not take; it and all after it wait."""
        return (self._refused,) if self._refused else ()

    @property
    def left_out(self) -> frozenset[str]:
        """The topics of events that are larger than the broker takes. They wait for one that takes
        more, and nothing waits for them."""
        return frozenset(self._left_out.values())

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong with the record, or with whom it is told, as stable words. None of them
        depends on whether anybody was forced."""
        found = {
            "log_altered": self._events.chain.is_altered,
            "log_put_back": self.watch.is_put_back,
            "duress_refused": not self._duress_taken,
        }
        return tuple(word for word, is_so in found.items() if is_so)

    def heard_log(self, payload: bytes) -> None:
        """Something is on the topic of this door's log. On any thread."""
        self.watch.heard(payload)
        self._inbox.put(None)

    def duress_may_be_told(self, taken: bool | None) -> None:
        """What the broker says of the topic of duress, where it says anything. On any thread."""
        if taken is False and self._duress_taken:
            log.error("duress_refused", topic=self._topics.duress, advice="config/mosquitto")
        self._duress_taken = taken is not False
        self._inbox.put(None)

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """Send what waits, if the broker takes it in that time; the rest is sent next time."""
        self._stopping = True
        self._inbox.put(None)
        self._thread.join(timeout_s)

    def attach(self, connection: Connection | None) -> None:
        """From now on send by this connection (None: by none)."""
        self._connection = connection
        self._inbox.put(None)

    def _run(self) -> None:
        backoff = Backoff(0.5, 30.0)
        next_prune = time.monotonic()
        waits_for = ""  # what was told
        while True:
            self._beat()
            try:
                self._step()
                if time.monotonic() >= next_prune:
                    next_prune = time.monotonic() + _PRUNE_EVERY_S
                    self._prune()
                    self._sign_log()
                self._tell_log()
                backoff.reset()
                waits_for = ""
            except OstiaryError as error:  # the disk is full, or the broker refuses events
                if waits_for != error.code:
                    log.error("publisher_waits", code=error.code, reason=error.message)
                waits_for = error.code
                self._flight = None
                time.sleep(backoff.wait_s())
                self._inbox.put(None)
            if self._stopping and self._nothing_to_send():
                return
            self._wait(max(0.0, next_prune - time.monotonic()))

    def _wait(self, timeout_s: float) -> None:
        """For an event, or whatever else there is to do."""
        under_way = self._flight is not None and self._flight.unacknowledged
        longest = _QUIET_S if under_way or self._delivered else _BEAT_EVERY_S
        if self._head is not None and self._flight is not None:
            longest = min(longest, _LOOK_S)
        if self._hurry and not self._acknowledged.empty():
            return
        try:
            self._take(self._inbox.get(timeout=min(longest, timeout_s)))
            while not self._inbox.empty():
                self._take(self._inbox.get())
        except queue.Empty:
            self._mark_at = 0.0
            self._look |= not under_way

    def _take(self, recorded: Recorded | None) -> None:
        if recorded is None:
            return
        self._handed.append(recorded)
        if len(self._handed) > WINDOW:
            self._handed.clear()
            self._look = True

    def _nothing_to_send(self) -> bool:
        flight = self._flight
        if flight is None or not flight.connection.alive:
            return True
        return not flight.unacknowledged and not self._delivered

    def _step(self) -> None:
        connection = self._connection
        if connection is None or not connection.alive:
            self._settle()
            self._mark()
            return
        if self._flight is None or self._flight.connection is not connection:
            self._settle()
            self._mark()  # where to go on is read from the database
            self._flight = self._begin(connection)
            self._look = True
        self._settle()
        if self._untold and self._duress_taken:
            self._tell_forced(connection)
        if self._delivered and (self._stopping or time.monotonic() >= self._mark_at):
            self._mark()
        self._send(self._flight)

    def _begin(self, connection: Connection) -> _Flight:
        """Where to go on: at the first event that was not acknowledged, or a little before, as a
        broker that was killed can have forgotten what it acknowledged last."""
        self._head = self._events.chain.newest_head()
        self.watch.asked()
        self._left_out = {}
        start = resend_after = self._resend_after()
        if pending := self._events.pending(0, 1):
            start = min(start, pending[0].seq - 1)
        return _Flight(connection, start, resend_after, self._events.last_seq())

    def _sign_log(self) -> None:
        head = self._events.chain.sign(self._key, self._topics.base, self._clock())
        self._head = head or self._head

    def _tell_log(self) -> None:
        """The newest head, once what the bus keeps of this door was heard: what shows that an
        earlier database was put back is not written over."""
        connection, head = self._connection, self._head
        if connection is None or self._flight is None:
            return
        self.watch.look()
        if head is None or not self.watch.is_ready or self.watch.is_put_back:
            return
        if connection.publish(self._topics.log, head.model_dump_json().encode(), retain=True):
            self._head = None
            self.watch.told()

    def _tell_forced(self, connection: Connection) -> None:
        """Whom the broker would not hear of before."""
        untold, self._untold = self._untold, []
        for payload in untold:
            told = partial(self._on_forced, payload)
            if not connection.publish(self._topics.duress, payload, acknowledged=told):
                self._untold.append(payload)

    def _on_forced(self, payload: bytes, refused: str | None) -> None:
        if refused is not None:
            self._untold.append(payload)

    def _resend_after(self) -> int:
        """Every event after this one is young enough to be sent again."""
        if not self._recent:
            young = EventFilter(since=self._clock() - RESEND)
            first = self._events.page(young, limit=1, newest_first=False).events
            return first[0].seq - 1 if first else self._events.last_seq()
        since = self._recent[-1][0] - RESEND.total_seconds()
        return min(seq for at, seq in self._recent if at >= since) - 1

    def _settle(self) -> None:
        """Take in what the broker has acknowledged."""
        flight = self._flight
        while not self._acknowledged.empty():
            told = self._acknowledged.get()
            if flight is None or told.connection is not flight.connection:
                continue
            if told.topic == self._topics.duress:
                # Whether it is taken was asked before, and is told whatever happens: to say here
                # that it is not would tell everybody that somebody was forced.
                self._settle_forced(flight, told)
            elif told.refused is not None:
                self._refused = told.topic
                raise BrokerUnavailable(
                    f"The broker refuses {told.topic} ({told.refused}). Does its ACL let this door "
                    "publish there? Until then the event waits, and those after it."
                )
            if told.topic == self._refused:
                self._refused = ""
            flight.unacknowledged[told.seq] -= 1
            if not flight.unacknowledged[told.seq]:
                del flight.unacknowledged[told.seq]
                if told.seq in self._left_out:
                    continue
                if not self._delivered:
                    self._mark_at = time.monotonic() + _MARK_WITHIN_S
                self._delivered.append(told.seq)

    def _settle_forced(self, flight: _Flight, told: _Acknowledged) -> None:
        payload = flight.forced.pop(told.seq, None)
        if told.refused is not None and payload is not None:
            self._untold.append(payload)

    def _mark(self) -> None:
        if self._delivered:
            self._events.mark_delivered(self._delivered, self._clock())
            self._remember(self._delivered)
            self._delivered = []

    def _remember(self, seqs: list[int]) -> None:
        now = time.monotonic()
        self._recent.extend((now, seq) for seq in seqs)
        while self._recent[0][0] < now - RESEND.total_seconds():
            self._recent.popleft()

    def _send(self, flight: _Flight) -> None:
        while room := WINDOW - len(flight.unacknowledged):
            waiting = self._next(flight, room)
            if not all(self._publish(flight, each) for each in waiting):
                break
            if not waiting and not self._look:
                break
        self._hurry = self._stopping or not room

    def _next(self, flight: _Flight, room: int) -> Sequence[Recorded]:
        """The events after the last that was sent, at most `room`: as they were handed over, or,
        where one of them was not, from the database."""
        while self._handed and self._handed[0].event.seq <= flight.sent_seq:
            self._handed.popleft()
        if self._handed and self._handed[0].event.seq == flight.sent_seq + 1:
            return (self._handed.popleft(),)
        if not self._handed and not self._look:
            return ()
        if flight.sent_seq < flight.resend_after:
            old = self._events.pending(flight.sent_seq, room)
            if waiting := [each for each in old if each.seq <= flight.resend_after]:
                return [Recorded(each, self._forced(each)) for each in waiting]
            flight.sent_seq = flight.resend_after
        page = self._events.page(cursor=flight.sent_seq, limit=room, newest_first=False)
        self._look = page.cursor is not None
        if not page.events:  # none of these can be read, or there are none
            flight.sent_seq = page.cursor or flight.sent_seq
            self._handed.clear()
        return [Recorded(each, self._forced(each)) for each in page.events]

    def _forced(self, event: AnyEvent) -> DuressEvent | None:
        is_granted = isinstance(event, LoginEvent) and event.success
        return self._events.forced(event.seq) if is_granted else None

    def _publish(self, flight: _Flight, recorded: Recorded) -> bool:
        event, forced = recorded.event, recorded.forced
        messages: list[tuple[str, bytes, int | None]] = [
            (self._topic(event), event.model_dump_json().encode(), None)
        ]
        if forced is not None:
            payload = flight.forced[event.seq] = forced.model_dump_json().encode()
            messages.append((self._topics.duress, payload, None))
        is_new = event.seq > flight.began_seq or self._events.is_pending(event.seq)
        door = self._door_event(event) if is_new else None
        if door is not None:
            left = max(1, int((door.expires - self._clock()).total_seconds()))
            messages.append((self._topics.door, door.model_dump_json().encode(), left))
        flight.sent_seq = event.seq
        connection = flight.connection
        fit = [connection.fits(topic, data, expiry_s=left) for topic, data, left in messages]
        if not all(fit):
            self._left_out[event.seq] = messages[fit.index(False)][0]
        if any(fit):
            flight.unacknowledged[event.seq] = sum(fit)
        sent = [
            connection.publish(
                topic,
                payload,
                expiry_s=expiry_s,
                acknowledged=partial(self._on_acknowledged, connection, event.seq, topic),
            )
            for topic, payload, expiry_s in messages
        ]
        return all(went or not fits for went, fits in zip(sent, fit, strict=True))

    def _on_acknowledged(
        self, connection: Connection, seq: int, topic: str, refused: str | None
    ) -> None:
        self._acknowledged.put(_Acknowledged(connection, seq, topic, refused))
        if self._hurry or refused is not None:
            self._inbox.put(None)

    def _topic(self, event: AnyEvent) -> str:
        match event:
            case LoginEvent():
                return self._topics.event_login
            case UserEvent():
                return self._topics.event_user
            case EntranceEvent():
                return self._topics.event_door
            case DuressEvent():
                return self._topics.duress

    def _door_event(self, event: AnyEvent) -> DoorEvent | None:
        """None for what opens no door: denied, a sent image, too old, or before a lockdown."""
        if not isinstance(event, LoginEvent) or not event.success or event.username is None:
            return None
        expires = event.timestamp + timedelta(seconds=self._settings.mqtt.door_expiry_s)
        if event.source in NOT_A_CAMERA or self._clock() >= expires:
            return None
        if self._locked_down(event.source) or self._events.locked_down_after(
            event.seq, event.source
        ):
            return None
        unsigned = DoorEvent(
            event_id=event.event_id,
            seq=event.seq,
            timestamp=event.timestamp,
            door=self._topics.base,
            username=event.username,
            source=event.source,
            expires=expires,
            signature="",
        )
        return unsigned.model_copy(update={"signature": self._key.sign(unsigned.signed_text())})

    def _prune(self) -> None:
        store = self._settings.store
        now, trusted = self._clock(), self._clock_trusted()
        self._events.prune(
            now,
            keep_for=timedelta(days=store.keep_events_days) if trusted else None,
            keep_at_most=store.keep_events,
            queue_limit=store.queue_limit,
        )
        self._command_log.prune(
            now,
            keep_for=KEEP_ANSWERS if trusted else None,
            keep_at_most=MOST_ANSWERS,
            # It is taken from so long before to so long after this clock.
            signed_for=2 * SIGNATURE_AGE,
        )
        if trusted and time.monotonic() >= self._prune_audit_at:
            self._prune_audit_at = time.monotonic() + _PRUNE_AUDIT_EVERY_S
            self._prune_audit(now, timedelta(days=store.keep_events_days))

    def _prune_audit(self, now: datetime, keep_for: timedelta) -> None:
        """A locked store cannot tell which of its rows were altered. Nothing waits for that."""
        try:
            self._audit.prune(now, keep_for=keep_for)
        except OstiaryError as error:
            log.warning("audit_not_pruned", code=error.code)
