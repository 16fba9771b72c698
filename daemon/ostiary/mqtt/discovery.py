"""The door as Home Assistant sees it, announced by its MQTT discovery.

One topic a component, which every version since 2023.8 reads. An empty announcement takes one back.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

from ostiary import __version__
from ostiary.config import Settings
from ostiary.messages.prompt import Prompt
from ostiary.messages.reason import Reason
from ostiary.mqtt.discovery_door import door_components
from ostiary.mqtt.topics import Topics

BUTTON = "button"
NOTHING_ASKED = "nothing"
ATTACK_SEEN_FOR_S = 70
"""One that goes on is told again every minute."""


def announcements(settings: Settings, topics: Topics) -> dict[str, bytes]:
    """Retained messages by topic: what is to be seen, or, with discovery off, nothing."""
    node = f"ostiary_{_slug(settings.device.id)}"
    found = {}
    for component, name, config in (
        *_components(topics),
        *_prompts(settings, topics),
        *door_components(settings, topics),
        *_buttons(settings, topics),
    ):
        topic = f"{settings.mqtt.discovery_prefix}/{component}/{node}/{name}/config"
        wanted = settings.mqtt.discovery and not (settings.commands.signed and component == BUTTON)
        if config is None or not wanted:
            found[topic] = b""
            continue
        whole = {**config, **_common(settings, topics, node, name)}
        found[topic] = json.dumps(whole, ensure_ascii=False).encode()
    for topic, payload in _site(settings, topics, node).items():
        found[topic] = payload if settings.mqtt.discovery else b""
    return found


def _slug(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]", "_", text)


def site_node(site: str) -> str:
    """The site as a device, below which its doors are shown."""
    return f"ostiary_site_{_slug(site)}"


def _site(settings: Settings, topics: Topics, node: str) -> dict[str, bytes]:
    """Each door tells the site's device how many people it knows of it: they should be as many."""
    topic = f"{settings.mqtt.discovery_prefix}/sensor/{node}/site_people/config"
    site = settings.site.id
    if site is None:
        return {}
    own = {
        "name": f"People at {settings.device.name}",
        "icon": "mdi:account-group",
        "state_class": "measurement",
        "entity_category": "diagnostic",
        "state_topic": topics.state,
        "value_template": "{{ value_json.site.people if value_json.site else 0 }}",
    }
    whole = {**own, **_common(settings, topics, node, "site_people")}
    whole["device"] = {
        "identifiers": [site_node(site)],
        "name": site,
        "manufacturer": "Ostiary",
        "model": "Site",
    }
    return {topic: json.dumps(whole, ensure_ascii=False).encode()}


def _common(settings: Settings, topics: Topics, node: str, name: str) -> dict[str, Any]:
    site = settings.site.id
    via = {} if site is None else {"via_device": site_node(site)}
    return {
        "unique_id": f"{node}_{name}",
        "object_id": f"{node}_{name}",
        "availability_topic": topics.availability,
        "qos": 1,
        "device": {
            "identifiers": [node],
            "name": settings.device.name,
            "manufacturer": "Ostiary",
            "model": "Face door",
            "sw_version": __version__,
            **via,
        },
        "origin": {"name": "ostiary", "sw_version": __version__},
    }


def _buttons(settings: Settings, topics: Topics) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """One that asks for a snapshot, or one a camera where there are several."""
    several = len(settings.cameras) > 1
    for camera in settings.cameras:
        slug = _slug(camera.name)
        request = {"camera": camera.name} if several else {}
        yield (
            BUTTON,
            f"snapshot_{slug}" if several else "snapshot",
            {
                "name": f"Snapshot {camera.name}" if several else "Snapshot",
                "icon": "mdi:camera",
                "command_topic": topics.request("snapshot"),
                "payload_press": json.dumps(request, ensure_ascii=False),
            },
        )


def _prompts(settings: Settings, topics: Topics) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """What is asked of whoever stands there, or one a camera where there are several."""
    several = len(settings.cameras) > 1
    for camera in settings.cameras:
        slug = _slug(camera.name)
        here = json.dumps(camera.name, ensure_ascii=False)
        yield (
            "sensor",
            f"prompt_{slug}" if several else "prompt",
            {
                "name": f"Prompt {camera.name}" if several else "Prompt",
                "icon": "mdi:account-voice",
                "device_class": "enum",
                "options": [NOTHING_ASKED, *(prompt.value for prompt in Prompt)],
                "state_topic": topics.prompt,
                "value_template": f"{{{{ (value_json.prompt or '{NOTHING_ASKED}')"
                f" if value_json.source == {here} else this.state }}}}",
                "json_attributes_topic": topics.prompt,
            },
        )


def _components(topics: Topics) -> tuple[tuple[str, str, dict[str, Any]], ...]:
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
    )
