"""The entities that Home Assistant shows of a door, and the names that it takes.

Home Assistant takes plain names only. A name that has other characters gets a digest of itself, so
that two that look alike when written plainly (入口 and 出口, `a.b` and `a_b`) stay apart.
"""

import hashlib
import json
import re
from collections.abc import Iterator
from typing import Any

from ostiary.messages.words import DoorWhat, Mode, Prompt, Reason
from ostiary.mqtt.topics import Topics
from ostiary.settings import Settings

BUTTON = "button"
LOCK = "lock"
NOTHING_ASKED = "nothing"
ATTACK_SEEN_FOR_S = 70
"""An attack that goes on is told again every minute."""
_COMMANDING = frozenset({(LOCK, "lock"), ("select", "mode")})
_SHOWING = frozenset({("binary_sensor", "unlocked"), ("sensor", "mode")})
"""Shown in place of `_COMMANDING` where commands are signed, as Home Assistant cannot sign."""
_PLAIN = re.compile(r"[A-Za-z0-9_-]+")
_ENTITY = re.compile(r"[a-z0-9]+(_[a-z0-9]+)*")

_Config = tuple[str, str, dict[str, Any]]
"""Component, what it is, and its announcement."""
Entity = tuple[str, str, str | None, dict[str, Any] | None]
"""Component, what it is, of which of several cameras, and its announcement; None takes it back."""


def entities(settings: Settings, topics: Topics) -> Iterator[Entity]:
    """All entities of a device; those of a camera are named after it where there are several."""
    for component, what, config in _of_device(topics):
        yield component, what, None, config
    if settings.site.id is not None:
        yield "sensor", "site_people", None, _site_people(settings.site.id, settings, topics)
    several = len(settings.cameras) > 1
    for camera in settings.cameras:
        found = *_of_camera(settings, topics, camera.name, several), *_of_door(camera.name, topics)
        for component, what, config in found:
            name = f"{config['name']} {camera.name}" if several else config["name"]
            if component == LOCK and not several:
                name = None  # the lock is the device itself, and is called as that is
            wanted = _is_wanted(settings, camera.name, component, what)
            own = {**config, "name": name} if wanted else None
            yield component, what, camera.name if several else None, own


def _is_wanted(settings: Settings, camera: str, component: str, what: str) -> bool:
    if what == "picture":
        return settings.mqtt.event_pictures
    if what in ("contact", "forced", "held_open"):
        return settings.door(camera).contact != "none"
    if (component, what) in _COMMANDING:
        return not settings.commands.signed
    return settings.commands.signed or (component, what) not in _SHOWING


def _site_people(site: str, settings: Settings, topics: Topics) -> dict[str, Any]:
    """How many people of the site this door knows, on the site's device: all should be equal."""
    return {
        "name": f"People at {settings.device.name}",
        "icon": "mdi:account-group",
        "state_class": "measurement",
        "entity_category": "diagnostic",
        "state_topic": topics.state,
        "value_template": "{{ value_json.site.people if value_json.site else 0 }}",
        "device": {
            "identifiers": [site_node(site)],
            "name": site,
            "manufacturer": "Ostiary",
            "model": "Site",
        },
    }


def _of_camera(
    settings: Settings, topics: Topics, camera: str, several: bool
) -> tuple[_Config, ...]:
    here = json.dumps(camera, ensure_ascii=False)
    request: dict[str, Any] = {"camera": camera} if several else {}
    if settings.mqtt.event_pictures:
        request["show"] = True
    return (
        (
            "sensor",
            "prompt",
            {
                "name": "Prompt",
                "icon": "mdi:account-voice",
                "device_class": "enum",
                "options": [NOTHING_ASKED, *(prompt.value for prompt in Prompt)],
                "state_topic": topics.prompt,
                "value_template": f"{{{{ (value_json.prompt or '{NOTHING_ASKED}')"
                f" if value_json.source == {here} else this.state }}}}",
                "json_attributes_topic": topics.prompt,
            },
        ),
        (
            BUTTON,
            "snapshot",
            {
                "name": "Snapshot",
                "icon": "mdi:camera",
                "command_topic": topics.request("snapshot"),
                "payload_press": json.dumps(request, ensure_ascii=False),
            },
        ),
        (
            "image",
            "picture",
            {
                "name": "Picture",
                "icon": "mdi:account-box",
                "image_topic": topics.picture(camera),
                "content_type": "image/jpeg",
            },
        ),
    )


def _of_device(topics: Topics) -> tuple[_Config, ...]:
    return (
        (
            "event",
            "login",
            {
                "name": "Login",
                "icon": "mdi:door",
                "state_topic": topics.event_login,
                "event_types": [reason.value for reason in Reason],
                "value_template": "{{ dict(value_json, event_type=value_json.reason) | tojson }}",
            },
        ),
        (
            "sensor",
            "last_person",
            {
                "name": "Last person",
                "icon": "mdi:account",
                "state_topic": topics.event_login,
                "value_template": "{{ value_json.username if value_json.success else this.state }}",
            },
        ),
        (
            "sensor",
            "health",
            {
                "name": "Health",
                "device_class": "enum",
                "options": ["ok", "degraded", "failed"],
                "entity_category": "diagnostic",
                "state_topic": topics.state,
                "value_template": "{{ value_json.health }}",
                "json_attributes_topic": topics.state,
            },
        ),
        (
            "sensor",
            "queue",
            {
                "name": "Events waiting",
                "icon": "mdi:tray-full",
                "state_class": "measurement",
                "entity_category": "diagnostic",
                "state_topic": topics.state,
                "value_template": "{{ value_json.queue_length }}",
            },
        ),
        (
            "binary_sensor",
            "attack",
            {
                "name": "Attack seen",
                "device_class": "tamper",
                "state_topic": topics.event_login,
                "value_template": "{{ 'ON' if value_json.reason == 'presentation_attack'"
                " else 'OFF' }}",
                "off_delay": ATTACK_SEEN_FOR_S,
            },
        ),
        (
            "event",
            "door",
            {
                "name": "Activity",
                "icon": "mdi:door-open",
                "state_topic": topics.event_door,
                "event_types": [what.value for what in DoorWhat],
                "value_template": "{{ dict(value_json, event_type=value_json.what) | tojson }}",
            },
        ),
    )


def _of_door(door: str, topics: Topics) -> tuple[_Config, ...]:
    state = topics.entrance(door)
    return (
        (
            LOCK,
            "lock",
            {
                "name": "Lock",
                "state_topic": state,
                "command_topic": topics.request("door"),
                "payload_lock": _asked(door, "relock"),
                "payload_unlock": _asked(door, "open"),
                "payload_open": _asked(door, "open"),
                "value_template": "{{ value_json.lock | upper }}",
                "json_attributes_topic": state,
                "optimistic": False,
            },
        ),
        (
            "binary_sensor",
            "unlocked",
            {
                "name": "Lock",
                "state_topic": state,
                "device_class": "lock",
                "value_template": _is("value_json.lock == 'unlocked'"),
            },
        ),
        (
            "binary_sensor",
            "contact",
            {
                "name": "Contact",
                "state_topic": state,
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
                "state_topic": state,
                "device_class": "tamper",
                "value_template": _is("value_json.state == 'forced'"),
            },
        ),
        (
            "binary_sensor",
            "held_open",
            {
                "name": "Held open",
                "state_topic": state,
                "device_class": "problem",
                "value_template": _is("value_json.state == 'held_open'"),
            },
        ),
        (
            "binary_sensor",
            "door_fault",
            {
                "name": "Inputs",
                "state_topic": state,
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
                "state_topic": state,
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
                "state_topic": state,
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


def plain(name: str) -> str:
    """A name for topics and unique ids: letters and digits of ASCII, `_` and `-`."""
    return name if _PLAIN.fullmatch(name) else _digested(re.sub(r"[^A-Za-z0-9_-]", "_", name), name)


def entity_name(name: str) -> str:
    """A name for entity ids: small letters, digits, single `_`; capitals and `-` do not count."""
    if _ENTITY.fullmatch(name):
        return name
    return _digested(re.sub(r"[^a-z0-9]+", "_", name.lower()), name)


def formerly(name: str) -> str:
    """The name that `plain` gave at first; different names could get the same one."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", name)


def _digested(readable: str, name: str) -> str:
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return "_".join(filter(None, (readable.strip("_-"), digest)))


def site_node(site: str) -> str:
    """The id of the site's device, below which its doors are shown."""
    return f"ostiary_site_{plain(site)}"
