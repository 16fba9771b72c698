"""Brokers that do not take everything: what is larger than their limit is never sent, and nothing
waits for it."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from ostiary.cli.door import RemoteDoor, new_client_id
from ostiary.cli.people import everybody
from ostiary.cli.rules import whole_book
from ostiary.errors import RequestTooLarge
from ostiary.messages.commands.decisions import (
    EventsAnswer,
    EventsRequest,
    LoginAnswer,
    LoginRequest,
)
from ostiary.messages.commands.device import PingAnswer, PingRequest
from ostiary.messages.decision import Decision
from ostiary.messages.state import CameraState, ModelState, State
from ostiary.messages.words import Reason
from ostiary.mqtt.broker import Login, Loss, login_of
from ostiary.mqtt.connection import Connection, Incoming
from ostiary.mqtt.paho_client import MQTT5, MQTT311
from ostiary.mqtt.topics import Topics
from ostiary.vision.engine import VisionEngine
from testing.broker import Mosquitto
from testing.cameras import Still
from testing.doorway import BASE, Doorway, door_settings
from testing.faces import some_look
from testing.patient import wait_long_for_the_broker
from testing.ports import free_port
from testing.probe import Probe
from testing.waiting import PATIENCE_S

LIMIT = 3500
STATE = f"{BASE}/state"
LOGIN = f"{BASE}/event/login"
DOOR = f"{BASE}/door"
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def wait_for(what: str, is_so: Callable[[], object], timeout_s: float = PATIENCE_S) -> None:
    deadline = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < deadline, f"waited for: {what}"
        time.sleep(0.02)


def broker_that(folder: Path, *lines: str, port: int | None = None) -> Mosquitto:
    return Mosquitto(folder / "broker", "\n".join(("allow_anonymous true", *lines)), port=port)


def grant(door: Doorway, username: str = "Ada") -> int:
    return door.events.append_login(
        Decision(Reason.GRANTED, username), source="front", now=datetime.now(UTC)
    ).seq


def a_state(**more: Any) -> State:
    return State(
        timestamp=NOW,
        version="1",
        health="ok",
        uptime_s=1,
        cameras=(CameraState(name="front", status="ok", fps=15),),
        users=2,
        queue_length=0,
        events_dropped=0,
        **more,
    )


def never_ended(broker: Mosquitto) -> None:
    """The broker has thrown nobody off."""
    assert "disconnected due to" not in broker.log
    assert "protocol error" not in broker.log.lower()


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Mosquitto]:
    with broker_that(tmp_path, f"max_packet_size {LIMIT}") as running:
        yield running


@contextmanager
def door_at(
    broker: Mosquitto, folder: Path, engine: VisionEngine, **sections: Any
) -> Iterator[Doorway]:
    noise = np.random.default_rng(1).integers(0, 255, (240, 320, 3), np.uint8)
    settings = door_settings(folder, broker.port, **sections)
    with Doorway(settings, engine, ("front", Still(noise))) as door:
        yield door


def fill(door: Doorway) -> None:
    """More than the broker takes, of everything that is a list."""
    for number in range(30):
        grant(door)
        door.people.register(f"Person {number:02}", [some_look(number)], NOW, source="cli")
    with door.people.changing():
        for number in range(60):
            door.services.rules.set_group(f"{'A group of many words ' * 2} {number}", None)


@pytest.mark.parametrize(
    ("command", "request_"),
    [("events", {"limit": 100}), ("users", {}), ("snapshot", {}), ("rules", {})],
)
def test_an_answer_larger_than_the_broker_takes_is_an_error_that_names_the_limit(
    tmp_path: Path,
    small: Mosquitto,
    engine: VisionEngine,
    command: str,
    request_: dict[str, Any],
) -> None:
    with door_at(small, tmp_path, engine) as door, Probe(small.port, f"{BASE}/#") as probe:
        fill(door)
        answer = probe.ask(BASE, command, request_)
        assert answer["status"] == "error"
        assert answer["error"]["code"] == "answer_too_large"
        assert answer["error"]["limit"] == LIMIT
        assert "3,500" in answer["error"]["message"]
        assert probe.ask(BASE, "ping", {})["status"] == "ok"
        assert door.mqtt.problems == ()
    never_ended(small)


def test_the_request_is_acknowledged_so_it_does_not_come_again(
    tmp_path: Path, small: Mosquitto, engine: VisionEngine
) -> None:
    with Probe(small.port, f"{BASE}/response/+") as probe:
        with door_at(small, tmp_path, engine) as door:
            fill(door)
            probe.ask(BASE, "users", {})
            # This answer may be here before the door hears that the broker has it, and only then
            # the request is acknowledged; the next answer is sent after that.
            probe.ask(BASE, "ping", {})
        with door_at(small, tmp_path, engine):
            assert probe.ask(BASE, "ping", {})["status"] == "ok"
        assert len(probe.of(f"{BASE}/response/users")) == 1


def test_lists_are_had_in_parts_that_fit(
    tmp_path: Path, small: Mosquitto, engine: VisionEngine
) -> None:
    with door_at(small, tmp_path, engine) as door, Probe(small.port, f"{BASE}/#") as probe:
        fill(door)
        for command, item, key in (("users", "users", "username"), ("events", "events", "seq")):
            found: list[Any] = []
            request: dict[str, Any] = {"limit": 4}
            while not found or request["cursor"] is not None:
                data = probe.ask(BASE, command, request)["data"]
                found += [each[key] for each in data[item]]
                request["cursor"] = data["cursor"]
            assert len(found) == len(set(found)) >= 30
        groups: list[str] = []
        request = {"limit": 7}
        while not groups or request["cursor"] is not None:
            book = probe.ask(BASE, "rules", request)["data"]
            groups += [each["name"] for each in book["groups"]]
            request["cursor"] = book["cursor"]
        assert len(groups) == len(set(groups)) == 60
        picture = probe.ask(BASE, "snapshot", {"width": 32})["data"]
        assert (picture["width"], picture["height"]) == (32, 24)
    never_ended(small)


def test_a_command_that_was_run_says_so_although_its_answer_is_too_large(
    tmp_path: Path, engine: VisionEngine
) -> None:
    with (
        broker_that(tmp_path, "max_packet_size 420") as broker,
        door_at(broker, tmp_path, engine) as door,
        Probe(broker.port, f"{BASE}/response/+") as probe,
    ):
        door.people.register("Ada", [some_look()], NOW, source="cli")
        groups = [f"Group {'x' * 40} {number}" for number in range(5)]
        with door.people.changing():
            for name in groups:
                door.services.rules.set_group(name, None)
        request = {"username": "Ada", "groups": groups, "confirm": True}
        probe.ask(BASE, "set_access", request)
        answer = probe.ask(BASE, "set_access", request)
        assert answer["error"]["code"] == "answer_too_large"
        assert answer["error"]["message"].startswith("The command was run")
        assert door.services.rules.person("Ada").groups == frozenset(groups)


def test_an_event_larger_than_the_broker_takes_holds_up_none_and_is_told_once_it_fits(
    tmp_path: Path, engine: VisionEngine
) -> None:
    port = free_port()
    with (
        broker_that(tmp_path, "max_packet_size 1200", port=port) as broker,
        door_at(broker, tmp_path, engine) as door,
        Probe(port, f"{BASE}/#") as probe,
        # The broker keeps its session, and so what the door tells before this client is back, too.
        Probe(port, LOGIN, client_id="listener") as listener,
    ):
        large = grant(door, "x" * 450)  # which a login says twice
        small = grant(door)
        wait_for("the small event", lambda: small in [e.json["seq"] for e in probe.of(LOGIN)])
        wait_for("it to be marked", lambda: door.events.queue_length() == 1)
        probe.wait(DOOR, 2)
        assert [each.json["seq"] for each in probe.of(DOOR)] == [large, small]  # the lock opens
        assert door.mqtt.problems == ("messages_too_large",)
        assert door.mqtt.broker is not None
        assert door.mqtt.broker.too_large == (LOGIN,)
        never_ended(broker)
        broker.stop()
        with broker_that(tmp_path, port=port):
            listener.wait_until(lambda: large in [e.json["seq"] for e in listener.of(LOGIN)])
            wait_for("all to be marked", lambda: door.events.queue_length() == 0)
            wait_for("no problem", lambda: door.mqtt.problems == ())
        assert [each.json["seq"] for each in probe.of(DOOR)].count(small) == 1


def test_state_is_shortened_to_what_the_broker_takes_and_names_its_limit(
    tmp_path: Path, engine: VisionEngine
) -> None:
    models = tuple(ModelState(name=f"{number}.onnx", sha256="0" * 64) for number in range(20))
    with (
        broker_that(tmp_path, "max_packet_size 900") as broker,
        door_at(broker, tmp_path, engine) as door,
        Probe(broker.port, STATE) as probe,
    ):
        door.mqtt.publish_state(a_state(models=models, broker=door.mqtt.broker))
        told = probe.wait(STATE)[-1].json
        assert told["health"] == "ok"
        assert told["models"] == []
        assert told["broker"]["packet_limit"] == 900
    never_ended(broker)


def test_discovery_that_does_not_fit_is_left_out_and_said(
    tmp_path: Path, engine: VisionEngine
) -> None:
    with (
        broker_that(tmp_path, "max_packet_size 900") as broker,
        door_at(broker, tmp_path, engine, mqtt={"discovery": True}) as door,
        Probe(broker.port, "homeassistant/#", f"{BASE}/#") as probe,
    ):
        probe.wait("homeassistant/sensor/ostiary_test/queue/config")
        wait_for("the problem", lambda: door.mqtt.problems == ("messages_too_large",))
        assert all(len(each.payload) < 900 for each in probe.heard)
        assert probe.ask(BASE, "ping", {})["status"] == "ok"
    never_ended(broker)


@pytest.mark.parametrize("size", [300, 1000, 3500, 128 * 1024])
def test_whatever_the_limit_nothing_above_it_is_sent(
    tmp_path: Path, engine: VisionEngine, size: int
) -> None:
    with (
        broker_that(tmp_path, f"max_packet_size {size}") as broker,
        door_at(broker, tmp_path, engine, mqtt={"discovery": True}) as door,
        Probe(broker.port, f"{BASE}/response/+") as probe,
    ):
        fill(door)
        door.mqtt.publish_state(a_state())
        for command in ("ping", "users", "events", "rules", "doors"):
            probe.ask(BASE, command, {})
    never_ended(broker)


def test_a_broker_that_keeps_nothing_is_told_without_retain_and_it_is_said(
    tmp_path: Path, engine: VisionEngine
) -> None:
    with broker_that(tmp_path, "retain_available false") as broker:
        with (
            Probe(broker.port, f"{BASE}/#") as probe,
            door_at(broker, tmp_path, engine, mqtt={"discovery": True}) as door,
        ):
            probe.wait_for(f"{BASE}/availability", b"online")
            assert door.mqtt.problems == ("broker_without_retain",)
            door.mqtt.publish_state(a_state())
            probe.wait(f"{BASE}/availability", 2)  # again, for who comes later
            seq = grant(door)
            assert probe.wait(LOGIN)[0].json["seq"] == seq
            assert probe.ask(BASE, "ping", {})["status"] == "ok"
        probe.wait_for(f"{BASE}/availability", b"offline")
        assert broker.log.count("QoS too high or retain not supported") <= 1  # the first will


def test_a_broker_of_qos_0_is_spoken_to_at_qos_0_and_it_is_said(
    tmp_path: Path, engine: VisionEngine
) -> None:
    with (
        broker_that(tmp_path, "max_qos 0") as broker,
        Probe(broker.port, f"{BASE}/#") as probe,
        door_at(broker, tmp_path, engine) as door,
    ):
        seq = grant(door)
        assert probe.wait(LOGIN)[0].json["seq"] == seq
        wait_for("the event to be marked", lambda: not door.events.queue_length())
        assert door.mqtt.problems == ("broker_without_qos1",)
        probe.send(f"{BASE}/request/ping", {"transaction": "a"}, qos=0)
        assert probe.response(BASE, "ping", "a")["status"] == "ok"


def test_a_brokers_own_keep_alive_is_kept(
    tmp_path: Path, engine: VisionEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    # By its own the door would say nothing before the broker throws it off, again and again: a ping
    # comes by the broker's only.
    monkeypatch.setattr("ostiary.mqtt.broker.KEEP_ALIVE_S", 60)
    with (
        broker_that(tmp_path, "max_keepalive 10", "log_type all") as broker,
        door_at(broker, tmp_path, engine) as door,
    ):
        assert door.mqtt.broker is not None
        assert door.mqtt.broker.keepalive_s == 10
        wait_for("a ping", lambda: "PINGREQ from ostiary-test" in broker.log)


def test_a_limit_that_is_not_said_is_learned_from_a_broker_that_hangs_up(
    tmp_path: Path, engine: VisionEngine
) -> None:
    """mosquitto's message_size_limit is in no CONNACK."""
    with (
        broker_that(tmp_path, f"message_size_limit {LIMIT}") as broker,
        door_at(broker, tmp_path, engine) as door,
        Probe(broker.port, f"{BASE}/response/+", protocol=MQTT311) as probe,
    ):
        fill(door)
        answer = probe.ask(BASE, "users", {})
        assert answer["error"]["code"] == "answer_too_large"
        assert answer["error"]["limit"] > LIMIT
        assert probe.ask(BASE, "ping", {})["status"] == "ok"


def test_the_command_line_has_everybody_whatever_the_brokers_limit(
    tmp_path: Path, small: Mosquitto, engine: VisionEngine
) -> None:
    with door_at(small, tmp_path, engine) as door:
        fill(door)
        login = login_of(door.services.settings, new_client_id())
        with RemoteDoor(login, Topics(BASE)) as remote:
            assert remote.packet_limit == LIMIT
            names = [user.username for user in everybody(remote).users]
            assert names == [f"Person {number:02}" for number in range(30)]
            assert len(whole_book(remote).groups) == 60
            pages = remote.pages("events", EventsRequest(limit=100), EventsAnswer)
            assert len([event for page in pages for event in page.events]) == 60
    never_ended(small)


def test_a_command_too_large_for_the_broker_is_refused_by_name_and_the_next_is_sent(
    tmp_path: Path, small: Mosquitto, engine: VisionEngine
) -> None:
    with door_at(small, tmp_path, engine) as door:
        login = login_of(door.services.settings, new_client_id())
        with RemoteDoor(login, Topics(BASE)) as remote:
            large = LoginRequest.model_validate({"image": "AAAA" * 2000})
            with pytest.raises(RequestTooLarge, match="3,500 bytes at most"):
                remote.ask("login", large, LoginAnswer)
            assert remote.ask("ping", PingRequest(), PingAnswer)
    never_ended(small)


def test_enrolling_a_folder_shrinks_phone_photos_and_one_that_cannot_fit_stops_nobody(
    tmp_path: Path, engine: VisionEngine, portraits: Path
) -> None:
    folder = tmp_path / "people"
    folder.mkdir()
    for number, name in enumerate(("Ada", "Bo")):
        portrait = cv2.imread(str(portraits / ("obama.jpg", "biden.jpg")[number]))
        assert portrait is not None
        large = cv2.resize(portrait, None, fx=2.5, fy=2.5, interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(folder / f"{name}.png"), large)
        assert (folder / f"{name}.png").stat().st_size > 1_900_000
    (folder / "No picture.jpg").write_bytes(b"no picture" * 300_000)
    with (
        broker_that(tmp_path, "max_packet_size 2000000") as broker,
        door_at(broker, tmp_path, engine, commands={"allow_unverified_enrolment": True}) as door,
    ):
        config = tmp_path / "ostiary.toml"
        config.write_text(f'[device]\nid = "test"\n[mqtt]\nport = {broker.port}\n')
        command = [sys.executable, "-m", "ostiary.cli.main", "enroll", str(folder), "--from-photo"]
        ran = subprocess.run(
            [*command, "--config", str(config)], capture_output=True, text=True, check=False
        )
        assert {user.username for user in door.people.list()} == {"Ada", "Bo"}, ran.stdout
        assert ran.returncode == 1
        assert "No picture.jpg" in ran.stdout
    never_ended(broker)


def test_a_broker_too_small_for_a_face_is_named_for_each_photo(
    tmp_path: Path, small: Mosquitto, engine: VisionEngine, portraits: Path
) -> None:
    folder = tmp_path / "people"
    folder.mkdir()
    for name in ("Ada", "Bo"):
        (folder / f"{name}.jpg").write_bytes((portraits / "obama.jpg").read_bytes())
    with door_at(small, tmp_path, engine):
        config = tmp_path / "ostiary.toml"
        config.write_text(f'[device]\nid = "test"\n[mqtt]\nport = {small.port}\n')
        command = [sys.executable, "-m", "ostiary.cli.main", "enroll", str(folder), "--from-photo"]
        ran = subprocess.run(
            [*command, "--config", str(config)], capture_output=True, text=True, check=False
        )
    assert ran.stdout.count("request_too_large") == 2
    assert "3,500" in ran.stdout
    never_ended(small)


class _Nobody:
    def message(self, incoming: Incoming) -> None: ...

    def lost(self, connection: Connection, loss: Loss) -> None: ...


@pytest.mark.parametrize("limit", [120, 129, 130, 16_386, 16_387, 16_388])
@pytest.mark.parametrize("more", [{}, {"expiry_s": 60}, {"expiry_s": 60, "correlation": b"x" * 9}])
def test_a_message_of_exactly_the_limit_is_sent_and_one_of_a_byte_more_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int, more: dict[str, Any]
) -> None:
    wait_long_for_the_broker(monkeypatch)
    with broker_that(tmp_path, f"max_packet_size {limit}") as broker:
        login = Login("127.0.0.1", broker.port, "exact", 15, 0, 20, 1_000_000)
        connection = Connection(login, MQTT5, 20, _Nobody())
        connection.open()
        try:
            sent = [
                size
                for size in range(max(0, limit - 60), limit + 1)
                if connection.publish("a/b", b"x" * size, **more)
            ]
            assert sent == list(range(sent[0], sent[-1] + 1))
            assert not connection.fits("a/b", b"x" * (sent[-1] + 1), **more)
            assert connection.publish_and_wait("a/b", b"x", timeout_s=PATIENCE_S)
            assert connection.too_large == {}
        finally:
            connection.close()
    never_ended(broker)
