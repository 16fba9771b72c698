"""What happens at the door, passed on to whoever listens."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, ParamSpec

from ostiary.decision.camera_memory import Announcement
from ostiary.messages.events import PromptMessage
from ostiary.messages.state import EntranceState
from ostiary.vision.arrays import BGRImage

P = ParamSpec("P")


class Listeners(Generic[P]):
    """Calls everybody who was added, in that order. Add them before the door starts."""

    def __init__(self) -> None:
        self._listeners: list[Callable[P, object]] = []

    def add(self, listener: Callable[P, object]) -> None:
        self._listeners.append(listener)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> None:
        for listener in self._listeners:
            listener(*args, **kwargs)


@dataclass(frozen=True, slots=True)
class DoorSignals:
    """Made before those who call them and those who listen, so that neither needs the other.

    `decided`: a decision, its camera and the number of its event, once that has committed.
    `prompted`: what a camera's door asks now. `door_changed`: a door's new state. `pictured`: a
    camera and its picture that is to be shown on the bus.
    """

    decided: Listeners[[Announcement, str, int]] = field(default_factory=Listeners)
    prompted: Listeners[[PromptMessage]] = field(default_factory=Listeners)
    door_changed: Listeners[[EntranceState]] = field(default_factory=Listeners)
    pictured: Listeners[[str, BGRImage]] = field(default_factory=Listeners)
