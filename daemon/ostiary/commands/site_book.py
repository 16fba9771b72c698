"""What this door knows of its site, and what it writes for it."""

import threading
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

import structlog

from ostiary.clock import utc_now
from ostiary.crypto.identity import Identity
from ostiary.people.local_people import LocalPeople
from ostiary.people.people import People
from ostiary.site.doors import DoorReport, SiteDoors
from ostiary.site.envelope import digest_of_payload, read_again, write
from ostiary.site.members import Membership, Refusal, Refused, read_members
from ostiary.site.person import SitePerson, Tombstone, read_person
from ostiary.site.topics import SiteTopics
from ostiary.site.versions import (
    NO_DIGEST,
    SiteEntry,
    Version,
    combined,
    following,
    merged,
    share_of_digest,
)
from ostiary.store.site import SiteRow, SiteStore

log = structlog.get_logger(__name__)

HARMLESS = frozenset({Refusal.OUTDATED})
"""Refusals that happen without anybody's ill will, too."""


class SiteBook:
    """The members, the people by their newest versions, and what other doors say of themselves.

    The store changes first, and what is remembered here once that has committed. Every method may
    be called from any thread.
    """

    def __init__(
        self,
        store: SiteStore,
        people: People,
        identity: Identity,
        site: str,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        """`site`: the one in the settings; what the store has of another site stays as it is."""
        self.site = site
        self.topics = SiteTopics(site)
        self.identity = identity
        self.store = store
        self._people = people
        self._local_people = LocalPeople(store, people, self._read_stored)
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
        self.doors = SiteDoors()
        self._refused: Counter[Refusal] = Counter()
        self._refused_at: datetime | None = None
        self.reread()

    def reread(self) -> bool:
        """Read the store again, where another process may have joined. Returns whether this door is
        of the site."""
        joined = self.store.joined()
        if joined is None or joined.site != self.site:
            self._membership = None
            return False
        if joined.members != self._members_payload:
            members = read_members(joined.members, joined.authority, self.site)
            self._membership = Membership.of(joined.authority, members, self.identity)
            self._members_payload = joined.members
            self._local_people.drop_unplaced()
            self._load()
        return True

    def on_change(self, follower: Callable[[], object]) -> None:
        """Call `follower` whenever there is something to publish."""
        self._changed = follower

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
        """How many people of the site this door knows."""
        return self._living

    @property
    def refused(self) -> dict[str, int]:
        """How many messages were refused since the start, by the reason."""
        return {why.value: count for why, count in sorted(self._refused.items())}

    @property
    def refused_at(self) -> datetime | None:
        """When a message was refused last that nobody sends by mistake."""
        return self._refused_at

    def entry(self, person: str) -> SiteEntry | None:
        return self._entries.get(person)

    def known(self) -> frozenset[str]:
        """The ids of all people whom the broker should keep."""
        return frozenset(self._entries)

    def unconfirmed(self, within: timedelta) -> tuple[str, ...]:
        """The names of the doors that have not confirmed this door's roster for longer than
        `within`."""
        membership = self._membership
        if membership is None:
            return ()
        return self.doors.unconfirmed(
            membership, self.digest, self._changed_at, within, self._clock()
        )

    def write_report(self, report: DoorReport) -> bytes | None:
        """Seal and sign a report for `topics.door`; None: this door cannot seal it."""
        membership = self._membership
        if membership is None or membership.members.key not in membership.seals:
            return None
        version = self._next(membership, self._clock())
        topic = self.topics.door(self.identity.id)
        return write(membership, topic, version, report.model_dump_json().encode())

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

    def _read_stored(self, person: str) -> SitePerson:
        """Read a stored person, whose message was believed when it came. Raises Refused."""
        membership = self._membership
        assert membership is not None
        payload = self.store.envelope(person) or b""
        opened = read_again(membership, self.topics.person(person), payload)
        content = read_person(opened.content)
        if isinstance(content, Tombstone):
            raise Refused(Refusal.MALFORMED)
        return content

    def _next(self, membership: Membership, now: datetime, person: str | None = None) -> Version:
        """Make the next version of this door, by its own clock. For a change of `person` it is
        newer than their known version. What others say changes it in no other way."""
        known = None if person is None else self._entries.get(person)
        with self._made_lock:
            is_ahead = known is not None and known.version.millis > millis(now)
            made = self._made_ahead if is_ahead else self._made
            versions = (made, None if known is None else known.version)
            before = max((each for each in versions if each is not None), default=None)
            version = following(before, millis(now), membership.identity.id)
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


def millis(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
