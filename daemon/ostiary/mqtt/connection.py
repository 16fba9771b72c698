"""One connection to the broker, from CONNECT to its end: a thin typed wrapper of paho-mqtt.

paho's client is used once and thrown away, so that nothing is left in its memory to be sent
later in another order: what has to survive is in the database and sent again from there.
"""

import queue
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from ostiary.errors import BrokerUnavailable
from ostiary.mqtt.security import explain_connect_error

MQTT5 = MQTTProtocolVersion.MQTTv5
MQTT311 = MQTTProtocolVersion.MQTTv311
CONNECT_TIMEOUT_S = 5.0
_AFTER_TLS = "Does it take this door's certificate (missing, expired, of another CA)?"
_WITHOUT_TLS = "Does this port want TLS (mqtt.tls)?"

Acknowledged = Callable[[str | None], None]
"""Told once the broker has a message; the text says why it refused it."""


def _nobody_cares(_refused: str | None) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message as it came. `retain`: it was kept by the broker and is of unknown age."""

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
    """Who is told. Called on the network thread: do nothing there but hand over."""

    def message(self, incoming: Incoming) -> None: ...

    def lost(self, connection: "Connection", reason: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Will:
    topic: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Login:
    """How to reach the broker and who we are there."""

    host: str
    port: int
    client_id: str
    keepalive_s: int
    session_expiry_s: int
    receive_maximum: int
    packet_limit: int
    will: Will | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: ssl.SSLContext | None = None
    clean: bool = False
    """Whether the broker forgets this client when the connection ends, in MQTT 3.1.1, which knows
    no `session_expiry_s`."""


class ProtocolRefused(BrokerUnavailable):
    """The broker does not speak this version of MQTT."""


class HungUp(ProtocolRefused):
    """It gave no answer to CONNECT, as brokers do that do not know this version of MQTT; and as
    every broker does that is just being stopped or started."""


class Connection:
    """Open it once. Every method may be called from any thread."""

    def __init__(
        self, login: Login, protocol: MQTTProtocolVersion, window: int, listener: Listener
    ) -> None:
        self.protocol = protocol
        self.session_present = False
        self.receive_maximum = 65535  # the broker's: QoS 1 messages it takes unacknowledged
        self._login = login
        self._listener = listener
        self._settled = threading.Event()  # accepted, refused or closed
        self._accepted = False
        self._ended = threading.Event()
        self._subscribed: queue.SimpleQueue[tuple[int, list[str | None]]] = queue.SimpleQueue()
        self._refusal: BrokerUnavailable | None = None
        self._ledger = threading.Lock()  # never held while paho is called
        self._waiting: dict[int, Acknowledged] = {}
        self._early: dict[int, str | None] = {}
        self._client = self._make_client(window)

    @property
    def alive(self) -> bool:
        return self._accepted and not self._ended.is_set()

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
        """Ask for all of them at once and wait for the broker's word. Raises BrokerUnavailable,
        which names the first that it refuses."""
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
        for topic, reason in zip(topics, reasons, strict=False):
            if reason is not None:
                raise BrokerUnavailable(
                    f"The broker refuses the subscription to {topic}: {reason}. "
                    "Does its ACL let this door read it?"
                )

    def unsubscribe(self, topic: str) -> None:
        """Hear no more of it, soon."""
        self._client.unsubscribe(topic)

    def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        retain: bool = False,
        expiry_s: int | None = None,
        correlation: bytes | None = None,
        acknowledged: Acknowledged = _nobody_cares,
    ) -> bool:
        """Send at QoS 1. False where the connection has ended; then it was perhaps not sent, and
        `acknowledged` is not called."""
        properties: Properties | None = None
        if self.protocol == MQTT5 and (expiry_s is not None or correlation is not None):
            properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
            if expiry_s is not None:
                properties.MessageExpiryInterval = expiry_s
            if correlation is not None:
                properties.CorrelationData = correlation
        if not self.alive:
            return False
        info = self._client.publish(topic, payload, 1, retain, properties)
        if info.rc != paho.MQTT_ERR_SUCCESS:
            return False
        with self._ledger:
            early = info.mid in self._early  # the network thread was faster than this one
            refused = self._early.pop(info.mid, None)
            if not early:
                self._waiting[info.mid] = acknowledged
        if early:
            acknowledged(refused)
        return True

    def publish_and_wait(
        self, topic: str, payload: bytes, *, retain: bool = False, timeout_s: float
    ) -> bool:
        """Send and wait for the broker to have it; False where it has not."""
        done: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        if not self.publish(topic, payload, retain=retain, acknowledged=done.put):
            return False
        try:
            return done.get(timeout=timeout_s) is None
        except queue.Empty:
            return False

    def acknowledge(self, incoming: Incoming) -> None:
        """Tell the broker that it may forget the message. Only on the connection it came by."""
        if incoming.connection is self and incoming.qos and not self._ended.is_set():
            self._client.ack(incoming.mid, incoming.qos)

    def close(self) -> None:
        """Say goodbye, so that the broker does not publish the Will."""
        self._client.disconnect()
        self._ended.wait(1.0)

    def _make_client(self, window: int) -> paho.Client:
        login = self._login
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=login.client_id,
            protocol=self.protocol,
            clean_session=None if self.protocol == MQTT5 else login.clean,
            reconnect_on_failure=False,
            manual_ack=True,
        )
        client.connect_timeout = CONNECT_TIMEOUT_S
        client.max_inflight_messages_set(window)
        client.max_queued_messages_set(0)
        if login.will is not None:
            client.will_set(login.will.topic, login.will.payload, 1, retain=True)
        if login.username is not None:
            client.username_pw_set(login.username, login.password)
        if login.tls is not None:
            client.tls_set_context(login.tls)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        client.on_publish = self._on_publish
        return client

    # paho calls these on its network thread; its argument types are its own.

    def _on_connect(
        self,
        _client: paho.Client,
        _userdata: object,
        flags: paho.ConnectFlags,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        if reason.is_failure:
            self._refusal = _refusal(reason, f"{self._login.host}:{self._login.port}")
        else:
            self.session_present = flags.session_present
            self.receive_maximum = getattr(properties, "ReceiveMaximum", 65535)
            self._accepted = True
        self._settled.set()

    def _on_disconnect(
        self,
        _client: paho.Client,
        _userdata: object,
        _flags: paho.DisconnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        self._ended.set()
        self._settled.set()
        if self._accepted:
            self._listener.lost(self, str(reason))

    def _on_subscribe(
        self,
        _client: paho.Client,
        _userdata: object,
        mid: int,
        reasons: list[ReasonCode],
        _properties: Properties | None,
    ) -> None:
        refusals = [str(each) if each.is_failure else None for each in reasons]
        self._subscribed.put((mid, refusals))

    def _on_message(
        self, _client: paho.Client, _userdata: object, message: paho.MQTTMessage
    ) -> None:
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
        self,
        _client: paho.Client,
        _userdata: object,
        mid: int,
        reason: ReasonCode,
        _properties: Properties,
    ) -> None:
        refused = str(reason) if reason.is_failure else None
        with self._ledger:
            acknowledged = self._waiting.pop(mid, None)
            if acknowledged is None:
                self._early[mid] = refused
        if acknowledged is not None:
            acknowledged(refused)


def _refusal(reason: ReasonCode, where: str) -> BrokerUnavailable:
    name = reason.getName()
    if name == "Unsupported protocol version":
        return ProtocolRefused(f"{where}: the broker does not speak this version of MQTT.")
    if name == "Bad user name or password":
        return BrokerUnavailable(f"{where}: the broker refuses the user name or password.")
    if name == "Not authorized":
        return BrokerUnavailable(
            f"{where}: the broker says: not authorised. Are user name and password set and right?"
        )
    return BrokerUnavailable(f"{where}: the broker refuses the connection: {name}.")
