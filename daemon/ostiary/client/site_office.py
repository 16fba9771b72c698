"""What the key-holder of a site does: admits, revokes, changes keys, and signs anew what has to be.

The newest list of members is kept beside the key-holder's key: a broker that has lost it, or keeps
an older one, does not matter.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Self

from ostiary.client.site_desk import SiteDesk
from ostiary.errors import ConfigError, SiteRefused
from ostiary.site.clock import Version
from ostiary.site.envelope import read, write
from ostiary.site.identity import Identity
from ostiary.site.members import (
    Members,
    Membership,
    Role,
    admitted,
    first_members,
    read_members,
    revoked,
    rotated,
)
from ostiary.site.person import Tombstone, read_person
from ostiary.site.refusal import Refused


@dataclass(frozen=True, slots=True)
class Renewed:
    """What was signed anew: `people` who belong to the site, `removed` who are deleted now; and
    how many were `refused`, because nobody of the site had written them."""

    people: int
    removed: int
    refused: int


class SiteOffice:
    """`members` is the newest list that the key-holder signed."""

    def __init__(self, authority: Identity, members: Members, path: Path) -> None:
        self.authority = authority
        self.members = members
        self._path = path

    @classmethod
    def begin(
        cls, authority: Identity, site: str, path: Path, desk: SiteDesk, now: datetime
    ) -> Self:
        """A new site. Raises SiteRefused where there is one of that name."""
        if path.exists() or desk.kept(desk.topics.keys):
            raise SiteRefused(
                f"There is a site {site} already. Admit this door to it (`ostiary site admit`, "
                "where its key-holder's key is), or choose another site.id."
            )
        office = cls(authority, first_members(authority, "key-holder", site, now), path)
        office._sign(desk, office.members)
        return office

    @classmethod
    def open(cls, authority: Identity, site: str, path: Path, desk: SiteDesk) -> Self:
        """The newer one of the list that is kept here and the one on the broker. Raises SiteRefused
        where the site is not this key-holder's."""
        lists = []
        here = path.read_bytes() if path.exists() else None
        for payload in (here, desk.kept(desk.topics.keys)):
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
        self, desk: SiteDesk, name: str, role: Role, public: bytes, box: bytes, now: datetime
    ) -> None:
        """Raises SiteRefused."""
        try:
            changed = admitted(self.members, self.authority, name, role, public, box, now)
        except ValueError as error:
            raise SiteRefused(str(error)) from error
        self._sign(desk, changed)

    def revoke(self, desk: SiteDesk, name: str, since: datetime | None, now: datetime) -> Renewed:
        """Believe nothing more of a member, change the site's key, and sign everybody anew;
        whomever it changed `since` then is deleted. Raises SiteRefused."""
        try:
            changed = revoked(self.members, self.authority, name, now)
        except ValueError as error:
            raise SiteRefused(str(error)) from error
        gone = self.members.named(name)
        assert gone is not None
        return self._renew(desk, changed, now, gone.id if since is not None else None, since)

    def rotate(self, desk: SiteDesk, now: datetime) -> Renewed:
        """Change the site's key, and sign everybody anew by it."""
        return self._renew(desk, rotated(self.members, self.authority, now), now, None, None)

    def _renew(
        self,
        desk: SiteDesk,
        changed: Members,
        now: datetime,
        suspect: str | None,
        since: datetime | None,
    ) -> Renewed:
        before = Membership.of(self.authority.public, self.members, self.authority)
        kept = desk.people()
        self._sign(desk, changed)
        after = Membership.of(self.authority.public, changed, self.authority)
        since_ms = 0 if since is None else int(since.timestamp() * 1000)
        counts = {"people": 0, "removed": 0, "refused": 0}

        def anew() -> Iterator[tuple[str, bytes]]:
            for topic, payload in kept.items():
                try:
                    opened = read(before, topic, payload, int(now.timestamp() * 1000))
                    content = read_person(opened.content)
                except Refused:
                    counts["refused"] += 1
                    continue
                written = opened.version
                living = not isinstance(content, Tombstone)
                if living and written.member == suspect and written.millis >= since_ms:
                    content = Tombstone(changed_by="key-holder", changed_at=now)
                    counts["removed"] += 1
                # Just after the one it stands for, so that what a door changes meanwhile holds.
                version = Version(written.millis, written.count + 1, self.authority.id)
                counts["people"] += not isinstance(content, Tombstone)
                yield topic, write(after, topic, version, content.model_dump_json().encode())

        desk.publish(anew())
        return Renewed(**counts)

    def _sign(self, desk: SiteDesk, members: Members) -> None:
        payload = members.signed(self.authority)
        desk.check_fits(desk.topics.keys, payload)
        unfinished = self._path.with_name(f"{self._path.name}.new")
        try:
            with os.fdopen(
                os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb"
            ) as file:
                file.write(payload)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(self._path)
        except OSError as error:
            raise ConfigError(f"{self._path}: cannot be written: {error.strerror}.") from error
        self.members = members
        desk.publish([(desk.topics.keys, payload)])
