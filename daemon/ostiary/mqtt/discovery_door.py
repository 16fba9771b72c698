"""The door itself as Home Assistant sees it: lock, contact, alarms, mode, what happens there."""

import json
from collections.abc import Iterator
from typing import Any

from ostiary.messages.entrance import DoorWhat, Mode
from ostiary.mqtt.topics import Topics
from ostiary.settings import Settings

LOCK = "lock"
COMMANDING = frozenset({(LOCK, "lock"), ("select", "mode")})
INSTEAD = frozenset({("binary_sensor", "unlocked"), ("sensor", "mode")})
"""What only shows it, where commands are signed."""

Found = tuple[str, str, str | None, dict[str, Any] | None]
"""Component, what it is, of which of several cameras, and what is announced of it; None takes it
back."""


def door_components(settings: Settings, topics: Topics) -> Iterator[Found]:
    """Of each door; named after its camera where there are several."""
    several = len(settings.cameras) > 1
    for camera in settings.cameras:
        has_contact = settings.door(camera.name).contact != "none"
        state = topics.entrance(camera.name)
        for component, what, config in _of_one(camera.name, topics):
            wanted = has_contact or what not in ("contact", "forced", "held_open")
            if (component, what) in COMMANDING:  # Home Assistant cannot sign
                wanted = not settings.commands.signed
            if (component, what) in INSTEAD:
                wanted = settings.commands.signed
            name = f"{config['name']} {camera.name}" if several else config["name"]
            if component == LOCK and not several:
                name = None  # the lock is the device itself, and is called as that is
            whole = {"state_topic": state, **config, "name": name}
            of = camera.name if several else None
            yield component, what, of, whole if wanted else None
    yield (
        "event",
        "door",
        None,
        {
            "name": "Activity",
            "icon": "mdi:door-open",
            "state_topic": topics.event_door,
            "event_types": [what.value for what in DoorWhat],
            "value_template": "{{ dict(value_json, event_type=value_json.what) | tojson }}",
        },
    )


def _of_one(door: str, topics: Topics) -> tuple[tuple[str, str, dict[str, Any]], ...]:
    return (
        (
            LOCK,
            "lock",
            {
                "name": "Lock",
                "command_topic": topics.request("door"),
                "payload_lock": _asked(door, "relock"),
                "payload_unlock": _asked(door, "open"),
                "payload_open": _asked(door, "open"),
                "value_template": "{{ value_json.lock | upper }}",
                "json_attributes_topic": topics.entrance(door),
                "optimistic": False,
            },
        ),
        (
            "binary_sensor",
            "unlocked",
            {
                "name": "Lock",
                "device_class": "lock",
                "value_template": _is("value_json.lock == 'unlocked'"),
            },
        ),
        (
            "binary_sensor",
            "contact",
            {
                "name": "Contact",
                "device_class": "door",
                "value_template": "{{ {'open': 'ON', 'closed': 'OFF'}"
                ".get(value_json.contact, 'None') }}",
            },
        ),
        (
            "binary_sensor",
            "forced",
            {
                "name": "Forced",
                "device_class": "tamper",
                "value_template": _is("value_json.state == 'forced'"),
            },
        ),
        (
            "binary_sensor",
            "held_open",
            {
                "name": "Held open",
                "device_class": "problem",
                "value_template": _is("value_json.state == 'held_open'"),
            },
        ),
        (
            "binary_sensor",
            "door_fault",
            {
                "name": "Inputs",
                "device_class": "problem",
                "entity_category": "diagnostic",
                "value_template": _is("value_json.faults | length > 0"),
            },
        ),
        (
            "select",
            "mode",
            {
                "name": "Mode",
                "icon": "mdi:shield-lock",
                "options": [mode.value for mode in Mode],
                "value_template": "{{ value_json.mode }}",
                "command_topic": topics.request("door"),
                "command_template": _mode_asked(door),
            },
        ),
        (
            "sensor",
            "mode",
            {
                "name": "Mode",
                "icon": "mdi:shield-lock",
                "device_class": "enum",
                "options": [mode.value for mode in Mode],
                "value_template": "{{ value_json.mode }}",
            },
        ),
    )


def _asked(door: str, action: str) -> str:
    return json.dumps({"door": door, "action": action}, ensure_ascii=False)


def _mode_asked(door: str) -> str:
    actions = {Mode.NORMAL: "lock", Mode.UNLOCKED: "unlock", Mode.LOCKDOWN: "lockdown"}
    here = json.dumps(door, ensure_ascii=False)
    return f"{{{{ {{'door': {here}, 'action': {json.dumps(actions)}[value]}} | tojson }}}}"


def _is(condition: str) -> str:
    return f"{{{{ 'ON' if {condition} else 'OFF' }}}}"
