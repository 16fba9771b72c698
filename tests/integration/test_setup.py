"""The guided first hour: questions answered beforehand or at the terminal, what it writes, and
that it can be run again."""

import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ostiary.camera.onvif import NetworkCamera, discover
from ostiary.errors import ConfigError
from ostiary.http.place import check_place
from ostiary.service.doctor.check import Level
from ostiary.service.doctor.network import check_broker
from ostiary.settings import load_settings
from ostiary.setup.broker import LocalBroker
from testing.broker import Mosquitto
from testing.command_line import Said, ostiary
from testing.daemon import DaemonProcess, write_config
from testing.patient import wait_long_for_the_broker
from testing.ports import free_port
from testing.probe import Probe
from testing.waiting import wait_until

SHIPPED = Path(__file__).resolve().parents[2] / "config/mosquitto"
ANSWER = """<e:Envelope><e:Body><d:ProbeMatches><d:ProbeMatch><d:Scopes>onvif://www.onvif.org/type/x
onvif://www.onvif.org/name/Front%20Door</d:Scopes><d:XAddrs>http://192.0.2.9/onvif/device_service
</d:XAddrs></d:ProbeMatch></d:ProbeMatches></e:Body></e:Envelope>"""


@pytest.fixture
def at_the_door(tmp_path: Path, portraits: Path) -> Path:
    folder = tmp_path / "camera"
    folder.mkdir()
    shutil.copy(portraits / "obama.jpg", folder)
    return folder


@pytest.fixture
def config(tmp_path: Path, models: Path) -> Path:
    """A door's settings as they were before its first hour, with a comment of somebody."""
    more = f'[http]\nport = {free_port()}\n[commands]\nsocket = "{tmp_path / "commands.sock"}"\n'
    config = write_config(tmp_path, 1883, models, "0", more)
    config.write_text(f"# mine\n{config.read_text()}", encoding="utf-8")
    return config


def set_up(config: Path, *options: str, typed: str = "") -> Said:
    return ostiary("setup", "--config", str(config), "--no-service", *options, typed=typed)


def test_every_question_can_be_answered_beforehand(
    config: Path, at_the_door: Path, broker: Mosquitto
) -> None:
    options = (
        *("--name", "Front door", "--id", "front", "--camera", str(at_the_door)),
        *("--broker", f"127.0.0.1:{broker.port}", "--broker-user", "", "--home-assistant", "yes"),
        *("--console", "network", "--lock", "none", "--person", "", "--yes"),
    )
    done = set_up(config, *options)
    assert done.returncode == 0, done.stderr
    text = config.read_text(encoding="utf-8")
    assert text.startswith("# mine\n")
    settings = load_settings(config)
    assert (settings.device.name, settings.device.id) == ("Front door", "front")
    assert settings.cameras[0].source == str(at_the_door)
    assert settings.cameras[0].name == "front"
    assert (settings.mqtt.port, settings.mqtt.discovery) == (broker.port, True)
    assert (settings.http.enabled, settings.http.host) == (True, "0.0.0.0")
    check_place(settings.http)  # with a certificate that loads
    assert settings.http.tls_key is not None
    assert settings.http.tls_key.stat().st_mode & 0o777 == 0o640
    assert "SHA-256: " in done.stdout
    assert "broker publish" in done.stdout

    again = set_up(config, "--yes")
    assert again.returncode == 0, again.stderr
    assert config.read_text(encoding="utf-8") == text


def test_wrong_answers_are_told_and_asked_again_and_defaults_are_taken_by_return(
    config: Path, at_the_door: Path
) -> None:
    # name, id twice, source, broker, console twice, lock; the first person only of a running door
    typed = f"Shed\n+\n\n{at_the_door}\nnone\nnowhere\nlocal\n\n"
    done = set_up(config, typed=typed)
    assert done.returncode == 0, done.stderr
    assert "One of: off, local, network." in done.stdout
    assert "+: an id has no" in done.stdout
    settings = load_settings(config)
    assert (settings.device.name, settings.http.enabled) == ("Shed", True)
    assert settings.http.host == "127.0.0.1"
    assert "ssh -L" in done.stdout


def test_where_nothing_is_asked_a_camera_that_is_not_there_is_taken_and_told(
    config: Path, tmp_path: Path
) -> None:
    others = ("--yes", "--broker", "none")
    gone = str(tmp_path / "gone")
    assert set_up(config, *others, "--camera", gone).returncode == 0
    done = set_up(config, *others)
    assert done.returncode == 0, done.stderr
    assert f"{gone}: no such file" in done.stdout.replace("\n", " ")
    assert load_settings(config).cameras[0].source == gone


def test_a_wrong_option_changes_nothing(config: Path, at_the_door: Path) -> None:
    before = config.read_bytes()
    camera = ("--camera", str(at_the_door), "--broker", "none", "--yes")
    nowhere = ("--broker", "127.0.0.1:1")
    for wrong in (
        ("--console", "everywhere"),
        ("--id", "a/b"),
        (*nowhere, "--home-assistant", "perhaps"),
    ):
        done = set_up(config, *camera, *wrong)
        assert (done.returncode, "config_invalid" in done.stderr) == (78, True), done.stdout
        assert config.read_bytes() == before


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_a_session_that_drops_ends_it_in_order(config: Path, number: signal.Signals) -> None:
    command = [sys.executable, "-m", "ostiary.cli.main", "setup", "--config", str(config)]
    with subprocess.Popen(
        [*command, "--no-service"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as asking:
        assert asking.stdout is not None
        assert any(b"The door" in line for line in asking.stdout)
        asking.send_signal(number)
        assert asking.wait(60) == 128 + number  # by Python, which starts the service before


def test_the_first_person_is_enrolled_at_the_camera_and_let_in(
    config: Path, at_the_door: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A slow machine may see too few frames in the time of one try, or of three.
    monkeypatch.setattr("ostiary.setup.first_hour.TRIES", 10)
    others = ("--yes", "--broker", "none", "--console", "off", "--lock", "none")
    assert set_up(config, *others, "--camera", str(at_the_door)).returncode == 0
    socket_path = load_settings(config).commands.socket
    with DaemonProcess(config):
        wait_until(socket_path.exists, "the socket")
        done = set_up(config, *others, "--person", "barack")
        assert "Step away and up again" in done.stdout, done.stdout
        listed = ("events", "--config", str(config), "--person", "barack")
        wait_until(lambda: "granted" in ostiary(*listed).stdout, "the first grant", every_s=0.5)


AFAR = "broker.invalid"
"""Nobody answers there."""


def test_a_broker_where_anybody_could_open_the_door_is_taken_by_a_clear_yes_only(
    config: Path, at_the_door: Path
) -> None:
    before = config.read_bytes()
    done = set_up(config, "--camera", str(at_the_door), "--broker", AFAR, "--yes")
    assert (done.returncode, "The door needs a user" in done.stderr) == (78, True), done.stdout
    assert config.read_bytes() == before

    options = ("--name", "A", "--id", "a", "--camera", str(at_the_door), "--broker", AFAR)
    others = ("--home-assistant", "no", "--console", "off", "--lock", "none")
    done = set_up(config, *options, *others, typed="\nyes\n")  # no user; all the same
    assert done.returncode == 0, done.stderr
    assert load_settings(config).mqtt.allow_anonymous

    done = set_up(config, *options, *others, "--broker-user", "a", typed="secret\n")
    assert done.returncode == 0, done.stderr
    mqtt = load_settings(config).mqtt
    assert (mqtt.username, mqtt.allow_anonymous) == ("a", False)
    assert "Without TLS" in done.stdout


def test_a_password_is_for_one_broker_only(config: Path, at_the_door: Path) -> None:
    options = ("--name", "A", "--id", "a", "--camera", "-", "--broker-user", "a")
    others = ("--home-assistant", "no", "--console", "off", "--lock", "none")
    nowhere, camera = "127.0.0.1:1", f"{at_the_door}\n"
    done = set_up(config, *options, *others, "--broker", nowhere, typed=f"{camera}b\n")
    assert done.returncode == 0, done.stderr
    assert load_settings(config).cameras[0].source == str(at_the_door)
    first = load_settings(config).mqtt.password_file
    assert first is not None
    assert first.read_text(encoding="utf-8") == "b"
    assert first != config.parent / "mqtt-password-local"
    assert set_up(config, *options, *others, "--broker", AFAR, typed=f"{camera}\n").returncode == 0
    assert load_settings(config).mqtt.password_file is None
    done = set_up(config, *options, *others, "--broker", "none", typed=camera)
    assert done.returncode == 0, done.stderr
    mqtt = load_settings(config).mqtt
    assert (mqtt.host, mqtt.port, mqtt.username) == ("127.0.0.1", 1883, None)
    assert mqtt.password_file is None


def test_a_broker_that_others_use_is_left_alone(tmp_path: Path) -> None:
    here = LocalBroker(tmp_path / "mosquitto", tmp_path / "mqtt-password-local", SHIPPED)
    (here.folder / "conf.d").mkdir(parents=True)
    (here.folder / "mosquitto.conf").write_text("persistence true\n", encoding="utf-8")
    assert here.of_others() is None
    theirs = here.folder / "conf.d/zigbee.conf"
    theirs.write_text("listener 1883\npassword_file /etc/theirs\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"zigbee\.conf"):
        here.set_up("front", lambda: True)
    theirs.write_text("#listener 1883\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="operator is another user"):
        here.set_up("operator", lambda: True)
    restarts: list[bool] = []

    def restart() -> bool:
        restarts.append((here.folder / "conf.d/ostiary.conf").exists())
        return not restarts[-1]

    with pytest.raises(ConfigError, match="does not start"):
        here.set_up("front", restart)
    assert restarts == [True, False]
    assert set(here.set_up("front", lambda: True)) == {"home-assistant", "operator"}


def test_no_password_is_left_in_clear(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = LocalBroker(tmp_path / "mosquitto", tmp_path / "mqtt-password-local", SHIPPED)
    here.folder.mkdir()
    fails = tmp_path / "bin/mosquitto_passwd"
    fails.parent.mkdir()
    fails.write_text("#!/bin/sh\necho full >&2; exit 1\n", encoding="utf-8")
    fails.chmod(0o755)
    monkeypatch.setenv("PATH", str(fails.parent), prepend=":")
    with pytest.raises(ConfigError, match="failed: full"):
        here.set_up("front", lambda: True)
    assert not list(here.folder.iterdir())


def test_a_broker_of_its_own_takes_the_door_and_no_stranger(
    tmp_path: Path, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait_long_for_the_broker(monkeypatch)
    here = LocalBroker(tmp_path / "mosquitto", tmp_path / "mqtt-password", SHIPPED)
    here.folder.mkdir()
    port = free_port()
    passwords = here.set_up("front", lambda: True, port)
    assert set(passwords) == {"home-assistant", "operator"}
    assert here.set_up("front", lambda: True, port) == {}  # those that are there stay
    conf = (here.folder / "conf.d/ostiary.conf").read_text(encoding="utf-8")
    with Mosquitto(tmp_path / "broker", conf, port=port, listener=False):
        known = {"username": "front", "password_file": here.password_file}
        for more, levels in ((known, {Level.GREEN}), ({}, {Level.RED})):
            settings = load_settings(config)
            device = settings.device.model_copy(update={"id": "front"})
            mqtt = settings.mqtt.model_copy(update={"port": port, **more})
            settings = settings.model_copy(update={"device": device, "mqtt": mqtt})
            checks = list(check_broker(settings))
            assert {each.level for each in checks} == levels, checks


def test_what_a_broker_kept_of_the_id_before_may_be_taken_back(tmp_path: Path) -> None:
    here = LocalBroker(tmp_path / "mosquitto", tmp_path / "mqtt-password", SHIPPED)
    here.folder.mkdir()
    port = free_port()
    here.set_up("front", lambda: True, port, former="door")
    conf = (here.folder / "conf.d/ostiary.conf").read_text(encoding="utf-8")
    password = here.password_file.read_text(encoding="utf-8")
    with (
        Mosquitto(tmp_path / "broker", conf, port=port, listener=False),
        Probe(
            port,
            "ostiary/front/request/+",
            prepare=lambda client: client.username_pw_set("front", password),
        ) as door,
    ):
        for former in ("ostiary/door/state", "homeassistant/lock/ostiary_door/lock/config"):
            door.send(former, b"", retain=True)
        door.send("ostiary/back/state", b"", retain=True)  # another door's
        door.wait_refused(1)
        assert len(door.refused) == 1


@pytest.fixture
def camera_on_the_network() -> Iterator[tuple[str, int]]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as camera:
        camera.bind(("127.0.0.1", 0))

        def answer() -> None:
            while True:
                asked, who = camera.recvfrom(65536)
                if not asked:  # the end
                    return
                assert b"NetworkVideoTransmitter" in asked
                nonsense = (b"\xff", b"<XAddrs>http://a'b/", b"<XAddrs>http://[/")
                for said in (*nonsense, ANSWER.encode()):
                    camera.sendto(said, who)

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        yield camera.getsockname()
        camera.sendto(b"", camera.getsockname())
        thread.join()


def test_network_cameras_that_answer_are_found(camera_on_the_network: tuple[str, int]) -> None:
    # A camera on a slow machine may answer too late, and is asked again.
    (found,) = wait_until(
        lambda: discover(camera_on_the_network, within_s=0.5), "the camera to answer"
    )
    assert found == NetworkCamera("192.0.2.9", "Front Door")
    assert found.source == "rtsp://USER:PASSWORD@192.0.2.9:554/"
