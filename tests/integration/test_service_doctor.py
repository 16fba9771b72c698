"""The doctor looks at real models, cameras, databases and brokers."""

import os
import shutil
import socket
import sqlite3
import sys
from datetime import UTC, datetime
from pathlib import Path
from subprocess import PIPE, Popen
from tempfile import TemporaryDirectory
from typing import Literal

import cv2
import numpy as np
import pytest

from ostiary.camera.frame import turned
from ostiary.messages.commands.rules import AccessRule
from ostiary.service.doctor import run_checks
from ostiary.service.doctor.cameras import check_camera
from ostiary.service.doctor.check import Check, Level
from ostiary.service.doctor.database import check_database, check_rules
from ostiary.service.doctor.hardware import check_inputs, check_relay
from ostiary.service.doctor.machine import check_clock, check_secrets
from ostiary.service.doctor.network import check_broker, check_console
from ostiary.service.doctor.recognition import check_recognition
from ostiary.service.doctor.vision import check_budget, check_decoder, check_models
from ostiary.settings import (
    AccessSettings,
    CameraSettings,
    DoorSettings,
    ReaderSettings,
    RelaySettings,
    Settings,
    StoreSettings,
    VisionSettings,
)
from ostiary.store.database import Database
from ostiary.store.rules import RuleStore
from ostiary.store.sealing import make_recovery
from ostiary.store.users import Users
from ostiary.vision.arrays import BGRImage
from ostiary.vision.models import liveness_files
from testing.broker import Mosquitto
from testing.certificates import Authority
from testing.daemon import DaemonProcess, write_config
from testing.datagrams import listening
from testing.faces import of_one_family, some_descriptor
from testing.patient import wait_long_for_the_broker
from testing.ports import free_port
from testing.waiting import PATIENCE_S

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="becomes other users")
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
NOT_PERMITTED = """
allow_anonymous true
acl_file {acl}
"""


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine is no fault of a broker that answers."""
    wait_long_for_the_broker(monkeypatch)


@pytest.fixture
def rates_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine is no fault of a camera, either: it is not called slow or late."""
    monkeypatch.setattr("ostiary.service.doctor.cameras.SLOW", 0.0)
    monkeypatch.setattr("ostiary.service.doctor.cameras.FIRST_WITHIN_S", PATIENCE_S)


@pytest.fixture
def never_too_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long a busy machine needs for a frame, only the rate of the camera counts."""
    monkeypatch.setattr("ostiary.service.doctor.vision.TOO_SLOW_S", PATIENCE_S)


def levels(*checks: Check) -> dict[str, Level]:
    return {check.name: check.level for check in checks}


def only(checks: list[Check], name: str) -> Check:
    (found,) = (check for check in checks if check.name == name)
    return found


def portrait(portraits: Path) -> BGRImage:
    picture = cv2.imread(str(portraits / "obama.jpg"))
    assert picture is not None
    return np.asarray(picture, np.uint8)


def folder_camera(folder: Path, *pictures: BGRImage) -> CameraSettings:
    folder.mkdir()
    for number, picture in enumerate(pictures):
        cv2.imwrite(str(folder / f"{number}.png"), picture)
    return CameraSettings(source=str(folder), loop=True, fps=5)


# --- models ---------------------------------------------------------------------------------


def test_models_as_they_were_built_are_green(models: Path) -> None:
    checks = list(check_models(VisionSettings(models=models)))
    assert levels(*checks) == {"models": Level.GREEN, "provider": Level.GREEN}


def test_a_model_with_one_flipped_bit_is_red_and_named(models: Path, tmp_path: Path) -> None:
    copy = tmp_path / "models"
    shutil.copytree(models, copy, ignore=shutil.ignore_patterns("sources", "plain"))
    altered = bytearray((copy / "minifasnet_v2.onnx").read_bytes())
    altered[len(altered) // 2] ^= 1
    (copy / "minifasnet_v2.onnx").write_bytes(altered)
    check = only(list(check_models(VisionSettings(models=copy))), "models")
    assert check.level is Level.RED
    assert "minifasnet_v2.onnx: altered" in check.found


def test_a_missing_model_is_red_and_named(models: Path, tmp_path: Path) -> None:
    copy = tmp_path / "models"
    shutil.copytree(models, copy, ignore=shutil.ignore_patterns("sources", "plain"))
    (copy / "sface.onnx").unlink()
    check = only(list(check_models(VisionSettings(models=copy))), "models")
    assert check.level is Level.RED
    assert "sface.onnx missing" in check.found


def test_a_provider_that_is_not_to_be_had_is_yellow(models: Path) -> None:
    settings = VisionSettings(models=models, provider="tensorrt")
    check = only(list(check_models(settings)), "provider")
    assert check.level is Level.YELLOW
    assert "cpu is used" in check.found


@pytest.mark.usefixtures("never_too_slow")
def test_the_time_budget_names_every_stage(models: Path) -> None:
    (check,) = check_budget(VisionSettings(models=models), (CameraSettings(fps=0.1),))
    assert check.level is Level.GREEN
    assert all(stage in check.found for stage in ("detect", "liveness", "describe"))


@pytest.mark.usefixtures("never_too_slow")
def test_work_that_does_not_fit_between_frames_is_yellow(models: Path) -> None:
    (check,) = check_budget(VisionSettings(models=models), (CameraSettings(fps=120),))
    assert check.level is Level.YELLOW


# --- cameras --------------------------------------------------------------------------------


@pytest.mark.usefixtures("rates_do_not_matter")
def test_a_camera_that_shows_a_lit_sharp_picture_is_green(tmp_path: Path, portraits: Path) -> None:
    picture = portrait(portraits)
    camera = folder_camera(tmp_path / "camera", picture, picture[:, ::-1])
    checks = list(check_camera(camera))
    assert set(levels(*checks).values()) == {Level.GREEN}
    assert "frames a second" in checks[0].found
    assert "colour" in only(checks, "camera front picture").found
    assert "pixels wide, fills" in only(checks, "camera front faces").found


def test_a_dark_picture_is_yellow_with_advice(tmp_path: Path, portraits: Path) -> None:
    picture = portrait(portraits) // np.uint8(4)
    checks = list(check_camera(folder_camera(tmp_path / "camera", picture, picture[:, ::-1])))
    check = only(checks, "camera front picture")
    assert (check.level, check.found[:5]) == (Level.YELLOW, "dark:")
    assert "Light" in check.advice


def test_a_blurred_picture_is_yellow(tmp_path: Path, portraits: Path) -> None:
    picture = np.asarray(cv2.GaussianBlur(portrait(portraits), (0, 0), 15), np.uint8)
    checks = list(check_camera(folder_camera(tmp_path / "camera", picture, picture[:, ::-1])))
    assert only(checks, "camera front picture").found.startswith("blurred")


def test_a_covered_lens_is_red(tmp_path: Path) -> None:
    black = np.zeros((480, 640, 3), np.uint8)
    checks = list(check_camera(folder_camera(tmp_path / "camera", black, black + 1)))
    assert only(checks, "camera front picture").level is Level.RED


@pytest.mark.parametrize(("seen", "set_to"), [(90, 270), (180, 180), (270, 90), (0, 0)])
def test_faces_that_are_seen_sideways_or_upside_down_are_told_with_what_to_set(
    tmp_path: Path, portraits: Path, models: Path, seen: int, set_to: int
) -> None:
    picture = turned(portrait(portraits), seen)
    camera = folder_camera(tmp_path / "camera", picture, picture // 2 + picture // 3)
    vision = VisionSettings(models=models)
    if seen != 0:
        check = only(list(check_camera(camera, vision)), "camera front faces")
        assert check.level is Level.RED
        assert ("upside down" if seen == 180 else "sideways") in check.found
        assert check.advice == f"Set cameras.rotate = {set_to}."
    righted = camera.model_copy(update={"rotate": set_to})
    assert only(list(check_camera(righted, vision)), "camera front faces").level is Level.GREEN


def test_a_night_cameras_grey_picture_is_told(tmp_path: Path, portraits: Path) -> None:
    grey = np.repeat(portrait(portraits).mean(axis=2, keepdims=True), 3, axis=2).astype(np.uint8)
    checks = list(check_camera(folder_camera(tmp_path / "camera", grey, grey[:, ::-1])))
    picture = only(checks, "camera front picture")
    assert (picture.level, picture.found[:15]) == (Level.YELLOW, "black and white")
    assert only(checks, "camera front faces").found.startswith("no_colour")


@pytest.mark.usefixtures("rates_do_not_matter")
@pytest.mark.parametrize(
    ("size", "level"),
    [
        ((96, 128), Level.RED),
        ((128, 96), Level.RED),
        ((160, 120), Level.YELLOW),
        ((320, 240), None),
    ],
)
def test_a_camera_whose_pictures_are_too_small_for_a_face_is_told(
    tmp_path: Path, portraits: Path, size: tuple[int, int], level: Level | Literal[0]
) -> None:
    picture = np.asarray(cv2.resize(portrait(portraits), size), np.uint8)
    camera = folder_camera(tmp_path / "camera", picture, picture[:, ::-1])
    check = only(list(check_camera(camera)), "camera front")
    assert ("too small" in check.found) == bool(level)
    assert check.level is (level or Level.GREEN)


@pytest.mark.parametrize("source", ["/dev/video-none", "http://127.0.0.1:9/video"])
def test_a_camera_that_is_not_there_is_red(source: str) -> None:
    (check,) = check_camera(CameraSettings(source=source))
    assert check.level is Level.RED


@pytest.mark.parametrize(
    "source",
    [
        "rtsp://admin:Geheim/123@127.0.0.1:9/ch1",
        "http://127.0.0.1:9/user=admin&password=Geheim",
        "admin:Geheim@127.0.0.1:9/ch1",
    ],
)
def test_the_doctor_prints_no_password_of_a_camera(source: str) -> None:
    checks = list(check_camera(CameraSettings(source=source)))
    assert checks[-1].level is Level.RED
    assert "Geheim" not in repr(checks)
    if "/123" in source:
        assert "percent-encode" in checks[-1].found


# --- database -------------------------------------------------------------------------------


def stored(path: Path, key_file: Path | None = None) -> Settings:
    return Settings(store=StoreSettings(path=path, key_file=key_file))


def test_a_whole_database_is_green_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "door.db"
    with Database.open(path) as database:
        Users(database).add(
            "ada", [np.zeros(128, np.float32)], NOW, recognizer="dlib", source="test"
        )
    checks = list(check_database(stored(path)))
    assert levels(*checks) == {
        "database": Level.GREEN,
        "store key": Level.YELLOW,
        "disk": Level.GREEN,
    }
    assert "1 user(s)" in checks[0].found


def test_a_sealed_database_is_judged_by_its_key(tmp_path: Path) -> None:
    path, key_file = tmp_path / "door.db", tmp_path / "store.key"
    key_file.write_text("k" * 44)
    with Database.open(path, b"k" * 44) as database:
        for name in ("ada", "bert"):
            Users(database).add(
                name, [np.zeros(128, np.float32)], NOW, recognizer="dlib", source="test"
            )

    def level(key: Path | None) -> Level:
        return only(list(check_database(stored(path, key))), "store key").level

    assert level(None) is Level.RED
    assert level(key_file) is Level.YELLOW  # no recovery words yet
    make_recovery(path, b"k" * 44, NOW)
    assert level(key_file) is Level.GREEN
    with Database.open(path, b"k" * 44) as database, database.transaction() as connection:
        connection.execute(
            "UPDATE templates SET descriptor = (SELECT descriptor FROM templates WHERE id = 2)"
        )
    check = only(list(check_database(stored(path, key_file))), "store key")
    assert check.level is Level.RED
    assert check.found.startswith("1 template(s)")
    with Database.open(path, b"k" * 44) as database, database.transaction() as connection:
        connection.execute("UPDATE users SET key = zeroblob(60) WHERE id = 1")
        connection.execute("UPDATE users SET username = '1.AAAA' WHERE id = 2")
    check = only(list(check_database(stored(path, key_file))), "store key")
    assert check.found.startswith("2 person(s) (ada, number 2) and 2 template(s)")


def test_a_rule_about_a_camera_that_is_not_there_is_yellow(tmp_path: Path) -> None:
    path, key_file = tmp_path / "door.db", tmp_path / "store.key"
    key_file.write_text("k" * 44)
    cameras = (CameraSettings(source="0", name="front"),)
    settings = stored(path, key_file).model_copy(update={"cameras": cameras})
    with Database.open(path, b"k" * 44) as database:
        rules = RuleStore(database)
        rules.add_group("staff")
        for name, doors in (("hall", ("front",)), ("anywhere", None)):
            put_rule(rules, name, doors)
        assert levels(*check_rules(settings)) == {"rules": Level.GREEN}
        put_rule(rules, "yard", ("back", "front"))
    (check,) = check_rules(settings)
    assert (check.level, check.found) == (
        Level.YELLOW,
        "yard is about back: no camera of that name",
    )

    with sqlite3.connect(path) as changed:
        changed.execute("UPDATE rules SET content = (SELECT content FROM rules WHERE id = 2)")
    broken = next(iter(check_rules(settings)))
    assert (broken.level, broken.found) == (Level.RED, "2 rule(s) were altered")


def put_rule(rules: RuleStore, name: str, doors: tuple[str, ...] | None) -> None:
    rule = AccessRule(name=name, groups=("staff",), doors=doors)
    rules.put_rule(None, rule.model_dump_json(exclude={"groups"}), rule.groups)


def test_a_database_that_is_not_there_yet_is_yellow(tmp_path: Path) -> None:
    check = only(list(check_database(stored(tmp_path / "new.db"))), "database")
    assert check.level is Level.YELLOW
    assert not (tmp_path / "new.db").exists()


def test_a_damaged_database_is_red_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "door.db"
    path.write_bytes(b"\0" * 8192)
    check = only(list(check_database(stored(path))), "database")
    assert check.level is Level.RED
    assert path.read_bytes() == b"\0" * 8192


def test_somebody_elses_database_is_red(tmp_path: Path) -> None:
    path = tmp_path / "door.db"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE cats (name)")
    check = only(list(check_database(stored(path))), "database")
    assert check.level is Level.RED


def test_a_folder_that_is_not_there_is_red(tmp_path: Path) -> None:
    (check,) = check_database(stored(tmp_path / "none" / "door.db"))
    assert check.level is Level.RED


# --- broker, clock, relay, and all of them --------------------------------------------------


def door(port: int) -> Settings:
    return Settings.model_validate({"mqtt": {"port": port}})


def test_a_broker_that_lets_the_door_speak_is_green(tmp_path: Path) -> None:
    with Mosquitto(tmp_path) as broker:
        checks = list(check_broker(door(broker.port)))
    assert levels(*checks) == {
        "broker": Level.GREEN,
        "broker limit": Level.GREEN,
        "broker publish": Level.GREEN,
        "broker subscribe": Level.GREEN,
    }


def test_a_broker_whose_acl_forbids_publishing_is_red(tmp_path: Path) -> None:
    acl = tmp_path / "acl"
    acl.write_text("topic read ostiary/door/#\n", encoding="utf-8")
    acl.chmod(0o644)
    with Mosquitto(tmp_path / "broker", NOT_PERMITTED.format(acl=acl)) as broker:
        checks = list(check_broker(door(broker.port)))
    assert only(checks, "broker subscribe").level is Level.GREEN
    assert only(checks, "broker publish").level is Level.RED
    assert "ACL" in only(checks, "broker publish").advice


@pytest.mark.parametrize(
    ("line", "name", "level", "found", "advice"),
    [
        ("max_packet_size 3500", "broker limit", Level.YELLOW, "3,500 bytes", "max_packet_size"),
        ("max_packet_size 2000000", "broker limit", Level.GREEN, "2,000,000 bytes", ""),
        ("retain_available false", "broker retain", Level.YELLOW, "no retained", "retain_avail"),
        ("max_qos 0", "broker qos", Level.RED, "QoS 0 only", "max_qos"),
    ],
)
def test_what_the_broker_does_not_take_is_named_and_is_no_matter_of_its_acl(
    tmp_path: Path, line: str, name: str, level: Level, found: str, advice: str
) -> None:
    with Mosquitto(tmp_path, f"allow_anonymous true\n{line}") as broker:
        checks = list(check_broker(door(broker.port)))
    check = only(checks, name)
    assert check.level is level
    assert found in check.found
    assert advice in check.advice
    assert "ACL" not in "".join(check.advice for check in checks)


def test_a_broker_that_refuses_the_password_is_red(tmp_path: Path) -> None:
    with Mosquitto(tmp_path, "allow_anonymous false") as broker:
        (check,) = check_broker(door(broker.port))
    assert check.level is Level.RED
    assert "password" in check.found


def test_a_broker_that_is_not_there_is_red() -> None:
    (check,) = check_broker(door(free_port()))
    assert check.level is Level.RED


def test_the_clock_is_told() -> None:
    (check,) = check_clock()
    assert check.level is not Level.RED
    assert "synchronised" in check.found


def test_a_door_without_relay_has_no_line_about_one() -> None:
    assert list(check_relay(Settings())) == []


def test_a_relay_on_a_chip_that_is_not_there_is_red() -> None:
    (check,) = check_relay(
        Settings(relay=RelaySettings(enabled=True, chip=Path("/dev/gpiochip-none")))
    )
    assert check.level is Level.RED


def test_contacts_and_keypads_that_are_not_there_are_red_and_named(tmp_path: Path) -> None:
    pipe = tmp_path / "keypad"
    pipe.touch()
    settings = Settings(
        doors=(DoorSettings(contact="gpio", contact_line=22, chip=Path("/dev/gpiochip-none")),),
        readers=(
            ReaderSettings(device=tmp_path / "none"),
            ReaderSettings(device=pipe),
            ReaderSettings(device=Path("/dev/null")),
        ),
    )
    checks = list(check_inputs(settings))
    levels = [check.level for check in checks]
    assert levels == [Level.RED, Level.RED, Level.RED, Level.GREEN]
    assert checks[0].name == "contact of front"
    assert all(check.advice for check in checks[:3])
    assert list(check_inputs(Settings())) == []


def of_recognition(path: Path, models: Path, **access: float) -> list[Check]:
    settings = Settings(
        vision=VisionSettings(models=models, recognizer="sface"),
        store=StoreSettings(path=path),
        access=AccessSettings.model_validate(access),
    )
    return list(check_recognition(settings))


def test_the_threshold_is_told_with_its_risk(tmp_path: Path, models: Path) -> None:
    path = tmp_path / "door.db"
    with Database.open(path) as database:
        for number in range(100):
            row = [some_descriptor(number)]
            Users(database).add(f"{number}", row, NOW, recognizer="sface", source="test")
    check, single = of_recognition(path, models)
    assert check.level is Level.GREEN
    assert "100 template(s)" in check.found
    assert "one stranger in 1,000" in check.found
    assert (single.level, "100 of 100 people" in single.found) == (Level.YELLOW, True)
    check, _ = of_recognition(path, models, distance_threshold=1.2)
    assert check.level is Level.YELLOW
    assert "false_accept" in check.advice
    check, _ = of_recognition(path, models, distance_threshold=0.6)
    assert check.level is Level.YELLOW
    assert "most people are turned away" in check.found


def test_people_who_resemble_each_other_are_told_with_what_it_costs(
    tmp_path: Path, models: Path
) -> None:
    path = tmp_path / "door.db"
    with Database.open(path) as database:
        for number, row in enumerate(of_one_family(100)):
            Users(database).add(f"{number}", [row, row], NOW, recognizer="sface", source="test")
    (check,) = of_recognition(path, models)
    assert "resemble each other more than most (as 1." in check.found
    assert "second template" in check.found


def test_a_risk_of_dlib_is_said_to_be_no_promise(tmp_path: Path, models: Path) -> None:
    settings = Settings(
        vision=VisionSettings(models=models, recognizer="dlib"),
        store=StoreSettings(path=tmp_path / "door.db"),
    )
    (check,) = check_recognition(settings)
    assert "promises no risk" in check.found


def test_templates_of_dlib_on_a_door_with_sface_are_told(tmp_path: Path, models: Path) -> None:
    path = tmp_path / "door.db"
    with Database.open(path) as database:
        row = np.zeros(128, np.float32)
        Users(database).add("ada", [row], NOW, recognizer="dlib", source="test")
    _, check = of_recognition(path, models)
    assert (check.level, "come over" in check.found) == (Level.GREEN, True)
    _, check = of_recognition(path, models, migrate=False)
    assert check.level is Level.YELLOW


def test_all_checks_come_one_after_another(tmp_path: Path, models: Path, portraits: Path) -> None:
    picture = portrait(portraits)
    camera = folder_camera(tmp_path / "camera", picture, picture[:, ::-1])
    with Mosquitto(tmp_path / "broker") as broker:
        settings = Settings(
            cameras=(camera,),
            vision=VisionSettings(models=models),
            store=StoreSettings(path=tmp_path / "door.db"),
            mqtt=door(broker.port).mqtt,
        )
        names = [check.name for check in run_checks(settings)]
    # Which devices there are is this machine's affair.
    assert [name for name in names if not name.startswith("device ")] == [
        "models",
        "provider",
        "camera front",
        "camera front picture",
        "camera front faces",
        "time budget",
        "decoder",
        "database",
        "disk",
        "recognition",
        "broker",
        "broker limit",
        "broker subscribe",
        "broker publish",
        "clock",
    ]


# --- the console ----------------------------------------------------------------------------


def of_console(**http: object) -> Check:
    settings = Settings.model_validate({"http": {"enabled": True, **http}})
    return only(list(check_console(settings.http)), "console")


def test_a_console_on_a_free_port_of_this_machine_is_green() -> None:
    assert of_console(port=free_port()).level is Level.GREEN
    assert not list(check_console(Settings().http))


def test_a_console_without_tls_on_another_address_is_red() -> None:
    check = of_console(host="0.0.0.0")
    assert (check.level, "without TLS" in check.found) == (Level.RED, True)
    assert "http.tls_certificate" in check.advice


@needs_root
def test_a_port_or_an_address_that_is_not_to_be_had_is_red_with_what_to_do(tmp_path: Path) -> None:
    listening = (
        "import os, socket; os.setuid(12345); s = socket.create_server(('127.0.0.1', 0));"
        "print(s.getsockname()[1], flush=True); input()"
    )
    with Popen([sys.executable, "-c", listening], stdin=PIPE, stdout=PIPE, text=True) as other:
        assert other.stdout is not None
        port = int(other.stdout.readline())
        check = of_console(port=port)
        other.communicate("\n")
    assert (check.level, f":{port}" in check.found) == (Level.RED, True)
    assert "another program" in check.found
    assert "http.port" in check.advice
    made = Authority(tmp_path).issue("door")
    check = of_console(host="192.0.2.7", tls_certificate=made.certificate, tls_key=made.key)
    assert (check.level, "no such address" in check.found) == (Level.RED, True)


def test_the_port_of_the_door_that_runs_is_green() -> None:
    with socket.create_server(("127.0.0.1", 0)) as own:
        assert of_console(port=own.getsockname()[1]).level is Level.GREEN


def test_a_certificate_and_a_key_that_do_not_load_are_red(tmp_path: Path) -> None:
    made, other = (Authority(tmp_path / name).issue("door") for name in ("a", "b"))
    tls = {"tls_certificate": made.certificate, "port": free_port()}
    assert of_console(**tls, tls_key=made.key).level is Level.GREEN
    check = of_console(**tls, tls_key=other.key)
    assert (check.level, "do not load" in check.found) == (Level.RED, True)
    check = of_console(**tls, tls_key=tmp_path / "key.pem")
    assert (check.level, "no such file" in check.found) == (Level.RED, True)


@needs_root
def test_a_key_that_the_door_may_not_read_is_red_with_the_command_that_mends_it() -> None:
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        made = Authority(Path(folder)).issue("door")
        os.seteuid(12345)
        try:
            check = of_console(tls_certificate=made.certificate, tls_key=made.key)
        finally:
            os.seteuid(0)
    assert (check.level, f"{made.key}: Permission denied" in check.found) == (Level.RED, True)
    assert f"sudo install -m 0640 -g root {made.key} /etc/ostiary/" in check.advice


def test_a_certificate_that_has_ended_or_soon_will_is_yellow(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    for days, said in ((-1.0, "over since"), (3.0, "until")):
        made = authority.issue("door", valid_days=(-9, days))
        http = {"enabled": True, "port": free_port()}
        files = {"tls_certificate": made.certificate, "tls_key": made.key}
        settings = Settings.model_validate({"http": http | files})
        check = only(list(check_console(settings.http)), "console certificate")
        assert (check.level, said in check.found) == (Level.YELLOW, True)


def test_systemd_is_told_why_a_door_does_not_start(tmp_path: Path, models: Path) -> None:
    more = '[http]\nenabled = true\nhost = "0.0.0.0"\n'
    config = write_config(tmp_path, free_port(), models, tmp_path, more)
    with (
        listening(tmp_path / "notify") as heard,
        DaemonProcess(config, NOTIFY_SOCKET=str(tmp_path / "notify")) as daemon,
    ):
        assert daemon.wait(60) == 78
        said = heard.recv(4096).decode()
    assert said.startswith("STATUS=does not start: http.host is 0.0.0.0")


# --- secrets --------------------------------------------------------------------------------


def test_a_key_that_everybody_may_read_is_red(tmp_path: Path) -> None:
    key = tmp_path / "command-key"
    key.write_text("a key that is long enough for signatures")
    commands = {"signed": True, "signing_key_file": key}
    settings = Settings.model_validate({"commands": commands})
    key.chmod(0o644)
    (check,) = check_secrets(settings)
    assert (check.level, str(key) in check.found) == (Level.RED, True)
    key.chmod(0o640)
    (check,) = check_secrets(settings)
    assert check.level is Level.GREEN
    assert not list(check_secrets(Settings()))


def test_a_model_that_others_may_write_is_yellow(models: Path, tmp_path: Path) -> None:
    copy = tmp_path / "models"
    shutil.copytree(models, copy, ignore=shutil.ignore_patterns("sources", "plain"))
    (liveness,) = liveness_files("v2")
    (copy / liveness).chmod(0o666)
    check = only(list(check_models(VisionSettings(models=copy))), "models")
    assert check.level is Level.YELLOW
    assert liveness in check.found


# --- decoder --------------------------------------------------------------------------------


def test_a_decoder_that_runs_is_green() -> None:
    (check,) = check_decoder()
    assert check.level is Level.GREEN


def test_a_decoder_that_does_not_start_is_red_and_says_what_it_needs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "executable", shutil.which("false"))
    (check,) = check_decoder()
    assert check.level is Level.RED
    assert "libseccomp2" in str(check)
