"""The operator's connection to a site: reads, changes and shows what the broker keeps of it."""

import queue
import secrets
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Self

from rich.table import Table
from rich.text import Text

from ostiary.errors import BrokerUnavailable
from ostiary.mqtt.broker import Login, Loss, ProtocolRefused
from ostiary.mqtt.connection import Connection, Incoming
from ostiary.mqtt.paho_client import MQTT5, MQTT311
from ostiary.site.doors import DoorLine, DoorReport, overview
from ostiary.site.envelope import read
from ostiary.site.members import MemberRole, Membership, Refused, read_members
from ostiary.site.topics import SHARDS, SiteTopics

WINDOW = 256
QUIET_S = 2.0
ACKNOWLEDGED_WITHIN_S = 30.0


class SiteConnection:
    """One connection. Use it as a context manager, from one thread."""

    def __init__(self, login: Login, topics: SiteTopics) -> None:
        self.topics = topics
        self._login = login
        self._own = secrets.token_hex(8)
        self._incoming: queue.SimpleQueue[Incoming | Loss] = queue.SimpleQueue()
        self._connection: Connection | None = None

    def __enter__(self) -> Self:
        """Connect. Raises BrokerUnavailable."""
        try:
            self._connection = self._opened(Connection(self._login, MQTT5, WINDOW, self))
        except ProtocolRefused:
            self._connection = self._opened(Connection(self._login, MQTT311, WINDOW, self))
        return self

    def __exit__(self, *_: object) -> None:
        if self._connection is not None:
            self._connection.close()

    def kept(self, topic: str) -> bytes | None:
        """The message that the broker keeps at a topic; None: none."""
        return self._heard([topic])[0].get(topic) or None

    def doors(self) -> dict[str, bytes]:
        """The last report of every door, by topic."""
        return self._heard([self.topics.doors])[0]

    def people(self) -> dict[str, bytes]:
        """The messages on all people that the broker keeps, by topic; asked for in parts where it
        has no room for all."""
        found, is_whole = self._heard([self.topics.people])
        if not is_whole:
            for shard in SHARDS:
                found.update(self._heard([self.topics.shard(shard)])[0])
        return {topic: payload for topic, payload in found.items() if payload}

    def publish(self, messages: Iterable[tuple[str, bytes]]) -> None:
        """Let the broker keep these messages, and wait until it has all. Raises BrokerUnavailable,
        or RequestTooLarge for one that is larger than the broker takes."""
        told: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        under_way = 0
        for topic, payload in messages:
            self.check_fits(topic, payload)
            if not self._connected().publish(topic, payload, retain=True, acknowledged=told.put):
                raise BrokerUnavailable("The broker ended the connection.")
            under_way += 1
        for _ in range(under_way):
            try:
                refused = told.get(timeout=ACKNOWLEDGED_WITHIN_S)
            except queue.Empty:
                raise BrokerUnavailable("The broker does not acknowledge; try again.") from None
            if refused is not None:
                raise BrokerUnavailable(
                    f"The broker refuses that ({refused}). Does its ACL let you write "
                    f"{self.topics.everything}?"
                )

    def check_fits(self, topic: str, payload: bytes) -> None:
        """Raises RequestTooLarge for a message that is larger than the broker takes."""
        self._connected().check_fits(topic, payload)

    def listen(self, topic: str) -> None:
        """Subscribe to a topic. Raises BrokerUnavailable."""
        self._connected().subscribe(topic)

    def say(self, topic: str, payload: bytes) -> None:
        """Send a message that is not kept."""
        self._connected().publish(topic, payload)

    def next(self, topic: str, timeout_s: float) -> bytes | None:
        """The next message at a topic; None: none in that time."""
        until = time.monotonic() + timeout_s
        while (left := until - time.monotonic()) > 0:
            incoming = self._get(left)
            if incoming is not None and incoming.topic == topic and incoming.payload:
                return incoming.payload
        return None

    # what Connection tells, on its network thread

    def message(self, incoming: Incoming) -> None:
        self._incoming.put(incoming)

    def lost(self, _connection: Connection, loss: Loss) -> None:
        self._incoming.put(loss)

    def _opened(self, connection: Connection) -> Connection:
        connection.open()
        connection.subscribe(self.topics.mark(self._own))
        return connection

    def _heard(self, filters: list[str]) -> tuple[dict[str, bytes], bool]:
        """Messages kept under these filters, and whether the broker had room for all."""
        connection = self._connected()
        for each in filters:
            connection.subscribe(each)
        mark = secrets.token_hex(8).encode()
        connection.publish(self.topics.mark(self._own), mark)
        found: dict[str, bytes] = {}
        is_whole = False
        while not is_whole:
            incoming = self._get(QUIET_S)
            if incoming is None:
                break
            if incoming.topic != self.topics.mark(self._own):
                found[incoming.topic] = incoming.payload
            is_whole = incoming.payload == mark
        for each in filters:
            connection.unsubscribe(each)
        return found, is_whole

    def _get(self, timeout_s: float) -> Incoming | None:
        try:
            incoming = self._incoming.get(timeout=timeout_s)
        except queue.Empty:
            return None
        if isinstance(incoming, Loss):
            raise BrokerUnavailable(f"The connection ended: {incoming.words}.")
        self._connected().acknowledge(incoming)
        return incoming

    def _connected(self) -> Connection:
        if self._connection is None or not self._connection.alive:
            raise BrokerUnavailable("The connection to the broker has ended.")
        return self._connection


@dataclass(frozen=True, slots=True)
class SiteStatus:
    site: str
    key: int
    doors: tuple[DoorLine, ...]
    refused: int
    remarks: tuple[str, ...] = field(default=())

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def look(
    connection: SiteConnection, membership: Membership, late_s: float, now: datetime
) -> SiteStatus:
    """The state of all doors, as the broker keeps it; messages that are not believed are
    counted."""
    remarks, refused = [], 0
    payload = connection.kept(connection.topics.keys)
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
    for topic, said in connection.doors().items():
        try:
            opened = read(known, topic, said, int(now.timestamp() * 1000), everybody)
            if topic == connection.topics.door(opened.version.member):
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
