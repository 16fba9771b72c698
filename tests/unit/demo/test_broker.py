"""The demo's broker is a real one: MQTT 5, retained messages, a dead client's Will."""

import queue
import socket
import threading
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from demo.broker import embedded_broker

TOPIC = "ostiary/test/availability"


def subscribe(connected: paho.Client, *_: object) -> None:
    connected.subscribe(TOPIC, qos=1)


def client(port: int, name: str) -> tuple[paho.Client, "queue.Queue[tuple[bytes, bool]]"]:
    """A connected MQTT 5 client that subscribes to the topic, and what it is told (and whether
    that was retained)."""
    told: queue.Queue[tuple[bytes, bool]] = queue.Queue()
    ready = threading.Event()
    made = paho.Client(
        CallbackAPIVersion.VERSION2, client_id=name, protocol=MQTTProtocolVersion.MQTTv5
    )
    made.will_set(TOPIC, b"offline", qos=1, retain=True)
    made.on_message = lambda _client, _data, message: told.put(
        (bytes(message.payload), message.retain)
    )
    made.on_subscribe = lambda *_: ready.set()
    made.on_connect = subscribe
    made.connect("127.0.0.1", port)
    made.loop_start()
    assert ready.wait(60)
    return made, told


def test_it_keeps_what_is_retained_for_those_who_come_later(tmp_path: Path) -> None:
    with embedded_broker(tmp_path) as port:
        door, _ = client(port, "door")
        door.publish(TOPIC, b"online", qos=1, retain=True).wait_for_publish(60)
        building, told = client(port, "building")
        assert told.get(timeout=60) == (b"online", True)
        for one in (door, building):
            one.disconnect()
            one.loop_stop()


def test_it_publishes_the_will_of_a_client_that_dies(tmp_path: Path) -> None:
    with embedded_broker(tmp_path) as port:
        building, told = client(port, "building")
        door, _ = client(port, "door")
        connection = door.socket()
        assert isinstance(connection, socket.socket)
        connection.shutdown(socket.SHUT_RDWR)
        assert told.get(timeout=60) == (b"offline", False)
        for one in (door, building):
            one.disconnect()
            one.loop_stop()


def test_it_takes_a_portrait_of_three_megabytes(tmp_path: Path) -> None:
    with embedded_broker(tmp_path) as port:
        building, told = client(port, "building")
        building.publish(TOPIC, b"x" * 3_000_000, qos=1).wait_for_publish(10)
        assert len(told.get(timeout=60)[0]) == 3_000_000
        building.disconnect()
        building.loop_stop()


def test_it_is_gone_after_its_block(tmp_path: Path) -> None:
    with embedded_broker(tmp_path) as port:
        pass
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=60)
