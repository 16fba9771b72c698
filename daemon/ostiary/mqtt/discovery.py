"""Announces the door to Home Assistant by MQTT discovery: one topic an entity, which every version
since 2023.8 reads. An empty announcement takes an entity back."""

import json
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Any

from cryptography import x509

from ostiary import __version__
from ostiary.mqtt.entities import BUTTON, entities, entity_name, formerly, plain, site_node
from ostiary.mqtt.topics import Topics
from ostiary.settings import Settings
from ostiary.settings.http import HttpSettings

_Address = IPv4Address | IPv6Address


def announcements(
    settings: Settings, topics: Topics, console: str | None = None
) -> dict[str, bytes]:
    """The retained messages by topic; all empty with discovery off. `console`: the address that
    Home Assistant links to."""
    found = {}
    for component, what, camera, config in entities(settings, topics):
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
    """The topics of announcements by earlier versions, whose ids were made otherwise, with one
    camera or with several."""
    node = f"ostiary_{formerly(settings.device.id)}"
    cameras = (None, *(each.name for each in settings.cameras))
    return frozenset(
        _topic(settings, component, node, _name(what, camera, formerly))
        for component, what, _, _ in entities(settings, topics)
        for camera in cameras
    )


def _topic(settings: Settings, component: str, node: str, name: str) -> str:
    return f"{settings.mqtt.discovery_prefix}/{component}/{node}/{name}/config"


def _name(what: str, camera: str | None, written: Callable[[str], str]) -> str:
    return what if camera is None else f"{what}_{written(camera)}"


def _short(name: str | None, device: str) -> str | None:
    """The name without the device's name, which Home Assistant puts before it; None: nothing is
    left."""
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
    entity_id = f"ostiary_{entity_name(device.id)}_{_name(what, camera, entity_name)}"
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


def console_address(http: HttpSettings) -> str | None:
    """The URL of the console for another machine, with a name of its certificate where it has one.
    None: it is off, serves this machine or a proxy only, or its address is not known."""
    bound = _address(http.host)
    own = http.host == "localhost" or (bound is not None and bound.is_loopback)
    if not http.enabled or http.proxy is not None or own:
        return None
    certified = () if http.tls_certificate is None else _hosts(http.tls_certificate)
    host = next(iter(certified), http.host)
    if (address := _address(host)) is not None and address.is_unspecified:
        return None
    scheme = "http" if http.tls_certificate is None else "https"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{http.port}/"


def _address(host: str) -> _Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _hosts(certificate: Path) -> tuple[str, ...]:
    """The hosts that a certificate is for, names first, without this machine's own; none where it
    cannot be read."""
    try:
        found = x509.load_pem_x509_certificate(certificate.read_bytes()).extensions
        names = found.get_extension_for_class(x509.SubjectAlternativeName).value
    except (OSError, ValueError, x509.ExtensionNotFound):
        return ()
    hosts = names.get_values_for_type(x509.DNSName)
    addresses = names.get_values_for_type(x509.IPAddress)
    return (
        *(name for name in hosts if name != "localhost" and "*" not in name),
        *(str(each) for each in addresses if not each.is_loopback),
    )
