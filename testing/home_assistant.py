"""Runs in Home Assistant's own Python, apart from ours: starts a real Home Assistant with nothing
but MQTT, and tells what it made of the door.

`python home_assistant.py PORT FOLDER [AUTOMATIONS]`: reads commands from standard input, one a line
(`states`, `press ENTITY`, `lock SERVICE ENTITY`, `choose ENTITY OPTION`, `picture ENTITY`, `calls`,
`stop`), and prints one JSON line for each. The services that the automations call are kept for
`calls`, and nothing else happens.
"""

import asyncio
import base64
import json
import logging
import socket
import sys
from pathlib import Path

from homeassistant import (  # type: ignore[import-not-found]
    auth,
    bootstrap,
    config_entries,
    const,
    core,
    loader,
)
from homeassistant.setup import async_setup_component  # type: ignore[import-not-found]
from homeassistant.util.yaml import load_yaml  # type: ignore[import-not-found]

DOMAINS = ("event", "sensor", "button", "binary_sensor", "lock", "select", "image")


def prepare(folder: Path, port: int) -> None:
    """A configuration folder with one broker and nothing else."""
    storage = folder / ".storage"
    storage.mkdir(parents=True)
    (folder / "configuration.yaml").write_text("mqtt:\n", encoding="utf-8")
    entry = {
        "entry_id": "0123456789abcdef0123456789abcdef",
        "version": 1,
        "minor_version": 1,
        "domain": "mqtt",
        "title": "broker",
        "data": {"broker": "127.0.0.1", "port": port, "protocol": "5", "discovery": True},
        "options": {},
        "pref_disable_new_entities": False,
        "pref_disable_polling": False,
        "source": "user",
        "unique_id": None,
        "disabled_by": None,
    }
    content = {
        "version": 1,
        "minor_version": 1,
        "key": "core.config_entries",
        "data": {"entries": [entry]},
    }
    (storage / "core.config_entries").write_text(json.dumps(content), encoding="utf-8")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


CALLED: list[dict[str, object]] = []


async def automate(hass: core.HomeAssistant, automations: Path) -> None:
    """Run the automations; what they call is written down."""

    async def write_down(call: core.ServiceCall) -> None:
        CALLED.append({"service": f"{call.domain}.{call.service}", "data": dict(call.data)})

    services = ("tts.speak", "light.turn_on", "light.turn_off", "notify.notify", "lock.unlock")
    for service in services:
        hass.services.async_register(*service.split("."), write_down)
    config = {"automation": load_yaml(str(automations))}
    assert await async_setup_component(hass, "automation", config)


async def start(folder: Path) -> core.HomeAssistant:
    """The core, the registries and MQTT; no web pages, which need much more."""
    hass = core.HomeAssistant(str(folder))
    hass.config.skip_pip = True
    loader.async_setup(hass)
    hass.config_entries = config_entries.ConfigEntries(hass, {})
    await bootstrap.async_load_base_functionality(hass)
    http = {"server_host": "127.0.0.1", "server_port": free_port()}
    hass.auth = await auth.auth_manager_from_config(hass, [], [])
    for component, config in (("homeassistant", {}), ("http", http), ("mqtt", {})):
        assert await async_setup_component(hass, component, {component: config}), component
    await hass.async_start()
    return hass


def tell(what: object) -> None:
    sys.stdout.write(json.dumps(what, default=str) + "\n")
    sys.stdout.flush()


async def serve(folder: Path, automations: Path | None) -> None:
    hass = await start(folder)
    if automations is not None:
        await automate(hass, automations)
    tell({"version": const.__version__})
    loop = asyncio.get_running_loop()
    while line := (await loop.run_in_executor(None, sys.stdin.readline)).split():
        if line[0] == "stop":
            break
        if line[0] == "calls":
            tell({"calls": CALLED})
            continue
        if line[0] == "picture":
            entity = hass.data["entity_components"]["image"].get_entity(line[1])
            tell({"jpeg": base64.b64encode(await entity.async_image() or b"").decode()})
            continue
        if line[0] == "press":
            await hass.services.async_call("button", "press", {"entity_id": line[1]}, blocking=True)
        if line[0] == "lock":
            await hass.services.async_call("lock", line[1], {"entity_id": line[2]}, blocking=True)
        if line[0] == "choose":
            choice = {"entity_id": line[1], "option": line[2]}
            await hass.services.async_call("select", "select_option", choice, blocking=True)
        states = {
            state.entity_id: {"state": state.state, "attributes": dict(state.attributes)}
            for state in hass.states.async_all(DOMAINS)
        }
        tell(states)
    await hass.async_stop(force=True)


def main() -> None:
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    folder = Path(sys.argv[2])
    prepare(folder, int(sys.argv[1]))
    asyncio.run(serve(folder, Path(sys.argv[3]) if len(sys.argv) > 3 else None))


if __name__ == "__main__":
    main()
