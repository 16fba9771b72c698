"""The door as Home Assistant sees it, announced by its MQTT discovery.

One topic a component, which every version since 2023.8 reads. An empty announcement takes one back.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any

from ostiary import __version__
from ostiary.messages.prompt import Prompt
from ostiary.messages.reason import Reason
from ostiary.mqtt.discovery_door import Found, door_components
from ostiary.mqtt.names import entity, formerly, plain
from ostiary.mqtt.topics import Topics
from ostiary.settings import Settings

BUTTON = "button"
NOTHING_ASKED = "nothing"
ATTACK_SEEN_FOR_S = 70
"""One that goes on is told again every minute."""


def announcements(
    settings: Settings, topics: Topics, console: str | None = None
) -> dict[str, bytes]:
    """Retained messages by topic: what is to be seen, or, with discovery off, nothing. `console`:
    the address that Home Assistant links to."""
    found = {}
    for component, what, camera, config in _everything(settings, topics):
        node = f"ostiary_{plain(settings.device.id)}"
        topic = _topic(settings, component, node, _name(what, camera, plain))
        wanted = settings.mqtt.discovery and not (settings.commands.signed and component == BUTTON)
        if config is None or not wanted:
            found[topic] = b""
            continue
        whole = {**_common(settings, topics, component, what, camera, console), **config}
        whole["name"] = _short(whole["name"], settings.device.name)
        found[topic] = json.dumps(whole, ensure_ascii=False).encode()
    return found


def former_topics(settings: Settings, topics: Topics) -> frozenset[str]:
    """Where the door may have been announced when names had other ids, with one camera or with
    several."""
    node = f"ostiary_{formerly(settings.device.id)}"
    cameras = (None, *(each.name for each in settings.cameras))
    return frozenset(
        _topic(settings, component, node, _name(what, camera, formerly))
        for component, what, _, _ in _everything(settings, topics)
        for camera in cameras
    )


def _everything(settings: Settings, topics: Topics) -> Iterator[Found]:
    for component, what, config in _components(topics):
        yield component, what, None, config
    yield from _prompts(settings, topics)
    yield from door_components(settings, topics)
    yield from _buttons(settings, topics)
    yield from _pictures(settings, topics)
    yield from _site(settings, topics)


def _topic(settings: Settings, component: str, node: str, name: str) -> str:
    return f"{settings.mqtt.discovery_prefix}/{component}/{node}/{name}/config"


def _name(what: str, camera: str | None, written: Callable[[str], str]) -> str:
    return what if camera is None else f"{what}_{written(camera)}"


def site_node(site: str) -> str:
    """The site as a device, below which its doors are shown."""
    return f"ostiary_site_{plain(site)}"


def _site(settings: Settings, topics: Topics) -> Iterator[Found]:
    """Each door tells the site's device how many people it knows of it: they should be as many."""
    site = settings.site.id
    if site is None:
        return
    device = {
        "identifiers": [site_node(site)],
        "name": site,
        "manufacturer": "Ostiary",
        "model": "Site",
    }
    yield (
        "sensor",
        "site_people",
        None,
        {
            "name": f"People at {settings.device.name}",
            "icon": "mdi:account-group",
            "state_class": "measurement",
            "entity_category": "diagnostic",
            "state_topic": topics.state,
            "value_template": "{{ value_json.site.people if value_json.site else 0 }}",
            "device": device,
        },
    )


def _short(name: str | None, device: str) -> str | None:
    """Without the device's name before it, which Home Assistant puts there; None: it is all."""
    if name is None or name.casefold() == device.casefold():
        return None
    return name[len(device) + 1 :] if name.casefold().startswith(f"{device} ".casefold()) else name


def _common(
    settings: Settings,
    topics: Topics,
    component: str,
    what: str,
    camera: str | None,
    console: str | None,
) -> dict[str, Any]:
    site, device = settings.site.id, settings.device
    via = {} if site is None else {"via_device": site_node(site)}
    url = {} if console is None else {"configuration_url": console}
    node = f"ostiary_{plain(device.id)}"
    entity_id = f"ostiary_{entity(device.id)}_{_name(what, camera, entity)}"
    return {
        "unique_id": f"{node}_{_name(what, camera, plain)}",
        # Home Assistant up to 2026.3 reads the one, from 2025.10 on the other.
        "object_id": entity_id,
        "default_entity_id": f"{component}.{entity_id}",
        "availability_topic": topics.availability,
        "qos": 1,
        "device": {
            "identifiers": [node],
            "name": device.name,
            "manufacturer": "Ostiary",
            "model": "Face door",
            "sw_version": __version__,
            **url,
            **via,
        },
        "origin": {"name": "ostiary", "sw_version": __version__},
    }


def _buttons(settings: Settings, topics: Topics) -> Iterator[Found]:
    """One that asks for a snapshot, or one a camera where there are several."""
    several = len(settings.cameras) > 1
    for camera in settings.cameras:
        request: dict[str, Any] = {"camera": camera.name} if several else {}
        if settings.mqtt.event_pictures:
            request["show"] = True
        yield (
            BUTTON,
            "snapshot",
            camera.name if several else None,
            {
                "name": f"Snapshot {camera.name}" if several else "Snapshot",
                "icon": "mdi:camera",
                "command_topic": topics.request("snapshot"),
                "payload_press": json.dumps(request, ensure_ascii=False),
            },
        )


def _pictures(settings: Settings, topics: Topics) -> Iterator[Found]:
    """Of the last decision, or one a camera where there are several; only where they are shown."""
    several = len(settings.cameras) > 1
    for camera in settings.cameras:
        config = {
            "name": f"Picture {camera.name}" if several else "Picture",
            "icon": "mdi:account-box",
            "image_topic": topics.picture(camera.name),
            "content_type": "image/jpeg",
        }
        shown = config if settings.mqtt.event_pictures else None
        yield "image", "picture", camera.name if several else None, shown


def _prompts(settings: Settings, topics: Topics) -> Iterator[Found]:
    """What is asked of whoever stands there, or one a camera where there are several."""
    several = len(settings.cameras) > 1
    for camera in settings.cameras:
        here = json.dumps(camera.name, ensure_ascii=False)
        yield (
            "sensor",
            "prompt",
            camera.name if several else None,
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
