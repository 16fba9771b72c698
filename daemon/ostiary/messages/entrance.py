"""The door itself: how it is, how it is run, and what happens to it."""

from enum import StrEnum


class Mode(StrEnum):
    """How the door is run. The values are part of the MQTT contract."""

    NORMAL = "normal"
    UNLOCKED = "unlocked"
    LOCKDOWN = "lockdown"


def by_whom(way: str, name: str | None) -> str:
    """Who runs a door, as it is recorded: `http/anna`, or where nobody can tell the way alone."""
    return way if name is None else f"{way}/{name}"


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
    RELEASED = "released"
    FORGIVEN = "forgiven"
    MODE = "mode"
    SILENCED = "silenced"
    ALARM_OVER = "alarm_over"
    FAULT = "fault"
    FAULT_OVER = "fault_over"
    CALIBRATED = "calibrated"
    CALIBRATION_DROPPED = "calibration_dropped"
