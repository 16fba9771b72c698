"""All doors of a site, as `ostiary site status` shows them."""

from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from rich.table import Table
from rich.text import Text

from ostiary.cli.site_connection import SiteConnection
from ostiary.site.doors import DoorLine, DoorReport, overview
from ostiary.site.envelope import read
from ostiary.site.members import MemberRole, Membership, Refused, read_members


@dataclass(frozen=True, slots=True)
class SiteStatus:
    site: str
    key: int
    doors: tuple[DoorLine, ...]
    refused: int
    remarks: tuple[str, ...] = field(default=())

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def look(desk: SiteConnection, membership: Membership, late_s: float, now: datetime) -> SiteStatus:
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
    everybody = frozenset({MemberRole.DOOR, MemberRole.ENROLLER})
    for topic, said in desk.doors().items():
        try:
            opened = read(known, topic, said, int(now.timestamp() * 1000), everybody)
            if topic == desk.topics.door(opened.version.member):
                reports[opened.version.member] = DoorReport.model_validate_json(opened.content)
        except (Refused, ValueError):
            refused += 1
    lines = overview(known, reports, late_s, now)
    late = [each.name for each in lines if each.role != MemberRole.REVOKED and not each.confirmed]
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
        heard = "" if each.heard is None else f", last {each.heard:%Y-%m-%d %H:%M:%S}"
        on_line = "yes" if each.on_line else f"no{heard}"
        table.add_row(
            Text(each.name),
            each.role,
            on_line,
            confirmed,
            str(each.people),
            str(each.pending),
            str(each.queue),
            Text(each.version),
            Text(", ".join(each.problems)),
        )
    return table


def _yes(value: bool) -> str:
    return "yes" if value else "NO"
