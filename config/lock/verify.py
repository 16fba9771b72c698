"""May this message open the lock? For lock controllers in Python; needs `cryptography`.

Give it every message on `ostiary/<door>/door`, the door's public key (`ostiary door-key`), its
topic without `/door`, the name of the camera at this lock (`cameras.name`: a device may have
several doors), and the number that was returned last (0 at first; keep it over a restart).
"""

import base64
import json
from datetime import datetime, timedelta

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

LONGEST = timedelta(seconds=120)
"""No grant is good for longer from now on: one signed by a clock that is a year ahead would be for
a year. The door's `mqtt.door_expiry_s`, 60 s, and as much for clocks that differ."""


def may_open(
    payload: bytes, public_key: str, door: str, source: str, last: int, now: datetime | None
) -> int | None:
    """The message's number if the lock may open (keep it, then open), None if not. `source`: the
    camera at this lock. `now` has a time zone; None: this lock has no clock, and relies on the
    broker's message expiry."""
    try:
        said = json.loads(payload)
        parts = (said["door"], said["seq"], said["event_id"], said["expires"], said["source"])
        text = "\n".join(("ostiary-door-v1", *map(str, parts), said["username"])).encode()
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key, validate=True))
        key.verify(base64.b64decode(said["signature"], validate=True), text)
        number, expires = int(said["seq"]), datetime.fromisoformat(said["expires"])
        is_fresh = now is None or now < expires <= now + LONGEST
    except (InvalidSignature, KeyError, TypeError, ValueError):
        return None
    is_here = (said["door"], said["source"]) == (door, source)
    return number if is_here and number > last and is_fresh else None
