"""PINs: hashed, and none that anybody would try first."""

import hashlib
from itertools import pairwise

from ostiary.crypto.argon import Hasher
from ostiary.errors import PinWeak
from ostiary.store.credentials import Pins

HINTS = 64


class PinHasher(Hasher):
    """The parameters that OWASP recommends for little memory: 19 MiB, two passes. A PIN has few
    digits: what keeps it from being tried is the lock-out, and that its hash is sealed."""

    def __init__(self) -> None:
        super().__init__(time_cost=2, memory_cost=19 * 1024, parallelism=1)

    def which(self, pins: Pins, pin: str) -> tuple[bool, bool]:
        """Whether it is this person's PIN, and whether it is the one for duress. Both are tried in
        any case: how long it takes tells nothing."""
        usual, forced = self.verify(pins.pin, pin), self.verify(pins.duress, pin)
        return usual or forced, forced


def hint_of(pin: str) -> int:
    """Six bits, by which a PIN's few candidates are found among everybody's."""
    return hashlib.sha256(pin.encode()).digest()[0] % HINTS


def check_pin(pin: str, least_digits: int) -> None:
    """Raises PinWeak."""
    if not (pin.isascii() and pin.isdecimal()):
        raise PinWeak("A PIN has digits only.")
    if len(pin) < least_digits:
        raise PinWeak(f"A PIN has at least {least_digits} digits (credentials.pin_digits).")
    steps = {(int(after) - int(before)) % 10 for before, after in pairwise(pin)}
    if len(steps) == 1 and steps <= {0, 1, 9}:
        raise PinWeak("A PIN of one digit, or of digits in a row, is tried first. Take another.")
    half = len(pin) // 2
    if pin == pin[:half] * 2 and len(set(pin)) <= 2:
        raise PinWeak("A PIN that repeats two digits is tried first. Take another.")
