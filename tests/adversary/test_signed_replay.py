"""A signature counts once, however its command ended."""

from datetime import timedelta
from pathlib import Path

from ostiary.clock import utc_now
from ostiary.mqtt.signing import Signer
from ostiary.vision.engine import VisionEngine
from testing.broker import Mosquitto
from testing.doorway import BASE, Doorway, door_settings
from testing.probe import Probe

SIGNER = Signer(b"a key that both sides have, 32 bytes", timedelta(seconds=60))
REGISTER = f"{BASE}/request/register"
ANSWER = f"{BASE}/response/register"


def test_a_registration_that_found_no_camera_cannot_be_replayed_before_another_face(
    tmp_path: Path, broker: Mosquitto, engine: VisionEngine
) -> None:
    key = tmp_path / "key"
    key.write_bytes(SIGNER.key)
    commands = {"signed": True, "signing_key_file": key}
    settings = door_settings(tmp_path, broker.port, commands=commands)
    payload = '{"username": "Ada", "source": "camera"}'
    data = SIGNER.sign(REGISTER, payload, utc_now()).model_dump_json().encode()
    with (
        Doorway(settings, engine) as door,
        Probe(broker.port, f"{BASE}/response/#") as probe,
    ):
        probe.send(REGISTER, data)
        first = probe.wait(ANSWER)[0].json
        assert first["error"]["code"] == "camera_unavailable"
        probe.send(REGISTER, data)
        second = probe.wait(ANSWER, 2)[1].json
        assert second["error"]["code"] == "signature_invalid"
        assert door.people.count() == 0
