"""The door and a real mosquitto: what is heard, and what survives."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ostiary.messages.decision import Decision
from ostiary.messages.words import Reason
from ostiary.mqtt.paho_client import MQTT311
from ostiary.vision.engine import VisionEngine
from testing.broker import Mosquitto
from testing.doorway import BASE, Doorway, door_process, door_settings
from testing.faces import some_look
from testing.probe import Probe
from testing.waiting import wait_until

AVAILABILITY = f"{BASE}/availability"
LOGIN = f"{BASE}/event/login"
USER = f"{BASE}/event/user"
DOOR = f"{BASE}/door"


@pytest.fixture
def door(tmp_path: Path, broker: Mosquitto, engine: VisionEngine) -> Iterator[Doorway]:
    with Doorway(door_settings(tmp_path, broker.port), engine) as running:
        yield running


def grant(door: Doorway, age_s: float = 0.0, source: str = "front") -> int:
    event = door.events.append_login(
        Decision(Reason.GRANTED, "Ada", distance=0.3, liveness=0.99),
        source=source,
        now=datetime.now(UTC) - timedelta(seconds=age_s),
    )
    return event.seq


def seqs(probe: Probe, topic: str = LOGIN) -> list[int]:
    return [heard.json["seq"] for heard in probe.of(topic)]


def test_the_door_says_online_and_on_a_clean_stop_offline(
    tmp_path: Path, broker: Mosquitto, probe: Probe, engine: VisionEngine
) -> None:
    with Doorway(door_settings(tmp_path, broker.port), engine):
        probe.wait_for(AVAILABILITY, b"online")
    probe.wait_for(AVAILABILITY, b"offline")


@pytest.mark.usefixtures("door")
def test_availability_is_retained_for_whoever_comes_later(broker: Mosquitto, probe: Probe) -> None:
    probe.wait_for(AVAILABILITY, b"online")
    with Probe(broker.port, AVAILABILITY) as late:
        assert late.wait(AVAILABILITY)[0].retain


def test_a_killed_door_is_offline_by_its_will(
    tmp_path: Path, broker: Mosquitto, probe: Probe
) -> None:
    with door_process(tmp_path, broker.port):
        probe.wait_for(AVAILABILITY, b"online")
        assert probe.ask(BASE, "ping", {})["status"] == "ok"
    probe.wait_for(AVAILABILITY, b"offline")


def test_a_login_event_has_the_contracts_fields(door: Doorway, probe: Probe) -> None:
    seq = grant(door)
    event = probe.wait(LOGIN)[0].json
    assert event["seq"] == seq
    assert event["username"] == "Ada"
    assert event["success"] is True
    assert event["reason"] == "granted"
    assert event["similarity"] == pytest.approx(0.7)
    assert event["timestamp"].endswith("Z")
    assert event["source"] == "front"


def test_a_fresh_grant_of_a_camera_opens_the_door_and_expires(door: Doorway, probe: Probe) -> None:
    grant(door)
    message = probe.wait(DOOR)[0]
    assert 50 <= (message.expiry_s or 0) <= 60
    assert message.json["event_id"] == probe.wait(LOGIN)[0].json["event_id"]
    assert message.json["expires"] > message.json["timestamp"]


def test_neither_a_stale_grant_nor_a_sent_image_opens_the_door(door: Doorway, probe: Probe) -> None:
    grant(door, age_s=61)
    grant(door, source="mqtt")
    last = grant(door)
    probe.wait(DOOR)
    probe.wait(LOGIN, 3)
    assert seqs(probe, DOOR) == [last]


def test_what_happens_without_a_broker_arrives_later_in_order(
    broker: Mosquitto, door: Doorway
) -> None:
    # The broker keeps its session, and so what the door tells before this client is back, too.
    with Probe(broker.port, f"{BASE}/#", client_id="listener") as probe:
        grant(door)
        probe.wait(LOGIN)
        broker.kill()
        expected = [grant(door) for _ in range(50)]
        broker.start()
        probe.wait_until(lambda: set(expected) <= set(seqs(probe)))
    first_seen = list(dict.fromkeys(seqs(probe)))
    assert first_seen == [1, *expected]
    ids = {heard.json["seq"]: heard.json["event_id"] for heard in probe.of(LOGIN)}
    assert len(set(ids.values())) == 51
    wait_until(lambda: not door.events.queue_length(), "every event to be acknowledged")


def test_a_silent_broker_costs_nothing_but_time(
    broker: Mosquitto, door: Doorway, probe: Probe
) -> None:
    broker.pause()
    try:
        for _ in range(30):
            grant(door)
        before = time.process_time()  # what is recorded is work, however silent the broker
        time.sleep(1)
        assert time.process_time() - before < 0.5
        assert door.events.queue_length() == 30
    finally:
        broker.resume()
    probe.wait(LOGIN, 30)
    assert seqs(probe) == sorted(set(seqs(probe)))


def test_events_of_an_earlier_run_are_sent_by_the_next(
    tmp_path: Path, broker: Mosquitto, probe: Probe, engine: VisionEngine
) -> None:
    idle = Doorway(door_settings(tmp_path, broker.port), engine)
    expected = [grant(idle) for _ in range(20)]
    idle.database.close()
    with Doorway(door_settings(tmp_path, broker.port), engine):
        probe.wait(LOGIN, 20)
    assert seqs(probe) == expected


def test_a_change_of_people_is_an_event(door: Doorway, probe: Probe) -> None:
    door.people.register("张三", [some_look()], datetime.now(UTC), source="cli")
    event = probe.wait(USER)[0].json
    assert (event["action"], event["username"], event["source"]) == ("registered", "张三", "cli")


def test_clients_of_mqtt_3_are_served_too(
    tmp_path: Path, broker: Mosquitto, engine: VisionEngine
) -> None:
    with (
        Doorway(door_settings(tmp_path, broker.port), engine),
        Probe(broker.port, f"{BASE}/#", protocol=MQTT311) as old,
    ):
        assert old.ask(BASE, "ping", {})["status"] == "ok"
