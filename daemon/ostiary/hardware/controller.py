"""Controls one door: its inputs go into `physical_door`, and what that says goes out.

The lock and the alarm are set first, then the change is recorded and told: a full disk keeps no
alarm from sounding. What could not be recorded is kept, in order, and tried again.
"""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import structlog

from ostiary.errors import OstiaryError
from ostiary.hardware.physical_door import Contact, DoorChange, PhysicalDoor, Transition
from ostiary.messages.state import EntranceState
from ostiary.messages.words import DoorState, DoorWhat, Mode

log = structlog.get_logger(__name__)

_KEPT = 1000
"""Changes that wait for a disk that cannot be written."""
_HEARD = 64
RETRY_S = 1.0
FOREVER = float("inf")


class Lock(Protocol):
    """What opens the door (`hardware.gpio.Relay`)."""

    def hold(self, door: str, until: float) -> None:
        """Keep the lock of `door` released until that moment, in seconds of `time.monotonic()`."""


class Output(Protocol):
    """One output. May raise OSError."""

    def set_active(self, active: bool) -> None: ...

    def release(self) -> None: ...


Record = Callable[[str, DoorChange, datetime], object]
"""Commits a change at a door, with its moment."""
Show = Callable[[EntranceState], object]
"""Is told of each new state of a door."""


@dataclass(frozen=True, slots=True)
class Outputs:
    """The outputs of a door. `alarm` and `lock` are None where there are none."""

    record: Record
    shown: Show = lambda _state: None
    lock: Lock | None = None
    alarm: Output | None = None


class DoorController:
    """Controls one door. Every method may be called from any thread, and none raises."""

    def __init__(
        self,
        door: str,
        physical_door: PhysicalDoor,
        outputs: Outputs,
        monotonic: Callable[[], float],
        clock: Callable[[], datetime],
    ) -> None:
        self.door = door
        self._physical_door = physical_door
        self._outputs = outputs
        self._monotonic = monotonic
        self._clock = clock
        self._lock = threading.RLock()
        self._untold: deque[tuple[DoorChange, datetime]] = deque(maxlen=_KEPT)
        self._heard: deque[Contact] = deque(maxlen=_HEARD)
        self._faults: set[str] = set()
        self._waits = False  # the oldest of _untold, and that was told
        self._alarming: bool | None = None
        self._shown: EntranceState | None = None

    @property
    def physical_door(self) -> PhysicalDoor:
        """The door's state, to be handed on at a reload."""
        return self._physical_door

    @property
    def mode(self) -> Mode:
        return self._physical_door.mode

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong at this door, as stable words."""
        with self._lock:
            state = self._physical_door.state(self._monotonic())
            faults = self._all_faults()
        alarms = (DoorState.FORCED, DoorState.HELD_OPEN)
        return (
            *((f"door_{state.value}",) if state in alarms else ()),
            *(f"{what}_unreadable" for what in faults),
        )

    def granted(self, username: str | None) -> None:
        self._apply(lambda door, now: door.granted(username, now))

    def released(self, by: str) -> bool:
        """Release the lock from afar; whether it was: in a lockdown it is not."""
        self._apply(lambda door, now: door.released(by, now))
        return self.mode is not Mode.LOCKDOWN

    def exit_pressed(self) -> None:
        self._apply(lambda door, now: door.exit_pressed(now))

    def set_mode(self, mode: Mode, by: str) -> None:
        self._apply(lambda door, now: door.set_mode(mode, by, now))

    def relock(self, by: str) -> None:
        """Lock a door that stands unlocked; a lockdown stays."""
        self._apply(lambda door, now: door.relock(by, now))

    def silence(self, by: str) -> None:
        self._apply(lambda door, now: door.silence(by, now))

    def tell(self, what: DoorWhat, by: str) -> None:
        """Record a change that has no effect on the door's state."""
        self._apply(lambda door, _now: (door, (DoorChange(what, by=by),)))

    def saw(self, contact: Contact) -> None:
        self._apply(lambda door, now: door.saw(contact, now))

    def heard(self, contact: Contact) -> None:
        """Take what the contact says from a thread that must not wait; it counts at the next
        `attend`. Of very many the newest are kept."""
        self._heard.append(contact)

    def fault(self, what: str, *, is_there: bool) -> None:
        """Take note that a button or a reader cannot be used, or can again."""
        with self._lock:
            if is_there == (what in self._faults):
                return
            (self._faults.add if is_there else self._faults.discard)(what)
            said = DoorWhat.FAULT if is_there else DoorWhat.FAULT_OVER
            self._apply(lambda door, _now: (door, (DoorChange(said, by=what),)))

    def attend(self) -> None:
        """Do what time alone or a heard contact brings."""
        while self._heard:
            self.saw(self._heard.popleft())
        self._apply(lambda door, now: door.at(now))

    def due_in(self) -> float | None:
        """Seconds until `attend` has to be called; None: not before something happens."""
        with self._lock:
            now = self._monotonic()
            due = self._physical_door.due(now)
            left = None if due is None else max(0.0, due - now)
            if self._untold or self._alarming is None:
                return RETRY_S if left is None else min(left, RETRY_S)
            return left

    def state(self) -> EntranceState:
        with self._lock:
            return self._state(self._monotonic())

    def close(self) -> None:
        """Lock the door, and let go of the alarm."""
        with self._lock:
            if self._outputs.lock is not None:
                self._outputs.lock.hold(self.door, 0)
            if self._outputs.alarm is not None:
                self._outputs.alarm.release()

    def _apply(self, step: Callable[[PhysicalDoor, float], Transition]) -> None:
        with self._lock:
            now = self._monotonic()
            self._physical_door, changes = step(self._physical_door, now)
            self._move()
            at = self._clock()
            self._untold.extend((each, at) for each in changes)
            self._tell()
            self._show(now)

    def _move(self) -> None:
        """Set the outputs. An alarm that fails is tried again each second."""
        physical_door = self._physical_door
        if self._outputs.lock is not None:
            until = FOREVER if physical_door.stands_unlocked else physical_door.released_until
            self._outputs.lock.hold(self.door, until)
        alarm = self._outputs.alarm
        if alarm is None:
            self._alarming = physical_door.is_alarming
        elif self._alarming != physical_door.is_alarming:
            try:
                alarm.set_active(physical_door.is_alarming)
            except OSError as error:
                log.error("alarm_failed", door=self.door, error=error.strerror)
                self._faults.add("alarm")
                self._alarming = None
            else:
                self._faults.discard("alarm")
                self._alarming = physical_door.is_alarming

    def _tell(self) -> None:
        while self._untold:
            change, at = self._untold[0]
            try:
                self._outputs.record(self.door, change, at)
            except OstiaryError as error:
                if not self._waits:
                    log.error("door_event_waits", door=self.door, code=error.code)
                self._waits = True
                return
            self._waits = False
            self._untold.popleft()

    def _show(self, now: float) -> None:
        state = self._state(now)
        before = self._shown
        if before is not None and before.model_copy(update={"since": state.since}) == state:
            return
        self._shown = state
        self._outputs.shown(state)

    def _state(self, now: float) -> EntranceState:
        physical_door = self._physical_door
        return EntranceState(
            door=self.door,
            state=physical_door.state(now),
            mode=physical_door.mode,
            lock="unlocked" if physical_door.is_released(now) else "locked",
            contact=physical_door.contact.value,
            alarm=physical_door.is_alarming,
            faults=self._all_faults(),
            since=self._clock(),
        )

    def _all_faults(self) -> tuple[str, ...]:
        contact = {"contact"} if self._physical_door.contact is Contact.UNREADABLE else set()
        return tuple(sorted(self._faults | contact))


class Watch:
    """Calls `attend` of every controller when something is due, from a thread of its own. `beat` is
    called once a second or more often while it is alive."""

    def __init__(self, controllers: tuple[DoorController, ...], beat: Callable[[], object]) -> None:
        self._controllers = controllers
        self._beat = beat
        self._changed = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="doors", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        """Look again at once: something may be due earlier."""
        self._changed.set()

    def stop(self) -> None:
        self._stopping = True
        self._changed.set()
        if self._thread.is_alive():
            self._thread.join(1.0)

    def _run(self) -> None:
        while not self._stopping:
            self._changed.clear()
            self._beat()
            for controller in self._controllers:
                controller.attend()
            waits = [
                wait
                for controller in self._controllers
                if (wait := controller.due_in()) is not None
            ]
            self._changed.wait(min([*waits, RETRY_S]))
