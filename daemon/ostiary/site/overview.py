"""All doors of a site, as the console and `ostiary site status` show them. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from ostiary.crypto.identity import member_id
from ostiary.site.members import MemberRole, Membership
from ostiary.site.report import DoorReport

CONFIRM_WITHIN_S = 3600.0
"""A door that has not confirmed the roster for so long is listed as a problem."""
ON_LINE_S = 180.0
"""A door says how it is every minute; where there are many, less often."""


@dataclass(frozen=True, slots=True)
class DoorLine:
    """One door. `confirmed`: it has what most doors have, and said so lately; None: it never said
    anything. `heard`: when it said something last."""

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
    """By name, without the key-holder. `reports` are by member; one older than `late_s` seconds
    confirms nothing."""
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
