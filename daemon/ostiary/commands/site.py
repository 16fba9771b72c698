"""The people of a site at this door: what other doors tell is believed or refused, and applied;
what is changed here is written for them.

The store changes first, the roster with it, and what is remembered here once that has committed.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

import structlog

from ostiary.clock import utc_now
from ostiary.commands.site_doors import SiteDoors
from ostiary.crypto.identity import Identity, member_id
from ostiary.errors import NotAllowed, OstiaryError, SiteNotJoined
from ostiary.people.local_people import Placing
from ostiary.people.people import People
from ostiary.site.clock import Version, following
from ostiary.site.envelope import digest_of_payload, read, read_again, version_of, write
from ostiary.site.members import MemberRole, Membership, read_members
from ostiary.site.merge import NO_DIGEST, SiteEntry, combined, merged, share_of_digest, supersedes
from ostiary.site.person import SitePerson, Tombstone, read_person
from ostiary.site.refusal import Refusal, Refused
from ostiary.site.report import DoorReport
from ostiary.site.topics import SiteTopics, new_person, person_again
from ostiary.store.site import SiteRow, SiteStore

log = structlog.get_logger(__name__)

HARMLESS = frozenset({Refusal.OUTDATED})
"""What comes without anybody's ill will, too."""


@dataclass(frozen=True, slots=True)
class Heard:
    """One message of the site as it came."""

    topic: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class _New:
    entry: SiteEntry
    content: SitePerson | Tombstone
    payload: bytes


class SiteRoster:
    """Every method may be called from any thread."""

    def __init__(
        self,
        store: SiteStore,
        people: People,
        identity: Identity,
        site: str,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        """`site` is the one in the settings; what the store has of another one is left alone."""
        self.site = site
        self.topics = SiteTopics(site)
        self.identity = identity
        self.store = store
        self._people = people
        self._placing = Placing(store, people, self._read_stored)
        self._clock = clock
        self._changed: Callable[[], object] = lambda: None
        self._membership: Membership | None = None
        self._members_payload = b""
        self._entries: dict[str, SiteEntry] = {}
        self._digest = NO_DIGEST
        self._living = 0
        self._newest: Version | None = None
        self._made: Version | None = None
        self._made_ahead: Version | None = None  # of people whom somebody dated ahead
        self._made_lock = threading.Lock()
        self._changed_at = clock()
        self.doors = SiteDoors(clock)
        self._refused: Counter[Refusal] = Counter()
        self._refused_at: datetime | None = None
        self.reread()

    def reread(self) -> bool:
        """Look at the store again, where another process may have joined; whether this door is of
        the site."""
        joined = self.store.joined()
        if joined is None or joined.site != self.site:
            self._membership = None
            return False
        if joined.members != self._members_payload:
            members = read_members(joined.members, joined.authority, self.site)
            self._membership = Membership.of(joined.authority, members, self.identity)
            self._members_payload = joined.members
            self._placing.drop_unplaced()
            self._load()
        return True

    def on_change(self, told: Callable[[], object]) -> None:
        """Who is told that there is something to publish."""
        self._changed = told

    @property
    def membership(self) -> Membership | None:
        return self._membership

    @property
    def is_joined(self) -> bool:
        return self._membership is not None

    @property
    def members_payload(self) -> bytes:
        """The list of members as it was published."""
        return self._members_payload

    @property
    def digest(self) -> str:
        return self._digest.hex()

    @property
    def newest(self) -> Version | None:
        return self._newest

    @property
    def living(self) -> int:
        """People of the site, as this door knows it."""
        return self._living

    @property
    def refused(self) -> dict[str, int]:
        """How many messages were not believed, by why, since the start."""
        return {why.value: count for why, count in sorted(self._refused.items())}

    @property
    def refused_at(self) -> datetime | None:
        """When one was refused last that nobody sends by mistake."""
        return self._refused_at

    def entry(self, person: str) -> SiteEntry | None:
        return self._entries.get(person)

    def known(self) -> frozenset[str]:
        """The ids of everybody whom the broker should keep."""
        return frozenset(self._entries)

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
            templates=self._placing.templates_of(username),
            rules=self._placing.rules_of(username),
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
        name = self._placing.name_for_all(person, username, before)
        after = before.model_copy(
            update={
                "name": name,
                "templates": self._placing.templates_of(username, also=before.templates),
                "rules": self._placing.rules_of(username),
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
        self._placing.name_is_free(name)

    def sealed_anew(self, person: str, now: datetime) -> None:
        """Write again, with the key in use, a change of this door that a former key seals."""
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
        """Apply what is to be believed and new, in one transaction, and count what is not. Returns
        the topics where the broker has something else than it should.

        Raises DatabaseUnwritable, and then nothing was applied: the messages may come again.
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
            self.doors.take(membership, topic, payload, _millis(self._clock()))

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
        opened = read(membership, message.topic, message.payload, _millis(self._clock()))
        content = read_person(opened.content, opened.version)
        entry = SiteEntry(opened.version, isinstance(content, Tombstone), opened.digest)
        if not supersedes(entry, known):
            raise Refused(Refusal.OUTDATED)
        self._check_not_older(person, content)
        new[person] = _New(entry, content, message.payload)

    def _check_not_older(self, person: str, content: SitePerson | Tombstone) -> None:
        """Nobody is made older than they were, to be given the name of somebody else."""
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
        """Bring back whom a member deleted that is revoked now, as far as the key-holder wants it.
        Every door that may does, and writes the same."""
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
            username = self._placing.place(again, content, now)
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
            self._placing.remove(person)
            username = None
        else:
            username = self._placing.place(person, new.content, now)
        row = SiteRow(person, str(new.entry.version), new.entry.deleted, new.entry.digest)
        self.store.put(row, new.payload, username, waiting=False, heard_at=heard_at, former=is_gone)
        self._people.after_commit(partial(self._remember, person, new.entry))

    def _heard_at(self, person: str, entry: SiteEntry, now: datetime) -> datetime | None:
        """When the change was heard. What the key-holder signs anew is no change."""
        membership, known = self._membership, self._entries.get(person)
        is_anew = membership is not None and entry.version.member == member_id(membership.authority)
        if is_anew and known is not None and known.deleted == entry.deleted:
            return self.store.heard_of(person)
        return now

    # --- how it is ---------------------------------------------------------------------------

    def write_report(self, report: DoorReport) -> bytes | None:
        """For `topics.door`; None where this door cannot seal it."""
        membership = self._membership
        if membership is None or membership.members.key not in membership.seals:
            return None
        version = self._next(membership, self._clock())
        topic = self.topics.door(self.identity.id)
        return write(membership, topic, version, report.model_dump_json().encode())

    def unconfirmed(self, within: timedelta) -> tuple[str, ...]:
        """The names of doors, of those this one listens to, that have not said for so long that
        they have what it has."""
        membership = self._membership
        if membership is None:
            return ()
        return self.doors.unconfirmed(membership, self.digest, self._changed_at, within)

    # --- what is remembered ------------------------------------------------------------------

    def forget_absent(self, people: Iterable[str]) -> None:
        """This door was away for longer than deletions are kept: whom nobody knows any more, leaves
        here, too."""
        gone = tuple(people)
        with self._people.changing():
            for person in gone:
                self._placing.remove(person)
            self.store.remove(gone)
            self._people.after_commit(self._load)
        log.warning("site_people_gone", people=len(gone))

    def _remember(self, person: str, entry: SiteEntry) -> None:
        before = self._entries.get(person)
        after = merged(before, entry)
        if before is not None:
            self._digest = combined(self._digest, share_of_digest(person, before))
            self._living -= not before.deleted
        self._digest = combined(self._digest, share_of_digest(person, after))
        self._living += not after.deleted
        self._entries[person] = after
        self._changed_at = self._clock()
        self._newest = max(self._newest or after.version, after.version)

    def _load(self) -> None:
        self._entries, self._digest, self._living = {}, NO_DIGEST, 0
        for row in self.store.rows():
            entry = SiteEntry(Version.parse(row.version), row.deleted, row.digest)
            self._remember(row.person, entry)

    def _write(
        self,
        membership: Membership,
        person: str,
        version: Version,
        content: SitePerson | Tombstone,
        username: str | None,
    ) -> None:
        topic = self.topics.person(person)
        payload = write(membership, topic, version, content.model_dump_json().encode())
        deleted = isinstance(content, Tombstone)
        entry = SiteEntry(version, deleted, digest_of_payload(payload))
        row = SiteRow(person, str(version), deleted, entry.digest)
        self.store.put(row, payload, username, waiting=True, heard_at=self._clock())
        self._people.after_commit(partial(self._remember, person, entry))
        self._people.after_commit(self._changed)

    def _content(self, membership: Membership, person: str, username: str) -> SitePerson:
        """What is known of somebody of the site; where that was sealed by a key that is gone, what
        this door has."""
        try:
            return self._read_stored(person)
        except Refused:
            return SitePerson(
                name=username,
                enrolled=str(self._entries[person].version),
                templates=self._placing.templates_of(username),
                rules=self._placing.rules_of(username),
                changed_by=self._name(membership),
                changed_at=self._clock(),
            )

    def _read_stored(self, person: str) -> SitePerson:
        """The person in a message that was believed when it came. Raises Refused."""
        membership = self._membership
        assert membership is not None
        payload = self.store.envelope(person) or b""
        opened = read_again(membership, self.topics.person(person), payload)
        content = read_person(opened.content)
        if isinstance(content, Tombstone):
            raise Refused(Refusal.MALFORMED)
        return content

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

    def _next(self, membership: Membership, now: datetime, person: str | None = None) -> Version:
        """The next version of this door, by its own clock; of a change of `person` one that is
        newer than what is known of them. What others say moves nothing else."""
        known = None if person is None else self._entries.get(person)
        with self._made_lock:
            is_ahead = known is not None and known.version.millis > _millis(now)
            made = self._made_ahead if is_ahead else self._made
            versions = (made, None if known is None else known.version)
            before = max((each for each in versions if each is not None), default=None)
            version = following(before, _millis(now), membership.identity.id)
            if is_ahead:
                self._made_ahead = version
            else:
                self._made = version
            return version

    def _name(self, membership: Membership) -> str:
        member = membership.signers.get(self.identity.id)
        return "" if member is None else member.name

    def _count(self, why: Refusal, topic: str) -> None:
        self._refused[why] += 1
        if why not in HARMLESS:
            self._refused_at = self._clock()
            log.warning("site_message_refused", why=why.value, topic=topic)


def _millis(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
