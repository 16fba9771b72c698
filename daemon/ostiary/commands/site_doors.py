"""What the doors of a site say of themselves, and which have not confirmed what this one has."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from ostiary.site.clock import Version
from ostiary.site.envelope import read
from ostiary.site.members import MemberRole, Membership
from ostiary.site.refusal import Refusal, Refused
from ostiary.site.report import DoorReport
from ostiary.site.topics import SiteTopics

_SPEAK = frozenset({MemberRole.DOOR, MemberRole.ENROLLER})


@dataclass(frozen=True, slots=True)
class SaidByDoor:
    """What a door, or this one, said of itself last."""

    version: Version
    report: DoorReport


class SiteDoors:
    """By member, as far as this door has listened to them."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._said: dict[str, SaidByDoor] = {}

    @property
    def said(self) -> dict[str, SaidByDoor]:
        return dict(self._said)

    def take(self, membership: Membership, topic: str, payload: bytes, now_ms: int) -> Version:
        """Believe what came under `topic`. Raises Refused."""
        opened = read(membership, topic, payload, now_ms, _SPEAK)
        member = opened.version.member
        if topic != SiteTopics(membership.site).door(member):
            raise Refused(Refusal.MOVED)
        try:
            report = DoorReport.model_validate_json(opened.content)
        except ValueError as error:
            raise Refused(Refusal.MALFORMED) from error
        before = self._said.get(member)
        if before is not None and before.version > opened.version:
            raise Refused(Refusal.OUTDATED)
        self._said[member] = SaidByDoor(opened.version, report)
        return opened.version

    def keep_only(self, members: frozenset[str]) -> None:
        """Forget what others said: it grows old once they are not listened to any more."""
        self._said = {member: said for member, said in self._said.items() if member in members}

    def unconfirmed(
        self, membership: Membership, digest: str, changed_at: datetime, within: timedelta
    ) -> tuple[str, ...]:
        """The names of those listened to that have not said for so long that they have the roster
        of that digest, which this door has since `changed_at`."""
        now, late = self._clock(), []
        for member in membership.listens_to:
            said = self._said.get(member)
            confirmed = said is not None and said.report.digest == digest
            since = said.report.at if said is not None and confirmed else changed_at
            if now - since > within:
                late.append(membership.doors[member].name)
        return tuple(sorted(late))
