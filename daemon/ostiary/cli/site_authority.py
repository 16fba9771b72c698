"""The key-holder of a site: admits and revokes doors, changes keys, and signs people anew.

The newest list of members is kept beside the key-holder's key, so that it does not matter if the
broker lost it or keeps an older one.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Self

from ostiary.cli.site_connection import SiteConnection
from ostiary.crypto.identity import Identity
from ostiary.errors import ConfigError, SiteRefused
from ostiary.site.envelope import read, write
from ostiary.site.members import (
    Member,
    MemberRole,
    Members,
    Membership,
    Refused,
    admitted,
    first_members,
    read_members,
    revoked,
    rotated,
)
from ostiary.site.person import SitePerson, Tombstone, read_person
from ostiary.site.topics import SiteTopics
from ostiary.site.versions import following

KEY_HOLDER = "key-holder"


@dataclass(frozen=True, slots=True)
class Renewed:
    """Numbers of messages that were signed anew: of `people` of the site, and of those `removed` by
    it; `refused` were not written by a member."""

    people: int
    removed: int
    refused: int


Heard = Callable[[str], datetime | None]
"""When this machine heard of a person's last change, by the person's id; None: never."""

_ANY_TIME = 2**63
_WROTE_PEOPLE = frozenset({MemberRole.ENROLLER, MemberRole.REVOKED})


@dataclass(frozen=True, slots=True)
class _Anew:
    """A message that was signed anew; `removed`: it tells of a deletion by that."""

    topic: str
    payload: bytes
    deleted: bool
    removed: bool


@dataclass(frozen=True, slots=True)
class _Suspect:
    """A revoked member whose changes since a moment are taken back."""

    member: str
    name: str
    since: datetime
    heard: Heard

    def wrote(self, signer: Member, content: SitePerson, site: str, topic: str) -> bool:
        """Whether a person's last change counts as one of the suspect member's since then."""
        is_anew = signer.name == KEY_HOLDER and content.changed_by == self.name
        if signer.id != self.member and not is_anew:
            return False
        person = SiteTopics(site).person_of(topic)
        heard_at = None if person is None else self.heard(person)
        return heard_at is None or heard_at >= self.since


class SiteAuthority:
    """Acts as the key-holder. `members` is the newest list that it signed."""

    def __init__(self, authority: Identity, members: Members, path: Path) -> None:
        self.authority = authority
        self.members = members
        self._path = path

    @classmethod
    def begin(
        cls, authority: Identity, site: str, path: Path, connection: SiteConnection, now: datetime
    ) -> Self:
        """Begin a site. Raises SiteRefused where there is one of that name."""
        if path.exists() or connection.kept(connection.topics.keys):
            raise SiteRefused(
                f"There is a site {site} already. Admit this door to it (`ostiary site admit`, "
                "where its key-holder's key is), or choose another site.id."
            )
        site_authority = cls(authority, first_members(authority, KEY_HOLDER, site, now), path)
        site_authority._sign(connection, site_authority.members)
        return site_authority

    @classmethod
    def open(cls, authority: Identity, site: str, path: Path, connection: SiteConnection) -> Self:
        """Open a site by the newer of the list here and the one on the broker. Raises SiteRefused
        where the site is not this key-holder's."""
        lists = []
        here = path.read_bytes() if path.exists() else None
        for payload in (here, connection.kept(connection.topics.keys)):
            if payload:
                try:
                    lists.append(read_members(payload, authority.public, site))
                except Refused:
                    continue
        if not lists:
            raise SiteRefused(
                f"The key here is not that of the key-holder of {site}: run this where "
                "`ostiary site init` was run, or copy its key (site.authority_file)."
            )
        return cls(authority, max(lists, key=lambda each: each.version), path)

    @property
    def payload(self) -> bytes:
        return self.members.signed(self.authority)

    def admit(
        self,
        connection: SiteConnection,
        name: str,
        role: MemberRole,
        public: bytes,
        box: bytes,
        now: datetime,
    ) -> None:
        """Make a door a member. Raises SiteRefused."""
        try:
            changed = admitted(self.members, self.authority, name, role, public, box, now)
        except ValueError as error:
            raise SiteRefused(str(error)) from error
        self._sign(connection, changed)

    def revoke(
        self,
        connection: SiteConnection,
        name: str,
        since: datetime | None,
        now: datetime,
        heard: Heard = lambda _: None,
    ) -> Renewed:
        """Revoke a member, change the site's key, and sign all people anew. With `since`, people
        whom the member changed last are deleted, unless this machine `heard` of that change before;
        the time in the message counts for nothing. It may be called again after an interruption.
        Raises SiteRefused."""
        gone = self.members.named(name)
        before, changed = self.members, self.members
        if gone is None or gone.role is not MemberRole.REVOKED:
            try:
                changed = revoked(self.members, self.authority, name, now, since)
            except ValueError as error:
                raise SiteRefused(str(error)) from error
            gone = self.members.named(name)
        assert gone is not None
        suspect = None if since is None else _Suspect(gone.id, gone.name, since, heard)
        return self._renew(connection, before, changed, now, suspect)

    def rotate(self, connection: SiteConnection, now: datetime) -> Renewed:
        """Change the site's key, and sign all people anew by it."""
        changed = rotated(self.members, self.authority, now)
        return self._renew(connection, self.members, changed, now, None)

    def _renew(
        self,
        connection: SiteConnection,
        before: Members,
        changed: Members,
        now: datetime,
        suspect: "_Suspect | None",
    ) -> Renewed:
        former = Membership.of(self.authority.public, before, self.authority)
        after = Membership.of(self.authority.public, changed, self.authority)
        kept = connection.people()
        if changed is not self.members:
            self._sign(connection, changed)
        found = [self._anew(former, after, each, suspect, now) for each in kept.items()]
        believed = [each for each in found if each is not None]
        connection.publish((each.topic, each.payload) for each in believed)
        return Renewed(
            people=sum(not each.deleted for each in believed),
            removed=sum(each.removed for each in believed),
            refused=len(found) - len(believed),
        )

    def _anew(
        self,
        former: Membership,
        after: Membership,
        message: tuple[str, bytes],
        suspect: "_Suspect | None",
        now: datetime,
    ) -> "_Anew | None":
        """One message, signed anew; None for one that no member wrote."""
        topic, payload = message
        try:
            # However far ahead it is dated: a door with another clock may have believed it.
            opened = read(former, topic, payload, _ANY_TIME, _WROTE_PEOPLE)
            content = read_person(opened.content)
        except Refused:
            return None
        written, signer = opened.version, former.signers[opened.version.member]
        removed = False
        if signer.id != self.authority.id:  # a message signed anew before names its author
            content = content.model_copy(update={"changed_by": signer.name})
        if suspect is not None and isinstance(content, SitePerson):
            removed = suspect.wrote(signer, content, after.site, topic)
        version = following(written, 0, self.authority.id)
        if removed:
            # It need not be the newest version of the person: a deletion always holds.
            version = following(None, int(now.timestamp() * 1000), self.authority.id)
            content = Tombstone(changed_by="key-holder", changed_at=now)
        sealed = write(after, topic, version, content.model_dump_json().encode())
        return _Anew(topic, sealed, isinstance(content, Tombstone), removed)

    def _sign(self, connection: SiteConnection, members: Members) -> None:
        payload = members.signed(self.authority)
        connection.check_fits(connection.topics.keys, payload)
        unfinished = self._path.with_name(f"{self._path.name}.new")
        try:
            unfinished.unlink(missing_ok=True)  # nobody's link is written through
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
            with os.fdopen(os.open(unfinished, flags, 0o600), "wb") as file:
                file.write(payload)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(self._path)
        except OSError as error:
            raise ConfigError(f"{self._path}: cannot be written: {error.strerror}.") from error
        self.members = members
        connection.publish([(connection.topics.keys, payload)])
