"""Versions: hybrid logical clocks (Kulkarni et al., "Logical Physical Clocks", 2014).

A version is a little later than every version that its maker knew, and near the time of its clock.
"""

import re
from dataclasses import dataclass
from typing import Self

_TEXT = re.compile(r"([0-9a-f]{12})-([0-9a-f]{4})-([0-9a-f]{16})")
_MOST = 0xFFFF
_LAST = 0xFFFF_FFFF_FFFF


@dataclass(frozen=True, slots=True, order=True)
class Version:
    """`millis` since 1970 in UTC; `count` tells apart what happened within one; `member` who made
    it. Texts sort as versions do."""

    millis: int
    count: int
    member: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises ValueError."""
        found = _TEXT.fullmatch(text)
        if found is None:
            raise ValueError("not a version")
        return cls(int(found[1], 16), int(found[2], 16), found[3])

    def __str__(self) -> str:
        return f"{self.millis:012x}-{self.count:04x}-{self.member}"


def following(newest: Version | None, now_ms: int, member: str) -> Version:
    """The next version of `member`, whose clock shows `now_ms`; `newest` is the newest it knows.
    After the last that can be written comes the last."""
    if newest is None or now_ms > newest.millis:
        return Version(now_ms, 0, member)
    if newest.count < _MOST:
        return Version(newest.millis, newest.count + 1, member)
    if newest.millis < _LAST:
        return Version(newest.millis + 1, 0, member)
    return Version(_LAST, _MOST, member)
