"""Connections that end again and again: another door of the same id, and brokers that throw off."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ostiary.clock import utc_now
from ostiary.commands.commands import COMMANDS
from ostiary.messages.state import CameraState, State
from ostiary.service.doctor.check import Level
from ostiary.service.doctor.network import check_broker
from ostiary.settings import Settings
from ostiary.vision.engine import VisionEngine
from testing.broker import Mosquitto
from testing.doorway import Doorway, door_settings
from testing.patient import wait_long_for_the_broker
from testing.probe import Probe
from testing.waiting import PATIENCE_S, wait_until

CONNACK = bytes([0x20, 3, 0, 0, 0])


def wait_for_problem(door: Doorway, problem: str) -> None:
    wait_until(lambda: problem in door.mqtt.problems, problem)


@contextmanager
def broker_that_kicks(code: int | None, *properties: int) -> Iterator[int]:
    """The port of one that takes every connection of MQTT 5 and ends it after a moment, with a
    DISCONNECT of that code, or with none."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                client, _ = listening.accept()
            except OSError:
                return
            with client:
                client.recv(4096)
                client.sendall(CONNACK)
                time.sleep(0.1)
                if code is not None:
                    said = bytes([code, len(properties), *properties])
                    client.sendall(bytes([0xE0, len(said)]) + said)
                client.shutdown(socket.SHUT_WR)

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield listening.getsockname()[1]
    finally:
        listening.close()


def test_two_doors_of_one_id_suspect_each_other_and_the_doctor_says_so(
    tmp_path: Path,
    broker: Mosquitto,
    engine: VisionEngine,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wait_long_for_the_broker(monkeypatch)
    # What the broker keeps is there, so the doctor only waits until it comes.
    monkeypatch.setattr("ostiary.service.doctor.network.KEPT_WITHIN_S", PATIENCE_S)
    (tmp_path / "twin").mkdir()
    settings = door_settings(tmp_path, broker.port)
    with (
        Doorway(settings, engine) as door,
        Doorway(door_settings(tmp_path / "twin", broker.port), engine) as twin,
    ):
        wait_for_problem(door, "twin_suspected")
        wait_for_problem(twin, "twin_suspected")
        door.mqtt.publish_state(
            State(
                timestamp=utc_now(),
                version="1",
                health="degraded",
                problems=door.mqtt.problems,
                uptime_s=1,
                cameras=(CameraState(name="front", status="ok", fps=15),),
                users=0,
                queue_length=0,
                events_dropped=0,
            )
        )
        with Probe(broker.port, "ostiary/test/state") as probe:
            probe.wait("ostiary/test/state")
        found = {check.name: check for check in check_broker(settings)}
        assert found["broker twin"].level is Level.RED
        assert "device.id" in found["broker twin"].advice
    said = capsys.readouterr().out
    assert "twin_suspected" in said
    assert "ostiary-test" in said
    assert "Unspecified error" not in said


@pytest.mark.parametrize(
    ("code", "problem", "words"),
    [
        (0x8E, "twin_suspected", "another client connected with the same client id"),
        (0x80, "twin_suspected", "without saying why"),
        (None, "twin_suspected", "hung up"),
        (0x98, "broker_ends_connections", "an administrator"),
        (0x97, "broker_ends_connections", "quota"),
    ],
)
def test_a_broker_that_throws_off_is_said_in_words(
    tmp_path: Path,
    engine: VisionEngine,
    capsys: pytest.CaptureFixture[str],
    code: int | None,
    problem: str,
    words: str,
) -> None:
    with broker_that_kicks(code) as port:
        door = Doorway(door_settings(tmp_path, port), engine)
        door.mqtt.start()
        try:
            wait_for_problem(door, problem)
        finally:
            door.mqtt.stop()
            door.database.close()
    said = capsys.readouterr().out
    assert words in said
    assert "Unspecified error" not in said


def test_the_brokers_own_words_are_told(
    tmp_path: Path, engine: VisionEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    reason = b"licence has ended"
    with broker_that_kicks(0x97, 0x1F, 0, len(reason), *reason) as port:
        door = Doorway(door_settings(tmp_path, port), engine)
        door.mqtt.start()
        try:
            wait_for_problem(door, "broker_ends_connections")
        finally:
            door.mqtt.stop()
            door.database.close()
    assert "the quota at the broker is used up (licence has ended)" in capsys.readouterr().out


def test_a_broker_that_is_restarted_is_no_twin(
    tmp_path: Path, broker: Mosquitto, engine: VisionEngine
) -> None:
    settings: Settings = door_settings(tmp_path, broker.port)
    with Doorway(settings, engine) as door:
        for _ in range(4):
            broker.kill()
            wait_until(lambda: door.mqtt.error is not None, "the loss to be seen")
            broker.start()
            wait_until(lambda: door.mqtt.is_connected, "the connection")
        assert door.mqtt.problems == ()


def test_a_broker_without_wildcards_is_asked_for_each_command_by_name(
    tmp_path: Path, engine: VisionEngine
) -> None:
    asked = bytearray()
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        client, _ = listening.accept()
        with client:
            client.recv(4096)
            client.sendall(bytes([0x20, 5, 0, 0, 2, 0x28, 0]))
            while data := client.recv(65536):
                asked.extend(data)
                if data[0] == 0x82:  # SUBSCRIBE, which comes alone
                    client.sendall(bytes([0x90, 4, *data[2:4], 0, 1]))

    threading.Thread(target=serve, daemon=True).start()
    with listening:
        door = Doorway(door_settings(tmp_path, listening.getsockname()[1]), engine)
        door.mqtt.start()
        try:
            wanted = [f"test/request/{name}".encode() for name in COMMANDS]
            wait_until(lambda: all(each in asked for each in wanted), "all subscriptions")
            assert b"request/+" not in asked
        finally:
            door.mqtt.stop()
            door.database.close()
