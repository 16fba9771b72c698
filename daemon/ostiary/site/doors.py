"""The reports of the doors of a site, and the list of all doors."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated

from pydantic import Field

from ostiary.crypto.identity import member_id
from ostiary.messages.events import Message, Timestamp
from ostiary.site.envelope import read
from ostiary.site.members import MemberRole, Membership, Refusal, Refused, Shown
from ostiary.site.topics import SiteTopics
from ostiary.site.versions import Version

CONFIRM_WITHIN_S = 3600.0
"""A door that has not confirmed the roster for longer is a problem."""
ON_LINE_S = 180.0
"""A door that said nothing for longer is off line. Doors report every minute, in large sites less
often."""
_SPEAK = frozenset({MemberRole.DOOR, MemberRole.ENROLLER})


class DoorReport(Message):
    """A door's report to the others, inside the seal. `digest`: of its roster
    (`versions.digest_of`), in hex: it confirms what the door has."""

    device: Shown = Field(description="Its topic's second level.")
    name: Shown
    version: Shown = Field(description="Of Ostiary.")
    recognizer: Shown
    digest: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    newest: Shown = Field(description="The newest version among what it has; empty: none.")
    people: Annotated[int, Field(ge=0)]
    pending: Annotated[int, Field(ge=0)] = Field(description="Changes the broker has not got yet.")
    keys: Annotated[int, Field(ge=1)] = Field(description="Version of the list of members it has.")
    queue: Annotated[int, Field(ge=0)] = Field(description="Events the broker has not got yet.")
    problems: Annotated[tuple[Shown, ...], Field(max_length=100)] = ()
    at: Timestamp


@dataclass(frozen=True, slots=True)
class SaidByDoor:
    """The newest report of a door."""

    version: Version
    report: DoorReport


class SiteDoors:
    """The newest reports of the doors that this one listens to, by member."""

    def __init__(self) -> None:
        self._said: dict[str, SaidByDoor] = {}

    @property
    def said(self) -> dict[str, SaidByDoor]:
        return dict(self._said)

    def take(self, membership: Membership, topic: str, payload: bytes, now_ms: int) -> Version:
        """Take in a report that came under `topic`. `now_ms`: this door's clock. Raises Refused."""
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
        """Forget the reports of all other members: nobody listens to them any more."""
        self._said = {member: said for member, said in self._said.items() if member in members}

    def unconfirmed(
        self,
        membership: Membership,
        digest: str,
        changed_at: datetime,
        within: timedelta,
        now: datetime,
    ) -> tuple[str, ...]:
        """The names of the doors that have not confirmed this door's roster for longer than
        `within`. `digest`: of that roster, which this door has since `changed_at`."""
        late = []
        for member in membership.listens_to:
            said = self._said.get(member)
            confirmed = said is not None and said.report.digest == digest
            since = said.report.at if said is not None and confirmed else changed_at
            if now - since > within:
                late.append(membership.doors[member].name)
        return tuple(sorted(late))


@dataclass(frozen=True, slots=True)
class DoorLine:
    """A door as the console and `ostiary site status` show it. `confirmed`: it has what most doors
    have, and said so lately; None: it never reported. `heard`: when it reported last."""

    name: str
    role: str
    on_line: bool
    confirmed: bool | None
    device: str = ""
    version: str = ""
    people: int = 0
    pending: int = 0
    queue: int = 0
    problems: tuple[str, ...] = ()
    heard: datetime | None = None


def overview(
    membership: Membership, reports: Mapping[str, DoorReport], late_s: float, now: datetime
) -> tuple[DoorLine, ...]:
    """All doors by name, without the key-holder. `reports`: by member; one older than `late_s`
    seconds confirms nothing."""
    digests = [each.digest for each in reports.values()]
    usual = max(digests, key=digests.count, default="")
    patience_s = max(ON_LINE_S, len(membership.signers))
    lines = []
    for member in membership.signers.values():
        if member.id == member_id(membership.authority):
            continue
        report = reports.get(member.id)
        if report is None or member.role is MemberRole.REVOKED:
            lines.append(DoorLine(member.name, member.role.value, False, None))
            continue
        age_s = (now - report.at).total_seconds()
        lines.append(
            DoorLine(
                name=member.name,
                role=member.role.value,
                on_line=age_s <= patience_s,
                confirmed=report.digest == usual and age_s <= late_s,
                device=report.device,
                version=report.version,
                people=report.people,
                pending=report.pending,
                queue=report.queue,
                problems=report.problems,
                heard=report.at,
            )
        )
    return tuple(sorted(lines, key=lambda each: each.name))
