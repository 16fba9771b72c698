"""Keeps events in PostgreSQL, each once, in monthly partitions."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from typing import Annotated, Any, Self
from uuid import UUID

import psycopg
import structlog
from psycopg import sql
from psycopg.types.json import Jsonb
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from ostiary.errors import ArchiveUnavailable

log = structlog.get_logger(__name__)

LOCK = 0x4F535449  # "OSTI": one archive at a time changes tables
_INSERT = """
    INSERT INTO events (event_id, at, door, seq, kind, username, success, reason, source, document)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
    ON CONFLICT (event_id, at) DO NOTHING
"""


class _Event(BaseModel):
    """The fields that events of all versions have; the others stay in the document."""

    model_config = ConfigDict(extra="allow", frozen=True)

    event_id: UUID
    seq: Annotated[int, Field(ge=1, le=2**62)]
    timestamp: AwareDatetime
    username: str | None = None
    success: bool | None = None
    reason: str | None = None
    source: str | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """A row of the archive. `door`: the device's id; `kind`: the last level of the topic."""

    event_id: UUID
    at: datetime
    door: str
    seq: int
    kind: str
    username: str | None
    success: bool | None
    reason: str | None
    source: str | None
    document: dict[str, Any]


def record_of(topic: str, payload: bytes) -> Record:
    """Read an event from `<base>/<door>/event/<kind>`. Raises ValueError where it is none."""
    levels = topic.split("/")
    if len(levels) != 4:
        raise ValueError("not an event's topic")
    _, door, _, kind = levels
    try:
        event = _Event.model_validate_json(payload)
        document = json.loads(payload)
    except (ValidationError, RecursionError) as error:
        raise ValueError("not an event: event_id, seq and timestamp are needed") from error
    if "\0" in json.dumps(document, ensure_ascii=False) or "\\u0000" in payload.decode("utf-8"):
        raise ValueError("has a character that PostgreSQL does not keep (U+0000)")
    return Record(
        event.event_id,
        event.timestamp,
        door,
        event.seq,
        kind,
        event.username,
        event.success,
        event.reason,
        event.source,
        document,
    )


class ArchiveKeeper:
    """A connection to the archive's database. Use it from one thread."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self._connection = connection
        self._months: set[str] = set()

    @classmethod
    def connect(cls, database: str) -> Self:
        """Connect, and bring the schema up to date. `database`: a connection string or URL. Raises
        ArchiveUnavailable."""
        try:
            keeper = cls(psycopg.connect(database, connect_timeout=5))
            keeper._migrate()
        except psycopg.Error as error:
            raise ArchiveUnavailable(f"The archive's database: {_said(error)}") from error
        return keeper

    def close(self) -> None:
        self._connection.close()

    def keep(self, records: Sequence[Record], refused: Iterable[tuple[str, bytes, str]]) -> int:
        """Store all of them in one transaction, which is on disk when it returns. `refused`:
        (topic, payload, reason) of messages that are no events. Returns how many records were new.
        Raises ArchiveUnavailable; nothing was stored then."""
        try:
            with self._connection.transaction(), self._connection.cursor() as cursor:
                self._make_room(cursor, records)
                cursor.executemany(_INSERT, [_row(record) for record in records])
                new = max(cursor.rowcount, 0)
                cursor.executemany(
                    "INSERT INTO refused (topic, payload, reason) VALUES (%s, %s, %s)",
                    list(refused),
                )
        except psycopg.Error as error:
            self._months.clear()
            raise ArchiveUnavailable(f"The archive's database: {_said(error)}") from error
        return new

    def forget(self, now: datetime, keep_days: float) -> tuple[str, ...]:
        """Drop partitions that ended `keep_days` ago; their names. Raises ArchiveUnavailable."""
        over = now - timedelta(days=keep_days)
        try:
            with self._connection.transaction(), self._connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
                cursor.execute(
                    "SELECT relname FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid"
                    " WHERE inhparent = 'events'::regclass ORDER BY relname"
                )
                names = [name for (name,) in cursor.fetchall()]
                old = tuple(name for name in names if _end_of(name) <= over)
                for name in old:
                    cursor.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(name)))
        except psycopg.Error as error:
            raise ArchiveUnavailable(f"The archive's database: {_said(error)}") from error
        self._months.clear()
        return old

    def _migrate(self) -> None:
        scripts = sorted(
            (each.name, each.read_text(encoding="utf-8"))
            for each in (files("ostiary.archive") / "migrations").iterdir()
            if each.name.endswith(".sql")
        )
        with self._connection.transaction(), self._connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
            cursor.execute("CREATE TABLE IF NOT EXISTS migrations (number int PRIMARY KEY)")
            cursor.execute("SELECT COALESCE(MAX(number), 0) FROM migrations")
            row = cursor.fetchone()
            done = 0 if row is None else row[0]
            for number, (_, script) in enumerate(scripts, start=1):
                if number > done:
                    cursor.execute(script.encode())
                    cursor.execute("INSERT INTO migrations VALUES (%s)", (number,))

    def _make_room(self, cursor: psycopg.Cursor, records: Iterable[Record]) -> None:
        """Make a partition for each month that has none."""
        months = {_month_of(record.at) for record in records} - self._months
        if not months:
            return
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
        for month in sorted(months):
            start = datetime.strptime(month, "events_%Y_%m").replace(tzinfo=UTC)
            cursor.execute(
                sql.SQL(
                    "CREATE TABLE IF NOT EXISTS {} PARTITION OF events FOR VALUES FROM ({}) TO ({})"
                ).format(
                    sql.Identifier(month),
                    sql.Literal(start.isoformat()),
                    sql.Literal(_next_month(start).isoformat()),
                )
            )
        self._months |= months


def _row(record: Record) -> tuple[object, ...]:
    return (
        record.event_id,
        record.at,
        record.door,
        record.seq,
        record.kind,
        record.username,
        record.success,
        record.reason,
        record.source,
        Jsonb(record.document),
    )


def _month_of(at: datetime) -> str:
    return at.astimezone(UTC).strftime("events_%Y_%m")


def _next_month(start: datetime) -> datetime:
    return (start + timedelta(days=32)).replace(day=1)


def _end_of(partition: str) -> datetime:
    """When the month of a partition is over: never, for one that somebody else made."""
    try:
        start = datetime.strptime(partition, "events_%Y_%m").replace(tzinfo=UTC)
    except ValueError:
        return datetime.max.replace(tzinfo=UTC)
    return _next_month(start)


def _said(error: psycopg.Error) -> str:
    """The first line of what the server said, which holds no row."""
    return (error.diag.message_primary or str(error).splitlines()[0] if str(error) else "") or (
        type(error).__name__
    )
