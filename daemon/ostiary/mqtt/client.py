"""Stays connected to the broker: one connection after another, each a `Connection`."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from enum import StrEnum
from typing import Protocol

import structlog
from paho.mqtt.enums import MQTTProtocolVersion

from ostiary.errors import BrokerUnavailable, ConfigError
from ostiary.mqtt.broker import (
    PACKET_TOO_LARGE,
    SESSION_TAKEN_OVER,
    HungUp,
    Limits,
    Login,
    Loss,
    ProtocolRefused,
    WillRefused,
)
from ostiary.mqtt.connection import Connection, Incoming
from ostiary.mqtt.paho_client import MQTT5, MQTT311
from ostiary.mqtt.session import Backoff

log = structlog.get_logger(__name__)

_FIRST_WAIT_S = 0.25
_STABLE_AFTER_S = 5.0
_TEND_EVERY_S = 5.0
_SHORT_S = 30.0
_LARGEST_WINDOW = 20  # QoS 1 messages under way at once; mosquitto's own default
_OFTEN = 3
_UNEXPLAINED = (None, 0x80)
_EXPECTED = (0x00, 0x8B)
_PERHAPS_TOO_LARGE = (None, 0x80, 0x81, 0x82, 0x83, 0x99)
_SMALL = 1024
"""Every broker takes a message of so many bytes."""


class Suspicion(StrEnum):
    """A stable word for `state`."""

    TWIN = "twin_suspected"
    """Another client connects with this client's id."""
    KICKED = "broker_ends_connections"


_ADVICE = {
    Suspicion.TWIN: "Another client connects with this client id: is there a second door with this "
    "device.id? Give each its own; `ostiary config --new` proposes one.",
    Suspicion.KICKED: "The broker ends each connection soon; its log says more.",
}


class BrokerSessions:
    """What the ends of the last connections say of the broker, and of other clients there.

    `short_s`: a connection that lived for less was short. A twin ends a connection before that: it
    waits no longer before it connects again."""

    def __init__(self, short_s: float) -> None:
        self._short_s = short_s
        self._taken_over = False
        self._short = 0
        self._code: int | None = None
        self._suspect = 0
        self._suspected = 0
        self.packet_bytes: int | None = None
        """The largest packet that the broker takes, as learnt from how it ended connections."""

    def ended(self, loss: Loss, lived_s: float) -> None:
        """Note that a connection ended by itself."""
        self.lives(lived_s)
        self._taken_over |= loss.code == SESSION_TAKEN_OVER
        if loss.code not in _EXPECTED and lived_s < self._short_s:
            self._short += 1
            self._code = loss.code

    def not_begun(self) -> None:
        """Note that no connection could be made: a broker that is down causes that, a twin does
        not."""
        self._short = 0

    def lives(self, for_s: float) -> None:
        """Note how long the connection has lived until now."""
        if for_s >= self._short_s:
            self._taken_over, self._short = False, 0

    def left_unacknowledged(self, loss: Loss, size: int, *, of_use: bool) -> bool:
        """Note that a connection ended before the broker had acknowledged a message of `size`
        bytes. `of_use`: the broker granted or acknowledged others. Returns whether the message is
        now taken for too large: the broker said so, or hung up each time that it came."""
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
        """What the ends of the connections point to; None: to nothing."""
        if self._taken_over:
            return Suspicion.TWIN
        if self._short < _OFTEN:
            return None
        return Suspicion.TWIN if self._code in _UNEXPLAINED else Suspicion.KICKED

    def _learn(self, size: int) -> bool:
        self.packet_bytes = min(size, self.packet_bytes or size) - 1
        self._suspected = 0
        return True


class MqttSession(Protocol):
    """What is done with a connection."""

    def connected(self, connection: Connection) -> None:
        """Called on the client's own thread when a new connection is there."""

    def message(self, incoming: Incoming) -> None:
        """Called on the network thread when a message came: only hand it over there."""

    def tend(self, connection: Connection) -> None:
        """Called on the client's own thread every few seconds while the connection lives."""

    def lost(self, connection: Connection) -> None:
        """Called when the connection ended by itself."""

    def closing(self, connection: Connection) -> None:
        """Called before a clean end, to send the last messages."""


class MqttClient:
    """Connects, and connects again with back-off, until it is stopped.

    Speaks MQTT 5, and 3.1.1 with a broker that has only that.
    """

    def __init__(
        self, login: Callable[[], Login], session: MqttSession, *, reconnect_at_most_s: float = 30.0
    ) -> None:
        self._login = login  # read again before each try: certificates and passwords change
        self._session = session
        self._backoff = Backoff(_FIRST_WAIT_S, reconnect_at_most_s)
        self._sessions = BrokerSessions(reconnect_at_most_s + _SHORT_S)
        self._suspicion: Suspicion | None = None
        self._loss = Loss(None, "")
        self._will = Limits()
        self._protocol = MQTT5
        self._understood: MQTTProtocolVersion | None = None  # once, by this broker or its cluster
        self._window = _LARGEST_WINDOW
        self._connection: Connection | None = None
        self._in_use = False
        self._stopping = threading.Event()
        self._changed = threading.Condition()
        self._lost = threading.Event()
        self._error: BrokerUnavailable | None = None
        self._thread = threading.Thread(target=self._run, name="mqtt", daemon=True)

    @property
    def connection(self) -> Connection | None:
        """The living connection, None while there is none."""
        connection = self._connection
        return connection if connection is not None and connection.alive else None

    @property
    def error(self) -> BrokerUnavailable | None:
        """Why there is no connection, where that is known."""
        return self._error

    @property
    def suspicion(self) -> Suspicion | None:
        """What the ends of the last connections point to."""
        return self._suspicion

    def start(self) -> None:
        """Begin to connect, and return at once."""
        self._thread.start()

    def stop(self) -> None:
        """End cleanly, within about a second. May be called twice."""
        self._stopping.set()
        self._lost.set()
        if self._thread.is_alive():
            self._thread.join(1.5)

    def wait_connected(self, timeout_s: float) -> Connection:
        """Wait for a connection that is in use, so that commands are heard. Raises
        BrokerUnavailable with the latest reason."""
        with self._changed:
            self._changed.wait_for(lambda: self._in_use, timeout_s)
        connection = self.connection
        if connection is None or not self._in_use:
            raise self._error or BrokerUnavailable("The broker did not answer in time.")
        return connection

    def message(self, incoming: Incoming) -> None:
        """Called by `Connection`: a message came."""
        self._session.message(incoming)

    def lost(self, connection: Connection, loss: Loss) -> None:
        """Called by `Connection`: it ended."""
        if connection is self._connection:
            self._loss = loss
            if not self._stopping.is_set():
                log.warning("broker_lost", reason=loss.words)
            self._lost.set()

    def _run(self) -> None:
        while not self._stopping.is_set():
            connection = self._try_to_connect()
            if connection is None:
                self._sessions.not_begun()
            else:
                since = time.monotonic()
                self._stay(connection, since)
                if time.monotonic() - since >= _STABLE_AFTER_S:
                    self._backoff.reset()
            self._stopping.wait(self._backoff.wait_s())

    def _try_to_connect(self) -> Connection | None:
        self._lost.clear()
        if self._stopping.is_set():
            return None
        try:
            login = self._fresh_login()
            connection = self._open_as_it_takes(login)
            if connection.limits.receive_maximum < self._window:
                self._window = connection.limits.receive_maximum
                self._connection = None
                connection.close()
                connection = self._open_as_it_takes(login)
        except BrokerUnavailable as error:
            if isinstance(error, ProtocolRefused) and not self._was_understood(error):
                self._protocol = MQTT311 if self._protocol == MQTT5 else MQTT5
            if self._error is None or self._error.message != error.message:
                log.error("broker_unavailable", reason=error.message)
            self._error = error
            return None
        self._error = None
        self._understood = self._protocol
        log.info(
            "broker_connected",
            host=login.host,
            port=login.port,
            mqtt="5" if self._protocol == MQTT5 else "3.1.1",
            session_present=connection.session_present,
            packet_limit=connection.limits.packet_bytes,
        )
        return connection

    def _was_understood(self, error: ProtocolRefused) -> bool:
        """Whether the broker has spoken this version before, and so hung up for another reason."""
        return isinstance(error, HungUp) and self._protocol == self._understood

    def _fresh_login(self) -> Login:
        try:
            return self._login()
        except ConfigError as error:
            raise BrokerUnavailable(error.message) from error

    def _open_as_it_takes(self, login: Login) -> Connection:
        """Open a connection with a will that the broker takes: it says so only by refusing one."""
        try:
            return self._open(login)
        except WillRefused as error:
            limits = error.limits
            self._will = replace(
                self._will,
                qos=min(self._will.qos, limits.qos),
                retain=self._will.retain and limits.retain,
            )
            log.warning("will_refused", reason=error.message)
            return self._open(login)

    def _open(self, login: Login) -> Connection:
        if login.will is not None:
            will = login.will
            kept = will.retain and self._will.retain
            login = replace(
                login, will=replace(will, qos=min(will.qos, self._will.qos), retain=kept)
            )
        learned = self._sessions.packet_bytes
        connection = Connection(login, self._protocol, self._window, self, learned)
        self._connection = connection
        connection.open()
        return connection

    def _stay(self, connection: Connection, since: float) -> None:
        self._session.connected(connection)
        with self._changed:
            self._in_use = True
            self._changed.notify_all()
        while not self._lost.wait(_TEND_EVERY_S):
            self._sessions.lives(time.monotonic() - since)
            self._suspicion = self._sessions.suspicion()
            self._session.tend(connection)
        self._in_use = False
        if connection.alive:  # so it is we who want to stop
            self._session.closing(connection)
            connection.close()
        else:
            self._learn(connection, time.monotonic() - since)
            self._session.lost(connection)

    def _learn(self, connection: Connection, lived_s: float) -> None:
        """Learn from how the connection ended."""
        size = connection.largest_unacknowledged
        of_use = connection.was_of_use
        if self._sessions.left_unacknowledged(self._loss, size, of_use=of_use):
            log.error("packet_limit_learned", bytes=self._sessions.packet_bytes)
        self._sessions.ended(self._loss, lived_s)
        suspicion = self._sessions.suspicion()
        if suspicion is not None and suspicion is not self._suspicion:
            log.error(
                suspicion.value,
                client_id=connection.client_id,
                reason=self._loss.words,
                advice=_ADVICE[suspicion],
            )
        self._suspicion = suspicion
