"""May this message open the lock? For lock controllers in Python; needs `cryptography`.

Give it every message on `ostiary/<door>/door`, the door's public key (`ostiary door-key`), its
topic without `/door`, and the number that was returned last (0 at first; keep it over a restart).
"""

import base64
import json
from datetime import datetime

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


def may_open(payload: bytes, public_key: str, door: str, last: int, now: datetime) -> int | None:
    """The message's number if the lock may open (keep it, then open), None if not. `now` has a time
    zone; a lock without a clock passes the message's own expiry and relies on the broker's."""
    try:
        said = json.loads(payload)
        parts = (said["door"], said["seq"], said["event_id"], said["expires"], said["source"])
        text = "\n".join(("ostiary-door-v1", *map(str, parts), said["username"])).encode()
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key, validate=True))
        key.verify(base64.b64decode(said["signature"], validate=True), text)
        number, expires = int(said["seq"]), datetime.fromisoformat(said["expires"])
    except (InvalidSignature, KeyError, TypeError, ValueError):
        return None
    return number if said["door"] == door and number > last and now < expires else None
