"""A client written for the first version, unchanged: plain `requests`, the documented fields."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import requests

from ostiary.store.accounts import Role
from ostiary.vision.engine import VisionEngine
from ostiary.vision.image import decode_image
from testing.console import ConsoleDoor, console_settings


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory, engine: VisionEngine) -> Iterator[ConsoleDoor]:
    settings = console_settings(tmp_path_factory.mktemp("door"), http={"legacy_api": "token"})
    with ConsoleDoor(settings, engine) as running:
        yield running


def client(door: ConsoleDoor) -> requests.Session:
    """All that a first version's client has to be told: a token."""
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {door.token()}"
    return session


def post(door: ConsoleDoor, path: str, username: str | None, picture: Path) -> requests.Response:
    with picture.open("rb") as file:
        return client(door).post(
            f"{door.url}{path}",
            data={} if username is None else {"username": username},
            files={"file": file},
        )


@pytest.fixture(scope="module", autouse=True)
def registered(door: ConsoleDoor, portraits: Path) -> None:
    """张三 is registered from one portrait."""
    answer = post(door, "/register", "张三", portraits / "obama.jpg")
    assert answer.status_code == 200
    assert answer.json() == {"success": True, "username": "张三", "message": "注册成功"}


def test_the_registered_person_logs_in_with_another_picture(
    door: ConsoleDoor, portraits: Path
) -> None:
    answer = post(door, "/login", "张三", portraits / "obama3.jpg")
    assert answer.status_code == 200
    body = answer.json()
    first = {"success", "username", "distance", "similarity", "message"}
    assert set(body) == first | {"threshold", "recognizer"}
    assert body["success"] is True
    assert body["username"] == "张三"
    assert body["message"] == "登录成功"
    assert 0 < body["distance"] < body["threshold"]
    assert body["similarity"] == pytest.approx(1 - body["distance"])


def test_somebody_else_does_not_match(door: ConsoleDoor, portraits: Path) -> None:
    answer = post(door, "/login", "张三", portraits / "biden.jpg")
    assert answer.status_code == 200
    assert answer.json()["success"] is False
    assert answer.json()["message"] == "人脸不匹配"
    assert answer.json()["distance"] > answer.json()["threshold"]


def test_a_replayed_photo_is_not_live(door: ConsoleDoor, samples: Path) -> None:
    answer = post(door, "/login", "张三", samples / "replay_attack.jpg")
    assert answer.status_code == 200
    assert answer.json()["success"] is False
    assert "活体检测失败" in answer.json()["message"]


def test_a_replayed_photo_is_not_registered(door: ConsoleDoor, samples: Path) -> None:
    answer = post(door, "/register", "李四", samples / "replay_attack.jpg")
    assert answer.status_code == 200
    assert answer.json()["success"] is False
    assert "李四" not in {user["username"] for user in users(door)}


def test_an_unknown_user_is_told_so(door: ConsoleDoor, portraits: Path) -> None:
    answer = post(door, "/login", "nobody", portraits / "obama.jpg")
    assert answer.status_code == 200
    assert answer.json() == {"success": False, "message": "用户不存在"}


def users(door: ConsoleDoor) -> list[dict[str, str]]:
    answer = client(door).get(f"{door.url}/users").json()
    assert answer["success"] is True
    listed: list[dict[str, str]] = answer["users"]
    return listed


def test_users_are_listed_with_name_and_time(door: ConsoleDoor) -> None:
    (user,) = [each for each in users(door) if each["username"] == "张三"]
    assert set(user) == {"username", "created_at"}
    assert len(user["created_at"]) == len("2025-10-16 12:00:00")


def test_a_name_that_is_taken_is_a_bad_request_with_detail(
    door: ConsoleDoor, portraits: Path
) -> None:
    answer = post(door, "/register", "张三", portraits / "biden.jpg")
    assert answer.status_code == 400
    assert answer.json()["detail"] == "用户名已存在"
    assert answer.json()["success"] is False
    assert answer.json()["code"] == "user_exists"
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("picture", "code"),
    [
        ("no face.png", "no_face"),
        ("two_people.jpg", "several_faces"),
        ("notes.txt", "image_invalid"),
    ],
)
@pytest.mark.parametrize("path", ["/register", "/login"])
def test_a_picture_without_exactly_one_face_is_a_bad_request(
    door: ConsoleDoor, portraits: Path, tmp_path: Path, path: str, picture: str, code: str
) -> None:
    file = tmp_path / picture
    if code == "no_face":
        cv2.imwrite(str(file), np.full((240, 320, 3), 120, np.uint8))
    elif code == "image_invalid":
        file.write_text("hello")
    else:
        image = decode_image((portraits / "obama.jpg").read_bytes())
        biden = decode_image((portraits / "biden.jpg").read_bytes())
        other = cv2.resize(biden, (image.shape[1], image.shape[0]))
        cv2.imwrite(str(file), np.hstack([image, other]))
    answer = post(door, path, "张三" if path == "/login" else "王五", file)
    assert answer.status_code == 400
    assert answer.json()["code"] == code


@pytest.mark.parametrize("username", ["", "   ", "a\nb", "x" * 65, None])
def test_a_name_that_cannot_be_is_a_bad_request(
    door: ConsoleDoor, portraits: Path, username: str | None
) -> None:
    answer = post(door, "/register", username, portraits / "biden.jpg")
    assert answer.status_code == 400
    assert answer.json()["detail"]


def test_a_missing_file_is_a_bad_request(door: ConsoleDoor) -> None:
    answer = client(door).post(f"{door.url}/register", files={"username": (None, "王五")})
    assert answer.status_code == 400
    assert answer.json()["code"] == "request_malformed"


def test_words_are_english_for_who_asks_for_it(door: ConsoleDoor, portraits: Path) -> None:
    with (portraits / "obama.jpg").open("rb") as file:
        answer = client(door).post(
            f"{door.url}/login",
            data={"username": "nobody"},
            files={"file": file},
            headers={"Accept-Language": "en-GB,en;q=0.9"},
        )
    assert answer.json()["message"] == "There is no such user."


def test_a_login_is_recorded_as_an_event(door: ConsoleDoor, portraits: Path) -> None:
    before = door.events.last_seq()
    post(door, "/login", "张三", portraits / "obama2.jpg")
    (event,) = door.events.page(cursor=before, newest_first=False).events
    assert event.source == "http"
    assert event.username == "张三"


def test_another_site_s_page_may_not_register_anybody(door: ConsoleDoor, portraits: Path) -> None:
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        answer = client(door).post(
            f"{door.url}/register",
            data={"username": "mallory"},
            files={"file": (portraits / "biden.jpg").read_bytes()},
            headers=headers,
        )
        assert answer.status_code == 403
    assert "mallory" not in {user["username"] for user in users(door)}


def test_a_foreign_name_that_resolves_to_this_machine_is_refused(door: ConsoleDoor) -> None:
    answer = requests.get(f"{door.url}/users", headers={"Host": "evil.example"})
    assert answer.status_code == 403


def test_only_an_operators_token_will_do(door: ConsoleDoor) -> None:
    assert requests.get(f"{door.url}/users").status_code == 401
    viewer = {"Authorization": f"Bearer {door.token(Role.VIEWER)}"}
    assert requests.get(f"{door.url}/users", headers=viewer).status_code == 403


@pytest.mark.parametrize(("choice", "status"), [("token", 401), ("loopback", 401), ("off", 404)])
def test_it_can_be_closed(tmp_path: Path, engine: VisionEngine, choice: str, status: int) -> None:
    settings = console_settings(tmp_path, http={"legacy_api": choice})
    with ConsoleDoor(settings, engine) as door:
        assert requests.get(f"{door.url}/users").status_code == status
