"""The MQTT side of a door: availability, state, events, pictures and prompts out, commands in."""

import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Protocol

from ostiary.clock import always, utc_now
from ostiary.commands.commands import COMMANDS, Commands
from ostiary.errors import BrokerUnavailable
from ostiary.messages.events import PromptMessage
from ostiary.messages.state import BrokerState, EntranceState, State
from ostiary.mqtt.broker import Brokers, Login, Will, login_of
from ostiary.mqtt.client import MqttClient
from ostiary.mqtt.connection import Connection, Incoming
from ostiary.mqtt.discovery import announcements, console_address, former_topics
from ostiary.mqtt.pictures import Pictures, ShownPicture
from ostiary.mqtt.publisher import Publisher
from ostiary.mqtt.requests import Requests
from ostiary.mqtt.security import command_verifier, door_key
from ostiary.mqtt.session import Subscriptions, TakingBack
from ostiary.mqtt.topics import Topics
from ostiary.settings import Settings
from ostiary.store.announced import Announced
from ostiary.store.command_log import CommandLog
from ostiary.store.events import Events
from ostiary.vision.arrays import BGRImage

TRY_EVERY_S = 600.0
SESSION_S = 3600
"""How long the broker keeps commands for a daemon that is away, in seconds."""
URGENT = 4
"""Commands taken in beyond those that may wait, so that a lockdown behind them is heard."""
ONLINE = b"online"
OFFLINE = b"offline"


class Sensors(Protocol):
    """The contacts that are MQTT sensors of their own (`Doors`)."""

    @property
    def sensor_topics(self) -> tuple[str, ...]: ...

    @property
    def optional_topics(self) -> frozenset[str]: ...

    def heard(self, topic: str, payload: bytes | None) -> None:
        """Take in what a sensor said; None: it cannot be heard. Returns at once."""


class MqttDoor:
    """A door at the broker: start it, stop it. It hears of every event of `events` itself. `beat`
    is called every five seconds while the publisher is alive, at worst every half minute. By a
    clock that is not trusted nothing is removed for its age.

    Raises ConfigError where commands must be signed and there is no key, or where the door's own
    key cannot be read.
    """

    def __init__(
        self,
        settings: Settings,
        commands: Commands,
        events: Events,
        command_log: CommandLog,
        announced: Announced,
        clock: Callable[[], datetime] = utc_now,
        beat: Callable[[], object] = lambda: None,
        sensors: Sensors | None = None,
        clock_trusted: Callable[[], bool] = always,
        locked_down: Callable[[str], bool] = lambda _door: False,
    ) -> None:
        self.topics = Topics.of(settings)
        self._settings = settings
        self._receive_maximum = commands.limits.waiting + URGENT
        self._brokers = Brokers(settings.mqtt)
        self._console = console_address(settings.http)
        self._state: State | None = None
        self._clock = clock
        began = clock()
        self._prompts = {
            camera.name: PromptMessage(
                timestamp=began, source=camera.name, prompt=None, step=0, expires=began
            )
            for camera in settings.cameras
        }
        self._entrances: dict[str, bytes] = {}
        self._taking_back = TakingBack(announced, former_topics(settings, self.topics))
        self._try_due = 0.0  # monotonic s
        self._pictures_refused: tuple[str, ...] = ()
        self._sensors = sensors
        sensor_topics = () if sensors is None else sensors.sensor_topics
        one_by_one = tuple(map(self.topics.request, COMMANDS))
        self._subscriptions = Subscriptions(
            self.topics.requests,
            self.topics.log,
            *sensor_topics,
            instead={self.topics.requests: one_by_one},
            optional=frozenset() if sensors is None else sensors.optional_topics,
        )
        self._client = MqttClient(
            self.login, self, reconnect_at_most_s=settings.mqtt.reconnect_at_most_s
        )
        key = door_key(settings)
        self._publisher = Publisher(
            events, command_log, self.topics, settings, key, clock, beat, clock_trusted, locked_down
        )
        self._pictures = Pictures(
            self.topics, lambda: self._client.connection, events.is_pending, commands.is_registered
        )
        self._requests = Requests(
            commands, self._client, self.topics, settings, command_verifier(settings.commands)
        )

    @property
    def is_connected(self) -> bool:
        return self._client.connection is not None

    @property
    def error(self) -> BrokerUnavailable | None:
        """Why there is no connection, where that is known."""
        return self._client.error

    @property
    def refused_topics(self) -> tuple[str, ...]:
        """The topics that the broker does not let this door read (commands, sensors) or write
        (events)."""
        unheard = (self.topics.log,) if self._publisher.signed_log.is_unheard else ()
        said = self._publisher.refused + self._pictures_refused
        return self._subscriptions.refused + said + unheard

    @property
    def broker(self) -> BrokerState | None:
        """What the broker takes; None: there is no connection."""
        connection = self._client.connection
        if connection is None:
            return None
        limits = connection.limits
        return BrokerState(
            packet_limit=limits.packet_bytes,
            qos=limits.qos,
            retain=limits.retain,
            session_expiry_s=limits.session_expiry_s,
            keepalive_s=limits.keepalive_s,
            too_large=tuple(sorted({*connection.too_large, *self._publisher.left_out})),
        )

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong with the broker, the connection and the record, as stable words."""
        suspicion, broker = self._client.suspicion, self.broker
        found = [] if suspicion is None else [suspicion.value]
        if broker is not None:
            found += ["messages_too_large"] if broker.too_large else []
            found += [] if broker.retain else ["broker_without_retain"]
            found += [] if broker.qos else ["broker_without_qos1"]
        return (*found, *self._publisher.problems)

    def start(self) -> None:
        """Begin to connect, and return at once: the door works without a broker, too."""
        self._publisher.start()
        if self._settings.mqtt.event_pictures:
            self._pictures.start()
        self._requests.start()
        self._client.start()

    def wait_connected(self, timeout_s: float) -> None:
        """Wait for a connection. Raises BrokerUnavailable with the latest reason."""
        self._client.wait_connected(timeout_s)

    def stop(self) -> None:
        """Send what waits, say `offline`, and part cleanly; less than two seconds in all."""
        self._requests.stop(0.3)
        self._pictures.stop(0.2)
        self._publisher.stop(0.4)
        self._client.stop()

    def publish_state(self, state: State) -> None:
        """Publish the door's report, retained; without a connection, once there is one."""
        self._state = state
        connection = self._client.connection
        if connection is not None:
            self._send_state(connection, state)

    def _send_state(self, connection: Connection, state: State) -> None:
        """Send as much of the report as the broker takes. A broker that retains nothing also gets
        the availability with each report, for clients that have come since."""
        if not connection.limits.retain:
            connection.publish(self.topics.availability, ONLINE)
        topic = self.topics.state
        payloads = [each.model_dump_json().encode() for each in state.shortened()]
        fitting = (each for each in payloads if connection.fits(topic, each))
        connection.publish(topic, next(fitting, payloads[-1]), retain=True)

    def publish_entrance(self, state: EntranceState) -> None:
        """Publish how one door is, retained; without a connection, once there is one."""
        topic, payload = self.topics.entrance(state.door), state.model_dump_json().encode()
        self._entrances[topic] = payload
        connection = self._client.connection
        if connection is not None:
            connection.publish(topic, payload, retain=True)

    def publish_prompt(self, prompt: PromptMessage) -> None:
        """Publish what a door asks for. May be called on any thread. While it is asked for, it is
        sent again to a broker that comes back."""
        self._prompts[prompt.source] = prompt
        if (connection := self._client.connection) is not None:
            self._send_prompt(connection, prompt)

    def show_picture(
        self, camera: str, image: BGRImage, seq: int | None = None, username: str | None = None
    ) -> None:
        """Send what a camera sees, or saw at the decision of the event `seq`. `username`: who was
        recognised, if anybody. Returns at once; does nothing without `mqtt.event_pictures`."""
        if self._settings.mqtt.event_pictures and not self._pictures_refused:
            self._pictures.show(ShownPicture(camera, image, time.monotonic(), seq, username))

    def _send_prompt(self, connection: Connection, prompt: PromptMessage) -> None:
        left = None
        if prompt.prompt is not None:
            left = max(1, int((prompt.expires - self._clock()).total_seconds()))
        payload = prompt.model_dump_json().encode()
        connection.publish(self.topics.prompt, payload, expiry_s=left)

    # what MqttClient tells

    def connected(self, connection: Connection) -> None:
        self._subscriptions.ask(connection)
        announced = announcements(self._settings, self.topics, self._console)
        self._taking_back.begin(connection, self._kept(announced))
        self._try_topics(connection)
        connection.publish(self.topics.availability, ONLINE, retain=True)
        if self._state is not None:
            self._send_state(connection, self._state)
        for prompt in tuple(self._prompts.values()):
            self._send_prompt(connection, prompt)
        for topic, payload in list(self._entrances.items()):
            connection.publish(topic, payload, retain=True)
        for topic, announcement in announced.items():
            connection.publish(topic, announcement, retain=True)
        self._publisher.attach(connection)

    def _kept(self, announced: Mapping[str, bytes]) -> list[str]:
        """The topics that the broker retains, by these settings."""
        topics = self.topics
        entrances = [topics.entrance(camera.name) for camera in self._settings.cameras]
        shown = [topic for topic, payload in announced.items() if payload]
        return [topics.availability, topics.state, topics.log, *entrances, *shown]

    def _try_topics(self, connection: Connection) -> None:
        """Find out whether the broker takes duress messages and pictures. At fixed times, never
        when somebody was forced: that would tell of it. To a picture, at QoS 0, a broker says
        nothing."""
        self._try_due = time.monotonic() + TRY_EVERY_S
        self._publisher.duress_may_be_told(connection.may_publish(self.topics.duress))
        if self._settings.mqtt.event_pictures:
            topic = self.topics.picture(self._settings.cameras[0].name)
            refused = connection.may_publish(topic) is False
            self._pictures_refused = (topic,) if refused else ()

    def message(self, incoming: Incoming) -> None:
        if incoming.topic == self.topics.log:
            self._publisher.heard_log(incoming.payload)
            self._requests.seen(incoming)
        elif self._sensors is not None and incoming.topic in self._sensors.sensor_topics:
            self._sensors.heard(incoming.topic, incoming.payload)
            self._requests.seen(incoming)
        else:
            self._requests.arrived(incoming)

    def tend(self, connection: Connection) -> None:
        connection.release()
        if time.monotonic() >= self._try_due:
            self._try_topics(connection)
        self._subscriptions.tend(connection)
        self._taking_back.tend()

    def lost(self, _connection: Connection) -> None:
        self._publisher.attach(None)
        if self._sensors is not None:
            for topic in self._sensors.sensor_topics:
                self._sensors.heard(topic, None)

    def closing(self, connection: Connection) -> None:
        self._publisher.attach(None)
        connection.publish_and_wait(self.topics.availability, OFFLINE, retain=True, timeout_s=0.5)

    def login(self) -> Login:
        """The login for the next broker in turn; reads secrets and certificates now. Raises
        ConfigError."""
        mqtt = self._settings.mqtt
        login = login_of(
            self._settings,
            f"{mqtt.base_topic}-{self._settings.device.id}",
            session_expiry_s=SESSION_S,
            will=Will(self.topics.availability, OFFLINE),
            receive_maximum=self._receive_maximum,
        )
        return self._brokers.next(login)
