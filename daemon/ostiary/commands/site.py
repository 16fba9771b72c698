"""The people of a site at this door: what other doors tell is believed or refused, and applied;
what changes here is written for them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import structlog

from ostiary.commands.site_book import SiteBook, millis
from ostiary.crypto.identity import member_id
from ostiary.errors import NotAllowed, OstiaryError, SiteNotJoined
from ostiary.site.envelope import digest_of_payload, read, read_again, version_of
from ostiary.site.members import MemberRole, Membership, Refusal, Refused, read_members
from ostiary.site.person import SitePerson, Tombstone, read_person
from ostiary.site.topics import new_person, person_again
from ostiary.site.versions import (
    SiteEntry,
    Version,
    supersedes,
)
from ostiary.store.site import SiteRow

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Heard:
    """A message of the site as it came."""

    topic: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class _New:
    entry: SiteEntry
    content: SitePerson | Tombstone
    payload: bytes


class SiteRoster(SiteBook):
    """The people of a site at this door. `people` tell it of each change once they joined it
    (`People.join`). Every method may be called from any thread."""

    # --- what was changed here (`people.SiteChanges`) ----------------------------------------

    @property
    def is_shared(self) -> bool:
        membership = self._membership
        return membership is not None and membership.may_change

    def usernames(self) -> frozenset[str]:
        return frozenset(name for _, name in self.store.usernames())

    def enrolled(self, username: str, now: datetime) -> None:
        membership = self._allowed()
        if self.store.person_of(username) is not None:
            return
        version = self._next(membership, now)
        person = SitePerson(
            name=username,
            enrolled=str(version),
            templates=self._local_people.templates_of(username),
            rules=self._local_people.rules_of(username),
            changed_by=self._name(membership),
            changed_at=now,
        )
        self._write(membership, new_person(), version, person, username)

    def changed(self, username: str, now: datetime) -> None:
        person = self.store.person_of(username)
        if person is None:
            return
        membership = self._allowed()
        version = self._next(membership, now, person)
        before = self._content(membership, person, username)
        name = self._local_people.name_for_all(person, username, before)
        after = before.model_copy(
            update={
                "name": name,
                "templates": self._local_people.templates_of(username, also=before.templates),
                "rules": self._local_people.rules_of(username),
                "changed_by": self._name(membership),
                "changed_at": now,
            }
        )
        self._write(membership, person, version, after, username)

    def deleting(self, username: str, now: datetime) -> None:
        person = self.store.person_of(username)
        if person is None:
            return
        membership = self._allowed()
        gone = Tombstone(changed_by=self._name(membership), changed_at=now)
        self._write(membership, person, self._next(membership, now, person), gone, None)

    def freed(self, name: str) -> None:
        self._local_people.name_is_free(name)

    def sealed_anew(self, person: str, now: datetime) -> None:
        """Write a change of this door again that a former key seals, now with the key in use."""
        membership = self._allowed()
        with self._people.changing():
            username = self.store.username_of(person)
            version = self._next(membership, now, person)
            if username is None:
                gone = Tombstone(changed_by=self._name(membership), changed_at=now)
                self._write(membership, person, version, gone, None)
            else:
                content = self._content(membership, person, username)
                self._write(membership, person, version, content, username)

    # --- what others say ---------------------------------------------------------------------

    def receive(self, messages: Sequence[Heard]) -> tuple[str, ...]:
        """Apply the messages that are believed and new, in one transaction; count the refused ones.
        Returns the topics under which the broker keeps something wrong.

        Raises DatabaseUnwritable; nothing was applied then, and the messages may come again.
        """
        wrong: list[str] = []
        new: dict[str, _New] = {}
        for message in messages:
            try:
                self._take(message, new)
            except Refused as refused:
                self._count(refused.why, message.topic)
                wrong.append(message.topic)
        if new:
            self._apply(new)
        return tuple(wrong)

    def _take(self, message: Heard, new: dict[str, _New]) -> None:
        topic, payload = message.topic, message.payload
        membership = self._membership
        if membership is None:
            return
        if topic == self.topics.keys:
            self._take_members(membership, payload)
        elif (person := self.topics.person_of(topic)) is not None:
            self._take_person(membership, person, message, new)
        elif topic.startswith(self.topics.door("")) and payload:
            self.doors.take(membership, topic, payload, millis(self._clock()))

    def _take_person(
        self, membership: Membership, person: str, message: Heard, new: dict[str, _New]
    ) -> None:
        known = new[person].entry if person in new else self._entries.get(person)
        if not message.payload:
            if known is not None and not (known.deleted and self.store.envelope(person) is None):
                raise Refused(Refusal.CLEARED)
            return
        if known is not None and digest_of_payload(message.payload) == known.digest:
            return
        opened = read(membership, message.topic, message.payload, millis(self._clock()))
        content = read_person(opened.content, opened.version)
        entry = SiteEntry(opened.version, isinstance(content, Tombstone), opened.digest)
        if not supersedes(entry, known):
            raise Refused(Refusal.OUTDATED)
        self._check_not_older(person, content)
        new[person] = _New(entry, content, message.payload)

    def _check_not_older(self, person: str, content: SitePerson | Tombstone) -> None:
        """Raise Refused where a person would be enrolled earlier than before, to take a name from
        somebody else."""
        known = self._entries.get(person)
        if known is None or known.deleted or isinstance(content, Tombstone):
            return
        try:
            before = self._read_stored(person)
        except Refused:  # sealed by a key that is gone
            return
        if content.enrolled < before.enrolled:
            raise Refused(Refusal.MALFORMED)

    def _take_members(self, membership: Membership, payload: bytes) -> None:
        if payload == self._members_payload:
            return
        if not payload:
            raise Refused(Refusal.CLEARED)
        members = read_members(payload, membership.authority, self.site)
        if members.version <= membership.members.version:
            raise Refused(Refusal.OUTDATED)
        self._membership = after = Membership.of(membership.authority, members, self.identity)
        self._members_payload = payload
        with self._people.changing():
            self.store.put_members(payload)
            self._undo(membership, after)
        log.info("site_members", version=members.version, members=len(members.members))

    def _undo(self, before: Membership, after: Membership) -> None:
        """Bring back the people that a member deleted who is revoked now, as far as the key-holder
        wants it. Every door with the right does so, and writes the same."""
        if not after.may_change:
            return
        for member in after.signers.values():
            since, former = member.undone_since, before.signers.get(member.id)
            if since is None or former is None or former.role is MemberRole.REVOKED:
                continue
            for person, version, payload, heard_at in self.store.deleted_lately(since):
                # What it changed itself since then is not to be believed.
                is_older = heard_at is not None and heard_at < since
                is_its_own = version_of(payload).member == member.id
                if Version.parse(version).member == member.id and (is_older or not is_its_own):
                    self._bring_back(after, person, payload)

    def _bring_back(self, membership: Membership, person: str, payload: bytes) -> None:
        again, now = person_again(person), self._clock()
        try:
            opened = read_again(membership, self.topics.person(person), payload)
            content = read_person(opened.content)
            if isinstance(content, Tombstone) or again in self._entries:
                return
            username = self._local_people.place(again, content, now)
            self._write(membership, again, self._next(membership, now), content, username)
        except (Refused, OstiaryError) as error:
            log.error("site_person_not_brought_back", reason=str(error))

    def _apply(self, new: dict[str, _New]) -> None:
        now = self._clock()
        added = changed = removed = 0
        with self._people.changing():
            for person, each in new.items():
                known = self._entries.get(person)
                if not supersedes(each.entry, known):  # it was changed here meanwhile
                    continue
                try:
                    with self._people.changing():
                        self._keep(person, each, now)
                except OstiaryError as error:
                    if error.code.startswith("database"):
                        raise
                    log.error("site_person_not_applied", code=error.code)
                    self._count(Refusal.MALFORMED, self.topics.person(person))
                    continue
                removed += each.entry.deleted
                added += known is None and not each.entry.deleted
                changed += known is not None and not each.entry.deleted
            self._people.after_commit(
                partial(log.info, "site_applied", added=added, changed=changed, removed=removed)
            )

    def _keep(self, person: str, new: _New, now: datetime) -> None:
        heard_at, is_gone = self._heard_at(person, new.entry, now), new.entry.deleted
        if isinstance(new.content, Tombstone):
            self._local_people.remove(person)
            username = None
        else:
            username = self._local_people.place(person, new.content, now)
        row = SiteRow(person, str(new.entry.version), new.entry.deleted, new.entry.digest)
        self.store.put(row, new.payload, username, waiting=False, heard_at=heard_at, former=is_gone)
        self._people.after_commit(partial(self._remember, person, new.entry))

    def _heard_at(self, person: str, entry: SiteEntry, now: datetime) -> datetime | None:
        """When a change was heard. A message that the key-holder signs anew is no change."""
        membership, known = self._membership, self._entries.get(person)
        is_anew = membership is not None and entry.version.member == member_id(membership.authority)
        if is_anew and known is not None and known.deleted == entry.deleted:
            return self.store.heard_of(person)
        return now

    def forget_absent(self, people: Iterable[str]) -> None:
        """Remove the people that nobody at the site knows any more: this door was away for longer
        than deletions are kept."""
        gone = tuple(people)
        with self._people.changing():
            for person in gone:
                self._local_people.remove(person)
            self.store.remove(gone)
            self._people.after_commit(self._load)
        log.warning("site_people_gone", people=len(gone))

    def _content(self, membership: Membership, person: str, username: str) -> SitePerson:
        """The site's version of a person; or this door's, where a key that is gone sealed the
        site's."""
        try:
            return self._read_stored(person)
        except Refused:
            return SitePerson(
                name=username,
                enrolled=str(self._entries[person].version),
                templates=self._local_people.templates_of(username),
                rules=self._local_people.rules_of(username),
                changed_by=self._name(membership),
                changed_at=self._clock(),
            )

    def _allowed(self) -> Membership:
        membership = self._membership
        if membership is None:
            raise SiteNotJoined(
                f"This door is not of the site {self.site} yet: `ostiary site join` does it."
            )
        if not membership.may_change:
            raise NotAllowed(
                "This door may not change people of the whole site: its role there is "
                f"{membership.role or 'none'}. Do it at another one, or let the key-holder admit "
                "this one as enroller."
            )
        return membership
