"""Keys, one after the other, become an entry: a PIN, or a card's number.

A reader that is a keyboard types a card's digits within a few milliseconds and ends with Enter,
Tab, or nothing; a person types a PIN slowly and ends with Enter or #. Which of them a device is, is
set for it, or told by the pace.
"""

import re
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


@dataclass(frozen=True, slots=True)
class Entry:
    """What somebody presented at a device. Its text is a secret: never logged, never told."""

    kind: Kind
    text: str = field(repr=False)


def card_number(text: str) -> str | None:
    """A card's number as it is compared: a reader's leading zeros and small letters make no other
    card. None for what is no number, decimal or hexadecimal."""
    plain = text.upper().lstrip("0") or "0"
    return plain if text and set(plain) <= _HEX else None


def printed_number(text: str) -> str | None:
    """Likewise for a number as it is printed on a card: `123,45678` is the facility code and the
    number (SIA AC-01: facility × 65536 + number), `04:A1:B2:C3` a serial number in hexadecimal."""
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
    """The keys of one device since the last entry. `kind` None: told by the pace. Every method
    returns the next state; times are seconds.

    What is not ended within `forget_after_s` of its last key is forgotten: the next person begins
    anew.
    """

    kind: Kind | None = None
    forget_after_s: float = 5.0
    typed: str = field(default="", repr=False)
    began: float = 0.0
    last: float = float("-inf")
    spoiled: bool = False

    def pressed(self, key: str, now: float) -> tuple["Keypad", Entry | None]:
        """One key: a digit or a letter A–F of a card, or one of ENTER and CLEAR."""
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
        """Nothing came for PAUSE_S: a reader that ends with nothing has ended. Whoever types slowly
        goes on."""
        if self.kind == "pin" or not self.typed or not self._is_fast(self.last):
            return self, None
        return self.emptied(), self._entry(self.last)

    def emptied(self) -> "Keypad":
        """Without what was typed: the device was pulled out, or somebody else begins."""
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
