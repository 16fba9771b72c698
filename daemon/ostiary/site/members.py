"""The members of a site: a list that its key-holder signs, with the site's key sealed to each.

The list is open: it names doors, not people. The site's key in it opens for its member only.
"""

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Self

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic import Field, ValidationError

from ostiary.crypto.identity import (
    KEY_BYTES,
    Identity,
    derived,
    from_text,
    is_signed,
    member_id,
    sealed_to,
    to_text,
)
from ostiary.messages.events import Message, Timestamp, rfc3339

FORMAT = 1
UNDONE_SINCE = 0
"""Number of the entry, in a revoked member's keys, that says since when its deletions are
undone."""
KEYS_KEPT = 2
"""The site's key in use, and the one before it, for changes that were under way."""
_PURPOSE = "key of the site"
_CONTEXT = b"ostiary-site-members-1\n"

Key32 = Annotated[str, Field(pattern=r"^[A-Za-z0-9+/]{43}=$")]
Shown = Annotated[
    str,
    Field(
        max_length=100, pattern=r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]*$"
    ),
]
"""A text that a terminal or a page may show as it is: it has no control characters."""
EVERYBODY_UP_TO = 16
LISTENS_TO = 8


class Refusal(StrEnum):
    """Why a message of the site is not believed; stable words in `state`, in metrics and in
    `ostiary site status`."""

    MALFORMED = "site_malformed"
    OVERSIZED = "site_oversized"
    FORMAT_UNKNOWN = "site_format_unknown"
    MOVED = "site_moved"
    SIGNER_UNKNOWN = "site_signer_unknown"
    SIGNER_REVOKED = "site_signer_revoked"
    ROLE_MISSING = "site_role_missing"
    SIGNATURE_WRONG = "site_signature_wrong"
    KEY_UNKNOWN = "site_key_unknown"
    SEAL_BROKEN = "site_seal_broken"
    CLOCK_AHEAD = "site_clock_ahead"
    CLEARED = "site_cleared"
    OUTDATED = "site_outdated"
    """An older version than the known one. This happens without anybody's ill will, too."""


class Refused(Exception):
    """Raised for a message that is not believed. It is counted, and nobody is told."""

    def __init__(self, why: Refusal) -> None:
        super().__init__(why.value)
        self.why = why


class MemberRole(StrEnum):
    """The rights of a member."""

    DOOR = "door"
    """Knows the people and says what it has; changes nobody."""
    ENROLLER = "enroller"
    """May change people, too."""
    REVOKED = "revoked"
    """Was excluded: nothing that it signed is believed any more."""


class Member(Message):
    """One door, or the key-holder."""

    name: Annotated[Shown, Field(min_length=1, max_length=64)]
    role: MemberRole
    public: Key32 = Field(description="Ed25519.")
    box: Key32 = Field(description="X25519.")
    keys: dict[int, str] = Field(description="The site's keys by number, sealed to this member.")

    @property
    def id(self) -> str:
        return member_id(from_text(self.public))

    @property
    def undone_since(self) -> datetime | None:
        """Since when the deletions of a revoked member are to be undone; None: they are not."""
        text = self.keys.get(UNDONE_SINCE) if self.role is MemberRole.REVOKED else None
        with suppress(ValueError):
            return None if text is None else datetime.fromisoformat(text)
        return None


class Members(Message):
    """The list of members. `version` grows by one with each list that is signed."""

    format: int = FORMAT
    site: str
    version: Annotated[int, Field(ge=1)]
    issued_at: Timestamp
    key: Annotated[int, Field(ge=1)] = Field(description="Number of the site's key in use.")
    members: tuple[Member, ...]

    def get(self, member: str) -> Member | None:
        return next((each for each in self.members if each.id == member), None)

    def named(self, name: str) -> Member | None:
        return next((each for each in self.members if each.name == name), None)

    def signed(self, authority: Identity) -> bytes:
        """The list as it is published, signed by the key-holder."""
        body = self.model_dump_json().encode()
        return body + b"\n" + to_text(authority.sign(_CONTEXT + body)).encode()


def read_members(payload: bytes, authority: bytes, site: str) -> Members:
    """Read the list in `payload`, if the key-holder of `site` signed it. Raises Refused."""
    body, _, signature = payload.rpartition(b"\n")
    try:
        if not is_signed(_CONTEXT + body, from_text(signature.decode("ascii")), authority):
            raise Refused(Refusal.SIGNATURE_WRONG)
        found = Members.model_validate_json(body)
    except (ValueError, ValidationError) as error:
        raise Refused(Refusal.MALFORMED) from error
    if found.format != FORMAT:
        raise Refused(Refusal.FORMAT_UNKNOWN)
    if found.site != site:
        raise Refused(Refusal.MOVED)
    return found


def first_members(authority: Identity, name: str, site: str, now: datetime) -> Members:
    """Make the list of a new site, with a key of its own: only the key-holder is in it."""
    alone = Members(site=site, version=1, issued_at=now, key=1, members=())
    secret = os.urandom(KEY_BYTES)
    holder = _member(name, MemberRole.ENROLLER, authority.public, authority.box, {1: secret})
    return alone.model_copy(update={"members": (holder,)})


def admitted(
    members: Members,
    authority: Identity,
    name: str,
    role: MemberRole,
    public: bytes,
    box: bytes,
    now: datetime,
) -> Members:
    """The list with one more member, or with a member in another role. Raises ValueError for a name
    that another member has, and for a key that was revoked."""
    keys = keys_of(members, authority)
    new = _member(name, role, public, box, keys)
    before = members.get(new.id)
    if before is not None and before.role is MemberRole.REVOKED:
        raise ValueError("That key was revoked; it has to be made anew.")
    others = [each for each in members.members if each.id != new.id]
    if any(each.name == name and each.role is not MemberRole.REVOKED for each in others):
        raise ValueError(f"There is a member {name} already.")
    return _changed(members, (*others, new), members.key, now)


def revoked(
    members: Members, authority: Identity, name: str, now: datetime, since: datetime | None = None
) -> Members:
    """The list with `name` revoked, and with a new key. `since`: its deletions since then are to be
    undone. Raises ValueError where there is no such member."""
    found = [
        each for each in members.members if each.name == name and each.role != MemberRole.REVOKED
    ]
    if not found:
        raise ValueError(f"There is no member {name}.")
    if found[0].id == authority.id:
        raise ValueError("The key-holder cannot revoke itself: begin a new site.")
    undone = {} if since is None else {UNDONE_SINCE: rfc3339(since)}
    gone = found[0].model_copy(update={"role": MemberRole.REVOKED, "keys": undone})
    others = (each for each in members.members if each.id != gone.id)
    without = members.model_copy(update={"members": (*others, gone)})
    return rotated(without, authority, now)


def rotated(members: Members, authority: Identity, now: datetime) -> Members:
    """The list with a new key of the site, sealed to every member that is not revoked."""
    number = members.key + 1
    kept = dict(sorted(keys_of(members, authority).items())[-KEYS_KEPT + 1 :])
    keys = {**kept, number: os.urandom(KEY_BYTES)}
    everybody = [
        each
        if each.role is MemberRole.REVOKED
        else _member(each.name, each.role, from_text(each.public), from_text(each.box), keys)
        for each in members.members
    ]
    return _changed(members, everybody, number, now)


def keys_of(members: Members, identity: Identity) -> dict[int, bytes]:
    """The site's keys by number that are sealed to `identity`; none for a stranger."""
    member = members.get(identity.id)
    if member is None:
        return {}
    found = {}
    for number, sealed in member.keys.items():
        try:
            found[number] = identity.opened(from_text(sealed), f"{_PURPOSE} {number}")
        except ValueError:
            continue
    return found


@dataclass(frozen=True, slots=True)
class Membership:
    """What a member knows of its site.

    `authority`: the key-holder's public key, 32 bytes. `seals`: the site's keys by number that this
    member has. `signers`: all members by id. `doors`: the members that say how they are, so without
    the key-holder and the revoked ones. `listens_to`: the doors that this member listens to."""

    authority: bytes
    members: Members
    identity: Identity
    seals: Mapping[int, AESGCM]
    signers: Mapping[str, Member]
    doors: Mapping[str, Member]
    listens_to: frozenset[str]

    @classmethod
    def of(cls, authority: bytes, members: Members, identity: Identity) -> Self:
        keys = keys_of(members, identity)
        seals = {number: AESGCM(derived(key, "messages")) for number, key in keys.items()}
        signers = {each.id: each for each in members.members}
        holder = member_id(authority)
        doors = {
            member: each
            for member, each in signers.items()
            if each.role is not MemberRole.REVOKED and member != holder
        }
        heard = listened_to(doors, identity.id)
        return cls(authority, members, identity, seals, signers, doors, heard)

    @property
    def site(self) -> str:
        return self.members.site

    @property
    def role(self) -> MemberRole | None:
        """The role of this member; None: it is not one."""
        member = self.signers.get(self.identity.id)
        return None if member is None else member.role

    @property
    def may_change(self) -> bool:
        return self.role is MemberRole.ENROLLER and self.members.key in self.seals


def listened_to(doors: Iterable[str], me: str) -> frozenset[str]:
    """The ids among `doors` to which `me` listens, never its own.

    In a small site every door hears every other. In a large one the doors are a ring in the order
    of their ids, which are random, and each listens to the next few: so messages grow with the
    doors and not with their square, every door is heard by as many others, and of any doors that
    differ from the rest at least one listens to a door that does not.
    """
    others = sorted(door for door in doors if door != me)
    if len(others) <= EVERYBODY_UP_TO:
        return frozenset(others)
    after = [door for door in others if door > me]
    return frozenset([*after, *others][:LISTENS_TO])


def _member(
    name: str, role: MemberRole, public: bytes, box: bytes, keys: Mapping[int, bytes]
) -> Member:
    sealed = {
        number: to_text(sealed_to(box, secret, f"{_PURPOSE} {number}"))
        for number, secret in keys.items()
    }
    return Member(name=name, role=role, public=to_text(public), box=to_text(box), keys=sealed)


def _changed(members: Members, all_of: Iterable[Member], key: int, now: datetime) -> Members:
    return members.model_copy(
        update={
            "version": members.version + 1,
            "issued_at": now,
            "key": key,
            "members": tuple(all_of),
        }
    )
