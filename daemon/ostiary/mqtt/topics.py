"""The topics of a door, made in one place."""

from dataclasses import dataclass

from ostiary.messages.events import AnyEvent, DuressEvent, EntranceEvent, LoginEvent, UserEvent
from ostiary.settings import Settings


@dataclass(frozen=True, slots=True)
class Topics:
    """The topics of one door. `base` is `ostiary/<device_id>` by default."""

    base: str

    @classmethod
    def of(cls, settings: Settings) -> "Topics":
        return cls(f"{settings.mqtt.base_topic}/{settings.device.id}")

    @property
    def availability(self) -> str:
        return f"{self.base}/availability"

    @property
    def state(self) -> str:
        return f"{self.base}/state"

    @property
    def event_login(self) -> str:
        return f"{self.base}/event/login"

    @property
    def event_user(self) -> str:
        return f"{self.base}/event/user"

    @property
    def event_door(self) -> str:
        return f"{self.base}/event/door"

    @property
    def duress(self) -> str:
        return f"{self.base}/duress"

    def of_event(self, event: AnyEvent) -> str:
        """Where an event is told."""
        match event:
            case LoginEvent():
                return self.event_login
            case UserEvent():
                return self.event_user
            case EntranceEvent():
                return self.event_door
            case DuressEvent():
                return self.duress

    def entrance(self, door: str) -> str:
        """How a door is; retained. `door`: its camera's name."""
        return f"{self.base}/entrance/{door}"

    def picture(self, camera: str) -> str:
        """What a camera saw at a decision; for few eyes, never retained."""
        return f"{self.base}/picture/{camera}"

    @property
    def door(self) -> str:
        return f"{self.base}/door"

    @property
    def prompt(self) -> str:
        return f"{self.base}/door/prompt"

    @property
    def log(self) -> str:
        return f"{self.base}/log"

    @property
    def requests(self) -> str:
        """The filter that takes every command."""
        return f"{self.base}/request/+"

    def request(self, command: str) -> str:
        return f"{self.base}/request/{command}"

    def response(self, command: str) -> str:
        return f"{self.base}/response/{command}"

    def command_of(self, topic: str) -> str | None:
        """The command that `topic` asks for; None: none."""
        prefix = self.request("")
        name = topic.removeprefix(prefix)
        return name if name != topic and name and "/" not in name else None
