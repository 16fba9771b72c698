"""What the kernel reports of a keyboard on which somebody types."""

from ostiary.hardware.input_device import EV_KEY, EV_SYN, EVENT

CODES = {
    **{digit: 2 + place for place, digit in enumerate("1234567890")},
    "\n": 28,
    "\t": 15,
    "*": 55,
}
SHIFT, THREE = 42, 4


def record(code: int, value: int, at: float, kind: int = EV_KEY) -> bytes:
    return EVENT.pack(int(at), int(at % 1 * 1e6), kind, code, value)


def pressed(text: str, pace_s: float = 0.3, start: float = 100.0) -> bytes:
    """Each key down, held for a moment, up, and the report that ends it, as a keyboard sends."""
    parts = []
    for place, key in enumerate(text):
        at = start + place * pace_s
        parts += [record(CODES[key], value, at) for value in (1, 2, 0)]
        parts.append(record(0, 0, at, EV_SYN))
    return b"".join(parts)
