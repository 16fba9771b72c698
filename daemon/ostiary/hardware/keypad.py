"""What is shown at a keypad or card reader: keys or Wiegand pulses become a PIN or a card number.

A reader that is a keyboard types a card's digits within a few milliseconds and ends with Enter,
Tab, or nothing; a person types a PIN slowly and ends with Enter or #. Which of them a device is, is
set for it, or told by the pace.

A Wiegand reader has two wires. Each bit is a pulse of some 50 µs on D0 (a zero) or D1 (a one), 1 to
2 ms apart; a pause ends the word. 26 bits (SIA AC-01), 34 and 37 bits (HID H10302, H10304): an even
parity bit over the first half, the facility code and the card's number, an odd parity bit over the
second half; of 37 bits the halves share one. 35 bits (HID Corporate 1000) have three parity bits,
32 bits none. 4 bits are a key of the keypad; 8 bits the same with its complement before it.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Literal

Kind = Literal["pin", "card"]

ENTER = ("\n", "#")
CLEAR = ("\x1b", "*")
LONGEST = 32
PAUSE_S = 0.3
_HEX = frozenset("0123456789ABCDEF")
_CARD_PACE_S = 0.05
"""Nobody types eight digits twenty a second."""
_CARD_DIGITS = 6
WORD_ENDS_AFTER_S = 0.025
_GLITCH_S = 200e-6
"""Two pulses are at least so far apart; nearer ones are noise on the cable."""
_KEYPAD = "0123456789*#"


@dataclass(frozen=True, slots=True)
class Entry:
    """A PIN or a card's number from one device. The text is a secret: never logged, never told."""

    kind: Kind
    text: str = field(repr=False)


def card_number(text: str) -> str | None:
    """A card's number as it is compared: without leading zeros, in capitals. None for a text that
    is no number, decimal or hexadecimal."""
    plain = text.upper().lstrip("0") or "0"
    return plain if text and set(plain) <= _HEX else None


def printed_number(text: str) -> str | None:
    """A card's number from what is printed on it: `123,45678` is the facility code and the number
    (SIA AC-01: facility × 65536 + number), `04:A1:B2:C3` a serial number in hexadecimal."""
    text = text.strip()
    parts = re.fullmatch(r"([0-9]{1,5}) ?[,/] ?([0-9]{1,5})", text)
    if parts is not None:
        facility, number = int(parts[1]), int(parts[2])
        return card_number(str(facility << 16 | number)) if max(facility, number) < 65536 else None
    if re.fullmatch(r"[0-9A-Fa-f]{2}([: -]?)[0-9A-Fa-f]{2}(?:\1[0-9A-Fa-f]{2})*", text):
        text = re.sub("[: -]", "", text)
    return card_number(text)


@dataclass(frozen=True, slots=True)
class Keypad:
    """The keys of one device since the last entry. `kind` None: the pace tells PIN and card apart.
    Every method returns the next state; times are seconds.

    Keys that do not become an entry within `forget_after_s` of the last one are forgotten.
    """

    kind: Kind | None = None
    forget_after_s: float = 5.0
    typed: str = field(default="", repr=False)
    began: float = 0.0
    last: float = float("-inf")
    spoiled: bool = False

    def pressed(self, key: str, now: float) -> tuple["Keypad", Entry | None]:
        """The state after one key, a digit, a letter A–F, or one of ENTER and CLEAR; and the entry
        that it ends, if any."""
        known = self if now - self.last <= self.forget_after_s else self.emptied()
        if key in CLEAR:
            return known.emptied(), None
        if key in ENTER:
            return known.emptied(), known._entry(now)
        too_long = len(known.typed) >= LONGEST
        return (
            replace(
                known,
                typed=known.typed if too_long else known.typed + key.upper(),
                began=known.began if known.typed else now,
                last=now,
                spoiled=known.spoiled or too_long,
            ),
            None,
        )

    def fell_silent(self) -> tuple["Keypad", Entry | None]:
        """The state after PAUSE_S without a key, which ends a card of a reader without Enter; a
        person who types slowly goes on."""
        if self.kind == "pin" or not self.typed or not self._is_fast(self.last):
            return self, None
        return self.emptied(), self._entry(self.last)

    def emptied(self) -> "Keypad":
        """The state without what was typed."""
        return replace(self, typed="", last=float("-inf"), spoiled=False)

    def _entry(self, now: float) -> Entry | None:
        if not self.typed or self.spoiled:
            return None
        if self.kind is not None:
            return Entry(self.kind, self.typed)
        return Entry("card" if self._is_fast(now) else "pin", self.typed)

    def _is_fast(self, now: float) -> bool:
        pace = (now - self.began) / len(self.typed)
        return len(self.typed) >= _CARD_DIGITS and pace <= _CARD_PACE_S


@dataclass(frozen=True, slots=True)
class Pulse:
    """One pulse, `at` in seconds of the kernel's clock; `one`: on D1, otherwise on D0."""

    at: float
    one: bool


@dataclass(frozen=True, slots=True)
class Word:
    """The bits of a word until now. Every method returns the next state."""

    bits: tuple[bool, ...] = ()
    last: float = float("-inf")
    broken: bool = False

    def pulsed(self, pulse: Pulse) -> "Word":
        """The word with one more bit. Two bits at once, or more than any format has, break it."""
        if pulse.at - self.last < _GLITCH_S or len(self.bits) > 40:
            return Word(self.bits, max(self.last, pulse.at), broken=True)
        return Word((*self.bits, pulse.one), pulse.at, self.broken)

    def is_over(self, now: float) -> bool:
        return bool(self.bits) and now - self.last >= WORD_ENDS_AFTER_S


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
        return _KEYPAD[key] if key < len(_KEYPAD) else None
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
    """Whether the three parities of HID Corporate 1000 hold: over two of three bits with the second
    one even, over two of three with the last one odd, over all odd."""
    even = bits[1] + sum(bit for at, bit in enumerate(bits[2:34], 2) if at % 3 != 1)
    odd = bits[34] + sum(bit for at, bit in enumerate(bits[1:33], 1) if at % 3 != 0)
    return even % 2 == 0 and odd % 2 == 1 and sum(bits) % 2 == 1


def _number(bits: Iterable[bool]) -> int:
    value = 0
    for bit in bits:
        value = value << 1 | bit
    return value
