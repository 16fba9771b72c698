"""What a door published under other settings is taken back from the broker."""

import time
from pathlib import Path
from typing import Any

import pytest

from ostiary.clock import utc_now
from ostiary.messages.state import EntranceState
from ostiary.messages.words import DoorState, Mode
from ostiary.mqtt.discovery import announcements
from ostiary.mqtt.topics import Topics
from ostiary.store.announced import Announced
from ostiary.store.database import Database
from ostiary.vision.engine import VisionEngine
from testing.broker import Mosquitto
from testing.doorway import Doorway, door_settings
from testing.probe import Probe

QUIET = "test/quiet"


def shown(name: str) -> EntranceState:
    return EntranceState(
        door=name,
        state=DoorState.LOCKED,
        mode=Mode.NORMAL,
        lock="locked",
        contact="none",
        alarm=False,
        since=utc_now(),
    )


def run(
    folder: Path, broker: Mosquitto, engine: VisionEngine, *cameras: str, **more: Any
) -> set[str]:
    """What the broker keeps after a door of those cameras was there."""
    mqtt = {"discovery": True, **more.pop("mqtt", {})}
    settings = door_settings(folder, broker.port, mqtt=mqtt, **more)
    settings = settings.model_copy(
        update={
            "cameras": tuple(
                settings.cameras[0].model_copy(update={"name": name}) for name in cameras
            )
        }
    )
    with Doorway(settings, engine) as door:
        for name in cameras:
            door.mqtt.publish_entrance(shown(name))
        door.mqtt.publish_entrance(shown(cameras[-1]))
        with Probe(broker.port, f"{door.mqtt.topics.base}/response/ping") as probe:
            assert probe.ask(door.mqtt.topics.base, "ping", {})["status"] == "ok"
    return kept(broker)


def kept(broker: Mosquitto) -> set[str]:
    """Every topic of which the broker keeps something."""
    with Probe(broker.port, "#") as probe:
        probe.send(QUIET, "after what was kept")
        probe.wait(QUIET)
        return {heard.topic for heard in probe.heard if heard.retain}


def of(found: set[str], *words: str) -> set[str]:
    return {topic for topic in found if all(word in topic for word in words)}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (("front", "back"), ("front", "rear")),
        (("front", "back"), ("front",)),
        (("front",), ("front", "back")),
        (("front",), ("entrance",)),
        (("入口", "出口"), ("入口", "大门")),
    ],
)
def test_what_a_camera_left_behind_is_as_if_it_had_never_been(
    tmp_path: Path,
    broker: Mosquitto,
    engine: VisionEngine,
    before: tuple[str, ...],
    after: tuple[str, ...],
) -> None:
    (tmp_path / "new").mkdir()
    run(tmp_path, broker, engine, *before)
    changed = run(tmp_path, broker, engine, *after)
    with Mosquitto(tmp_path / "other") as other:
        assert changed == run(tmp_path / "new", other, engine, *after)


def test_a_door_of_another_id_leaves_nothing_under_the_old_one(
    tmp_path: Path, broker: Mosquitto, engine: VisionEngine
) -> None:
    assert of(run(tmp_path, broker, engine, "front", device={"id": "door"}), "door/")
    found = run(tmp_path, broker, engine, "front", device={"id": "前门"})
    assert of(found, "ostiary/前门/availability")
    assert not of(found, "ostiary/door/")
    assert not of(found, "/ostiary_door/")


def test_another_discovery_prefix_and_discovery_switched_off_leave_nothing(
    tmp_path: Path, broker: Mosquitto, engine: VisionEngine
) -> None:
    run(tmp_path, broker, engine, "front")
    found = run(tmp_path, broker, engine, "front", mqtt={"discovery_prefix": "ha"})
    assert of(found, "ha/lock/")
    assert not of(found, "homeassistant/")
    assert not of(run(tmp_path, broker, engine, "front", mqtt={"discovery": False}), "ha/")


def test_what_was_announced_when_names_had_other_ids_is_taken_back(
    tmp_path: Path, broker: Mosquitto, engine: VisionEngine
) -> None:
    former = "homeassistant/lock/ostiary_test/lock_a_b/config"
    with Probe(broker.port) as probe:
        probe.send(former, "{}", retain=True)
    found = run(tmp_path, broker, engine, "a.b", "c")
    assert former not in found
    assert len(of(found, "/lock_a_b_")) == 1


def test_what_was_taken_back_is_forgotten(
    tmp_path: Path, broker: Mosquitto, engine: VisionEngine
) -> None:
    run(tmp_path, broker, engine, "front", "back")
    settings = door_settings(tmp_path, broker.port, mqtt={"discovery": True})
    with Doorway(settings, engine) as door:
        connection = door.mqtt._client.wait_connected(30)
        with Probe(broker.port, "ostiary/test/response/ping") as probe:
            probe.ask("ostiary/test", "ping", {})
        remembered = Announced(door.database)
        deadline = time.monotonic() + 60
        while "ostiary/test/entrance/back" in (topics := remembered.topics()):
            assert time.monotonic() < deadline, "waited for it to be forgotten"
            door.mqtt.tend(connection)
            time.sleep(0.05)
    expected = {t for t, p in announcements(settings, Topics.of(settings)).items() if p}
    assert expected <= topics


def test_a_broker_that_forbids_to_take_back_does_not_keep_the_door_from_its_work(
    tmp_path: Path, engine: VisionEngine
) -> None:
    """mosquitto 2.0.11 hangs up on a message that it does not permit."""
    acl = tmp_path / "acl"
    acl.write_text("topic readwrite ostiary/test/#\n", encoding="utf-8")
    acl.chmod(0o644)
    with Database.open(tmp_path / "ostiary.db") as database:
        Announced(database).add(["ostiary/other/availability", "elsewhere/lock/config"])
    with (
        Mosquitto(tmp_path / "broker", f"allow_anonymous true\nacl_file {acl}") as broker,
        Probe(broker.port, "ostiary/test/#") as probe,
    ):
        door = Doorway(door_settings(tmp_path, broker.port), engine)
        door.mqtt.start()
        try:
            deadline = time.monotonic() + 60
            while not probe.of("ostiary/test/response/ping"):
                assert time.monotonic() < deadline, "waited for the door to answer"
                probe.send("ostiary/test/request/ping", {})
                time.sleep(0.3)
        finally:
            door.mqtt.stop()
            door.database.close()
