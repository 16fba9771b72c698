"""/api/v1: people, templates, events, state, thresholds, live pictures."""

import base64
import json
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import cv2
import numpy as np
import pytest
import requests
from websockets.exceptions import ConnectionClosed
from websockets.sync import client
from websockets.sync.connection import Connection

from ostiary.clock import utc_now
from ostiary.http.api.door import IDLE_S
from ostiary.http.parts import ConsoleLimits
from ostiary.messages.decision import Decision
from ostiary.messages.words import Reason
from ostiary.settings import load_settings
from ostiary.settings.overrides import overrides_path, with_overrides
from ostiary.store.accounts import ApiTokens, Role
from ostiary.store.snapshots import Snapshots
from ostiary.store.users import Users
from ostiary.vision.arrays import BGRImage
from ostiary.vision.engine import VisionEngine
from ostiary.vision.image import decode_image
from testing.console import ConsoleDoor, console_settings
from testing.waiting import PATIENCE_S, wait_until

connect = partial(client.connect, open_timeout=PATIENCE_S)


def read(path: Path) -> BGRImage:
    return decode_image(path.read_bytes())


class Api:
    """A program with a token."""

    def __init__(self, door: ConsoleDoor, role: Role = Role.OPERATOR) -> None:
        self.door = door
        self.headers = {"Authorization": f"Bearer {door.token(role)}"}

    def __call__(self, method: str, path: str, **more: Any) -> requests.Response:
        return requests.request(
            method, f"{self.door.url}/api/v1{path}", headers=self.headers, **more
        )


@pytest.fixture
def door(tmp_path: Path, engine: VisionEngine) -> Iterator[ConsoleDoor]:
    with ConsoleDoor(console_settings(tmp_path), engine) as running:
        yield running


@pytest.fixture
def api(door: ConsoleDoor) -> Api:
    return Api(door)


def picture(portraits: Path, name: str) -> str:
    return base64.b64encode(portraits.joinpath(name).read_bytes()).decode()


def register(api: Api, portraits: Path, username: str, name: str = "obama.jpg") -> None:
    answer = api("POST", "/users", json={"username": username, "image": picture(portraits, name)})
    assert answer.status_code == 201, answer.text


# --- people ---------------------------------------------------------------------------------


@pytest.mark.parametrize("username", ["张三", "Zoë Müller", "100%", "a?b=c&d", "O'Brien"])
def test_any_name_can_be_registered_shown_renamed_and_deleted(
    api: Api, portraits: Path, username: str
) -> None:
    register(api, portraits, username)
    path = f"/users/{quote(username, safe='')}"
    assert api("GET", path).json()["username"] == username
    renamed = api("PATCH", path, json={"username": "neu"}).json()
    assert renamed == {"username": "neu", "previous_username": username}
    assert api("DELETE", "/users/neu").json() == {"username": "neu"}
    assert api("GET", "/users").json()["users"] == []
    assert api("GET", path).status_code == 404


def test_several_templates_a_person_are_matched_and_removed(api: Api, portraits: Path) -> None:
    register(api, portraits, "张三", "obama.jpg")
    second = {"image": picture(portraits, "obama2.jpg")}
    added = api("POST", "/users/张三/templates", json=second)
    assert added.status_code == 201
    body = added.json()
    assert 0 < body["distance"] < api("GET", "/users").json()["threshold"]
    assert body["looks_like"] is None
    probe = {"image": picture(portraits, "obama2.jpg")}
    assert api("POST", "/login", json=probe).json()["distance"] < 0.01
    assert len(api("GET", "/users/张三/templates").json()["templates"]) == 2
    number = body["template"]["id"]
    assert api("DELETE", f"/users/张三/templates/{number}").status_code == 200
    assert api("POST", "/login", json=probe).json()["distance"] > 0.01
    assert api("POST", "/login", json=probe).json()["success"] is True


def test_the_only_template_cannot_be_removed(api: Api, portraits: Path) -> None:
    register(api, portraits, "张三")
    (template,) = api("GET", "/users/张三").json()["templates"]
    answer = api("DELETE", f"/users/张三/templates/{template['id']}")
    assert (answer.status_code, answer.json()["code"]) == (409, "last_template")


def test_a_template_of_somebody_else_is_refused(api: Api, portraits: Path) -> None:
    register(api, portraits, "obama", "obama.jpg")
    register(api, portraits, "biden", "biden.jpg")
    other = {"image": picture(portraits, "obama2.jpg")}
    answer = api("POST", "/users/biden/templates", json=other)
    assert (answer.status_code, answer.json()["code"]) == (409, "already_registered")
    assert "obama" in answer.json()["detail"]
    answer = api("POST", "/users/biden/templates", json={**other, "allow_twin": True})
    assert (answer.status_code, answer.json()["code"]) == (422, "not_this_person")
    assert len(api("GET", "/users/biden/templates").json()["templates"]) == 1


def test_a_face_that_is_registered_is_refused_under_another_name_unless_a_twin(
    api: Api, portraits: Path
) -> None:
    register(api, portraits, "obama", "obama.jpg")
    again = {"username": "barack", "image": picture(portraits, "obama2.jpg")}
    answer = api("POST", "/users", json=again)
    assert (answer.status_code, answer.json()["code"]) == (409, "already_registered")
    assert api("POST", "/users", json={**again, "allow_twin": True}).status_code == 201
    users = {user["username"]: user for user in api("GET", "/users").json()["users"]}
    assert users["obama"]["look_alikes"] == ["barack"]
    assert users["barack"]["look_alikes"] == ["obama"]


def test_several_pictures_at_once_become_the_templates_that_differ(
    api: Api, portraits: Path
) -> None:
    images = [picture(portraits, f"obama{which}.jpg") for which in ("", "2", "")]
    answer = api("POST", "/users", json={"username": "obama", "images": images})
    assert answer.status_code == 201, answer.text
    assert answer.json()["templates"] == 2
    templates = api("GET", "/users/obama").json()["templates"]
    assert {each["recognizer"] for each in templates} == {"sface"}
    assert all(0 < each["quality"] <= 1 for each in templates)


def test_pictures_of_two_people_enrol_nobody(api: Api, portraits: Path) -> None:
    images = [picture(portraits, name) for name in ("obama.jpg", "biden.jpg")]
    answer = api("POST", "/users", json={"username": "obama", "images": images})
    assert (answer.status_code, answer.json()["code"]) == (422, "not_this_person")
    assert api("GET", "/users").json()["users"] == []


def test_a_replayed_photo_becomes_nobody_s_template(
    api: Api, portraits: Path, samples: Path
) -> None:
    register(api, portraits, "张三")
    replay = {"image": picture(samples, "replay_attack.jpg")}
    answer = api("POST", "/users/张三/templates", json=replay)
    assert (answer.status_code, answer.json()["code"]) == (422, "presentation_attack")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"username": "x"}, "request_malformed"),
        ({"username": "x", "image": "?"}, "request_malformed"),
        ({"username": "x", "image": "aGVsbG8="}, "image_invalid"),
        ({"username": "\u0007", "image": "aGVsbG8="}, "username_invalid"),
        ({"username": "x", "source": "camera"}, "camera_unavailable"),
        ({"username": "x", "source": "camera", "require_live": False}, "not_allowed"),
        ({"username": "x", "source": "camera", "colour": "red"}, "request_malformed"),
    ],
)
def test_a_wrong_request_is_a_problem_document_with_a_stable_code(
    api: Api, body: dict[str, Any], code: str
) -> None:
    answer = api("POST", "/users", json=body)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == code
    assert answer.json()["type"] == f"urn:ostiary:problem:{code}"
    assert answer.json()["status"] == answer.status_code


def test_a_picture_is_turned_upright_by_its_exif_orientation(api: Api, portraits: Path) -> None:
    upright = read(portraits / "obama.jpg")
    _, lying = cv2.imencode(".jpg", np.ascontiguousarray(np.rot90(upright, 1)))
    turn_right = bytes.fromhex(
        "ffe1002245786966000049492a0008000000010012010300010000000600000000000000"
    )
    data = lying.tobytes()
    image = base64.b64encode(data[:2] + turn_right + data[2:]).decode()
    answer = api("POST", "/users", json={"username": "张三", "image": image})
    assert answer.status_code == 201, answer.text


# --- events, thresholds ---------------------------------------------------------------------


def add_zhang(door: ConsoleDoor) -> None:
    """Whom `record` names; nobody at the door looks like them."""
    face = np.full(128, 0.1)
    Users(door.database).add("张三", [face], utc_now(), recognizer="dlib", source="test")


def record(door: ConsoleDoor, liveness: float, distance: float | None, reason: str) -> int:
    return door.events.append_login(
        Decision(
            Reason(reason),
            "张三" if reason == "granted" else None,
            distance=distance,
            liveness=liveness,
            recognizer="sface",
        ),
        source="front",
        now=utc_now(),
    ).seq


def test_events_are_paged_and_filtered(door: ConsoleDoor, api: Api) -> None:
    add_zhang(door)
    seqs = [record(door, 0.9, 0.3, "granted") for _ in range(5)]
    denied = record(door, 0.01, None, "presentation_attack")
    first = api("GET", "/events?limit=4").json()
    assert [event["seq"] for event in first["events"]] == [denied, *reversed(seqs[2:])]
    second = api("GET", f"/events?limit=4&cursor={first['cursor']}").json()
    assert [event["seq"] for event in second["events"]] == [seqs[1], seqs[0]]
    assert second["cursor"] is None
    attacks = api("GET", "/events?reason=presentation_attack").json()["events"]
    assert [event["seq"] for event in attacks] == [denied]
    named = api("GET", "/events", params={"username": "张三", "success": "true"}).json()["events"]
    assert len(named) == 5
    assert api("GET", "/events?since=2100-01-01T00:00:00Z").json()["events"] == []


def test_a_preview_tells_what_thresholds_would_have_done(door: ConsoleDoor, api: Api) -> None:
    record(door, 0.95, 0.80, "granted")
    near = record(door, 0.95, 1.05, "granted")
    far = record(door, 0.95, 1.20, "unknown_face")
    record(door, 0.05, 0.80, "presentation_attack")
    door.events.append_login(Decision(Reason.SEVERAL_FACES), source="front", now=utc_now())

    def preview(**values: float | bool) -> dict[str, Any]:
        answer = api("POST", "/settings/preview", json=values)
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body

    same = preview()
    assert (same["judged"], same["unknown"], same["changes"]) == (5, 0, [])
    assert preview(one_person_only=False)["unknown"] == 1
    strict = preview(false_accept=1e-6)
    assert (strict["granted_before"], strict["granted_after"]) == (2, 1)
    assert [(each["seq"], each["after"]) for each in strict["changes"]] == [(near, "unknown_face")]
    assert strict["threshold"] < same["threshold"]
    lax = preview(false_accept=0.1)
    assert [(each["seq"], each["after"]) for each in lax["changes"]] == [(far, "granted")]
    assert lax["risk"] == pytest.approx(0.1)
    assert door.access.false_accept == 0.001


def test_thresholds_are_in_force_at_once_and_after_a_restart(
    tmp_path: Path, engine: VisionEngine, portraits: Path
) -> None:
    settings = console_settings(tmp_path)
    with ConsoleDoor(settings, engine) as door:
        api = Api(door)
        register(api, portraits, "张三", "obama.jpg")
        probe = {"image": picture(portraits, "obama2.jpg")}
        assert api("POST", "/login", json=probe).json()["success"] is True
        usual = api("GET", "/settings").json()
        assert usual["risk"] == pytest.approx(0.001)
        changed = api("PATCH", "/settings", json={"false_accept": 1e-6}).json()
        assert changed["false_accept"] == 1e-6
        assert changed["threshold"] < usual["threshold"]
        assert changed["set_here"] == ["false_accept"]
        judged = api("POST", "/login", json=probe).json()
        assert judged["threshold"] == pytest.approx(changed["threshold"], abs=0.005)
    with ConsoleDoor(settings, engine) as door:
        assert door.access.false_accept == 1e-6
        headers = {"Authorization": "Bearer ostiary_test_operator"}
        answer = requests.delete(f"{door.url}/api/v1/settings", headers=headers).json()
        assert (answer["false_accept"], answer["set_here"]) == (0.001, [])
        assert door.access.false_accept == 0.001
        assert not overrides_path(settings).exists()


def test_the_operators_own_file_is_never_written_and_the_environment_wins(
    tmp_path: Path, engine: VisionEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "ostiary.toml"
    text = f'[access]\nlive_threshold = 0.7\n[store]\npath = "{tmp_path}/ostiary.db"\n'
    config.write_text(text)
    with ConsoleDoor(console_settings(tmp_path), engine) as door:
        api = Api(door)
        values = {"live_threshold": 0.95, "false_accept": 0.01}
        api("PATCH", "/settings", json=values)
        assert config.read_text() == text
        assert with_overrides(load_settings(config)).access.live_threshold == 0.95
        monkeypatch.setenv("OSTIARY_ACCESS__LIVE_THRESHOLD", "0.75")
        effective = with_overrides(load_settings(config)).access
        assert (effective.live_threshold, effective.false_accept) == (0.75, 0.01)
        answer = api("PATCH", "/settings", json={"live_threshold": 0.8})
        assert (answer.status_code, answer.json()["code"]) == (422, "setting_invalid")


@pytest.mark.parametrize(
    "values",
    [
        {"votes": 6, "window": 5},
        {"attack_threshold": 0.9},
        {"live_threshold": 0.1},
        {"live_threshold": 1.5},
        {"votes": 0},
        {"colour": "red"},
    ],
)
def test_thresholds_that_contradict_are_refused_and_nothing_changes(
    door: ConsoleDoor, api: Api, values: dict[str, Any]
) -> None:
    before = door.access
    assert api("PATCH", "/settings", json=values).status_code == 422
    assert door.access == before
    assert not overrides_path(door.settings).exists()


# --- the live picture -----------------------------------------------------------------------


@pytest.fixture
def watched(tmp_path: Path, engine: VisionEngine, portraits: Path) -> Iterator[ConsoleDoor]:
    """A camera before which a registered person stands."""
    pictures = tmp_path / "camera"
    pictures.mkdir()
    shown = read(portraits / "obama.jpg")
    noise = np.random.default_rng(1)
    for number in range(8):
        noisy = shown + noise.integers(-3, 4, shown.shape)
        file = pictures / f"{number}.jpg"
        cv2.imwrite(str(file), np.clip(noisy, 0, 255).astype(np.uint8))
    settings = console_settings(tmp_path, store={"keep_snapshots_days": 1})
    served = ConsoleLimits(viewers=2, request_s=PATIENCE_S)
    with ConsoleDoor(settings, engine, pictures, served=served) as door:
        image = portraits.joinpath("obama2.jpg").read_bytes()
        answer = requests.post(
            f"{door.url}/api/v1/users",
            json={"username": "张三", "image": base64.b64encode(image).decode()},
            headers={"Authorization": f"Bearer {door.token()}"},
        )
        assert answer.ok, answer.text
        yield door


def watch(door: ConsoleDoor, token: str) -> Connection:
    address = door.url.replace("http:", "ws:") + "/api/v1/cameras/front/live"
    return connect(address, additional_headers={"Authorization": f"Bearer {token}"})


def next_picture(socket: Connection) -> tuple[dict[str, Any], bytes]:
    socket.send("next")
    said = json.loads(socket.recv(PATIENCE_S))
    if said["stale"]:
        return said, b""
    jpeg = socket.recv(PATIENCE_S)
    assert isinstance(jpeg, bytes)
    return said, jpeg


def test_the_live_picture_shows_who_is_granted(watched: ConsoleDoor) -> None:
    with watch(watched, watched.token(Role.VIEWER)) as socket:

        def granted() -> tuple[Any, ...]:
            said, jpeg = next_picture(socket)
            faces = said["faces"]
            return (said, jpeg) if faces and faces[0]["reason"] == "granted" else ()

        said, jpeg = wait_until(granted, "somebody who is granted", every_s=0)
        (face,) = said["faces"]
        assert face["username"] == "张三"
        assert face["success"] is True
        assert face["liveness"] > 0.8
        assert face["distance"] < watched.roster.thresholds.used.distance
        assert said["guidance"] == "ready"
        image = decode_image(jpeg)
        assert image.shape[:2] == (said["height"], said["width"])
        assert all(-0.2 < part < 1.2 for part in face["box"])


def test_a_decision_keeps_a_thumbnail_where_that_is_wanted(watched: ConsoleDoor) -> None:
    api = Api(watched)
    kept = wait_until(
        lambda: api("GET", "/events?kind=login").json()["snapshots"], "a thumbnail", every_s=0.1
    )
    path = f"/events/{kept[0]}/snapshot"
    answer = api("GET", path)
    assert answer.headers["content-type"] == "image/jpeg"
    assert decode_image(answer.content).shape[1] == 640
    assert decode_image(api("GET", f"{path}?small=true").content).shape[1] == 240


def with_picture(door: ConsoleDoor, path: Path, distance: float, **more: Any) -> int:
    """An event of somebody live whom nobody was near enough to, and its picture."""
    said = {"liveness": 0.95, "reason": "unknown_face", **more}
    seq = record(door, distance=distance, **said)
    Snapshots(door.database).keep(seq, path.read_bytes(), utc_now())
    return seq


def test_the_picture_of_an_unknown_live_face_becomes_a_template_of_whom_it_is_near(
    door: ConsoleDoor, api: Api, portraits: Path
) -> None:
    register(api, portraits, "obama", "obama.jpg")
    register(api, portraits, "biden", "biden.jpg")
    add_zhang(door)
    near = door.roster.one_person_distance - 0.01
    picture_of = partial(with_picture, door, portraits / "obama2.jpg")

    def add(seq: int, username: str) -> tuple[int, str]:
        answer = api("POST", f"/events/{seq}/template", json={"username": username})
        return answer.status_code, answer.json().get("code", "")

    seq = picture_of(near)
    assert add(seq, "biden") == (409, "already_registered")
    assert add(seq, "zoe") == (404, "user_unknown")
    assert add(seq, "obama") == (201, "")
    assert door.people.get("obama").templates == 2
    (row,) = api("GET", "/audit?limit=1").json()["rows"]
    assert (row["action"], row["subject"]) == ("template_added", "obama")
    assert row["detail"]["event"] == seq
    assert api("GET", f"/events/{seq}/snapshot").status_code == 404, "nobody would delete it later"
    for unsafe in (
        picture_of(near + 0.02),
        picture_of(near, liveness=0.5),
        picture_of(near, reason="presentation_attack"),
        picture_of(0.3, reason="granted"),
    ):
        assert add(unsafe, "obama") == (409, "picture_unfit")
    assert add(record(door, 0.95, near, "unknown_face"), "obama") == (404, "snapshot_unknown")
    assert door.people.get("obama").templates == 2


def test_no_thumbnail_is_kept_unless_it_is_wanted(door: ConsoleDoor, api: Api) -> None:
    seq = record(door, 0.9, 0.3, "granted")
    door.console.decided(seq, "front")
    answer = api("GET", f"/events/{seq}/snapshot")
    assert (answer.status_code, answer.json()["code"]) == (404, "snapshot_unknown")


def test_a_person_is_registered_from_the_camera(watched: ConsoleDoor) -> None:
    again = {"username": "李四", "source": "camera"}
    api = Api(watched)
    answer = api("POST", "/users", json=again)  # who stands there is 张三
    assert (answer.status_code, answer.json()["code"]) == (409, "already_registered")
    answer = api("POST", "/users", json={**again, "allow_twin": True})
    assert answer.status_code == 201, answer.text
    assert answer.json()["liveness"] > 0.8


def encoding() -> bool:
    return any(thread.name == "live-front" for thread in threading.enumerate())


def test_nothing_is_encoded_while_nobody_watches(watched: ConsoleDoor) -> None:
    assert not encoding()
    with watch(watched, watched.token()) as socket:
        next_picture(socket)
        assert encoding()
    wait_until(lambda: not encoding(), "the encoding to end")


def test_only_so_many_may_watch(watched: ConsoleDoor) -> None:
    token = watched.token()
    with watch(watched, token) as first, watch(watched, token) as second:
        next_picture(first)
        next_picture(second)
        with watch(watched, token) as third, pytest.raises(ConnectionClosed, match="busy"):
            third.recv(PATIENCE_S)
    with watch(watched, token) as again:
        next_picture(again)


def test_nobody_watches_without_signing_in(watched: ConsoleDoor) -> None:
    with watch(watched, "wrong") as socket, pytest.raises(ConnectionClosed, match="not_signed_in"):
        socket.recv(PATIENCE_S)


def test_bytes_where_text_is_expected_are_refused_and_are_no_fault_of_the_door(
    watched: ConsoleDoor, caplog: pytest.LogCaptureFixture
) -> None:
    address = watched.url.replace("http:", "ws:") + "/api/v1/kiosks/front"
    ApiTokens(watched.database).add_kiosk("front", "hall", "a tablet's", "anna", utc_now())
    with connect(address) as tablet:
        tablet.send(b"a tablet's")
        with pytest.raises(ConnectionClosed, match="request_malformed"):
            tablet.recv(PATIENCE_S)
    with connect(address) as tablet:
        tablet.send("a tablet's")
        assert json.loads(tablet.recv(PATIENCE_S))["shows"]
        tablet.send(b"more")
        with pytest.raises(ConnectionClosed, match="request_malformed"):
            list(tablet)
    with watch(watched, watched.token()) as viewer:
        viewer.send(b"next")
        with pytest.raises(ConnectionClosed, match="request_malformed"):
            viewer.recv(PATIENCE_S)
    assert not [line for line in caplog.records if line.exc_info]


def test_another_sites_page_cannot_watch(watched: ConsoleDoor) -> None:
    address = watched.url.replace("http:", "ws:") + "/api/v1/cameras/front/live"
    with pytest.raises(Exception, match="403"):
        connect(address, additional_headers={"Origin": "http://evil.example"})


def test_what_the_camera_sees_now_is_a_jpeg(watched: ConsoleDoor) -> None:
    api = Api(watched)
    # An answer that is none of success is false.
    answer = wait_until(lambda: api("GET", "/cameras/front/snapshot"), "a picture", every_s=0.1)
    assert answer.headers["content-type"] == "image/jpeg"
    assert api("GET", "/cameras/back/snapshot").json()["code"] == "camera_unknown"


def test_state_tells_how_the_door_is(watched: ConsoleDoor) -> None:
    state = Api(watched)("GET", "/state").json()
    assert state["users"] == 1
    assert [camera["name"] for camera in state["cameras"]] == ["front"]


def test_who_watches_and_asks_for_nothing_gives_up_the_place(watched: ConsoleDoor) -> None:
    begun = time.monotonic()
    with watch(watched, watched.token(Role.VIEWER)) as idle:
        with pytest.raises(ConnectionClosed):
            idle.recv(timeout=PATIENCE_S)
        assert time.monotonic() - begun >= IDLE_S - 1
