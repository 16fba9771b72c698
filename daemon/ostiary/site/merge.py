"""Which of two messages about a person holds: the same for every door, in whatever order they come.

`merged` is commutative, associative and idempotent (a join, Shapiro et al. 2011), so doors that
have heard the same are equal. A deletion holds against everything: who comes back is enrolled
again, under another id.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ostiary.site.clock import Version

NO_DIGEST = bytes(32)


@dataclass(frozen=True, slots=True)
class SiteEntry:
    """What a door remembers of one message. `digest`: SHA-256 of its payload."""

    version: Version
    deleted: bool
    digest: bytes


def merged(one: SiteEntry | None, other: SiteEntry) -> SiteEntry:
    """The one that holds."""
    if one is None:
        return other
    return max(one, other, key=lambda each: (each.deleted, each.version, each.digest))


def supersedes(new: SiteEntry, known: SiteEntry | None) -> bool:
    """Whether `new` changes anything."""
    return merged(known, new) is new and new != known


def share_of_digest(person: str, entry: SiteEntry) -> bytes:
    """What one person adds to the digest of a roster, 32 bytes; nothing once deleted, so that it
    does not matter who has forgotten the deletion already."""
    if entry.deleted:
        return NO_DIGEST
    return hashlib.sha256(f"{person} {entry.version} ".encode() + entry.digest).digest()


def combined(one: bytes, other: bytes) -> bytes:
    """Adds a share to a digest, or takes it away again (exclusive or)."""
    return (int.from_bytes(one) ^ int.from_bytes(other)).to_bytes(32)


def digest_of(entries: Mapping[str, SiteEntry]) -> bytes:
    """Of a whole roster: doors that know the same people in the same versions have the same."""
    return _all_combined(share_of_digest(person, entry) for person, entry in entries.items())


def _all_combined(shares: Iterable[bytes]) -> bytes:
    digest = NO_DIGEST
    for share in shares:
        digest = combined(digest, share)
    return digest
