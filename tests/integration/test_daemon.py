"""The whole daemon, as systemd would run it: real camera source, real models, real broker."""

import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from testing.broker import Mosquitto
from testing.command_line import ostiary
from testing.daemon import BASE, DaemonProcess, write_config
from testing.ports import free_port
from testing.probe import Probe
from testing.waiting import wait_until

AVAILABILITY = f"{BASE}/availability"
LOGIN = f"{BASE}/event/login"


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path_factory.mktemp("broker")) as mosquitto:
        yield mosquitto


@pytest.fixture
def config(tmp_path: Path, broker: Mosquitto, models: Path, at_the_door: Path) -> Path:
    return write_config(tmp_path, broker.port, models, at_the_door)


def test_a_stranger_is_unknown_until_registered_from_the_camera_and_then_granted(
    config: Path, probe: Probe
) -> None:
    with DaemonProcess(config):
        probe.wait_for(AVAILABILITY, b"online")
        unknown = probe.first_login(BASE, "unknown_face")
        assert unknown["success"] is False
        answer = probe.ask(BASE, "register", {"username": "张三", "source": "camera"})
        assert answer["status"] == "ok"
        assert answer["data"]["success"] is True
        granted = probe.first_login(BASE, "granted")
    assert (granted["success"], granted["username"]) == (True, "张三")
    assert granted["similarity"] == pytest.approx(1 - granted["distance"])
    assert granted["source"] == "front"
    assert granted["seq"] > unknown["seq"]


def test_a_replayed_photo_is_denied_as_attack(
    tmp_path: Path, broker: Mosquitto, models: Path, samples: Path, probe: Probe
) -> None:
    camera = tmp_path / "camera"
    camera.mkdir()
    shutil.copy(samples / "replay_attack.jpg", camera)
    shutil.copy(samples / "replay_attack.jpg", camera / "again.jpg")
    with DaemonProcess(write_config(tmp_path, broker.port, models, camera)):
        event = probe.wait(LOGIN)[0].json
    assert (event["success"], event["reason"]) == (False, "presentation_attack")


def test_two_cameras_name_themselves_in_their_events(
    tmp_path: Path,
    broker: Mosquitto,
    models: Path,
    portraits: Path,
    at_the_door: Path,
    probe: Probe,
) -> None:
    leaving = tmp_path / "leaving"
    leaving.mkdir()
    for name in ("a.jpg", "b.jpg"):
        shutil.copy(portraits / "biden.jpg", leaving / name)
    more = f'[[cameras]]\nname = "out"\nsource = "{leaving}"\nfps = 15\nloop = true\n'
    more += "require_movement = false\n"
    with DaemonProcess(write_config(tmp_path, broker.port, models, at_the_door, more)):
        wait_until(
            lambda: {heard.json["source"] for heard in probe.of(LOGIN)} == {"front", "out"},
            "an event of each camera",
        )
        state = probe.wait(f"{BASE}/state")[-1].json
    assert [camera["name"] for camera in state["cameras"]] == ["front", "out"]


def test_sigterm_ends_the_daemon_which_says_offline(config: Path, probe: Probe) -> None:
    with DaemonProcess(config) as daemon:
        probe.wait_for(AVAILABILITY, b"online")
        daemon.send(signal.SIGTERM)
        assert daemon.wait(60) == 0
    probe.wait_for(AVAILABILITY, b"offline")


def test_a_killed_daemon_is_offline_by_its_will(config: Path, probe: Probe) -> None:
    with DaemonProcess(config) as daemon:
        probe.wait_for(AVAILABILITY, b"online")
        daemon.send(signal.SIGKILL)
        probe.wait_for(AVAILABILITY, b"offline")


def test_a_reload_takes_new_settings_and_refuses_broken_ones(config: Path, probe: Probe) -> None:
    good = config.read_text(encoding="utf-8")
    with DaemonProcess(config) as daemon:
        probe.wait_for(AVAILABILITY, b"online")
        config.write_text(good + "\n[access]\nnonsense = 1\n", encoding="utf-8")
        daemon.send(signal.SIGHUP)
        wait_until(lambda: "reload_refused" in daemon.log, "the reload to be refused")
        assert "access.nonsense: unknown key" in daemon.log
        config.write_text(good + "\n[access]\ndistance_threshold = 0.5\n", encoding="utf-8")
        daemon.send(signal.SIGHUP)
        wait_until(lambda: daemon.log.count('"started"') == 2, "the new App")
        assert probe.ask(BASE, "ping", {})["status"] == "ok"


WRONG = {
    "no relay line": ("[relay]\nenabled = true\nchip = '/dev/nowhere'\n", "relay_unavailable"),
    "no TLS": ("[http]\nenabled = true\nhost = '0.0.0.0'\n", "config_invalid"),
    "no key": ("[commands]\nsigned = true\nsigning_keys = '/nowhere'\n", "config_invalid"),
    "no password": ("password_file = '/nowhere'\nusername = 'door'\n", "config_invalid"),
    "no models": ("[device]\n", "model_missing"),
    "no hours": ("[[doors]]\nunlocked = ['mon-fri 08:00-08:00']\n", "config_invalid"),
    "no folder": ("[store]\n", "config_invalid"),
}


@pytest.fixture(scope="module")
def reloaded(
    tmp_path_factory: pytest.TempPathFactory, models: Path, portraits: Path
) -> Iterator[tuple[DaemonProcess, Probe]]:
    """One daemon at a broker of its own, which is given wrong settings again and again."""
    folder = tmp_path_factory.mktemp("reloaded")
    with (
        Mosquitto(folder / "broker") as broker,
        Probe(broker.port, f"{BASE}/#") as listener,
        DaemonProcess(write_config(folder, broker.port, models, portraits)) as daemon,
    ):
        listener.wait_for(AVAILABILITY, b"online")
        yield daemon, listener


@pytest.mark.parametrize("wrong", WRONG)
def test_a_reload_that_cannot_be_leaves_the_door_running(
    reloaded: tuple[DaemonProcess, Probe], wrong: str
) -> None:
    more, code = WRONG[wrong]
    daemon, probe = reloaded
    good = daemon.config.read_text(encoding="utf-8")
    bad = good + more
    if wrong == "no models":
        bad = re.sub('models = ".*"', 'models = "/nowhere"', good)
    elif wrong == "no password":
        bad = good.replace("[mqtt]\n", "[mqtt]\n" + more)
    elif wrong == "no folder":
        bad = re.sub('path = ".*"', 'path = "/nowhere/ostiary.db"', good)
    before = len(daemon.log)

    def logged(line: str) -> int:
        return daemon.log[before:].count(line)

    daemon.config.write_text(bad, encoding="utf-8")
    daemon.send(signal.SIGHUP)
    wait_until(lambda: logged("reload_refused") == 1, "the reload to be refused")
    refused = [line for line in daemon.log[before:].splitlines() if "reload_refused" in line]
    assert [json.loads(line)["code"] for line in refused] == [code]
    answer = probe.ask(BASE, "reload", {})
    assert (answer["status"], answer["error"]["code"]) == ("error", code)
    assert probe.ask(BASE, "ping", {})["status"] == "ok"
    assert logged('"stopping"') == 0
    daemon.config.write_text(good, encoding="utf-8")
    assert probe.ask(BASE, "reload", {})["status"] == "ok"
    wait_until(lambda: logged('"started"') == 1, "the new App")


def test_a_damaged_database_is_put_aside_and_everybody_is_denied(
    config: Path, probe: Probe
) -> None:
    database = config.parent / "ostiary.db"
    database.write_bytes(b"SQLite format 3\0" + b"\xff" * 40_000)
    damaged = database.read_bytes()
    with DaemonProcess(config) as daemon:
        event = probe.wait(LOGIN)[0].json
        state = probe.wait(f"{BASE}/state")[-1].json
        assert "database_set_aside" in daemon.log
    assert event["success"] is False
    assert state["health"] == "failed"
    assert "database_set_aside" in state["problems"]
    (kept,) = config.parent.glob("ostiary.db.damaged-*")
    assert kept.read_bytes() == damaged


def test_an_operator_adds_lists_verifies_and_removes_people(
    config: Path, probe: Probe, portraits: Path
) -> None:
    with DaemonProcess(config):
        probe.wait_for(AVAILABILITY, b"online")
        added = ostiary("users", "add", "Joe", str(portraits / "biden.jpg"), config=config)
        assert added.returncode == 0, added.stderr
        listed = ostiary("users", "list", "--json", config=config)
        assert [user["username"] for user in json.loads(listed.stdout)["users"]] == ["Joe"]
        right = ostiary("login", "Joe", str(portraits / "biden.jpg"), "--json", config=config)
        assert (right.returncode, json.loads(right.stdout)["success"]) == (0, True)
        wrong = ostiary("login", "Joe", str(portraits / "obama.jpg"), "--json", config=config)
        assert (wrong.returncode, json.loads(wrong.stdout)["success"]) == (1, False)
        twice = ostiary("users", "add", "Joe", str(portraits / "biden.jpg"), config=config)
        assert (twice.returncode, "user_exists" in twice.stderr) == (65, True)
        removed = ostiary("users", "remove", "Joe", config=config)
        assert removed.returncode == 0
        events = ostiary("events", "--json", config=config).stdout.splitlines()
    reasons = {json.loads(line).get("reason") for line in events}
    assert {"granted", "unknown_face"} <= reasons


def test_a_folder_is_enrolled_and_says_who_could_not_be(
    config: Path, tmp_path: Path, probe: Probe, portraits: Path
) -> None:
    people = tmp_path / "people"
    (people / "Barack").mkdir(parents=True)
    shutil.copy(portraits / "obama.jpg", people / "Barack")
    shutil.copy(portraits / "biden.jpg", people / "Joe.jpg")
    (people / "Nobody.png").write_bytes(b"not an image")
    with DaemonProcess(config):
        probe.wait_for(AVAILABILITY, b"online")
        outcome = ostiary("enroll", str(people), "--json", config=config)
        users = probe.ask(BASE, "users", {})["data"]["users"]
    assert outcome.returncode == 1
    found = {json.loads(line)["username"]: json.loads(line) for line in outcome.stdout.splitlines()}
    assert found["Nobody"]["code"] == "image_invalid"
    assert {user["username"] for user in users} == {"Barack", "Joe"}


def test_events_are_followed_as_they_arrive(config: Path, probe: Probe) -> None:
    with DaemonProcess(config):
        probe.wait_for(AVAILABILITY, b"online")
        follower = subprocess.Popen(
            [sys.executable, "-m", "ostiary.cli.main", "events", "--follow", "--json"],
            env={**os.environ, "OSTIARY_CONFIG": str(config)},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert follower.stdout is not None
        try:
            seen = (json.loads(line) for line in follower.stdout)
            # A slow machine may say more of the stranger, before and after.
            assert next(each for each in seen if each["reason"] == "unknown_face")
            probe.ask(BASE, "register", {"username": "Barack", "source": "camera"})
            assert next(each for each in seen if each.get("action") == "registered")
            assert next(each for each in seen if each.get("reason") == "granted")
        finally:
            follower.kill()
            follower.wait()
            follower.stdout.close()


@pytest.mark.parametrize(
    ("arguments", "code", "status"),
    [
        (["run", "--config", "nowhere.toml"], "config_invalid", 78),
        (["users", "list", "--port", "1"], "broker_unavailable", 69),
        (["enroll", "nowhere"], "image_invalid", 65),
        (["import", "nowhere.db"], "import_invalid", 65),
    ],
)
def test_what_cannot_be_done_ends_with_its_code_and_status(
    config: Path, arguments: list[str], code: str, status: int
) -> None:
    ended = ostiary(*arguments, config=config)
    assert (ended.returncode, f"ostiary: {code}: " in ended.stderr) == (status, True), ended.stderr


def test_a_missing_model_is_named_with_what_builds_it(
    tmp_path: Path, broker: Mosquitto, at_the_door: Path
) -> None:
    empty = tmp_path / "models"
    empty.mkdir()
    ended = ostiary("run", config=write_config(tmp_path, broker.port, empty, at_the_door))
    assert ended.returncode == 66
    assert "model_missing" in ended.stderr
    assert "ostiary-export all" in ended.stderr


def test_a_camera_folder_that_is_not_there_is_named(
    tmp_path: Path, broker: Mosquitto, models: Path
) -> None:
    ended = ostiary("run", config=write_config(tmp_path, broker.port, models, tmp_path / "gone"))
    assert ended.returncode == 69
    assert "camera_unavailable" in ended.stderr


def test_without_a_broker_the_door_still_decides_and_delivers_later(
    tmp_path: Path, models: Path, at_the_door: Path
) -> None:
    port = free_port()
    with DaemonProcess(write_config(tmp_path, port, models, at_the_door)) as daemon:
        wait_until(lambda: '"decided"' in daemon.log, "a decision in the journal")
        daemon.send(signal.SIGSTOP)  # or it might speak before anybody listens
        with (
            Mosquitto(tmp_path / "late", port=port),
            Probe(port, f"{BASE}/#") as probe,
        ):
            daemon.send(signal.SIGCONT)
            assert probe.wait(LOGIN)[0].json["reason"] == "unknown_face"


def test_the_daemon_never_imports_torch_onnx_or_face_recognition() -> None:
    check = (
        "import ostiary.app.run, ostiary.cli.main, sys; "
        "assert not {'torch', 'onnx', 'face_recognition', 'dlib'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", check], check=True, timeout=60)


THREADS_OF_A_PRODUCT = """
import os
from pathlib import Path
from ostiary.cli.main import run
from ostiary.errors import ConfigError

try:
    run(Path("/nowhere/ostiary.toml"))
except ConfigError:
    import numpy as np

    square = np.ones((512, 512), np.float32)
    square @ square
    print(len(os.listdir("/proc/self/task")))
"""


def test_the_daemon_multiplies_in_one_thread() -> None:
    usual = {name: of for name, of in os.environ.items() if name != "OPENBLAS_NUM_THREADS"}
    done = subprocess.run(
        [sys.executable, "-c", THREADS_OF_A_PRODUCT],
        env=usual,
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout == "1\n"


def test_a_short_command_does_not_wait_for_opencv() -> None:
    check = "import ostiary.cli.main, sys; assert not {'cv2', 'numpy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", check], check=True, timeout=60)


def test_an_auditor_checks_the_log_with_the_head_that_was_told(config: Path, probe: Probe) -> None:
    told_of_the_log = partial(probe.wait, f"{BASE}/log")
    with DaemonProcess(config) as daemon:
        login = probe.wait(LOGIN)[0].json
        daemon.send(signal.SIGHUP)  # it signs what there is when it starts
        wait_until(lambda: daemon.log.count('"started"') == 2, "the new App")
        probe.wait_until(lambda: told_of_the_log()[-1].json["signed_at"] > login["timestamp"])
        head = told_of_the_log()[-1].payload
        daemon.send(signal.SIGTERM)
        daemon.wait(60)
    kept = config.parent / "head.json"
    kept.write_bytes(head)
    checked = ostiary("verify-log", "--head", str(kept), config=config)
    assert (checked.returncode, "as written" in checked.stdout) == (0, True), checked.stdout
    with closing(sqlite3.connect(config.parent / "ostiary.db")) as connection, connection:
        connection.execute("UPDATE events SET reason = 'granted', success = 1 WHERE seq = 1")
    altered = ostiary("verify-log", "--head", str(kept), config=config)
    assert (altered.returncode, "event 1 was altered" in altered.stdout) == (1, True)
