"""All doors of a site, as `ostiary site status` shows them."""

from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from rich.table import Table

from ostiary.client.site_desk import SiteDesk
from ostiary.site.envelope import read
from ostiary.site.identity import member_id
from ostiary.site.members import Members, Membership, Role, read_members
from ostiary.site.refusal import Refused
from ostiary.site.report import DoorReport

ON_LINE_S = 180.0
"""A door says how it is every minute; where there are many, less often."""


@dataclass(frozen=True, slots=True)
class DoorLine:
    """One door. `confirmed`: it has what most doors have; None: it never said anything."""

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
    heard: str = ""


@dataclass(frozen=True, slots=True)
class SiteStatus:
    site: str
    key: int
    doors: tuple[DoorLine, ...]
    refused: int
    remarks: tuple[str, ...] = field(default=())

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def look(desk: SiteDesk, membership: Membership, late_s: float, now: datetime) -> SiteStatus:
    """Ask the broker; what is not believed is counted."""
    remarks, refused = [], 0
    payload = desk.kept(desk.topics.keys)
    members = membership.members
    try:
        newest = read_members(payload or b"", membership.authority, membership.site)
        if newest.version < members.version:
            remarks.append("The broker keeps an older list of members than is known here.")
        else:
            members = newest
    except Refused as error:
        remarks.append(f"The broker keeps no list of members that is to be believed ({error}).")
    known = Membership.of(membership.authority, members, membership.identity)
    reports: dict[str, DoorReport] = {}
    everybody = frozenset({Role.DOOR, Role.ENROLLER})
    for topic, said in desk.doors().items():
        try:
            opened = read(known, topic, said, int(now.timestamp() * 1000), everybody)
            if topic == desk.topics.door(opened.version.member):
                reports[opened.version.member] = DoorReport.model_validate_json(opened.content)
        except (Refused, ValueError):
            refused += 1
    lines = _lines(known, members, reports, late_s, now)
    late = [each.name for each in lines if each.role != Role.REVOKED and not each.confirmed]
    if late:
        remarks.append(f"Not confirmed: {', '.join(late)}")
    if refused:
        remarks.append(f"{refused} reports were not believed.")
    return SiteStatus(membership.site, members.key, lines, refused, tuple(remarks))


def table_of(status: SiteStatus) -> Table:
    table = Table(
        "door",
        "role",
        "on line",
        "has everybody",
        "people",
        "pending",
        "queue",
        "version",
        "problems",
        title=f"{status.site}, key {status.key}",
    )
    for each in status.doors:
        confirmed = "never heard" if each.confirmed is None else _yes(each.confirmed)
        on_line = "yes" if each.on_line else f"no, last {each.heard}" if each.heard else "no"
        table.add_row(
            each.name,
            each.role,
            on_line,
            confirmed,
            str(each.people),
            str(each.pending),
            str(each.queue),
            each.version,
            ", ".join(each.problems),
        )
    return table


def _lines(
    known: Membership,
    members: Members,
    reports: dict[str, DoorReport],
    late_s: float,
    now: datetime,
) -> tuple[DoorLine, ...]:
    digests = [each.digest for each in reports.values()]
    usual = max(digests, key=digests.count, default="")
    lines = []
    for member in members.members:
        if member.id == member_id(known.authority):
            continue
        report = reports.get(member.id)
        if report is None:
            lines.append(DoorLine(member.name, member.role.value, False, None))
            continue
        age_s = (now - report.at).total_seconds()
        lines.append(
            DoorLine(
                name=member.name,
                role=member.role.value,
                on_line=age_s <= max(ON_LINE_S, len(members.members)),
                confirmed=report.digest == usual and age_s <= late_s,
                device=report.device,
                version=report.version,
                people=report.people,
                pending=report.pending,
                queue=report.queue,
                problems=report.problems,
                heard=f"{report.at:%Y-%m-%d %H:%M:%S}",
            )
        )
    return tuple(sorted(lines, key=lambda each: each.name))


def _yes(value: bool) -> str:
    return "yes" if value else "NO"
