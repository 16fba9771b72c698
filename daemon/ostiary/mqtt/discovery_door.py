"""The door itself as Home Assistant sees it: lock, contact, alarms, mode, what happens there."""

import json
from collections.abc import Iterator
from typing import Any

from ostiary.config import Settings
from ostiary.messages.entrance import DoorWhat, Mode
from ostiary.mqtt.topics import Topics

LOCK = "lock"

Found = tuple[str, str, str | None, dict[str, Any] | None]
"""Component, what it is, of which of several cameras, and what is announced of it; None takes it
back."""


def door_components(settings: Settings, topics: Topics) -> Iterator[Found]:
    """Of each door; named after its camera where there are several."""
    several = len(settings.cameras) > 1
    for camera in settings.cameras:
        label = f" {camera.name}" if several else ""
        has_contact = settings.door(camera.name).contact != "none"
        state = topics.entrance(camera.name)
        for component, what, config in _of_one(camera.name, topics):
            wanted = has_contact or what not in ("contact", "forced", "held_open")
            if what in ("lock", "unlocked"):  # Home Assistant cannot sign
                wanted = settings.commands.signed == (what == "unlocked")
            whole = {"state_topic": state, **config, "name": f"{config['name']}{label}"}
            of = camera.name if several else None
            yield component, what, of, whole if wanted else None
    yield (
        "event",
        "door",
        None,
        {
            "name": "Door",
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
                "payload_lock": _asked(door, "lock"),
                "payload_unlock": _asked(door, "unlock"),
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


def _is(condition: str) -> str:
    return f"{{{{ 'ON' if {condition} else 'OFF' }}}}"
