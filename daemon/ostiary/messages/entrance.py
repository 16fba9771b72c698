"""What is told of the door itself: its lock, its contact, its alarm, its mode."""

from enum import StrEnum

from pydantic import Field

from ostiary.messages.events import Event, Message, Timestamp


class Mode(StrEnum):
    """How the door is run. The values are part of the MQTT contract."""

    NORMAL = "normal"
    UNLOCKED = "unlocked"
    LOCKDOWN = "lockdown"


class DoorState(StrEnum):
    """How the door is. `fault`: its contact cannot be read."""

    LOCKED = "locked"
    UNLOCKED = "unlocked"
    OPEN = "open"
    FORCED = "forced"
    HELD_OPEN = "held_open"
    FAULT = "fault"


class DoorWhat(StrEnum):
    """What happened at the door."""

    OPENED = "opened"
    CLOSED = "closed"
    FORCED = "forced"
    HELD_OPEN = "held_open"
    EXIT_BUTTON = "exit_button"
    MODE = "mode"
    SILENCED = "silenced"
    ALARM_OVER = "alarm_over"
    FAULT = "fault"
    FAULT_OVER = "fault_over"


class EntranceEvent(Event):
    """Something happened at the door itself."""

    door: str = Field(description="Which one: its camera's name.")
    what: DoorWhat = Field(
        description="`forced`: it opened though nobody was let in. `held_open`: it stays open for "
        "too long. `alarm_over`: neither any more. `fault`: its contact, button or keypad cannot "
        "be read; `silenced`: somebody heard the alarm. `mode`: it is run otherwise from now on."
    )
    username: str | None = Field(
        default=None, description="Who was let in when it `opened`, where somebody was."
    )
    mode: Mode | None = Field(default=None, description="The new one, of `mode`.")
    by: str | None = Field(
        default=None,
        description="Of `mode` and `silenced`: `mqtt`, `http`, `cli`, or `schedule`. Of `fault` "
        "and `fault_over`: `contact`, `exit_button`, `keypad` or `lock`.",
    )


class DuressEvent(Event):
    """Somebody was let in with the PIN that says they are forced to. Everything at the door, and
    every other event, is as it always is: show this to nobody who may stand there."""

    username: str
    door: str = Field(description="Which one: its camera's name.")


class EntranceState(Message):
    """How the door is now, retained."""

    door: str = Field(description="Which one: its camera's name.")
    state: DoorState
    mode: Mode
    lock: str = Field(description="`locked` or `unlocked`: what the lock is told to be.")
    contact: str = Field(
        description="`open` or `closed`; `none`: it has none; `unreadable`: it should say."
    )
    alarm: bool = Field(description="Whether the alarm sounds.")
    faults: tuple[str, ...] = Field(
        default=(), description="Of `contact`, `exit_button`, `keypad`, `lock`: cannot be used now."
    )
    since: Timestamp = Field(description="Of the last change.")
