"""What a reader says on its two Wiegand wires: a card's number, or a key of its keypad.

Each bit is a pulse of some 50 µs on D0 (a zero) or D1 (a one), 1 to 2 ms apart; a pause ends the
word. 26 bits (SIA AC-01), 34 and 37 bits (HID H10302, H10304): an even parity bit over the first
half, the facility code and the card's number, an odd parity bit over the second half; of 37 bits
the halves share one. 35 bits (HID Corporate 1000) have three parity bits, 32 bits none. 4 bits are
a key of the keypad; 8 bits the same with its complement before it.
"""

from collections.abc import Iterable
from dataclasses import dataclass

WORD_ENDS_AFTER_S = 0.025
_GLITCH_S = 200e-6
"""Two pulses are at least so far apart; what is nearer is a cable that picks up a motor."""
_KEYS = "0123456789*#"


@dataclass(frozen=True, slots=True)
class Pulse:
    """`at` in seconds, by the kernel's own clock of the edge; `one`: on D1, otherwise on D0."""

    at: float
    one: bool


@dataclass(frozen=True, slots=True)
class Word:
    """What came until now. Every method returns the next state."""

    bits: tuple[bool, ...] = ()
    last: float = float("-inf")
    broken: bool = False

    def pulsed(self, pulse: Pulse) -> "Word":
        """One more bit. Two at the same time, or more than any format has, break the word."""
        if pulse.at - self.last < _GLITCH_S or len(self.bits) > 40:
            return Word(self.bits, max(self.last, pulse.at), broken=True)
        return Word((*self.bits, pulse.one), pulse.at, self.broken)

    def is_over(self, now: float) -> bool:
        return bool(self.bits) and now - self.last >= WORD_ENDS_AFTER_S


def read(pulses: Iterable[Pulse]) -> list[str | None]:
    """All words in a record of pulses, as `meaning` gives them."""
    words: list[str | None] = []
    word = Word()
    for pulse in pulses:
        if word.is_over(pulse.at):
            words.append(meaning(word))
            word = Word()
        word = word.pulsed(pulse)
    return [*words, meaning(word)] if word.bits else words


def meaning(word: Word) -> str | None:
    """A card's number in decimal (facility code and number as one: facility × 65536 + number for 26
    and 34 bits, × 2^19 for H10304, × 2^20 for 35 bits), or one of the keys 0–9, * and #. None for
    what is no whole word: a bit is missing, or a parity is wrong."""
    if word.broken:
        return None
    bits = word.bits
    if len(bits) == 8:
        if any(high == low for high, low in zip(bits[:4], bits[4:], strict=True)):
            return None
        bits = bits[4:]
    if len(bits) == 4:
        key = _number(bits)
        return _KEYS[key] if key < len(_KEYS) else None
    if len(bits) == 32:
        return str(_number(bits))
    if len(bits) == 35:
        return str(_number(bits[2:-1])) if _is_corporate(bits) else None
    if len(bits) not in (26, 34, 37):
        return None
    half = (len(bits) + 1) // 2
    if sum(bits[:half]) % 2 != 0 or sum(bits[-half:]) % 2 != 1:
        return None
    return str(_number(bits[1:-1]))


def _is_corporate(bits: tuple[bool, ...]) -> bool:
    """Two of three bits are even with the second one, two of three odd with the last, and all of
    them odd."""
    even = bits[1] + sum(bit for at, bit in enumerate(bits[2:34], 2) if at % 3 != 1)
    odd = bits[34] + sum(bit for at, bit in enumerate(bits[1:33], 1) if at % 3 != 0)
    return even % 2 == 0 and odd % 2 == 1 and sum(bits) % 2 == 1


def _number(bits: Iterable[bool]) -> int:
    value = 0
    for bit in bits:
        value = value << 1 | bit
    return value
