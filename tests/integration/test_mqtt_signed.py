"""A door that takes signed commands only."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from ostiary.clock import utc_now
from ostiary.errors import ConfigError
from ostiary.mqtt.signing import Signer
from ostiary.vision.engine import VisionEngine
from testing.broker import Mosquitto
from testing.doorway import BASE, Doorway, door_settings
from testing.faces import some_look
from testing.probe import Probe

pytestmark = pytest.mark.quick

SIGNER = Signer(b"a key that both sides have, 32 bytes", timedelta(seconds=60))
DELETE = f"{BASE}/request/delete"
ANSWER = f"{BASE}/response/delete"


@pytest.fixture
def door(tmp_path: Path, broker: Mosquitto, engine: VisionEngine) -> Iterator[Doorway]:
    key = tmp_path / "key"
    key.write_bytes(SIGNER.key)
    commands = {"signed": True, "signing_key_file": key}
    with Doorway(door_settings(tmp_path, broker.port, commands=commands), engine) as running:
        running.people.register("Ada", [some_look()], utc_now(), source="cli")
        yield running


def signed(payload: str, topic: str = DELETE, age_s: float = 0) -> bytes:
    now = utc_now() - timedelta(seconds=age_s)
    return SIGNER.sign(topic, payload, now).model_dump_json().encode()


def test_a_signed_command_runs(door: Doorway, probe: Probe) -> None:
    probe.send(DELETE, signed('{"username": "Ada", "transaction": "t1"}'))
    response = probe.wait(ANSWER)[0].json
    assert (response["status"], response["transaction"]) == ("ok", "t1")
    assert door.people.count() == 0


@pytest.mark.parametrize(
    "payload",
    [
        b'{"username": "Ada"}',
        b"",
        signed('{"username": "Ada"}', topic="ostiary/other/request/delete"),
        signed('{"username": "Ada"}', age_s=61),
    ],
)
def test_unsigned_misdirected_and_stale_commands_are_refused(
    door: Doorway, probe: Probe, payload: bytes
) -> None:
    probe.send(DELETE, payload)
    assert probe.wait(ANSWER)[0].json["error"]["code"] == "signature_invalid"
    assert door.people.count() == 1


def test_a_replayed_command_is_refused_also_after_a_restart(
    tmp_path: Path, door: Doorway, probe: Probe, broker: Mosquitto, engine: VisionEngine
) -> None:
    data = signed('{"username": "Ada"}')
    probe.send(DELETE, data)
    assert probe.wait(ANSWER)[0].json["status"] == "ok"
    door.people.register("Ada", [some_look()], utc_now(), source="cli")
    probe.send(DELETE, data)
    assert probe.wait(ANSWER, 2)[1].json["error"]["code"] == "signature_invalid"
    door.mqtt.stop()
    commands = {"signed": True, "signing_key_file": tmp_path / "key"}
    with Doorway(door_settings(tmp_path, broker.port, commands=commands), engine) as later:
        probe.send(DELETE, data)
        assert probe.wait(ANSWER, 3)[2].json["error"]["code"] == "signature_invalid"
        assert later.people.count() == 1


@pytest.mark.usefixtures("door")
def test_a_replayed_question_is_refused_too(probe: Probe) -> None:
    topic = f"{BASE}/request/users"
    data = signed("{}", topic=topic)
    probe.send(topic, data)
    probe.send(topic, data)
    first, second = probe.wait(f"{BASE}/response/users", 2)
    assert first.json["status"] == "ok"
    assert second.json["error"]["code"] == "signature_invalid"


def test_the_same_transaction_signed_anew_gets_the_same_answer(door: Doorway, probe: Probe) -> None:
    for _ in range(2):
        probe.send(DELETE, signed('{"username": "Ada", "transaction": "t1"}'))
    first, second = probe.wait(ANSWER, 2)
    assert first.payload == second.payload
    assert first.json["status"] == "ok"
    assert door.people.count() == 0


def test_without_a_key_the_door_does_not_start(
    tmp_path: Path, broker: Mosquitto, engine: VisionEngine
) -> None:
    settings = door_settings(tmp_path, broker.port, commands={"signed": True})
    with pytest.raises(ConfigError, match="signing_key_file"):
        Doorway(settings, engine)
