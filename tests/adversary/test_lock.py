"""Who may publish to `…/door` but is not the door does not open the lock."""

import base64
import json
import subprocess
from datetime import UTC, datetime
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

from ostiary.crypto.door_key import DoorKey
from ostiary.messages.decision import Decision
from ostiary.messages.words import Reason
from ostiary.mqtt.security import door_key
from ostiary.vision.engine import VisionEngine
from testing import lock_vectors
from testing.broker import Mosquitto
from testing.doorway import BASE, Doorway, door_settings
from testing.probe import Probe

LOCK = lock_vectors.FILE.parent
VECTORS = json.loads(lock_vectors.FILE.read_text(encoding="utf-8"))
MAIN = """
#include "verify.c"

int main(int count, char **given)
{
    unsigned char key[32], signature[64];
    size_t size = 0;
    if (count != 14 || sodium_init() < 0)
        return 2;
    if (sodium_base642bin(key, sizeof key, given[1], strlen(given[1]), NULL, &size, NULL,
                          sodium_base64_VARIANT_ORIGINAL) != 0 || size != sizeof key)
        return 2;
    if (sodium_base642bin(signature, sizeof signature, given[13], strlen(given[13]), NULL, &size,
                          NULL, sodium_base64_VARIANT_ORIGINAL) != 0 || size != sizeof signature)
        return 1;
    return ostiary_may_open(key, given[2], given[3], given[4], given[5], given[6], given[7],
                            given[8], given[9], given[10], given[11], signature) ? 0 : 1;
}
"""


def may_open(
    payload: bytes, key: str, door: str, last: int, now: datetime | None, source: str = "front"
) -> int | None:
    spec = spec_from_file_location("verify", LOCK / "verify.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    number: int | None = module.may_open(payload, key, door, source, last, now)
    return number


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The C verifier as a program: exit status 0 where the lock may open."""
    folder = tmp_path_factory.mktemp("lock")
    (folder / "main.c").write_text(MAIN, encoding="utf-8")
    program = folder / "lock"
    command = ["gcc", "-Wall", "-Wextra", "-Werror", "-I", str(LOCK), "-o", str(program)]
    subprocess.run([*command, str(folder / "main.c"), "-lsodium"], check=True)
    return program


def test_the_vectors_are_those_that_the_door_makes() -> None:
    assert lock_vectors.FILE.read_text(encoding="utf-8") == lock_vectors.text()


@pytest.mark.parametrize("case", VECTORS["cases"], ids=lambda case: case["what"])
def test_the_python_lock_opens_only_for_what_the_door_signed(case: dict[str, Any]) -> None:
    payload = json.dumps(case["message"]).encode()
    now = datetime.fromisoformat(VECTORS["now"])
    number = may_open(payload, VECTORS["public_key"], VECTORS["door"], VECTORS["last"], now)
    assert (number is not None) == case["opens"]


@pytest.mark.parametrize("case", VECTORS["cases"], ids=lambda case: case["what"])
def test_the_c_lock_opens_only_for_what_the_door_signed(
    compiled: Path, case: dict[str, Any]
) -> None:
    said = case["message"]
    own = (*(VECTORS[name] for name in ("public_key", "door", "source")), str(VECTORS["last"]))
    own = (*own, VECTORS["now"])
    fields = ("door", "seq", "event_id", "expires", "source", "username")
    texts = (str(said[name]) for name in fields)
    done = subprocess.run([compiled, *own, *texts, "", said["signature"]], check=False)
    assert done.returncode == (0 if case["opens"] else 1)


@pytest.mark.parametrize("payload", [b"", b"{", b"[]", b"null", b'{"seq": 1}', b"\xff"])
def test_no_malformed_message_opens_or_breaks_the_lock(payload: bytes) -> None:
    now = datetime.fromisoformat(VECTORS["now"])
    assert may_open(payload, VECTORS["public_key"], VECTORS["door"], 0, now) is None


def test_a_grant_over_a_real_broker_opens_once_and_a_forged_one_never(
    tmp_path: Path, broker: Mosquitto, engine: VisionEngine
) -> None:
    settings = door_settings(tmp_path, broker.port)
    with Doorway(settings, engine) as door, Probe(broker.port, f"{BASE}/door") as probe:
        door.events.append_login(
            Decision(Reason.GRANTED, "Ada"), source="front", now=datetime.now(UTC)
        )
        payload = probe.wait(f"{BASE}/door")[0].payload
        forger = DoorKey.load_or_make(tmp_path / "forger.key")
        forged = lock_vectors.message(forger, door=BASE, expires=datetime(2099, 1, 1, tzinfo=UTC))
        probe.send(f"{BASE}/door", json.dumps(forged).encode())
        received = probe.wait(f"{BASE}/door", 2)[1].payload
    key = door_key(settings)
    now = datetime.now(UTC)
    assert may_open(payload, key.public_text, BASE, 0, now) == 1
    assert may_open(payload, key.public_text, BASE, 1, now) is None
    assert may_open(payload, key.public_text, BASE, 0, now, "vault") is None
    assert may_open(payload, key.public_text, BASE, 0, None) == 1, "a lock without a clock"
    assert may_open(received, key.public_text, BASE, 0, now) is None
    assert base64.b64decode(key.public_text) == key.public


def test_the_key_is_made_once_and_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "ostiary.key"
    made = DoorKey.load_or_make(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert DoorKey.load_or_make(path).public == made.public
    assert [each.name for each in tmp_path.iterdir()] == ["ostiary.key"]
