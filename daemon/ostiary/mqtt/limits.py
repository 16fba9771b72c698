"""What a broker takes, by its CONNACK (MQTT 5, 3.2.2.3)."""

from dataclasses import dataclass, replace

from paho.mqtt.properties import Properties


@dataclass(frozen=True, slots=True)
class Limits:
    """What holds where a broker says nothing, as one of MQTT 3.1.1 never does.

    What it says besides needs nothing: its keep-alive is paho's to obey, topic aliases, shared
    subscriptions and subscription identifiers are not used, and a client id is always sent.
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
        """As the broker said."""
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
        """With that for the largest packet, where it is less."""
        known = [each for each in (self.packet_bytes, packet_bytes) if each is not None]
        return replace(self, packet_bytes=min(known, default=None))

    def takes(self, size: int) -> bool:
        """Whether a packet of `size` bytes may be sent."""
        return self.packet_bytes is None or size <= self.packet_bytes


def publish_bytes(topic: str, payload: bytes, properties: Properties | None, *, mqtt5: bool) -> int:
    """How large a PUBLISH of QoS 1 is (MQTT 5, 2.1 and 3.3): header, length, topic, packet
    identifier, properties, payload."""
    extra = 0
    if mqtt5:
        extra = 1 if properties is None else len(properties.pack())  # type: ignore[no-untyped-call]
    return whole_bytes(2 + len(topic.encode()) + 2 + extra + len(payload))


def whole_bytes(remaining: int) -> int:
    """A packet with its header, whose length takes a byte for each seven bits."""
    return 1 + max(1, -(-remaining.bit_length() // 7)) + remaining
