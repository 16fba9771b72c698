"""The shipped TLS and ACL files on a real mosquitto, and what is refused with which words."""

import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from ostiary.errors import BrokerUnavailable, ConfigError
from ostiary.messages.decision import Decision
from ostiary.messages.words import Reason
from ostiary.settings import load_settings
from ostiary.vision.engine import VisionEngine
from testing.broker import Mosquitto
from testing.certificates import Authority
from testing.doorway import Doorway, door_settings
from testing.faces import some_look
from testing.patient import wait_long_for_the_broker
from testing.ports import free_port
from testing.secure_broker import (
    BASE,
    EVERYTHING,
    client,
    secure,
    start_broker,
)
from testing.waiting import wait_until


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture
def broker(tmp_path: Path, authority: Authority) -> Iterator[Mosquitto]:
    running = start_broker(
        tmp_path / "broker", authority, authority.issue("broker", host="127.0.0.1")
    )
    yield running
    running.kill()


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """The words are of what the broker does, and not of a busy machine."""
    wait_long_for_the_broker(monkeypatch)


def why_not(settings: Any, engine: VisionEngine) -> str:
    """The words with which the connection fails."""
    door = Doorway(settings, engine)
    door.mqtt.start()
    try:
        wait_until(lambda: door.mqtt.error, "the connection to fail")
        with pytest.raises(BrokerUnavailable) as refused:
            door.mqtt.wait_connected(0)
        return refused.value.message
    finally:
        door.mqtt.stop()
        door.database.close()


def test_door_operator_and_reader_do_what_they_should(
    tmp_path: Path, broker: Mosquitto, authority: Authority, engine: VisionEngine
) -> None:
    with (
        client(broker, authority, "operator", EVERYTHING) as operator,
        client(broker, authority, "reader", EVERYTHING) as reader,
        client(broker, authority, "lock", EVERYTHING) as lock,
        client(broker, authority, "guard", EVERYTHING) as guard,
        client(broker, authority, "keypad", EVERYTHING) as keypad,
        Doorway(secure(tmp_path, broker.port, authority), engine) as door,
    ):
        assert operator.ask(BASE, "ping", {})["status"] == "ok"
        door.events.append_login(
            Decision(Reason.GRANTED, "Ada", distance=0.3, liveness=0.9),
            source="front",
            now=door.services.clock(),
            duress=True,
        )
        assert guard.wait(f"{BASE}/duress")[0].json["username"] == "Ada"
        assert reader.wait(f"{BASE}/event/login")
        assert operator.wait(f"{BASE}/event/login")
        assert lock.wait(f"{BASE}/door")
        reader.wait_for(f"{BASE}/availability", b"online")
        heard = {message.topic for message in reader.heard}
        shown = ("availability", "state", "event/login", "door/prompt")
        assert heard <= {f"{BASE}/{each}" for each in shown}
        keypad.send(f"{BASE}/request/credential", {"pin": "471108", "transaction": "k"})
        assert operator.response(BASE, "credential", "k")["error"]["code"] == "door_unknown"
        assert keypad.heard == []
        assert {message.topic for message in guard.heard} <= {
            f"{BASE}/availability",
            f"{BASE}/duress",
        }
        assert {message.topic for message in lock.heard} <= {f"{BASE}/availability", f"{BASE}/door"}
        assert f"{BASE}/request/ping" not in {message.topic for message in operator.heard}


@pytest.mark.parametrize("role", ["reader", "lock", "home-assistant", "somebody"])
def test_only_an_operator_may_send_commands(
    tmp_path: Path, broker: Mosquitto, authority: Authority, engine: VisionEngine, role: str
) -> None:
    with (
        Doorway(secure(tmp_path, broker.port, authority), engine),
        client(broker, authority, "operator", EVERYTHING) as operator,
        client(broker, authority, role) as other,
    ):
        other.send(f"{BASE}/request/ping", {"transaction": "forbidden"})
        other.wait_refused(1)
        operator.ask(BASE, "ping", {})
        answers = [heard.json.get("transaction") for heard in operator.of(f"{BASE}/response/ping")]
        assert "forbidden" not in answers
        assert any("Not authorized" in reason for reason in other.refused)


@pytest.mark.parametrize("role", ["operator", "reader", "lock", "home-assistant"])
@pytest.mark.parametrize("topic", ["event/login", "door", "availability", "state", "response/ping"])
def test_nobody_else_may_speak_for_the_door(
    broker: Mosquitto, authority: Authority, role: str, topic: str
) -> None:
    with client(broker, authority, role) as other:
        other.send(f"{BASE}/{topic}", b"{}")
        other.send(f"ostiary/other/{topic}", b"{}")
        other.wait_refused(2)


def test_a_door_may_not_speak_for_another(broker: Mosquitto, authority: Authority) -> None:
    with client(broker, authority, "door") as door:
        for topic in ("event/login", "door", "request/ping", "response/ping"):
            door.send(f"ostiary/other/{topic}", b"{}")
        door.wait_refused(4)


def test_a_door_that_may_not_publish_keeps_its_events_and_says_so(
    tmp_path: Path,
    broker: Mosquitto,
    authority: Authority,
    engine: VisionEngine,
) -> None:
    settings = secure(tmp_path, broker.port, authority, role="reader")
    with Doorway(settings, engine) as door:
        with structlog.testing.capture_logs() as logs:
            door.people.register("Ada", [some_look()], door.services.clock(), source="cli")
            wait_until(lambda: any("ACL" in entry.get("reason", "") for entry in logs), "the words")
        assert door.events.queue_length() == 1
        assert door.mqtt.refused_topics == (f"{BASE}/event/user",)


def test_a_broker_of_another_ca_is_refused(
    tmp_path: Path, authority: Authority, engine: VisionEngine
) -> None:
    stranger = Authority(tmp_path / "other", "Other CA")
    running = start_broker(
        tmp_path / "broker", authority, stranger.issue("broker", host="127.0.0.1")
    )
    try:
        assert "not issued by the CA" in why_not(secure(tmp_path, running.port, authority), engine)
    finally:
        running.kill()


def test_an_expired_certificate_of_the_broker_is_refused(
    tmp_path: Path, authority: Authority, engine: VisionEngine
) -> None:
    expired = authority.issue("broker", host="127.0.0.1", valid_days=(-2, -1))
    running = start_broker(tmp_path / "broker", authority, expired)
    try:
        assert "has expired" in why_not(secure(tmp_path, running.port, authority), engine)
    finally:
        running.kill()


def test_a_certificate_for_another_host_is_refused(
    tmp_path: Path, authority: Authority, engine: VisionEngine
) -> None:
    other = authority.issue("broker", host="10.0.0.1")
    running = start_broker(tmp_path / "broker", authority, other)
    try:
        assert "another host name" in why_not(secure(tmp_path, running.port, authority), engine)
    finally:
        running.kill()


def test_tls_to_a_plain_text_port_is_refused(
    tmp_path: Path, authority: Authority, engine: VisionEngine
) -> None:
    with Mosquitto(tmp_path / "plain") as plain:
        assert "TLS" in why_not(secure(tmp_path, plain.port, authority), engine)


def test_plain_text_to_a_tls_port_is_refused(
    tmp_path: Path, broker: Mosquitto, engine: VisionEngine
) -> None:
    assert "want TLS" in why_not(door_settings(tmp_path, broker.port), engine)


def test_an_expired_certificate_of_the_door_is_refused(
    tmp_path: Path, broker: Mosquitto, authority: Authority, engine: VisionEngine
) -> None:
    expired = authority.issue("door", valid_days=(-2, -1))
    settings = secure(
        tmp_path,
        broker.port,
        authority,
        tls_certificate=expired.certificate,
        tls_key=expired.key,
    )
    assert "certificate" in why_not(settings, engine)


def test_a_missing_ca_file_is_named(
    tmp_path: Path, broker: Mosquitto, authority: Authority, engine: VisionEngine
) -> None:
    settings = secure(tmp_path, broker.port, authority, tls_ca=tmp_path / "nowhere.crt")
    assert "nowhere.crt" in why_not(settings, engine)


def test_nothing_older_than_tls_1_2_is_spoken(
    tmp_path: Path, authority: Authority, engine: VisionEngine
) -> None:
    settings = secure(tmp_path, 1, authority)
    context = Doorway(settings, engine).mqtt.login().tls
    assert context is not None
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname


@pytest.fixture
def password_broker(tmp_path: Path) -> Iterator[Mosquitto]:
    folder = tmp_path / "password-broker"
    folder.mkdir()
    make_password(folder / "passwords", "door", "right")
    with Mosquitto(folder, f"password_file {folder}/passwords") as running:
        yield running


def make_password(path: Path, username: str, password: str) -> None:
    path.touch()
    subprocess.run(["mosquitto_passwd", "-b", str(path), username, password], check=True)


def test_the_password_comes_from_a_file(
    tmp_path: Path, password_broker: Mosquitto, engine: VisionEngine
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("right\n", encoding="utf-8")
    mqtt = {"username": "door", "password_file": secret}
    with Doorway(door_settings(tmp_path, password_broker.port, mqtt=mqtt), engine) as door:
        assert door.mqtt.is_connected


def test_the_password_comes_from_a_systemd_credential(
    tmp_path: Path,
    password_broker: Mosquitto,
    engine: VisionEngine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "mqtt-password").write_text("right\n", encoding="utf-8")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    settings = door_settings(tmp_path, password_broker.port, mqtt={"username": "door"})
    with Doorway(settings, engine) as door:
        assert door.mqtt.is_connected


def test_a_wrong_password_is_told_without_the_password(
    tmp_path: Path, password_broker: Mosquitto, engine: VisionEngine
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("a-wrong-one\n", encoding="utf-8")
    mqtt = {"username": "door", "password_file": secret}
    words = why_not(door_settings(tmp_path, password_broker.port, mqtt=mqtt), engine)
    assert "not authorised" in words
    assert "a-wrong-one" not in words


def test_no_broker_is_told(tmp_path: Path, engine: VisionEngine) -> None:
    assert "refused" in why_not(door_settings(tmp_path, free_port()), engine).lower()


@pytest.mark.parametrize(
    ("host", "more", "accepted"),
    [
        ("127.0.0.1", "", True),
        ("::1", "", True),
        ("localhost", "", True),
        ("192.0.2.7", "", False),
        ("broker.example", "", False),
        ("broker.example", "allow_anonymous = true", True),
        ("broker.example", 'username = "door"', True),
        ("broker.example", 'tls_certificate = "door.crt"', True),
    ],
)
def test_an_anonymous_broker_elsewhere_must_be_asked_for(
    tmp_path: Path, host: str, more: str, accepted: bool
) -> None:
    file = tmp_path / "ostiary.toml"
    file.write_text(f'[mqtt]\nhost = "{host}"\n{more}\n', encoding="utf-8")
    if accepted:
        assert load_settings(file).mqtt.host == host
    else:
        with pytest.raises(ConfigError, match="allow_anonymous"):
            load_settings(file)


def test_a_password_in_the_configuration_is_an_unknown_key(tmp_path: Path) -> None:
    file = tmp_path / "ostiary.toml"
    file.write_text('[mqtt]\npassword = "hunter2"\n', encoding="utf-8")
    with pytest.raises(ConfigError) as refused:
        load_settings(file)
    assert "mqtt.password: unknown key" in refused.value.message
    assert "hunter2" not in refused.value.message
