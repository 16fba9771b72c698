"""One connection to the broker, from CONNECT to its end: a thin typed wrapper of paho-mqtt.

paho's client is used once and thrown away, so that nothing is left in its memory to be sent
later in another order: what has to survive is in the database and sent again from there.
"""

import queue
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import paho.mqtt.client as paho
import structlog
from paho.mqtt.enums import MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from ostiary.errors import BrokerUnavailable, RequestTooLarge
from ostiary.mqtt.broker import (
    HungUp,
    Limits,
    Login,
    Loss,
    explain_connect_error,
    loss_of,
    publish_bytes,
    refusal,
    subscribe_bytes,
)
from ostiary.mqtt.paho_client import CONNECT_TIMEOUT_S, MQTT5, PahoClient

log = structlog.get_logger(__name__)

_AFTER_TLS = "Does it take this door's certificate (missing, expired, of another CA)?"
_WITHOUT_TLS = "Does this port want TLS (mqtt.tls)?"
_ENDED = -1
"""Stands for the number of a SUBSCRIBE once none is answered any more."""

_Said = Properties | None
Acknowledged = Callable[[str | None], None]
"""Called once the broker has a message; the text says why it refused it, None: it did not."""


def _nobody_cares(_refused: str | None) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message as it came. `retain`: the broker kept it, and its age is unknown."""

    connection: "Connection"
    topic: str
    payload: bytes
    mid: int
    qos: int
    dup: bool
    retain: bool
    response_topic: str | None = None
    correlation: bytes | None = None


class Listener(Protocol):
    """Hears of messages and of the end. Called on the network thread: only hand over there."""

    def message(self, incoming: Incoming) -> None: ...

    def lost(self, connection: "Connection", loss: Loss) -> None: ...


class Connection:
    """One connection. Open it once. Every method may be called from any thread."""

    def __init__(
        self,
        login: Login,
        protocol: MQTTProtocolVersion,
        window: int,
        listener: Listener,
        packet_bytes: int | None = None,
    ) -> None:
        """`packet_bytes`: the largest packet that the broker was seen to take; it may name a lower
        limit."""
        self.protocol = protocol
        self.session_present = False
        self.limits = Limits(packet_bytes=packet_bytes)
        self.too_large: dict[str, int] = {}
        """The size of the newest message of a topic, where it was too large to be sent."""
        self.lowest_granted = 1
        """The lowest quality of service that the broker granted to a subscription."""
        self.was_of_use = False
        """Whether the broker granted or acknowledged anything."""
        self._login = login
        self._listener = listener
        self._settled = threading.Event()  # accepted, refused or closed
        self._accepted = False
        self._ended = threading.Event()
        self._subscribed: queue.SimpleQueue[tuple[int, list[str | None]]] = queue.SimpleQueue()
        self._refusal: BrokerUnavailable | None = None
        self._ledger = threading.Lock()  # never held while paho is called
        self._waiting: dict[int, tuple[Acknowledged, int]] = {}
        self._early: dict[int, str | None] = {}
        self._client = PahoClient(login, protocol, window)
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = self._on_message
        self._client.on_publish = self._on_publish

    @property
    def alive(self) -> bool:
        return self._accepted and not self._ended.is_set()

    @property
    def tls_version(self) -> str | None:
        """None where it is not encrypted."""
        socket = self._client.socket()
        return socket.version() if isinstance(socket, ssl.SSLSocket) else None

    @property
    def client_id(self) -> str:
        return self._login.client_id

    @property
    def is_idle(self) -> bool:
        """Whether the broker has everything that was sent."""
        with self._ledger:
            return not self._waiting

    @property
    def largest_unacknowledged(self) -> int:
        """Bytes of the largest message that was sent and not acknowledged."""
        with self._ledger:
            return max((size for _, size in self._waiting.values()), default=0)

    def open(self) -> None:
        """Connect and wait for the broker's answer. Raises BrokerUnavailable, which says why."""
        login = self._login
        where = f"{login.host}:{login.port}"
        properties: Properties | None = None
        clean_start: bool | int = paho.MQTT_CLEAN_START_FIRST_ONLY
        if self.protocol == MQTT5:
            clean_start = False
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            properties.SessionExpiryInterval = login.session_expiry_s
            properties.ReceiveMaximum = login.receive_maximum
            properties.MaximumPacketSize = login.packet_limit
        try:
            self._client.connect(
                login.host,
                login.port,
                login.keepalive_s,
                clean_start=clean_start,  # type: ignore[arg-type]
                properties=properties,
            )
        except (OSError, ValueError) as error:
            raise explain_connect_error(error, where, tls=login.tls is not None) from error
        self._client.loop_start()
        if not self._settled.wait(CONNECT_TIMEOUT_S):
            self.close()
            raise HungUp(f"{where}: no MQTT answer in {CONNECT_TIMEOUT_S:g} s.")
        if self._refusal is not None:
            raise self._refusal
        if not self._accepted:
            raise HungUp(
                f"{where}: the broker closed the connection before it answered. "
                f"{_AFTER_TLS if login.tls else _WITHOUT_TLS}"
            )

    def subscribe(self, *topics: str) -> None:
        """Subscribe to all of them, in as few packets as the broker takes, and wait for its answer.
        Raises BrokerUnavailable, which names the first that it refuses."""
        packet: list[str] = []
        for topic in topics:
            if packet and not self.limits.takes(subscribe_bytes([*packet, topic])):
                self._subscribe(packet)
                packet = []
            packet.append(topic)
        if packet:
            self._subscribe(packet)

    def _subscribe(self, topics: list[str]) -> None:
        code, wanted = self._client.subscribe([(topic, 1) for topic in topics])
        if code != paho.MQTT_ERR_SUCCESS:
            raise BrokerUnavailable("The connection to the broker has ended.")
        answered: int | None = None
        reasons: list[str | None] = []
        while answered != wanted:  # one that came too late may be before it
            try:
                answered, reasons = self._subscribed.get(timeout=CONNECT_TIMEOUT_S)
            except queue.Empty:
                answered, reasons = wanted, ["no answer"]
            if answered == _ENDED:
                raise BrokerUnavailable("The connection to the broker has ended.")
        for topic, reason in zip(topics, reasons, strict=False):
            if reason is not None:
                raise BrokerUnavailable(
                    f"The broker refuses the subscription to {topic}: {reason}. "
                    "Does its ACL let this door read it?"
                )

    def unsubscribe(self, topic: str) -> None:
        """Ask the broker to send no more of it."""
        self._client.unsubscribe(topic)

    def fits(
        self,
        topic: str,
        payload: bytes,
        *,
        expiry_s: int | None = None,
        correlation: bytes | None = None,
    ) -> bool:
        """Whether the broker takes so large a message."""
        properties = self._properties(expiry_s, correlation)
        return self.limits.takes(self._size(topic, payload, properties))

    def check_fits(self, topic: str, payload: bytes) -> None:
        """Raises RequestTooLarge for a message that is larger than the broker takes."""
        if not self.fits(topic, payload):
            raise RequestTooLarge(
                f"This broker takes messages of {self.limits.packet_bytes:,} bytes at most; this "
                f"one has {self._size(topic, payload, None):,}."
            )

    def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        qos: int = 1,
        retain: bool = False,
        expiry_s: int | None = None,
        correlation: bytes | None = None,
        acknowledged: Acknowledged = _nobody_cares,
    ) -> bool:
        """Send at QoS 1 or 0, as the broker takes it. Returns False where it was not sent: the
        connection has ended, or the message is larger than the broker takes (which is logged once
        a topic). `acknowledged` is not called then."""
        properties = self._properties(expiry_s, correlation)
        if not self.alive:
            return False
        size = self._size(topic, payload, properties)
        if not self.limits.takes(size):
            self._leave_out(topic, size)
            return False
        self.too_large.pop(topic, None)
        qos, retain = min(qos, self.limits.qos), retain and self.limits.retain
        info = self._client.publish(topic, payload, qos, retain, properties)
        if info.rc != paho.MQTT_ERR_SUCCESS:
            return False
        with self._ledger:
            early = info.mid in self._early  # the network thread was faster than this one
            refused = self._early.pop(info.mid, None)
            if not early:
                self._waiting[info.mid] = acknowledged, size
        if early:
            acknowledged(refused)
        return True

    def _properties(self, expiry_s: int | None, correlation: bytes | None) -> Properties | None:
        if self.protocol != MQTT5 or (expiry_s is None and correlation is None):
            return None
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        if expiry_s is not None:
            properties.MessageExpiryInterval = expiry_s
        if correlation is not None:
            properties.CorrelationData = correlation
        return properties

    def _size(self, topic: str, payload: bytes, properties: Properties | None) -> int:
        return publish_bytes(topic, payload, properties, mqtt5=self.protocol == MQTT5)

    def _leave_out(self, topic: str, size: int) -> None:
        if topic not in self.too_large:
            limit = self.limits.packet_bytes
            log.error("message_too_large", topic=topic, bytes=size, broker_takes=limit)
        self.too_large[topic] = size

    def publish_and_wait(
        self, topic: str, payload: bytes, *, retain: bool = False, timeout_s: float
    ) -> bool:
        """Send, and wait until the broker has it; False where it has not within `timeout_s`."""
        done: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        if not self.publish(topic, payload, retain=retain, acknowledged=done.put):
            return False
        try:
            return done.get(timeout=timeout_s) is None
        except queue.Empty:
            return False

    def may_publish(self, topic: str) -> bool | None:
        """Whether the broker takes a message there. Nobody hears one. None: it did not say."""
        if self.protocol != MQTT5 or self.limits.qos < 2 or self.limits.receive_maximum < 2:
            return None
        return self._client.may_publish(topic)

    def release(self) -> None:
        """Release the messages by which `may_publish` asked. Call it every few seconds."""
        self._client.release()

    def acknowledge(self, incoming: Incoming) -> None:
        """Tell the broker that it may forget the message. Ignored for another connection's."""
        if incoming.connection is self and incoming.qos and not self._ended.is_set():
            self._client.ack(incoming.mid, incoming.qos)

    def close(self) -> None:
        """Say goodbye, so that the broker does not publish the Will."""
        self._client.disconnect()
        self._ended.wait(1.0)

    # paho calls these on its network thread; its argument types are its own.

    def _on_connect(
        self, _c: object, _u: object, flags: paho.ConnectFlags, reason: ReasonCode, said: _Said
    ) -> None:
        if reason.is_failure:
            where = f"{self._login.host}:{self._login.port}"
            self._refusal = refusal(reason, said, where)
        else:
            self.session_present = flags.session_present
            self.limits = Limits.said(said).at_most(self.limits.packet_bytes)
            self._accepted = True
        self._settled.set()

    def _on_disconnect(
        self, _c: object, _u: object, flags: paho.DisconnectFlags, reason: ReasonCode, said: _Said
    ) -> None:
        self._ended.set()
        self._settled.set()
        self._subscribed.put((_ENDED, []))
        self._client.ended()
        if self._accepted:
            by_broker = flags.is_disconnect_packet_from_server
            self._listener.lost(self, loss_of(reason, said, by_broker=by_broker))

    def _on_subscribe(
        self, _c: object, _u: object, mid: int, reasons: list[ReasonCode], _said: _Said
    ) -> None:
        refusals = [str(each) if each.is_failure else None for each in reasons]
        self.was_of_use |= None in refusals
        granted = [each.value for each in reasons if not each.is_failure]
        self.lowest_granted = min([self.lowest_granted, *granted])
        self._subscribed.put((mid, refusals))

    def _on_message(self, _c: object, _u: object, message: paho.MQTTMessage) -> None:
        properties = message.properties
        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = ""
        self._listener.message(
            Incoming(
                self,
                topic,
                bytes(message.payload),
                message.mid,
                message.qos,
                message.dup,
                message.retain,
                getattr(properties, "ResponseTopic", None),
                getattr(properties, "CorrelationData", None),
            )
        )

    def _on_publish(
        self, _c: object, _u: object, mid: int, reason: ReasonCode, _said: _Said
    ) -> None:
        refused = str(reason) if reason.is_failure else None
        self.was_of_use |= refused is None
        with self._ledger:
            waiting = self._waiting.pop(mid, None)
            if waiting is None:
                self._early[mid] = refused
        if waiting is not None:
            acknowledged, _ = waiting
            acknowledged(refused)
