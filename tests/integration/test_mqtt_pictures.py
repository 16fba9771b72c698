"""Pictures of decisions on a real broker: who sees them, and that nothing waits for them."""

import threading
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from ostiary.clock import utc_now
from ostiary.messages.decision import Decision
from ostiary.messages.words import Reason
from ostiary.mqtt.pictures import BYTES, EXPIRY_S, WAITING
from ostiary.vision.arrays import BGRImage
from ostiary.vision.engine import VisionEngine
from testing.broker import Mosquitto
from testing.cameras import Still
from testing.certificates import Authority
from testing.daemon import DaemonProcess, write_config
from testing.doorway import BASE, Doorway, door_settings
from testing.faces import some_look
from testing.probe import Probe
from testing.secure_broker import SHIPPED, client, secure, start_broker
from testing.waiting import wait_until

PICTURE = f"{BASE}/picture/front"
LOGIN = f"{BASE}/event/login"
ON = {"event_pictures": True}
SEEN = np.random.default_rng(1).integers(0, 256, (720, 1280, 3), np.uint8)
"""Of noise, which makes the largest JPEG."""


def decide(
    door: Doorway,
    reason: Reason = Reason.GRANTED,
    username: str | None = None,
    image: BGRImage = SEEN,
) -> int:
    """A decision, and its picture, as the app tells them."""
    decision = Decision(reason, username, liveness=0.9)
    event = door.events.append_login(decision, source="front", now=utc_now())
    door.mqtt.show_picture("front", image, event.seq, username)
    return event.seq


def registered(door: Doorway, username: str) -> None:
    door.people.register(username, (some_look(),), utc_now(), source="cli")


def test_a_decision_is_followed_by_its_picture_which_nobody_keeps(
    tmp_path: Path, broker: Mosquitto, probe: Probe, engine: VisionEngine
) -> None:
    with Doorway(door_settings(tmp_path, broker.port, mqtt=ON), engine) as door:
        registered(door, "Ada")
        began = time.monotonic()
        first = decide(door, username="Ada")
        probe.wait(PICTURE)
        second = decide(door, Reason.UNKNOWN_FACE)
        pictures = probe.wait(PICTURE, 2)
        with Probe(broker.port, PICTURE) as late:
            third = decide(door, Reason.UNKNOWN_FACE)
            assert late.wait(PICTURE)[0].correlation == str(third).encode()
        assert not door.mqtt.refused_topics
    for seq, picture in zip((first, second), pictures, strict=False):
        assert picture.correlation == str(seq).encode()
        assert not picture.retain
        assert picture.expiry_s is not None
        took_s = picture.at - began
        # The door and the broker each count whole seconds.
        assert EXPIRY_S - took_s - 2 <= picture.expiry_s <= EXPIRY_S
        assert len(picture.payload) <= BYTES
        assert cv2.imdecode(np.frombuffer(picture.payload, np.uint8), 1) is not None
    topics = [heard.topic for heard in probe.heard if heard.topic in (PICTURE, LOGIN)]
    assert topics[:4] == [LOGIN, PICTURE, LOGIN, PICTURE]


def test_without_the_setting_no_picture_is_shown_to_anybody(
    tmp_path: Path, broker: Mosquitto, probe: Probe, engine: VisionEngine
) -> None:
    cameras = ("front", Still(SEEN))
    with Doorway(door_settings(tmp_path, broker.port), engine, cameras) as door:
        decide(door, Reason.UNKNOWN_FACE)
        answer = probe.ask(BASE, "snapshot", {"show": True})
        assert answer["error"]["code"] == "not_allowed"
        assert "mqtt.event_pictures" in answer["error"]["message"]
        assert probe.ask(BASE, "snapshot", {})["status"] == "ok"
    probe.wait_for(f"{BASE}/availability", b"offline")
    assert not probe.of(PICTURE)


def test_a_snapshot_is_shown_where_that_is_asked(
    tmp_path: Path, broker: Mosquitto, probe: Probe, engine: VisionEngine
) -> None:
    settings = door_settings(tmp_path, broker.port, mqtt=ON)
    with Doorway(settings, engine, ("front", Still(SEEN))):
        assert probe.ask(BASE, "snapshot", {"width": 64})["status"] == "ok"
        shown = probe.ask(BASE, "snapshot", {"width": 64, "show": True})["data"]
        picture = probe.wait(PICTURE)[0]
    assert shown["width"] == 64
    assert picture.correlation is None
    assert len(probe.of(PICTURE)) == 1


def test_who_was_deleted_meanwhile_is_shown_to_nobody(
    tmp_path: Path, broker: Mosquitto, probe: Probe, engine: VisionEngine
) -> None:
    with Doorway(door_settings(tmp_path, broker.port, mqtt=ON), engine) as door:
        registered(door, "Ada")
        broker.pause()  # so the picture waits for its event
        decide(door, username="Ada")
        door.people.delete("Ada", utc_now(), source="cli")
        stranger = decide(door, Reason.UNKNOWN_FACE)
        broker.resume()
        assert probe.wait(PICTURE)[0].correlation == str(stranger).encode()
    assert len(probe.of(PICTURE)) == 1


def under_way(door: Doorway) -> int:
    """How many events were sent that the broker has not acknowledged."""
    flight = door.mqtt._publisher._flight
    return 0 if flight is None else len(flight.unacknowledged)


def test_events_wait_for_no_picture_however_many_there_are(
    tmp_path: Path, broker: Mosquitto, probe: Probe, engine: VisionEngine
) -> None:
    """The broker answers nothing for a while; then every event is there before any picture, and
    of the pictures some."""
    with Doorway(door_settings(tmp_path, broker.port, mqtt=ON), engine) as door:
        broker.pause()
        for _ in range(3 * WAITING):
            decide(door, Reason.UNKNOWN_FACE)
        # Before an event that a slow machine sends only later, a picture would be allowed to go.
        wait_until(lambda: under_way(door) == 3 * WAITING, "all events to be sent")
        broker.resume()
        probe.wait(LOGIN, 3 * WAITING)
        probe.wait(PICTURE)
        probe.ask(BASE, "ping", {})
    topics = [heard.topic for heard in probe.heard if heard.topic in (PICTURE, LOGIN)]
    assert topics[: 3 * WAITING] == [LOGIN] * 3 * WAITING
    assert 1 <= len(probe.of(PICTURE)) <= WAITING + 1


def test_a_picture_is_not_kept_for_a_broker_that_is_away(
    tmp_path: Path, broker: Mosquitto, engine: VisionEngine
) -> None:
    with (
        # The broker keeps its session, and so what the door tells before this client is back, too.
        Probe(broker.port, f"{BASE}/#", client_id="listener") as probe,
        Doorway(door_settings(tmp_path, broker.port, mqtt=ON), engine) as door,
    ):
        broker.kill()
        wait_until(lambda: not door.mqtt.is_connected, "the door to miss its broker")
        decide(door, Reason.UNKNOWN_FACE)
        broker.start()
        assert probe.wait(LOGIN)
        seq = decide(door, Reason.UNKNOWN_FACE)
        assert probe.wait(PICTURE)[0].correlation == str(seq).encode()
    assert len(probe.of(PICTURE)) == 1


def test_a_door_that_stops_leaves_no_picture_and_no_thread_behind(
    tmp_path: Path, broker: Mosquitto, engine: VisionEngine
) -> None:
    """Each reload makes a new one."""
    with Doorway(door_settings(tmp_path, broker.port, mqtt=ON), engine) as door:
        broker.pause()
        for _ in range(WAITING):
            decide(door, Reason.UNKNOWN_FACE)
        broker.resume()
    wait_until(
        lambda: not [each for each in threading.enumerate() if each.name == "pictures"],
        "the thread to end",
    )


def test_a_camera_shows_whom_it_denies(
    tmp_path: Path, broker: Mosquitto, probe: Probe, models: Path, at_the_door: Path
) -> None:
    """By the whole daemon."""
    config = write_config(tmp_path, broker.port, models, at_the_door)
    text = config.read_text(encoding="utf-8").replace("[mqtt]", "[mqtt]\nevent_pictures = true")
    config.write_text(text, encoding="utf-8")
    with DaemonProcess(config):
        picture = probe.wait(PICTURE)[0]
        denied = next(
            each.json
            for each in probe.wait(LOGIN)
            if str(each.json["seq"]).encode() == picture.correlation
        )
    assert denied["success"] is False
    assert len(picture.payload) <= BYTES
    shown = cv2.imdecode(np.frombuffer(picture.payload, np.uint8), 1)
    assert shown is not None
    assert shown.shape[1] <= 640


# --- who may see them -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


def secured(tmp_path: Path, authority: Authority, acl: str) -> Mosquitto:
    certificate = authority.issue("broker", host="127.0.0.1")
    return start_broker(tmp_path / "broker", authority, certificate, acl)


ACL = (SHIPPED / "ostiary.acl").read_text(encoding="utf-8")
SECURED = "ostiary/door"


def test_operators_and_home_assistant_see_pictures_and_nobody_else_does(
    tmp_path: Path, authority: Authority, engine: VisionEngine
) -> None:
    broker = secured(tmp_path, authority, ACL)
    allowed, others = ("operator", "home-assistant"), ("reader", "lock", "guard", "keypad")
    settings = secure(tmp_path, broker.port, authority, event_pictures=True)
    topic = f"{SECURED}/picture/front"
    probes = {role: client(broker, authority, role, "ostiary/#") for role in (*allowed, *others)}
    try:
        with Doorway(settings, engine) as door:
            for each in probes.values():
                each.__enter__()
            decide(door, Reason.UNKNOWN_FACE)
            for role in allowed:
                assert probes[role].wait(topic)
            probes["operator"].send(topic, b"not the door's")
            probes["operator"].wait_refused(1)
        for role in ("reader", "lock", "guard"):  # the keypad reads nothing at all
            probes[role].wait_for(f"{SECURED}/availability", b"offline")
        for role in others:
            assert not probes[role].of(topic)
    finally:
        for each in probes.values():
            each.__exit__()
        broker.kill()


def test_a_broker_that_takes_no_pictures_is_named_and_takes_events_all_the_same(
    tmp_path: Path, authority: Authority, engine: VisionEngine
) -> None:
    """By an access list of before there were pictures."""
    broker = secured(tmp_path, authority, ACL.replace("topic write ostiary/door/picture/+\n", ""))
    settings = secure(tmp_path, broker.port, authority, event_pictures=True)
    try:
        with (
            client(broker, authority, "operator", "ostiary/#") as operator,
            Doorway(settings, engine) as door,
        ):
            assert f"{SECURED}/picture/front" in door.mqtt.refused_topics
            decide(door, Reason.UNKNOWN_FACE)
            operator.wait(f"{SECURED}/event/login")
            assert operator.ask(SECURED, "ping", {})["status"] == "ok"
            assert not operator.of(f"{SECURED}/picture/front")
    finally:
        broker.kill()
