"""The audit: who changed what, when, and by what way. A row is written with its change."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from ostiary import timestamps
from ostiary.errors import SealBroken
from ostiary.store.audit_rows import (
    AUDIT_COLUMNS,
    NAMELESS,
    opened_audit,
    row_bytes,
    sealed_audit,
    whom_it_names,
)
from ostiary.store.chain import Chain
from ostiary.store.database import Database
from ostiary.store.links import Row, number_of
from ostiary.store.naming import Naming
from ostiary.store.person_keys import PersonKeys
from ostiary.store.sqlite_file import next_number

log = structlog.get_logger(__name__)

Detail = Mapping[str, str | int | float | bool | None]


@dataclass(frozen=True, slots=True)
class AuditRow:
    """An audit row: `actor` did `action` to `subject`. `address`: by what way, as a network address
    or in words (`mqtt`, `mqtt, signed`, `local`). `forgotten`: the person whom it named was deleted
    and their key is gone; subject and detail are empty."""

    id: int
    at: datetime | None
    actor: str
    action: str
    subject: str
    detail: Detail
    address: str
    forgotten: bool = False


class Audit:
    """The table `audit`. Rows are added and, when old, removed. What a row says never changes."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._chain = Chain(database)
        self._naming = Naming(database)

    def add(
        self,
        *,
        actor: str,
        action: str,
        subject: str,
        address: str,
        now: datetime,
        detail: Detail | None = None,
    ) -> None:
        """Add a row. It is on disk when this, or the caller's transaction, ends."""
        told = dict(detail or {})
        with self._database.transaction() as connection:
            seal, at = self._database.seal, timestamps.to_text(now)
            number = next_number(connection, "audit")
            texts = (actor, action, subject, json.dumps(told, ensure_ascii=False), address)
            person, named = None, None
            if names := whom_it_names(action, subject, texts[3]):
                is_removal = action == "user_deleted"
                key = self._naming.key(connection, names[0], is_removal=is_removal)
                person, named = key.person, key.sealed([subject, told], "audit", row_bytes(number))
                texts = (actor, action, *NAMELESS, address)
            connection.execute(
                f"INSERT INTO audit ({AUDIT_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (number, at, *sealed_audit(number, texts, seal), person, named),
            )
            self._chain.audit(connection, (number, at, *texts, person, named))

    def newest(self, limit: int, before: int | None = None) -> tuple[AuditRow, ...]:
        """At most `limit` rows, newest first, with an id below `before`. Rows that do not open are
        left out; `ostiary verify-log` names them. Raises StoreLocked."""
        with self._database.reading() as connection:
            rows = connection.execute(
                f"SELECT {AUDIT_COLUMNS} FROM audit WHERE id < ? ORDER BY id DESC LIMIT ?",
                (2**63 - 1 if before is None else before, limit),
            ).fetchall()
            keys, found = PersonKeys(connection, self._database.seal), []
            for row in rows:
                try:
                    found.append(_row(opened_audit(row, self._database.seal), keys))
                except (SealBroken, TypeError, ValueError):
                    log.error("deed_not_opened", id=row[0], code=SealBroken.code)
        return tuple(found)

    def prune(self, now: datetime, *, keep_for: timedelta) -> int:
        """Remove rows older than `keep_for`; how many. Raises StoreLocked."""
        with self._database.transaction() as connection:
            before, until = timestamps.to_text(now - keep_for), timestamps.to_text(now)
            return self._chain.remove_oldest(connection, "audit", before=before, now=until)


def _row(row: Row, keys: PersonKeys) -> AuditRow:
    """Read an opened row. Raises SealBroken; TypeError, ValueError for what no door writes."""
    number, (_, at, *texts, person, named) = number_of(row), row
    actor, action, subject, detail, address = map(str, texts)
    told = json.loads(detail)
    key = keys.of(person) if isinstance(person, int) else None
    if key is not None:
        subject, told = key.opened(named, "audit", row_bytes(number))  # type: ignore[assignment]
    return AuditRow(
        number,
        timestamps.from_text(at),
        actor,
        action,
        subject,
        told,
        address,
        person is not None and key is None,
    )
