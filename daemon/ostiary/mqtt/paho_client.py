"""paho's client, set up for one connection, and able to ask what this door may publish."""

import queue
import time

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from ostiary.mqtt.broker import Login

MQTT5 = MQTTProtocolVersion.MQTTv5
MQTT311 = MQTTProtocolVersion.MQTTv311
CONNECT_TIMEOUT_S = 5.0

_ENDED = -1
"""Stands for the number of a message once none is answered any more."""
_FAILURE = 0x80
_TRIED_FOR_S = 1


class PahoClient(paho.Client):
    """Differs from paho's at QoS 2: paho would release a message at once, whatever the broker says
    of it."""

    def __init__(self, login: Login, protocol: MQTTProtocolVersion, window: int) -> None:
        """`window`: QoS 1 messages under way at once, at most."""
        super().__init__(
            CallbackAPIVersion.VERSION2,
            client_id=login.client_id,
            protocol=protocol,
            clean_session=None if protocol == MQTT5 else login.clean,
            reconnect_on_failure=False,
            manual_ack=True,
        )
        self._received: queue.SimpleQueue[tuple[int, int]] = queue.SimpleQueue()
        self._tried: list[tuple[float, int]] = []  # (monotonic s, message) not released yet
        self.connect_timeout = CONNECT_TIMEOUT_S
        self.max_inflight_messages_set(window)
        self.max_queued_messages_set(0)
        if login.will is not None:
            will = login.will
            self.will_set(will.topic, will.payload, will.qos, will.retain)
        if login.username is not None:
            self.username_pw_set(login.username, login.password)
        if login.tls is not None:
            self.tls_set_context(login.tls)

    def may_publish(self, topic: str) -> bool | None:
        """Whether the broker takes a message there, without one that anybody hears: it is sent at
        QoS 2, and has expired before `release` lets it be handed on. None: the broker did not
        say."""
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        properties.MessageExpiryInterval = _TRIED_FOR_S
        mid = self._mid_generate()
        self._send_publish(mid, topic.encode(), b"", 2, properties=properties)
        self._tried.append((time.monotonic(), mid))
        try:
            while (answer := self._received.get(timeout=CONNECT_TIMEOUT_S))[0] != mid:
                if answer[0] == _ENDED:
                    return None
        except queue.Empty:
            return None
        is_refused = answer[1] >= _FAILURE
        if is_refused:
            self._tried = [each for each in self._tried if each[1] != mid]
        return not is_refused

    def release(self) -> None:
        """Release the messages of `may_publish` that have expired."""
        due = time.monotonic() - 2 * _TRIED_FOR_S - 1
        for at, mid in [each for each in self._tried if each[0] <= due]:
            self._tried.remove((at, mid))
            self._send_pubrel(mid)

    def ended(self) -> None:
        """Wake `may_publish`: the connection has ended. Called on the network thread."""
        self._received.put((_ENDED, _FAILURE))

    def _handle_pubrec(self) -> MQTTErrorCode:
        packet = bytes(self._in_packet["packet"])
        reason = packet[2] if len(packet) > 2 else 0
        self._received.put((int.from_bytes(packet[:2]), reason))
        return MQTTErrorCode.MQTT_ERR_SUCCESS
