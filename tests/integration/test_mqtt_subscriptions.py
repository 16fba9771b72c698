"""A real mosquitto whose rules change while the door is connected: what it may hear, it hears."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import paho.mqtt.client as paho
import pytest

from ostiary.vision.engine import VisionEngine
from testing.broker import Mosquitto
from testing.doorway import BASE, Doorway, door_settings
from testing.probe import Probe
from testing.waiting import wait_until

PLUGIN = next(Path("/usr/lib").glob("*/mosquitto_dynamic_security.so"), None)
PASSWORD = "of this test only"
CONTROL = "$CONTROL/dynamic-security/v1"


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    """Lets nobody but the administrator subscribe, at first."""
    rules = tmp_path / "rules.json"
    subprocess.run(["mosquitto_ctrl", "dynsec", "init", rules, "admin", PASSWORD], check=True)
    config = f"allow_anonymous true\nplugin {PLUGIN}\nplugin_opt_config_file {rules}"
    with Mosquitto(tmp_path / "broker", config) as running:
        allow(running, "publishClientSend", "publishClientReceive")
        yield running


def allow(broker: Mosquitto, *kinds: str) -> None:
    """Let everybody do that."""
    acls = [{"acltype": kind, "allow": True} for kind in kinds]
    command = {"commands": [{"command": "setDefaultACLAccess", "acls": acls}]}
    with administrator(broker, f"{CONTROL}/response") as admin:
        admin.send(CONTROL, json.dumps(command))
        assert "error" not in admin.wait(f"{CONTROL}/response")[0].json["responses"][0]


def administrator(broker: Mosquitto, *topics: str) -> Probe:
    def sign_in(client: paho.Client) -> None:
        client.username_pw_set("admin", PASSWORD)

    return Probe(broker.port, *topics, prepare=sign_in)


def test_commands_are_heard_as_soon_as_the_broker_allows_it(
    tmp_path: Path, broker: Mosquitto, engine: VisionEngine
) -> None:
    with Doorway(door_settings(tmp_path, broker.port), engine) as door:
        assert door.mqtt.is_connected
        topics = door.mqtt.topics
        assert door.mqtt.refused_topics == (topics.requests, topics.log)
        allow(broker, "subscribe")
        with Probe(broker.port, f"{BASE}/#") as probe:
            wait_until(lambda: not door.mqtt.refused_topics, "the subscription to be allowed")
            assert probe.ask(BASE, "ping", {})["status"] == "ok"
