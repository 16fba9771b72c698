"""Commands over a real mosquitto."""

import base64
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from ostiary.cli.door import RemoteDoor, new_client_id
from ostiary.cli.events import told
from ostiary.commands.services import CommandLimits
from ostiary.errors import TimedOut, UserExists
from ostiary.local.client import A
from ostiary.messages.commands.base import Request
from ostiary.messages.commands.decisions import EventsRequest
from ostiary.messages.decision import Decision
from ostiary.messages.words import Reason
from ostiary.mqtt.broker import login_of
from ostiary.mqtt.topics import Topics
from ostiary.store.audit import Audit
from ostiary.vision.arrays import BGRImage
from ostiary.vision.engine import VisionEngine
from ostiary.vision.face import Face
from testing.broker import Mosquitto
from testing.cameras import Still
from testing.doorway import BASE, Doorway, door_settings
from testing.faces import some_look
from testing.probe import Probe
from testing.waiting import PATIENCE_S

pytestmark = pytest.mark.quick


@pytest.fixture
def probe(broker: Mosquitto) -> Iterator[Probe]:
    with Probe(broker.port, f"{BASE}/#", "clients/#") as running:
        yield running


@pytest.fixture
def door(tmp_path: Path, broker: Mosquitto, engine: VisionEngine) -> Iterator[Doorway]:
    settings = door_settings(tmp_path, broker.port, mqtt={"response_prefixes": ["clients/"]})
    with Doorway(settings, engine) as running:
        yield running


def base64_of(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


def empty_picture() -> str:
    _, data = cv2.imencode(".jpg", np.zeros((240, 320, 3), np.uint8))
    return base64.b64encode(data.tobytes()).decode()


def enrol(door: Doorway, *names: str) -> None:
    for number, name in enumerate(names):
        door.people.register(name, [some_look(number)], datetime.now(UTC), source="cli")


def error_code(response: Any) -> str:
    assert response["status"] == "error"
    assert response["error"]["message"]
    code: str = response["error"]["code"]
    return code


@pytest.mark.usefixtures("door")
def test_ping_is_answered(probe: Probe) -> None:
    response = probe.ask(BASE, "ping", {})
    assert response["status"] == "ok"
    assert response["data"]["version"]


@pytest.mark.usefixtures("door")
def test_an_empty_message_is_an_empty_request(probe: Probe) -> None:
    probe.send(f"{BASE}/request/ping", b"")
    response = probe.wait(f"{BASE}/response/ping")[0].json
    assert response["status"] == "ok"
    assert "transaction" not in response


@pytest.mark.usefixtures("door")
def test_register_login_users_and_delete(probe: Probe, portraits: Path) -> None:
    image = base64_of(portraits / "obama.jpg")
    registered = probe.ask(BASE, "register", {"username": "张三", "image": image})
    assert registered["status"] == "ok"
    assert registered["data"]["success"] is True
    assert registered["data"]["username"] == "张三"
    assert [user["username"] for user in probe.ask(BASE, "users", {})["data"]["users"]] == ["张三"]

    image = base64_of(portraits / "obama2.jpg")
    granted = probe.ask(BASE, "login", {"image": image})["data"]
    assert granted["success"] is True
    assert granted["username"] == "张三"
    assert granted["distance"] < granted["threshold"]
    assert granted["recognizer"] == "sface"
    assert granted["similarity"] == pytest.approx(1 - granted["distance"])
    event = probe.wait(f"{BASE}/event/login")[0].json
    assert event["event_id"] == granted["event_id"]
    assert event["source"] == "mqtt"

    stranger = probe.ask(BASE, "login", {"image": base64_of(portraits / "biden.jpg")})["data"]
    assert stranger["success"] is False
    assert stranger["reason"] == "unknown_face"

    assert probe.ask(BASE, "delete", {"username": "张三"})["status"] == "ok"
    after = probe.ask(BASE, "login", {"image": image})["data"]
    assert after["reason"] == "unknown_face"
    actions = [heard.json["action"] for heard in probe.wait(f"{BASE}/event/user", 2)]
    assert actions == ["registered", "deleted"]


def test_a_picture_that_was_sent_is_enrolled_but_not_verified(
    door: Doorway, probe: Probe, portraits: Path
) -> None:
    image = base64_of(portraits / "obama.jpg")
    registered = probe.ask(BASE, "register", {"username": "Ada", "image": image})["data"]
    more = base64_of(portraits / "obama2.jpg")
    added = probe.ask(BASE, "add_template", {"username": "Ada", "image": more})["data"]
    for answer in (registered, added):
        assert answer["verified"] is False
        assert answer["liveness"] > 0.9  # which proves nothing
    deeds = [(row.action, row.subject, row.detail) for row in Audit(door.database).newest(2)]
    assert deeds == [
        ("template_added", "Ada", {"verified": False}),
        ("user_registered", "Ada", {"verified": False}),
    ]


@dataclass(frozen=True)
class Watching:
    """A camera before which somebody shows what a grant needs, as the loop would find it."""

    latest: BGRImage
    requires_movement: bool = True

    def ask(self, pose: str | None) -> None:
        """They look as they do."""

    def capture(self, timeout: float, *, alive: bool = True) -> BGRImage:  # noqa: ARG002
        return self.latest

    def live_score(self, bgr: BGRImage, face: Face) -> float:  # noqa: ARG002
        return 0.97


@pytest.mark.parametrize("movement", [True, False])
def test_who_stood_at_the_camera_and_moved_is_verified(
    tmp_path: Path,
    broker: Mosquitto,
    probe: Probe,
    engine: VisionEngine,
    portraits: Path,
    movement: bool,
) -> None:
    picture = np.asarray(cv2.imread(str(portraits / "obama.jpg")), np.uint8)
    camera = Watching(picture, requires_movement=movement)
    settings = door_settings(
        tmp_path, broker.port, commands={"enrol_s": 0, "allow_unverified_enrolment": True}
    )
    with Doorway(settings, engine, ("front", camera)) as door:
        request = {"username": "Ada", "source": "camera"}
        answer = probe.ask(BASE, "register", request)["data"]
        assert (answer["verified"], answer["liveness"]) == (movement, 0.97)
        assert Audit(door.database).newest(1)[0].detail == {"verified": movement}
        unverified = request | {"username": "Ben", "require_live": False, "allow_twin": True}
        assert probe.ask(BASE, "register", unverified)["data"]["verified"] is False


def test_a_replayed_photo_neither_registers_nor_logs_in(
    door: Doorway, probe: Probe, samples: Path
) -> None:
    image = base64_of(samples / "replay_attack.jpg")
    refused = probe.ask(BASE, "register", {"username": "Eve", "image": image})
    assert error_code(refused) == "presentation_attack"
    denied = probe.ask(BASE, "login", {"image": image})["data"]
    assert (denied["success"], denied["reason"]) == (False, "presentation_attack")
    assert door.people.count() == 0


@pytest.mark.usefixtures("door")
def test_a_picture_without_a_face_is_refused_and_denied(probe: Probe) -> None:
    image = empty_picture()
    assert error_code(probe.ask(BASE, "register", {"username": "Ada", "image": image})) == "no_face"
    assert probe.ask(BASE, "login", {"image": image})["data"]["reason"] == "no_face"


def test_claiming_to_be_somebody_else_is_denied(
    door: Doorway, probe: Probe, portraits: Path
) -> None:
    enrol(door, "Ben")
    image = base64_of(portraits / "obama.jpg")
    assert probe.ask(BASE, "register", {"username": "Ada", "image": image})["status"] == "ok"
    claim = {"image": image, "username": "Ben"}
    assert probe.ask(BASE, "login", claim)["data"]["reason"] == "unknown_face"
    unknown = {"image": image, "username": "Cleo"}
    assert error_code(probe.ask(BASE, "login", unknown)) == "user_unknown"


def test_a_taken_name_is_refused(door: Doorway, probe: Probe) -> None:
    enrol(door, "Ada")
    response = probe.ask(BASE, "register", {"username": " Ada ", "image": empty_picture()})
    assert error_code(response) == "user_exists"


@pytest.mark.usefixtures("door")
def test_deleting_nobody_is_refused(probe: Probe) -> None:
    assert error_code(probe.ask(BASE, "delete", {"username": "Nobody"})) == "user_unknown"


@pytest.mark.parametrize(
    ("command", "payload", "code", "named"),
    [
        ("users", b"{", "request_malformed", "JSON"),
        ("users", b"\xff\xfe", "request_malformed", ""),
        ("users", b"[]", "request_malformed", ""),
        ("users", b'{"colour": 1}', "request_malformed", "colour"),
        ("delete", b"{}", "request_malformed", "username"),
        ("delete", b'{"username": 7}', "request_malformed", "username"),
        ("delete", b'{"username": ""}', "username_invalid", "empty"),
        ("delete", b'{"username": "a\\u0000b"}', "username_invalid", "control"),
        ("login", b'{"image": "%%%"}', "request_malformed", "image"),
        ("login", b'{"image": "aGVsbG8="}', "image_invalid", ""),
        ("register", b'{"username": "Ada"}', "request_malformed", "image"),
        ("register", b'{"username": "Ada", "source": "moon"}', "request_malformed", "source"),
        ("register", b'{"username": "Ada", "source": "camera"}', "camera_unavailable", "camera"),
        (
            "register",
            b'{"username": "Ada", "source": "camera", "require_live": false}',
            "not_allowed",
            "require_live",
        ),
        (
            "register",
            b'{"username": "Ada", "source": "camera", "require_live": "false"}',
            "request_malformed",
            "require_live",
        ),
        ("fly", b"{}", "command_unknown", "ping"),
        ("ping", b'{"x": ' + b"[" * 20000, "request_malformed", ""),
    ],
)
@pytest.mark.usefixtures("door")
def test_a_wrong_command_is_refused_by_name_of_what_is_wrong(
    probe: Probe, command: str, payload: bytes, code: str, named: str
) -> None:
    probe.send(f"{BASE}/request/{command}", payload)
    response = probe.wait(f"{BASE}/response/{command}")[0].json
    assert error_code(response) == code
    assert named in response["error"]["message"]
    assert probe.ask(BASE, "ping", {})["status"] == "ok"


@pytest.mark.usefixtures("door")
def test_even_a_refusal_carries_the_transaction(probe: Probe) -> None:
    assert error_code(probe.ask(BASE, "users", {"colour": 1})) == "request_malformed"


@pytest.mark.usefixtures("door")
def test_a_command_that_is_too_large_is_refused(probe: Probe) -> None:
    probe.send(f"{BASE}/request/ping", b" " * (8 * 1024 * 1024 + 1))
    response = probe.wait(f"{BASE}/response/ping")[0].json
    assert error_code(response) == "request_too_large"


def test_a_command_sent_twice_runs_once_and_gets_the_same_answer(
    door: Doorway, probe: Probe
) -> None:
    enrol(door, "Ada")
    for _ in range(2):
        probe.send(f"{BASE}/request/delete", {"username": "Ada", "transaction": "t1"})
    first, second = probe.wait(f"{BASE}/response/delete", 2)
    assert first.payload == second.payload
    assert first.json["status"] == "ok"


def test_a_refusal_is_repeated_even_if_it_would_succeed_now(door: Doorway, probe: Probe) -> None:
    request = {"username": "Ada", "transaction": 7}
    probe.send(f"{BASE}/request/delete", request)
    probe.wait(f"{BASE}/response/delete")
    enrol(door, "Ada")
    probe.send(f"{BASE}/request/delete", request)
    first, second = probe.wait(f"{BASE}/response/delete", 2)
    assert first.payload == second.payload
    assert door.people.count() == 1


def test_a_transaction_used_for_something_else_is_a_conflict(door: Doorway, probe: Probe) -> None:
    enrol(door, "Ada", "Ben")
    probe.send(f"{BASE}/request/delete", {"username": "Ada", "transaction": "t1"})
    probe.send(f"{BASE}/request/delete", {"username": "Ben", "transaction": "t1"})
    _, second = probe.wait(f"{BASE}/response/delete", 2)
    assert error_code(second.json) == "transaction_conflict"
    assert [user.username for user in door.people.list()] == ["Ben"]


def test_a_retained_command_is_ignored(
    tmp_path: Path, broker: Mosquitto, probe: Probe, engine: VisionEngine
) -> None:
    probe.send(f"{BASE}/request/ping", b"{}", retain=True)
    with Doorway(door_settings(tmp_path, broker.port), engine):
        assert probe.ask(BASE, "users", {})["status"] == "ok"
    assert not probe.of(f"{BASE}/response/ping")


@pytest.mark.usefixtures("door")
def test_response_topic_and_correlation_data_are_honoured(probe: Probe) -> None:
    probe.send(
        f"{BASE}/request/ping", b"{}", response_topic="clients/panel", correlation=b"\x00\x01"
    )
    answer = probe.wait("clients/panel")[0]
    assert answer.correlation == b"\x00\x01"
    assert answer.json["status"] == "ok"


@pytest.mark.parametrize(
    "topic", [f"{BASE}/door", f"{BASE}/request/delete", "elsewhere", "clients/../ostiary/x"]
)
@pytest.mark.usefixtures("door")
def test_a_response_topic_outside_the_permitted_ones_is_refused(probe: Probe, topic: str) -> None:
    probe.send(f"{BASE}/request/ping", b"{}", response_topic=topic)
    assert error_code(probe.wait(f"{BASE}/response/ping")[0].json) == "not_allowed"


def test_commands_wait_at_the_broker_while_the_door_is_away(
    tmp_path: Path, broker: Mosquitto, probe: Probe, engine: VisionEngine
) -> None:
    settings = door_settings(tmp_path, broker.port)
    with Doorway(settings, engine):
        probe.ask(BASE, "ping", {})
    probe.send(f"{BASE}/request/users", {"transaction": "later"})
    with Doorway(settings, engine):
        assert probe.response(BASE, "users", "later")["status"] == "ok"


def test_a_person_gets_another_name(door: Doorway, probe: Probe) -> None:
    enrol(door, "Ada", "Ben")
    renamed = probe.ask(BASE, "rename", {"username": "Ada", "new_username": "Zoë"})
    assert renamed["data"] == {"username": "Zoë", "previous_username": "Ada"}
    assert [user.username for user in door.people.list()] == ["Ben", "Zoë"]
    matched = door.people.roster.match(some_look())
    assert matched is not None
    assert matched.username == "Zoë"
    taken = probe.ask(BASE, "rename", {"username": "Zoë", "new_username": "Ben"})
    assert error_code(taken) == "user_exists"
    event = probe.wait(f"{BASE}/event/user", 3)[-1].json
    assert (event["action"], event["previous_username"]) == ("renamed", "Ada")


def test_the_audit_trail_is_read_page_by_page(door: Doorway, probe: Probe) -> None:
    enrol(door, *(f"user {number}" for number in range(5)))
    first = probe.ask(BASE, "events", {"limit": 3, "newest_first": False})["data"]
    assert [event["seq"] for event in first["events"]] == [1, 2, 3]
    rest = probe.ask(BASE, "events", {"cursor": first["cursor"], "newest_first": False})["data"]
    assert [event["seq"] for event in rest["events"]] == [4, 5]
    assert rest["cursor"] is None
    nothing = probe.ask(BASE, "events", {"kind": "login"})["data"]
    assert nothing["events"] == []


def test_a_snapshot_shows_what_the_camera_sees(
    tmp_path: Path, broker: Mosquitto, probe: Probe, engine: VisionEngine
) -> None:
    picture = np.full((48, 64, 3), 200, np.uint8)
    with Doorway(door_settings(tmp_path, broker.port), engine, ("front", Still(picture))):
        data = probe.ask(BASE, "snapshot", {})["data"]
    assert (data["width"], data["height"]) == (64, 48)
    image = cv2.imdecode(np.frombuffer(base64.b64decode(data["image"]), np.uint8), 1)
    assert image is not None
    assert image.shape == picture.shape


@pytest.mark.usefixtures("door")
def test_without_a_picture_there_is_no_snapshot(probe: Probe) -> None:
    assert error_code(probe.ask(BASE, "snapshot", {})) == "camera_unavailable"


def test_reload_is_answered_before_the_door_starts_anew(
    tmp_path: Path, broker: Mosquitto, probe: Probe, engine: VisionEngine
) -> None:
    asked = threading.Event()
    settings = door_settings(tmp_path, broker.port)
    with Doorway(settings, engine, reload=asked.set):
        probe.send(f"{BASE}/request/reload", b"{}")
        assert asked.wait(60)
    assert probe.wait(f"{BASE}/response/reload")[0].json["status"] == "ok"
    asked.clear()
    with Doorway(settings, engine, reload=asked.set):
        assert probe.ask(BASE, "ping", {})["status"] == "ok"
    assert not asked.is_set()


def test_with_several_cameras_a_command_names_one(
    tmp_path: Path, broker: Mosquitto, engine: VisionEngine, probe: Probe
) -> None:
    dark, bright = (np.full((240, 320, 3), value, np.uint8) for value in (0, 255))
    cameras = ("in", Still(dark)), ("out", Still(bright))
    with Doorway(door_settings(tmp_path, broker.port), engine, *cameras):
        unnamed = probe.ask(BASE, "snapshot", {})
        assert error_code(unnamed) == "camera_unknown"
        assert "in, out" in unnamed["error"]["message"]
        assert error_code(probe.ask(BASE, "snapshot", {"camera": "back"})) == "camera_unknown"
        shown = probe.ask(BASE, "snapshot", {"camera": "out"})["data"]
        assert shown["camera"] == "out"
        picture = cv2.imdecode(np.frombuffer(base64.b64decode(shown["image"]), np.uint8), 1)
        assert np.asarray(picture).mean() > 250
        request = {"username": "Ada", "source": "camera"}
        assert error_code(probe.ask(BASE, "register", request)) == "camera_unknown"
        named = probe.ask(BASE, "register", request | {"camera": "out"})
        assert error_code(named) == "timed_out"
        wrong = {"username": "Ada", "image": empty_picture(), "camera": "out"}
        assert error_code(probe.ask(BASE, "register", wrong)) == "request_malformed"


class SlowCamera:
    """Somebody who takes their time to step before the camera."""

    latest: BGRImage | None = None

    def ask(self, pose: str | None) -> None:
        """They see it in their own time."""

    def __init__(self) -> None:
        self.is_waiting = threading.Event()
        self.may_come = threading.Event()

    requires_movement = True

    def live_score(self, bgr: BGRImage, face: Face) -> float:  # noqa: ARG002
        return 0.0

    def capture(self, timeout: float, *, alive: bool = True) -> BGRImage:  # noqa: ARG002
        self.is_waiting.set()
        if not self.may_come.wait(timeout):
            raise TimedOut("Nobody came.")
        return np.zeros((48, 64, 3), np.uint8)


def test_commands_beyond_the_queue_are_answered_busy(
    tmp_path: Path, broker: Mosquitto, probe: Probe, engine: VisionEngine
) -> None:
    camera = SlowCamera()
    settings = door_settings(tmp_path, broker.port)
    with Doorway(settings, engine, ("front", camera), limits=CommandLimits(waiting=2)):
        probe.send(f"{BASE}/request/register", {"username": "Ada", "source": "camera"})
        for number in range(5):
            probe.send(f"{BASE}/request/ping", {"transaction": number}, qos=0)
        busy = probe.wait(f"{BASE}/response/ping", 2)
        assert {error_code(heard.json) for heard in busy} == {"busy"}
        camera.may_come.set()
        probe.wait(f"{BASE}/response/ping", 5)
    assert error_code(probe.wait(f"{BASE}/response/register")[0].json) == "no_face"


def test_of_a_flood_every_command_is_answered_and_those_that_ran_ran_in_order(
    tmp_path: Path, broker: Mosquitto, probe: Probe, engine: VisionEngine
) -> None:
    settings = door_settings(tmp_path, broker.port)
    with Doorway(settings, engine, limits=CommandLimits(waiting=2)):
        for number in range(100):
            probe.send(f"{BASE}/request/ping", {"transaction": number})
        answers = [heard.json for heard in probe.wait(f"{BASE}/response/ping", 100)]
    assert {answer["transaction"] for answer in answers} == set(range(100))
    ran = [answer["transaction"] for answer in answers if answer["status"] == "ok"]
    assert ran == sorted(ran)
    refused = {answer["error"]["code"] for answer in answers if answer["status"] == "error"}
    assert refused <= {"busy"}


def test_a_command_that_waited_too_long_has_no_effect(
    tmp_path: Path, broker: Mosquitto, probe: Probe, engine: VisionEngine
) -> None:
    camera = SlowCamera()
    settings = door_settings(tmp_path, broker.port, commands={"time_limit_s": 2})
    limits = CommandLimits(waiting=1, camera_s=PATIENCE_S)
    with Doorway(settings, engine, ("front", camera), limits=limits) as door:
        enrol(door, "Ben")
        probe.send(f"{BASE}/request/register", {"username": "Ada", "source": "camera"})
        assert camera.is_waiting.wait(PATIENCE_S)
        probe.send(f"{BASE}/request/delete", {"username": "Ben"})
        probe.send(f"{BASE}/request/ping", {})
        busy = probe.wait(f"{BASE}/response/ping")[0]  # so the one before it has arrived
        assert error_code(busy.json) == "busy"
        time.sleep(2)
        camera.may_come.set()
        for command in ("register", "delete"):
            heard = probe.wait(f"{BASE}/response/{command}")[0]
            assert error_code(heard.json) == "timed_out"
        assert [user.username for user in door.people.list()] == ["Ben"]


class PoorCamera(SlowCamera):
    """Shows two pictures that are no good, and then nobody."""

    def __init__(self, picture: BGRImage) -> None:
        super().__init__()
        self.pictures = [picture, picture]

    def capture(self, timeout: float, *, alive: bool = True) -> BGRImage:  # noqa: ARG002
        if self.pictures:
            return self.pictures.pop()
        raise TimedOut("No good picture within 0.03 s.")


def test_what_was_wrong_with_the_pictures_is_said_and_not_that_there_was_none(
    tmp_path: Path, broker: Mosquitto, probe: Probe, engine: VisionEngine, portraits: Path
) -> None:
    picture = cv2.imread(str(portraits / "obama.jpg"))
    assert picture is not None
    camera = PoorCamera(np.asarray(cv2.GaussianBlur(picture, (0, 0), 9), np.uint8))
    with Doorway(door_settings(tmp_path, broker.port), engine, ("front", camera)):
        probe.send(f"{BASE}/request/register", {"username": "Ada", "source": "camera"})
        heard = probe.wait(f"{BASE}/response/register")[0]
    assert error_code(heard.json) == "low_quality"


def test_nobody_is_matched_who_was_not_stored(
    tmp_path: Path, broker: Mosquitto, engine: VisionEngine
) -> None:
    door = Doorway(door_settings(tmp_path, broker.port), engine)
    people = door.people
    looks = [some_look()]
    now = datetime.now(UTC)
    with suppress(ZeroDivisionError), people.changing():
        people.register("Ada", looks, now, source="cli")
        raise ZeroDivisionError
    assert people.roster.match(looks[0]) is None
    with people.changing():
        with suppress(UserExists):
            people.register("Ben", looks, now, source="cli")
            people.register("Ben", looks, now, source="cli")
        assert people.roster.match(looks[0]) is None
    matched = people.roster.match(looks[0])
    assert matched is not None
    assert matched.username == "Ben"


def test_what_happens_while_events_are_listed_is_followed(door: Doorway) -> None:
    def happens() -> None:
        door.events.append_login(
            Decision(Reason.UNKNOWN_FACE), source="front", now=datetime.now(UTC)
        )

    class Busy(RemoteDoor):
        """At which somebody comes after every answer."""

        def ask(self, command: str, request: Request, answer: type[A]) -> A:
            given = super().ask(command, request, answer)
            happens()
            return given

    happens()
    with Busy(login_of(door.services.settings, new_client_id()), Topics(BASE)) as busy:
        followed = told(busy, EventsRequest(), 20, None, follow=True)
        assert [each.seq for each in islice(followed, 4)] == [1, 2, 3, 4]
