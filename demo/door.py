"""How the demo talks to the door: over MQTT and nothing else, as a building would."""

import base64
import queue
import threading
import time
from collections.abc import Callable
from typing import Any, Self
from uuid import uuid4

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from pydantic import TypeAdapter, ValidationError

from demo.errors import DemoError
from ostiary.messages.events import LoginEvent
from ostiary.messages.state import State
from ostiary.mqtt.topics import Topics

SUBSCRIBED_WITHIN_S = 60.0

_JSON: TypeAdapter[dict[str, Any]] = TypeAdapter(dict[str, Any])


class Door:
    """A client of one door. Its methods are for one thread."""

    def __init__(self, port: int, topics: Topics, client_id: str = "building") -> None:
        self._port = port
        self._topics = topics
        self.risk: float | None = None  # of one stranger, as the door last said
        self._online = threading.Event()
        self._subscribed = threading.Event()
        self._arrived: queue.Queue[LoginEvent | DemoError] = queue.Queue()
        self._answers: queue.Queue[bytes] = queue.Queue()
        self._seen: set[object] = set()
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            protocol=MQTTProtocolVersion.MQTTv5,
        )
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.on_message = self._on_message

    def __enter__(self) -> Self:
        try:
            self._client.connect("127.0.0.1", self._port)
        except OSError as error:
            raise DemoError(f"The demo's MQTT broker does not answer: {error}") from error
        self._client.loop_start()
        if not self._subscribed.wait(SUBSCRIBED_WITHIN_S):
            self._client.loop_stop()
            raise DemoError(
                "The demo's MQTT broker did not accept the subscription within "
                f"{SUBSCRIBED_WITHIN_S:g} s."
            )
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    @property
    def online(self) -> bool:
        """Whether the door says `online`, which is false too after it has said `offline`."""
        return self._online.is_set()

    def wait_online(self, timeout_s: float, check: Callable[[], None]) -> None:
        """Wait for `online`. `check` is called meanwhile and raises when waiting is in vain."""
        give_up = time.monotonic() + timeout_s
        while not self._online.wait(0.1):
            check()
            if time.monotonic() > give_up:
                raise DemoError(
                    f"The daemon did not say `online` on {self._topics.availability} "
                    f"within {timeout_s:g} s."
                )

    def register(self, username: str, portrait: bytes, timeout_s: float = 60.0) -> dict[str, Any]:
        """Register a person from a JPEG file; gives the answer's `data`. Raises DemoError."""
        transaction = str(uuid4())
        request = {
            "username": username,
            "image": base64.b64encode(portrait).decode("ascii"),
            "transaction": transaction,
        }
        self._client.publish(self._topics.request("register"), _JSON.dump_json(request), qos=1)
        give_up = time.monotonic() + timeout_s
        while (left := give_up - time.monotonic()) > 0:
            try:
                answer = _JSON.validate_json(self._answers.get(timeout=left))
            except queue.Empty:
                break
            if answer.get("transaction") != transaction:
                continue
            if answer.get("status") != "ok":
                raise DemoError(f"The door refused to register {username}: {answer.get('error')}")
            return dict(answer["data"])
        raise DemoError(f"The door did not answer `register` within {timeout_s:g} s.")

    def next_event(self, timeout_s: float) -> LoginEvent | None:
        """The next login event, None when there is none in time. Raises DemoError for nonsense."""
        try:
            arrived = self._arrived.get(timeout=max(timeout_s, 0.001))
        except queue.Empty:
            return None
        if isinstance(arrived, DemoError):
            raise arrived
        return arrived

    def _on_connect(self, client: paho.Client, *_: object) -> None:
        client.subscribe(f"{self._topics.base}/#", qos=1)

    def _on_message(self, _client: object, _userdata: object, message: paho.MQTTMessage) -> None:
        if message.topic == self._topics.availability:
            if message.payload == b"online":
                self._online.set()
            else:
                self._online.clear()
        elif message.topic == self._topics.state:
            self._on_state(bytes(message.payload))
        elif message.topic == self._topics.response("register"):
            self._answers.put(bytes(message.payload))
        elif message.topic == self._topics.event_login:
            self._on_event(bytes(message.payload))

    def _on_state(self, payload: bytes) -> None:
        recognition = State.model_validate_json(payload).recognition
        self.risk = None if recognition is None else recognition.false_accept

    def _on_event(self, payload: bytes) -> None:
        try:
            event = LoginEvent.model_validate_json(payload)
        except ValidationError as error:
            self._arrived.put(DemoError(f"The door published a malformed event: {error}"))
            return
        if event.event_id not in self._seen:  # QoS 1 may deliver an event twice
            self._seen.add(event.event_id)
            self._arrived.put(event)
