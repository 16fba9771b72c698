"""Keys, one after the other, become an entry: a PIN, or a card's number.

A reader that is a keyboard types a card's digits within a few milliseconds and ends with Enter; a
person types a PIN slowly and ends with Enter or #. Which of them a device is, is set for it, or
told by the pace.
"""

from dataclasses import dataclass, field, replace
from typing import Literal

Kind = Literal["pin", "card"]

ENTER = ("\n", "#")
CLEAR = ("\x1b", "*")
LONGEST = 32
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

    def emptied(self) -> "Keypad":
        """Without what was typed: the device was pulled out, or somebody else begins."""
        return replace(self, typed="", last=float("-inf"), spoiled=False)

    def _entry(self, now: float) -> Entry | None:
        if not self.typed or self.spoiled:
            return None
        if self.kind is not None:
            return Entry(self.kind, self.typed)
        pace = (now - self.began) / len(self.typed)
        is_card = len(self.typed) >= _CARD_DIGITS and pace <= _CARD_PACE_S
        return Entry("card" if is_card else "pin", self.typed)
