"""A broker that speaks MQTT 3.1.1 and nothing else: amqtt."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import pytest

from ostiary.messages.decision import Decision
from ostiary.messages.words import Reason
from ostiary.mqtt.paho_client import MQTT311
from ostiary.vision.engine import VisionEngine
from testing.doorway import BASE, Doorway, door_settings
from testing.ports import free_port, listens
from testing.probe import Probe
from testing.waiting import wait_until

AMQTT = """
import asyncio, sys
from amqtt.broker import Broker

async def main():
    broker = Broker({
        "listeners": {"default": {"type": "tcp", "bind": "127.0.0.1:" + sys.argv[1]}},
        "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
    })
    await broker.start()
    await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def broker(port: int) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", AMQTT, str(port)]) as running:
        yield running
        running.kill()


@pytest.fixture
def probe(port: int, broker: subprocess.Popen[bytes]) -> Iterator[Probe]:
    assert broker.poll() is None
    wait_until(lambda: listens(port), "amqtt to listen")
    with Probe(port, f"{BASE}/#", protocol=MQTT311) as running:
        yield running


def test_the_door_falls_back_to_the_broker_s_version(
    tmp_path: Path, port: int, probe: Probe, engine: VisionEngine
) -> None:
    with Doorway(door_settings(tmp_path, port), engine) as door:
        probe.wait_for(f"{BASE}/availability", b"online")
        assert probe.ask(BASE, "ping", {})["status"] == "ok"
        door.events.append_login(
            Decision(Reason.GRANTED, "Ada", distance=0.3, liveness=0.9),
            source="front",
            now=datetime.now(UTC),
        )
        assert probe.wait(f"{BASE}/event/login")[0].json["username"] == "Ada"
        opened = probe.wait(f"{BASE}/door")[0].json
        assert opened["expires"] > opened["timestamp"]
    probe.wait_for(f"{BASE}/availability", b"offline")


def test_a_broker_that_hangs_up_while_it_stops_is_asked_by_the_same_version_again(
    tmp_path: Path, port: int, broker: subprocess.Popen[bytes], probe: Probe, engine: VisionEngine
) -> None:
    with Doorway(door_settings(tmp_path, port), engine):
        probe.wait_for(f"{BASE}/availability", b"online")
        broker.kill()
        broker.wait()
        assert set(islice(versions_asked_for(port), 6)) == {MQTT311}


def versions_asked_for(port: int) -> Iterator[int]:
    """The version of MQTT in each CONNECT of the door, which is answered by hanging up."""
    with socket.create_server(("127.0.0.1", port)) as listener:
        listener.settimeout(15)
        while True:
            connection, _ = listener.accept()
            with connection:
                connect = connection.recv(1024)
            if b"/availability" in connect:  # its Will; the probe has none
                yield connect[connect.index(b"MQTT") + 4]
