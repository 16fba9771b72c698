"""What people know by heart, hashed by argon2id (RFC 9106): one at a time, so that guessing cannot
take the memory."""

import secrets
import threading
from base64 import b64encode

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.low_level import ARGON2_VERSION


def decoy(hasher: PasswordHasher) -> str:
    """A hash of no password, in the form of RFC 9106's reference code. A check against it costs
    what one against a real hash costs; to make it costs nothing."""
    costs = f"m={hasher.memory_cost},t={hasher.time_cost},p={hasher.parallelism}"
    salt, digest = (
        b64encode(secrets.token_bytes(size)).decode().rstrip("=")
        for size in (hasher.salt_len, hasher.hash_len)
    )
    return f"$argon2id$v={ARGON2_VERSION}${costs}${salt}${digest}"


class Hasher:
    """Makes and checks hashes with the parameters of `PasswordHasher` (KiB of memory)."""

    def __init__(self, *, time_cost: int, memory_cost: int, parallelism: int) -> None:
        self._hasher = PasswordHasher(
            time_cost=time_cost, memory_cost=memory_cost, parallelism=parallelism
        )
        self._one_at_a_time = threading.Lock()
        self._nobodys = decoy(self._hasher)

    def hash(self, known: str) -> str:
        with self._one_at_a_time:
            return self._hasher.hash(known)

    def verify(self, known_hash: str | None, known: str) -> bool:
        """Takes as long where there is no hash (None) as where there is one."""
        with self._one_at_a_time:
            try:
                self._hasher.verify(known_hash or self._nobodys, known)
            except (VerificationError, InvalidHashError):
                return False
        return known_hash is not None
