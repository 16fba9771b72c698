"""Why a connection ended, or was not begun, in words."""

from dataclasses import dataclass

from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

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


@dataclass(frozen=True, slots=True)
class Loss:
    """How a connection ended by itself. `code` is that of the broker's DISCONNECT; None: it sent
    none, it hung up or could not be reached any more."""

    code: int | None
    words: str


def loss_of(reason: ReasonCode, properties: Properties | None, *, by_broker: bool) -> Loss:
    """`by_broker`: it sent a DISCONNECT; otherwise `reason` is paho's own."""
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


def refusal_of(reason: ReasonCode, properties: Properties | None) -> str:
    """Why a broker takes no connection."""
    name = reason.getName()
    said = _REFUSED.get(reason.value, f"the broker refuses the connection: {name}.")
    return said + _besides(properties)


def _besides(properties: Properties | None) -> str:
    """What it adds in its own words: its reason, and where else to go."""
    reason = getattr(properties, "ReasonString", "")
    server = getattr(properties, "ServerReference", "")
    return (f" ({reason})" if reason else "") + (f"; it names {server}" if server else "")
