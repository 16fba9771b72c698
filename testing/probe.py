"""A client of the door, for tests: sends commands, keeps what it hears."""

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from testing.waiting import PATIENCE_S, wait_until

MQTT5 = MQTTProtocolVersion.MQTTv5


@dataclass(frozen=True, slots=True)
class Heard:
    """One message."""

    topic: str
    payload: bytes
    retain: bool
    correlation: bytes | None = None
    expiry_s: int | None = None
    at: float = field(default_factory=time.monotonic)

    @property
    def json(self) -> Any:
        return json.loads(self.payload)


class Probe:
    """Connects again by itself. With `client_id` it has a session that the broker keeps."""

    def __init__(
        self,
        port: int,
        *topics: str,
        client_id: str = "",
        protocol: MQTTProtocolVersion = MQTT5,
        prepare: Callable[[paho.Client], None] | None = None,
        heard: Callable[[Heard], None] = lambda _heard: None,
    ) -> None:
        self.heard: list[Heard] = []
        self.refused: list[str] = []
        self._on_heard = heard
        self._changed = threading.Condition()
        self._topics = topics
        self._port = port
        self._subscribed = threading.Event()
        self._session = bool(client_id)
        clean = None if protocol == MQTT5 else not self._session
        self.client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id, protocol=protocol, clean_session=clean
        )
        self.client.reconnect_delay_set(0.05, 0.2)  # type: ignore[arg-type]
        self.client.on_connect = self._on_connect
        self.client.on_subscribe = self._on_subscribe
        self.client.on_message = self._on_message
        self.client.on_publish = self._on_publish
        if prepare is not None:
            prepare(self.client)

    def __enter__(self) -> Self:
        properties = None
        clean_start: Any = paho.MQTT_CLEAN_START_FIRST_ONLY
        if self.client.protocol == MQTT5:
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            if self._session:
                clean_start = False
                properties.SessionExpiryInterval = 3600
        self.client.connect(
            "127.0.0.1", self._port, 15, clean_start=clean_start, properties=properties
        )
        self.client.loop_start()
        assert self._subscribed.wait(PATIENCE_S), "the broker did not take the subscription"
        return self

    def __exit__(self, *_: object) -> None:
        self.client.disconnect()
        self.client.loop_stop()

    def send(
        self,
        topic: str,
        payload: bytes | str | dict[str, Any],
        *,
        qos: int = 1,
        retain: bool = False,
        response_topic: str | None = None,
        correlation: bytes | None = None,
    ) -> None:
        properties = None
        if response_topic is not None or correlation is not None:
            properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
            if response_topic is not None:
                properties.ResponseTopic = response_topic
            if correlation is not None:
                properties.CorrelationData = correlation
        data = json.dumps(payload) if isinstance(payload, dict) else payload
        self.client.publish(topic, data, qos, retain, properties)

    def wait(self, topic: str, count: int = 1, timeout_s: float = PATIENCE_S) -> list[Heard]:
        """The messages of `topic` once there are `count` of them."""
        with self._changed:
            enough = self._changed.wait_for(lambda: len(self.of(topic)) >= count, timeout_s)
            found = self.of(topic)
        assert enough, f"{topic}: {len(found)} of {count}; heard {[h.topic for h in self.heard]}"
        return found

    def wait_until(self, enough: Callable[[], bool], timeout_s: float = PATIENCE_S) -> None:
        """Until `enough`, which is asked after each message."""
        with self._changed:
            happened = self._changed.wait_for(enough, timeout_s)
        assert happened, f"{len(self.heard)} heard, at last {self.heard[-5:]}"

    def wait_refused(self, count: int, timeout_s: float = PATIENCE_S) -> None:
        """Until the broker has refused that many messages."""
        wait_until(lambda: len(self.refused) >= count, f"{count} refusals", timeout_s)

    def wait_for(self, topic: str, payload: bytes, timeout_s: float = PATIENCE_S) -> None:
        """Until the newest message of `topic` is `payload`."""

        def is_newest() -> bool:
            found = self.of(topic)
            return bool(found) and found[-1].payload == payload

        with self._changed:
            assert self._changed.wait_for(is_newest, timeout_s), f"{topic}: {self.of(topic)}"

    def ask(
        self, base: str, command: str, request: dict[str, Any], timeout_s: float = PATIENCE_S
    ) -> Any:
        """Send a command with a transaction of its own, and wait for the response to it."""
        transaction = f"probe-{time.monotonic_ns()}"
        self.send(f"{base}/request/{command}", {**request, "transaction": transaction})
        return self.response(base, command, transaction, timeout_s)

    def data(self, base: str, command: str, **request: Any) -> Any:
        """What a command gives that is done."""
        answer = self.ask(base, command, request)
        assert answer["status"] == "ok", answer
        return answer["data"]

    def error(self, base: str, command: str, **request: Any) -> str:
        """The code with which a command is refused; words for people are beside it."""
        answer = self.ask(base, command, request)
        assert answer["status"] == "error", answer
        assert answer["error"]["message"]
        code: str = answer["error"]["code"]
        return code

    def first_login(self, base: str, reason: str, after: int = 0) -> Any:
        """The first decision for `reason` of those that come after the event with the number
        `after`. Whoever stays is not told the same twice, so it may be heard before it is asked
        for; and a slow machine may say more before."""

        def found() -> list[Any]:
            logins = [heard.json for heard in self.of(f"{base}/event/login")]
            return [each for each in logins if each["seq"] > after and each["reason"] == reason]

        self.wait_until(lambda: bool(found()))
        return found()[0]

    def response(
        self, base: str, command: str, transaction: str, timeout_s: float = PATIENCE_S
    ) -> Any:
        def found() -> list[Any]:
            heard = [h.json for h in self.of(f"{base}/response/{command}")]
            return [answer for answer in heard if answer.get("transaction") == transaction]

        with self._changed:
            assert self._changed.wait_for(found, timeout_s), f"no response to {command}"
            return found()[0]

    def of(self, topic: str) -> list[Heard]:
        return [heard for heard in list(self.heard) if heard.topic == topic]

    def _on_connect(
        self, client: paho.Client, _u: object, _f: object, reason: Any, _p: Any
    ) -> None:
        if reason.is_failure:
            self.refused.append(str(reason))
        elif self._topics:
            client.subscribe([(topic, 1) for topic in self._topics])
        else:
            self._subscribed.set()

    def _on_subscribe(self, _c: object, _u: object, _m: int, reasons: Any, _p: object) -> None:
        self.refused += [str(reason) for reason in reasons if reason.is_failure]
        self._subscribed.set()

    def _on_publish(self, _c: object, _u: object, _m: int, reason: Any, _p: object) -> None:
        if reason.is_failure:
            self.refused.append(str(reason))

    def _on_message(self, _c: object, _u: object, message: paho.MQTTMessage) -> None:
        properties = message.properties
        heard = Heard(
            message.topic,
            bytes(message.payload),
            message.retain,
            getattr(properties, "CorrelationData", None),
            getattr(properties, "MessageExpiryInterval", None),
        )
        self._on_heard(heard)
        with self._changed:
            self.heard.append(heard)
            self._changed.notify_all()
