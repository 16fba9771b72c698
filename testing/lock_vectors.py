"""Messages that must and must not open a lock; `python -m testing.lock_vectors` writes them.

Signed with the example key of RFC 8032, section 7.1, test 1.
"""

import base64
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ostiary.crypto.door_key import DoorKey
from ostiary.messages.events import DoorEvent, rfc3339

FILE = Path(__file__).resolve().parents[1] / "config" / "lock" / "vectors.json"
EXAMPLE = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
DOOR = "ostiary/front-door"
NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
SOURCE = "front"
LAST = 41


def message(key: DoorKey, **changed: Any) -> dict[str, Any]:
    """What the door sends; `changed` before it is signed."""
    values = {
        "event_id": UUID("01890a5d-ac96-774b-bcce-b302099a8057"),
        "seq": LAST + 1,
        "timestamp": NOW - timedelta(seconds=1),
        "door": DOOR,
        "username": "张三",
        "source": SOURCE,
        "expires": NOW + timedelta(seconds=59),
        "signature": "",
        **changed,
    }
    event = DoorEvent.model_validate(values)
    signed = event.model_copy(update={"signature": key.sign(event.signed_text())})
    sent: dict[str, Any] = json.loads(signed.model_dump_json())
    return sent


def vectors() -> dict[str, Any]:
    key = DoorKey(Ed25519PrivateKey.from_private_bytes(EXAMPLE))
    other = DoorKey(Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
    good = message(key)
    mangled = base64.b64encode(bytes(64)).decode()
    cases = [
        ("a fresh grant", True, good),
        ("the next one", True, message(key, seq=LAST + 2, username="O'Brien")),
        ("seen already", False, message(key, seq=LAST)),
        ("expired", False, message(key, expires=NOW)),
        ("of another door", False, message(key, door="ostiary/back-door")),
        ("of another camera of this device", False, message(key, source="vault")),
        ("of a camera whose name begins alike", False, message(key, source="front-yard")),
        ("of a camera in capitals", False, message(key, source="Front")),
        ("another camera put in", False, {**message(key, source="vault"), "source": SOURCE}),
        ("of a clock a year ahead", False, message(key, expires=NOW + timedelta(days=365))),
        ("of a clock three minutes ahead", False, message(key, expires=NOW + timedelta(minutes=3))),
        ("of a clock a minute ahead", True, message(key, expires=NOW + timedelta(minutes=2))),
        ("signed by somebody else", False, message(other)),
        ("another name put in", False, {**good, "username": "Eve"}),
        ("a later expiry put in", False, {**good, "expires": rfc3339(NOW + timedelta(days=1))}),
        ("a higher number put in", False, {**good, "seq": LAST + 9}),
        ("no signature", False, {**good, "signature": ""}),
        ("a signature of zeros", False, {**good, "signature": mangled}),
        ("fields shifted by a line feed", False, {**good, "source": "front\n张三", "username": ""}),
    ]
    return {
        "public_key": key.public_text,
        "door": DOOR,
        "source": SOURCE,
        "now": rfc3339(NOW),
        "last": LAST,
        "cases": [{"what": what, "opens": opens, "message": sent} for what, opens, sent in cases],
    }


def text() -> str:
    return json.dumps(vectors(), ensure_ascii=False, indent=2) + "\n"


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
