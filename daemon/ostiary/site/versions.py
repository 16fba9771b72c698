"""Versions of people, and which of two messages about a person holds: the same at every door, in
whatever order they come.

Versions are hybrid logical clocks (Kulkarni et al., "Logical Physical Clocks", 2014): a version is
a little later than every version that its maker knew, and near the time of its clock. `merged` is
commutative, associative and idempotent (a join, Shapiro et al. 2011), so doors that have heard the
same are equal. A deletion holds against every change: a person who comes back is enrolled again,
under another id.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

_TEXT = re.compile(r"([0-9a-f]{12})-([0-9a-f]{4})-([0-9a-f]{16})")
_MOST = 0xFFFF
_LAST = 0xFFFF_FFFF_FFFF
NO_DIGEST = bytes(32)


@dataclass(frozen=True, slots=True, order=True)
class Version:
    """A version. `millis`: since 1970 in UTC; `count`: tells apart those of one millisecond;
    `member`: who made it. Texts sort as versions do."""

    millis: int
    count: int
    member: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a version from its text. Raises ValueError."""
        found = _TEXT.fullmatch(text)
        if found is None:
            raise ValueError("not a version")
        return cls(int(found[1], 16), int(found[2], 16), found[3])

    def __str__(self) -> str:
        return f"{self.millis:012x}-{self.count:04x}-{self.member}"


def following(newest: Version | None, now_ms: int, member: str) -> Version:
    """The next version of `member`, whose clock shows `now_ms` and who knows `newest`. After the
    last version that can be written comes the last again."""
    if newest is None or now_ms > newest.millis:
        return Version(now_ms, 0, member)
    if newest.count < _MOST:
        return Version(newest.millis, newest.count + 1, member)
    if newest.millis < _LAST:
        return Version(newest.millis + 1, 0, member)
    return Version(_LAST, _MOST, member)


@dataclass(frozen=True, slots=True)
class SiteEntry:
    """What a door remembers of one message. `digest`: SHA-256 of its payload."""

    version: Version
    deleted: bool
    digest: bytes


def merged(one: SiteEntry | None, other: SiteEntry) -> SiteEntry:
    """The one of two entries that holds."""
    if one is None:
        return other
    return max(one, other, key=lambda each: (each.deleted, each.version, each.digest))


def supersedes(new: SiteEntry, known: SiteEntry | None) -> bool:
    """Whether `new` changes anything."""
    return merged(known, new) is new and new != known


def share_of_digest(person: str, entry: SiteEntry) -> bytes:
    """What one person adds to the digest of a roster, 32 bytes. A deleted person adds nothing, so
    that it does not matter whether a door still remembers the deletion."""
    if entry.deleted:
        return NO_DIGEST
    return hashlib.sha256(f"{person} {entry.version} ".encode() + entry.digest).digest()


def combined(one: bytes, other: bytes) -> bytes:
    """Add a share to a digest, or take it away again (exclusive or)."""
    return (int.from_bytes(one) ^ int.from_bytes(other)).to_bytes(32)


def digest_of(entries: Mapping[str, SiteEntry]) -> bytes:
    """The digest of a whole roster: equal at doors that know the same people in the same
    versions."""
    return _all_combined(share_of_digest(person, entry) for person, entry in entries.items())


def _all_combined(shares: Iterable[bytes]) -> bytes:
    digest = NO_DIGEST
    for share in shares:
        digest = combined(digest, share)
    return digest
