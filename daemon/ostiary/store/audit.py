"""Who changed what: one row a change, written with the change."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from ostiary import timestamps
from ostiary.errors import SealBroken
from ostiary.messages.username import same_name
from ostiary.store.chain import Chain
from ostiary.store.database import Database, next_number
from ostiary.store.leaving import leave_deed
from ostiary.store.links import AUDIT_COLUMNS, SALT_BYTES, Row, number_of
from ostiary.store.sealed_rows import opened_audit, sealed_audit

log = structlog.get_logger(__name__)

Detail = Mapping[str, str | int | float | bool | None]

ABOUT_PEOPLE = frozenset(
    {
        "access_set",
        "card_added",
        "cards_removed",
        "person_put",
        "pin_removed",
        "pin_refused",
        "pin_set",
        "template_added",
        "template_learned",
        "template_removed",
        "templates_migrated",
        "user_deleted",
        "user_registered",
        "user_renamed",
        "user_shared",
    }
)
"""Deeds whose subject is somebody who is registered. Of all others the subject is something else
(an account, a token, a rule, a door), and stays whoever is deleted."""


@dataclass(frozen=True, slots=True)
class AuditRow:
    """`actor` did `action` to `subject`. `address`: by what way they came, a network address or in
    words (`mqtt`, `mqtt, signed`, `local`). `forgotten`: it named somebody who was deleted since;
    subject and detail are empty."""

    id: int
    at: datetime | None
    actor: str
    action: str
    subject: str
    detail: Detail
    address: str
    forgotten: bool = False


class Audit:
    """The table `audit`. Rows are added and, when old, removed; never altered."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._chain = Chain(database)

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
        """On disk when this, or the caller's transaction, ends."""
        texts = (
            actor,
            action,
            subject,
            json.dumps(dict(detail or {}), ensure_ascii=False),
            address,
        )
        with self._database.transaction() as connection:
            seal = self._database.seal
            number = next_number(connection, "audit")
            at, salt = timestamps.to_text(now), os.urandom(SALT_BYTES)
            connection.execute(
                "INSERT INTO audit (id, at, actor, action, subject, detail, address, salt)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (number, at, *sealed_audit(number, texts, seal), salt),
            )
            self._chain.audit(connection, (number, at, *texts, salt, None))
            if action in ABOUT_PEOPLE and (name := same_name(subject)) in self._database.left:
                leave_deed(connection, seal, self._database.chain_key, name, number)

    def newest(self, limit: int, before: int | None = None) -> tuple[AuditRow, ...]:
        """At most `limit` rows, newest first, with an id below `before`; without those that were
        altered, which `ostiary verify-log` names."""
        with self._database.reading() as connection:
            rows = connection.execute(
                f"SELECT {AUDIT_COLUMNS} FROM audit WHERE id < ? ORDER BY id DESC LIMIT ?",
                (2**63 - 1 if before is None else before, limit),
            ).fetchall()
        found = []
        for row in rows:
            try:
                found.append(_row(opened_audit(row, self._database.seal)))
            except SealBroken as error:
                log.error("deed_not_opened", id=row[0], code=error.code)
        return tuple(found)

    def prune(self, now: datetime, *, keep_for: timedelta) -> int:
        """Remove rows older than `keep_for`; how many."""
        with self._database.transaction() as connection:
            before, until = timestamps.to_text(now - keep_for), timestamps.to_text(now)
            return self._chain.remove_oldest(connection, "audit", before=before, now=until)


def whom_it_names(row: Row) -> frozenset[str]:
    """The people whom an opened row in AUDIT_COLUMNS is about, by their names then; nobody in a row
    about anything else."""
    _, _, _, action, subject, detail, *_ = row
    if action not in ABOUT_PEOPLE:
        return frozenset()
    renamed = json.loads(str(detail)) if action == "user_renamed" else {}
    named = (subject, *(text for text in renamed.values() if isinstance(text, str)))
    return frozenset(same_name(str(each)) for each in named)


def _row(row: Row) -> AuditRow:
    _, at, *texts, _, forgotten = row
    actor, action, subject, detail, address = map(str, texts)
    return AuditRow(
        number_of(row),
        timestamps.from_text(at),
        actor,
        action,
        subject,
        json.loads(detail),
        address,
        forgotten is not None,
    )
