"""The broker: how to reach it, what it takes, and what it means when it refuses or hangs up."""

import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from ostiary.errors import BrokerUnavailable
from ostiary.mqtt.security import read_password, tls_context
from ostiary.settings import MqttSettings, Settings

KEEP_ALIVE_S = 15
RECEIVE_MAXIMUM = 20
"""Messages that the broker may send before one is acknowledged."""
PACKET_LIMIT = 16 * 1024 * 1024
"""Bytes of the largest message that is taken: twice the largest command."""

SESSION_TAKEN_OVER = 0x8E
PACKET_TOO_LARGE = 0x95
QOS_NOT_SUPPORTED = 0x9B
RETAIN_NOT_SUPPORTED = 0x9A

_SAID = {
    0x00: "the broker said goodbye",
    0x80: "the broker ended the connection without saying why",
    0x81: "the broker could not read a packet",
    0x82: "the broker says that the protocol was broken",
    0x83: "the broker forbids what was sent, by a rule of its own",
    0x87: "the broker does not permit what was sent. Does its ACL let this door do it?",
    0x88: "the broker is not available now",
    0x89: "the broker is busy",
    0x8B: "the broker is shutting down",
    0x8D: "the broker heard nothing for one and a half keep-alives",
    SESSION_TAKEN_OVER: "another client connected with the same client id",
    0x8F: "the broker finds a topic filter invalid",
    0x90: "the broker finds a topic invalid",
    0x93: "the broker got more unacknowledged messages than it takes",
    0x94: "the broker does not know a topic alias",
    PACKET_TOO_LARGE: "the broker does not take so large a message",
    0x96: "the broker got too many messages at once",
    0x97: "the quota at the broker is used up",
    0x98: "an administrator of the broker ended the connection",
    0x99: "the broker finds a payload invalid",
    RETAIN_NOT_SUPPORTED: "the broker keeps no retained messages",
    QOS_NOT_SUPPORTED: "the broker does not take that quality of service",
    0x9C: "the broker wants another server to be used",
    0x9D: "the broker has moved",
    0x9E: "the broker has no shared subscriptions",
    0x9F: "the broker takes no more connections now",
    0xA0: "the broker ends each connection after some time",
    0xA1: "the broker has no subscription identifiers",
    0xA2: "the broker has no wildcard subscriptions",
}
"""Reason codes of DISCONNECT (MQTT 5, 3.14.2.1)."""
_REFUSED = {
    0x85: "the broker does not take this client id. Is device.id a plain name?",
    0x86: "the broker refuses the user name or password.",
    0x87: "the broker says: not authorised. Are user name and password set and right?",
    0x88: "the broker is not available now.",
    0x89: "the broker is busy.",
    0x8A: "the broker has banned this client.",
    0x8C: "the broker wants another way to sign in.",
    0x90: "the broker does not take the topic …/availability.",
    PACKET_TOO_LARGE: "the broker does not take so large a message, not even to connect.",
    0x97: "the quota at the broker is used up.",
    RETAIN_NOT_SUPPORTED: "the broker keeps no retained messages.",
    QOS_NOT_SUPPORTED: "the broker takes messages of QoS 0 only.",
    0x9C: "the broker wants another server to be used.",
    0x9D: "the broker has moved.",
    0x9F: "the broker takes no more connections now.",
}
"""Reason codes of CONNACK (MQTT 5, 3.2.2.2)."""

_NOT_OUR_CA = {18, 19, 20, 21}  # X509_V_ERR_*: self-signed, or without the issuer at hand
_EXPIRED = 10
_NOT_YET_VALID = 9
_OTHER_HOST = {62, 64}


@dataclass(frozen=True, slots=True)
class Will:
    """What the broker publishes for this client once the connection breaks."""

    topic: str
    payload: bytes
    qos: int = 1
    retain: bool = True


@dataclass(frozen=True, slots=True)
class Login:
    """The address of the broker, and as whom to log in there."""

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
    """Whether the broker forgets this client when the connection ends. Only for MQTT 3.1.1, which
    knows no `session_expiry_s`."""


def login_of(
    settings: Settings,
    client_id: str,
    *,
    session_expiry_s: int = 0,
    will: Will | None = None,
    receive_maximum: int = RECEIVE_MAXIMUM,
) -> Login:
    """The login of the settings; reads passwords and certificates now. Raises ConfigError."""
    mqtt = settings.mqtt
    return Login(
        host=mqtt.host,
        port=mqtt.port,
        client_id=client_id,
        keepalive_s=KEEP_ALIVE_S,
        session_expiry_s=session_expiry_s,
        receive_maximum=receive_maximum,
        packet_limit=PACKET_LIMIT,
        will=will,
        username=mqtt.username,
        password=read_password(mqtt),
        tls=tls_context(mqtt),
    )


class Brokers:
    """The broker of the settings and the others of its cluster, in turn."""

    def __init__(self, settings: MqttSettings) -> None:
        self._all = [(settings.host, settings.port), *map(_address, settings.cluster)]
        self._tried = 0

    def next(self, login: Login) -> Login:
        """`login` at the broker whose turn it is."""
        host, port = self._all[self._tried % len(self._all)]
        self._tried += 1
        return replace(login, host=host, port=port)


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


@dataclass(frozen=True, slots=True)
class Limits:
    """What a broker takes, by its CONNACK (MQTT 5, 3.2.2.3). The defaults hold where it says
    nothing, as in MQTT 3.1.1.

    Nothing else of the CONNACK matters here: paho obeys the keep-alive; topic aliases, shared
    subscriptions and subscription identifiers are not used; a client id is always sent.
    """

    packet_bytes: int | None = None
    """The largest packet, with its topic and properties; None: no limit is known."""
    qos: int = 2
    """The highest quality of service of a message, and of a will."""
    retain: bool = True
    """Whether it keeps the last message of a topic."""
    wildcards: bool = True
    """Whether one subscription may hear several topics."""
    receive_maximum: int = 65535
    """QoS 1 messages that it takes unacknowledged."""
    session_expiry_s: int | None = None
    """How long it keeps a session, where that is not what was asked for."""
    keepalive_s: int | None = None
    """How often it wants to hear something, where that is not what was offered."""

    @classmethod
    def said(cls, connack: Properties | None) -> "Limits":
        """Read them from a CONNACK's properties."""
        usual = cls()
        return cls(
            packet_bytes=getattr(connack, "MaximumPacketSize", None) or None,
            qos=getattr(connack, "MaximumQoS", usual.qos),
            retain=bool(getattr(connack, "RetainAvailable", usual.retain)),
            wildcards=bool(getattr(connack, "WildcardSubscriptionAvailable", usual.wildcards)),
            receive_maximum=getattr(connack, "ReceiveMaximum", usual.receive_maximum),
            session_expiry_s=getattr(connack, "SessionExpiryInterval", None),
            keepalive_s=getattr(connack, "ServerKeepAlive", None),
        )

    def at_most(self, packet_bytes: int | None) -> "Limits":
        """The same with `packet_bytes` as the limit, where that is less."""
        known = [each for each in (self.packet_bytes, packet_bytes) if each is not None]
        return replace(self, packet_bytes=min(known, default=None))

    def takes(self, size: int) -> bool:
        """Whether a packet of `size` bytes may be sent."""
        return self.packet_bytes is None or size <= self.packet_bytes


def publish_bytes(topic: str, payload: bytes, properties: Properties | None, *, mqtt5: bool) -> int:
    """Bytes of a PUBLISH of QoS 1 (MQTT 5, 2.1 and 3.3): header, length, topic, packet identifier,
    properties, payload."""
    extra = 0
    if mqtt5:
        extra = 1 if properties is None else len(properties.pack())  # type: ignore[no-untyped-call]
    return _whole_bytes(2 + len(topic.encode()) + 2 + extra + len(payload))


def subscribe_bytes(topics: Sequence[str]) -> int:
    """Bytes of a SUBSCRIBE (MQTT 5, 3.8): packet identifier, properties, filters."""
    return _whole_bytes(2 + 1 + sum(2 + len(topic.encode()) + 1 for topic in topics))


def _whole_bytes(remaining: int) -> int:
    """Bytes of a packet with its header; the length in it takes a byte for each seven bits."""
    return 1 + max(1, -(-remaining.bit_length() // 7)) + remaining


class ProtocolRefused(BrokerUnavailable):
    """The broker does not speak this version of MQTT."""


class WillRefused(BrokerUnavailable):
    """The broker takes no will of that quality of service, or no retained one. `limits`: what it
    takes."""

    def __init__(self, message: str, limits: Limits) -> None:
        super().__init__(message)
        self.limits = limits


class HungUp(ProtocolRefused):
    """The broker did not answer CONNECT. It may not know this version of MQTT, or it is just being
    stopped or started."""


def refusal(reason: ReasonCode, properties: Properties | None, where: str) -> BrokerUnavailable:
    """Why the broker at `where` takes no connection, by its CONNACK."""
    name = reason.getName()
    if name == "Unsupported protocol version":
        return ProtocolRefused(f"{where}: the broker does not speak this version of MQTT.")
    words = _REFUSED.get(reason.value, f"the broker refuses the connection: {name}.")
    said = f"{where}: {words}{_besides(properties)}"
    limits = Limits.said(properties)
    if reason.value == QOS_NOT_SUPPORTED:
        return WillRefused(said, replace(limits, qos=0))
    if reason.value == RETAIN_NOT_SUPPORTED:
        return WillRefused(said, replace(limits, retain=False))
    return BrokerUnavailable(said)


@dataclass(frozen=True, slots=True)
class Loss:
    """How a connection ended by itself. `code`: that of the broker's DISCONNECT; None: it sent
    none, but hung up or could not be reached any more."""

    code: int | None
    words: str


def loss_of(reason: ReasonCode, properties: Properties | None, *, by_broker: bool) -> Loss:
    """How a connection ended. `by_broker`: it sent a DISCONNECT; otherwise `reason` is paho's."""
    if by_broker:
        words = _SAID.get(reason.value, f"the broker ended the connection: {reason.getName()}")
        return Loss(reason.value, words + _besides(properties))
    match reason.getName():
        case "Keep alive timeout":
            return Loss(None, "the broker did not answer any more")
        case "Protocol error":
            return Loss(None, "what the broker sent is not MQTT")
        case _:
            return Loss(None, "the broker hung up, or the network is gone")


def _besides(properties: Properties | None) -> str:
    """What the broker adds in its own words: its reason, and another broker to go to."""
    reason = getattr(properties, "ReasonString", "")
    server = getattr(properties, "ServerReference", "")
    return (f" ({reason})" if reason else "") + (f"; it names {server}" if server else "")


def explain_connect_error(error: Exception, where: str, *, tls: bool) -> BrokerUnavailable:
    """Say what stopped a connection, and what to look at."""
    return BrokerUnavailable(f"{where}: {_reason(error, tls=tls)}")


def _reason(error: Exception, *, tls: bool) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return _certificate_reason(error)
    if isinstance(error, ssl.SSLError) and error.reason == "WRONG_VERSION_NUMBER":
        return "what answers there does not speak TLS; is that the port for plain text?"
    if tls and isinstance(error, ssl.SSLError | ConnectionResetError):
        name = getattr(error, "reason", None) or "connection closed"
        return f"TLS failed ({name}); does that port speak TLS, and take this door's certificate?"
    if isinstance(error, TimeoutError):
        return "no answer in time; is the address right, and the broker up?"
    if isinstance(error, OSError):
        return f"{error.strerror or error}."
    return str(error)


def _certificate_reason(error: ssl.SSLCertVerificationError) -> str:
    if error.verify_code == _EXPIRED:
        return "the broker's certificate has expired. Renew it there, or set this clock."
    if error.verify_code == _NOT_YET_VALID:
        return "the broker's certificate is not valid yet. Is this clock right?"
    if error.verify_code in _NOT_OUR_CA:
        return "the broker's certificate was not issued by the CA in mqtt.tls_ca."
    if error.verify_code in _OTHER_HOST:
        return "the broker's certificate is for another host name than mqtt.host."
    return f"the broker's certificate is refused: {error.verify_message}."
