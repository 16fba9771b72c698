"""How large a packet is, and what a broker says of itself."""

import socket

import paho.mqtt.client as paho
import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from ostiary.mqtt.broker import Limits, publish_bytes
from ostiary.mqtt.paho_client import MQTT5, MQTT311


def sent_by_paho(topic: str, payload: bytes, properties: Properties | None, *, mqtt5: bool) -> int:
    """The bytes that paho puts on the wire."""
    client = paho.Client(CallbackAPIVersion.VERSION2, protocol=MQTT5 if mqtt5 else MQTT311)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        client._sock = ours
        client._send_publish(1, topic.encode(), payload, 1, False, False, None, properties)
        return len(theirs.recv(1_000_000))


@given(
    st.text("aé门/", min_size=1, max_size=60),
    st.sampled_from([0, 1, 100, 115, 116, 117, 120, 127, 128, 16_000, 16_370, 16_376, 16_384]),
    st.integers(0, 3),
    st.booleans(),
    st.none() | st.binary(max_size=200),
)
def test_a_message_is_as_large_as_paho_makes_it(
    topic: str, size: int, more: int, mqtt5: bool, correlation: bytes | None
) -> None:
    payload, properties = b"x" * (size + more), None
    if mqtt5 and correlation is not None:
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        properties.MessageExpiryInterval = 60
        properties.CorrelationData = correlation
    expected = sent_by_paho(topic, payload, properties, mqtt5=mqtt5)
    assert publish_bytes(topic, payload, properties, mqtt5=mqtt5) == expected


def connack(**said: int) -> Properties:
    properties = Properties(PacketTypes.CONNACK)  # type: ignore[no-untyped-call]
    for name, value in said.items():
        setattr(properties, name, value)
    return properties


def test_a_broker_that_says_nothing_takes_everything() -> None:
    assert Limits.said(None) == Limits.said(connack()) == Limits()
    assert Limits().takes(2**28)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"MaximumPacketSize": 3500}, Limits(packet_bytes=3500)),
        ({"MaximumQoS": 0}, Limits(qos=0)),
        ({"MaximumQoS": 1}, Limits(qos=1)),
        ({"RetainAvailable": 0}, Limits(retain=False)),
        ({"WildcardSubscriptionAvailable": 0}, Limits(wildcards=False)),
        ({"ReceiveMaximum": 3}, Limits(receive_maximum=3)),
        ({"SessionExpiryInterval": 60}, Limits(session_expiry_s=60)),
        ({"ServerKeepAlive": 10}, Limits(keepalive_s=10)),
        ({"TopicAliasMaximum": 0, "SharedSubscriptionAvailable": 0}, Limits()),
    ],
)
def test_what_a_broker_says_is_read(said: dict[str, int], expected: Limits) -> None:
    assert Limits.said(connack(**said)) == expected


def test_the_smaller_of_two_limits_counts() -> None:
    assert Limits(packet_bytes=3500).at_most(None).packet_bytes == 3500
    assert Limits(packet_bytes=3500).at_most(3000).packet_bytes == 3000
    assert Limits().at_most(3000).packet_bytes == 3000
    assert not Limits(packet_bytes=3500).takes(3501)
