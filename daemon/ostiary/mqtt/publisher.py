"""Sends every event to the broker, in order, until it is acknowledged.

The database is the queue; memory holds only the place in it. The same event can be sent twice,
always with the same `event_id`. None is ever left out.
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
from ostiary.messages.events import NOT_A_CAMERA, AnyEvent, DoorEvent, DuressEvent, LoginEvent
from ostiary.mqtt.connection import Connection
from ostiary.mqtt.housekeeping import Pruner, SignedLog
from ostiary.mqtt.session import Backoff
from ostiary.mqtt.topics import Topics
from ostiary.settings import Settings
from ostiary.store.command_log import CommandLog
from ostiary.store.events import EventFilter, Events, Recorded

log = structlog.get_logger(__name__)

WINDOW = 16
"""Events sent and not yet acknowledged, at most."""
RESEND = timedelta(seconds=30)
"""After a broken connection, the events that were acknowledged in the time before it are sent once
more (same `event_id`): a broker that died may not have stored them. Longer than the
`autosave_interval` of config/mosquitto."""
_PRUNE_EVERY_S = 60.0
_BEAT_EVERY_S = 5.0
_QUIET_S = 0.01
_LOOK_S = 0.5
_MARK_WITHIN_S = 0.05
"""Acknowledged events are marked together, once it is quiet or after this time: each commit waits
for the disk, and decisions wait for the same disk. An event whose mark is lost is sent again, with
the same id."""


@dataclass(slots=True)
class _Flight:
    """What one connection has under way."""

    connection: Connection
    sent_seq: int
    """The last event that was sent."""
    resend_after: int
    """Up to here only those events are sent that the broker does not have."""
    began_seq: int
    """The newest event when the connection began."""
    unacknowledged: dict[int, int] = field(default_factory=dict)
    """How many PUBACKs each event under way still waits for."""
    forced: dict[int, bytes] = field(default_factory=dict)
    """The duress message of an event under way."""


@dataclass(frozen=True, slots=True)
class _Acknowledged:
    """One PUBACK; `refused` says why the broker does not take the event."""

    connection: Connection
    seq: int
    topic: str
    refused: str | None


class Publisher:
    """A thread that hears of each event that is committed, and sends it.

    It gets each event as it was written. Where it missed some (no connection, a full window, an
    event of another process), it reads on in the database.
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
        """`locked_down`: whether a door, by its camera's name, is in lockdown now."""
        self._locked_down = locked_down
        self.signed_log = SignedLog(events.chain, key, topics.base, topics.log)
        self._pruner = Pruner(events, command_log, settings.store, clock, clock_trusted)
        self._duress_taken = True
        self._untold: list[bytes] = []  # duress messages that the broker refused
        self._events = events
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
        """The topic of the event that the broker refuses, if any: it and all after it wait."""
        return (self._refused,) if self._refused else ()

    @property
    def left_out(self) -> frozenset[str]:
        """The topics of events that are larger than the broker takes. They wait for a broker that
        takes more; nothing waits for them."""
        return frozenset(self._left_out.values())

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong with the record or with telling it, as stable words. None of them depends
        on whether anybody was forced."""
        found = {
            "log_altered": self._events.chain.is_altered,
            "log_put_back": self.signed_log.is_put_back,
            "duress_refused": not self._duress_taken,
        }
        return tuple(word for word, is_so in found.items() if is_so)

    def heard_log(self, payload: bytes) -> None:
        """Take in what came on the topic of this door's log. May be called on any thread."""
        self.signed_log.heard(payload)
        self._inbox.put(None)

    def duress_may_be_told(self, taken: bool | None) -> None:
        """Note whether the broker takes the topic of duress; None: it did not say. May be called on
        any thread."""
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
        """Send by this connection from now on; None: by none."""
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
                    self._pruner.prune()
                    self.signed_log.sign(self._clock())
                if (connection := self._connection) is not None and self._flight is not None:
                    self.signed_log.tell(connection)
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
        """Wait for an event, or for whatever else there is to do."""
        under_way = self._flight is not None and self._flight.unacknowledged
        longest = _QUIET_S if under_way or self._delivered else _BEAT_EVERY_S
        if self.signed_log.waits and self._flight is not None:
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
        if recorded is not None:
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
        """Go on at the first event that was not acknowledged, or a little before: a broker that was
        killed can have forgotten what it acknowledged last."""
        self.signed_log.begin()
        self._left_out = {}
        start = resend_after = self._resend_after()
        if pending := self._events.pending(0, 1):
            start = min(start, pending[0].seq - 1)
        return _Flight(connection, start, resend_after, self._events.last_seq())

    def _tell_forced(self, connection: Connection) -> None:
        """Send the duress messages that the broker refused before."""
        untold, self._untold = self._untold, []
        for payload in untold:
            answered = partial(self._on_forced, payload)
            if not connection.publish(self._topics.duress, payload, acknowledged=answered):
                self._untold.append(payload)

    def _on_forced(self, payload: bytes, refused: str | None) -> None:
        if refused is not None:
            self._untold.append(payload)

    def _resend_after(self) -> int:
        """The `seq` after which every event is young enough to be sent again."""
        if not self._recent:
            young = EventFilter(since=self._clock() - RESEND)
            first = self._events.page(young, limit=1, newest_first=False).events
            return first[0].seq - 1 if first else self._events.last_seq()
        since = self._recent[-1][0] - RESEND.total_seconds()
        return min(seq for at, seq in self._recent if at >= since) - 1

    def _settle(self) -> None:
        """Take in what the broker has acknowledged. Raises BrokerUnavailable where it refuses an
        event."""
        flight = self._flight
        while not self._acknowledged.empty():
            puback = self._acknowledged.get()
            if flight is None or puback.connection is not flight.connection:
                continue
            if puback.topic == self._topics.duress:
                # Whether it is taken was asked before, and is told whatever happens: to say here
                # that it is not would tell everybody that somebody was forced.
                payload = flight.forced.pop(puback.seq, None)
                if puback.refused is not None and payload is not None:
                    self._untold.append(payload)
            elif puback.refused is not None:
                self._refused = puback.topic
                raise BrokerUnavailable(
                    f"The broker refuses {puback.topic} ({puback.refused}). Does its ACL let this "
                    "door publish there? Until then the event waits, and those after it."
                )
            if puback.topic == self._refused:
                self._refused = ""
            flight.unacknowledged[puback.seq] -= 1
            if not flight.unacknowledged[puback.seq]:
                del flight.unacknowledged[puback.seq]
                if puback.seq in self._left_out:
                    continue
                if not self._delivered:
                    self._mark_at = time.monotonic() + _MARK_WITHIN_S
                self._delivered.append(puback.seq)

    def _mark(self) -> None:
        if not self._delivered:
            return
        self._events.mark_delivered(self._delivered, self._clock())
        now = time.monotonic()
        self._recent.extend((now, seq) for seq in self._delivered)
        self._delivered = []
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
        """The events after the last that was sent, at most `room`: as they were handed over, or
        from the database where one of them was not."""
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
            (self._topics.of_event(event), event.model_dump_json().encode(), None)
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

    def _door_event(self, event: AnyEvent) -> DoorEvent | None:
        """The signed message that opens the door; None for an event that opens none: a denial, a
        sent image, one that is too old, or one before a lockdown."""
        if not isinstance(event, LoginEvent) or not event.success or event.username is None:
            return None
        expires = event.timestamp + timedelta(seconds=self._settings.mqtt.door_expiry_s)
        if event.source in NOT_A_CAMERA or self._clock() >= expires:
            return None
        is_locked = self._locked_down(event.source)
        if is_locked or self._events.locked_down_after(event.seq, event.source):
            return None
        unsigned = DoorEvent.unsigned(event, event.username, self._topics.base, expires)
        return unsigned.model_copy(update={"signature": self._key.sign(unsigned.signed_text())})
