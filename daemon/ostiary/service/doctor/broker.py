"""Does the broker take us, encrypted, and let us publish and subscribe?"""

import queue
import ssl
from collections.abc import Callable, Iterator

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from ostiary.config import Settings
from ostiary.errors import BrokerUnavailable, OstiaryError
from ostiary.mqtt.security import explain_connect_error, read_password, tls_context
from ostiary.mqtt.topics import Topics
from ostiary.service.doctor.check import Check, green, red, yellow

ANSWER_WITHIN_S = 5.0


def check_broker(settings: Settings) -> Iterator[Check]:
    mqtt, topics = settings.mqtt, Topics.of(settings)
    where = f"{mqtt.host}:{mqtt.port}"
    try:
        tls = tls_context(mqtt)
        visit = _Visit(settings, tls)
    except OstiaryError as error:
        yield red("broker", error.message, "The daemon keeps events until the broker is back.")
        return
    try:
        yield _encryption(where, visit.client.socket(), tls)
        yield _permission("subscribe", topics.requests, visit.subscribe)
        # Last: mosquitto 2.0.11 hangs up on a message that it does not permit.
        yield _permission("publish", topics.response("doctor"), visit.publish)
    finally:
        visit.end()


def _encryption(where: str, socket: object, tls: ssl.SSLContext | None) -> Check:
    if tls is not None and isinstance(socket, ssl.SSLSocket):
        return green("broker", f"{where}: connected, {socket.version()}")
    if where.startswith(("127.", "localhost:", "::1:")):
        return green("broker", f"{where}: connected, on this machine")
    return yellow(
        "broker",
        f"{where}: connected without TLS",
        "Anybody on the network can read who passes: set mqtt.tls; see security.md.",
    )


def _permission(what: str, topic: str, ask: Callable[[str], str | None]) -> Check:
    refused = ask(topic)
    if refused is None:
        return green(f"broker {what}", f"{topic}: permitted")
    return red(
        f"broker {what}",
        f"{topic}: {refused}",
        "Let the door's user do it in the broker's ACL; config/mosquitto/ has an example.",
    )


class _Visit:
    """A short connection under a name of its own, which leaves the daemon's alone."""

    def __init__(self, settings: Settings, tls: ssl.SSLContext | None) -> None:
        """Raises BrokerUnavailable or ConfigError."""
        mqtt = settings.mqtt
        where = f"{mqtt.host}:{mqtt.port}"
        self._answers: queue.SimpleQueue[ReasonCode] = queue.SimpleQueue()
        self.client = paho.Client(
            CallbackAPIVersion.VERSION2,
            f"{mqtt.base_topic}-{settings.device.id}-doctor",
            protocol=MQTTProtocolVersion.MQTTv5,
            reconnect_on_failure=False,
        )
        self.client.connect_timeout = ANSWER_WITHIN_S
        if mqtt.username is not None:
            self.client.username_pw_set(mqtt.username, read_password(mqtt))
        if tls is not None:
            self.client.tls_set_context(tls)
        self.client.on_connect = self._on_connect
        self.client.on_publish = self._on_publish
        self.client.on_subscribe = self._on_subscribe
        try:
            self.client.connect(mqtt.host, mqtt.port)
        except (OSError, ValueError) as error:
            raise explain_connect_error(error, where, tls=tls is not None) from error
        self.client.loop_start()
        refused = self._refusal()
        if refused is not None:
            self.end()
            raise BrokerUnavailable(f"{where}: {refused}. Are user name and password right?")

    def publish(self, topic: str) -> str | None:
        """Why the broker does not take a message on `topic`; None where it does."""
        self.client.publish(topic, b"", qos=1)
        return self._refusal()

    def subscribe(self, topic: str) -> str | None:
        """Why the broker does not take a subscription to `topic`; None where it does."""
        self.client.subscribe(topic, qos=1)
        return self._refusal()

    def end(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()

    def _refusal(self) -> str | None:
        try:
            answer = self._answers.get(timeout=ANSWER_WITHIN_S)
        except queue.Empty:
            return f"no answer in {ANSWER_WITHIN_S:g} s"
        return answer.getName() if answer.is_failure else None

    def _on_connect(
        self,
        _client: paho.Client,
        _userdata: object,
        _flags: paho.ConnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        self._answers.put(reason)

    def _on_publish(
        self,
        _client: paho.Client,
        _userdata: object,
        _mid: int,
        reason: ReasonCode,
        _properties: Properties,
    ) -> None:
        self._answers.put(reason)

    def _on_subscribe(
        self,
        _client: paho.Client,
        _userdata: object,
        _mid: int,
        reasons: list[ReasonCode],
        _properties: Properties | None,
    ) -> None:
        self._answers.put(reasons[0])
