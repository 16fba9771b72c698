"""The rows that the chain binds: where they are, and how one is checked against its entry."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ostiary.crypto.seal import Seal
from ostiary.errors import SealBroken, StoreLocked
from ostiary.store.audit_rows import AUDIT_COLUMNS, opened_audit
from ostiary.store.links import EVENT_COLUMNS, Kind, Row, digest_of


@dataclass(frozen=True, slots=True)
class RowsOf:
    """Describes the rows of a kind. `number`, `at`: the columns of number and time. `waits`: an SQL
    condition for rows that must not be removed yet. `is_written`: whether a stored row is as it was
    written, by the digest in the chain and the door's public key."""

    table: str
    number: str
    at: str
    waits: str
    columns: str
    is_written: Callable[[Kind, Row, Seal, bytes, bytes], bool]


def digest_of_row(kind: Kind, row: Row, seal: Seal) -> bytes:
    """The digest of a row, 32 bytes. An event is taken as it is stored. An audit row is taken with
    the store's seal opened; its digest is keyed, so that nobody can try contents against it."""
    return digest_of(row, seal.log_key if kind == "audit" else b"")


def _is_written(kind: Kind, row: Row, seal: Seal, wanted: bytes, _public_key: bytes) -> bool:
    try:
        plain = row if kind == "event" else opened_audit(row, seal)
        return digest_of_row(kind, plain, seal) == wanted
    except (SealBroken, StoreLocked):
        return False


ROWS: Mapping[Kind, RowsOf] = {
    "event": RowsOf(
        *("events", "seq", "timestamp", "delivered_at IS NULL", EVENT_COLUMNS, _is_written)
    ),
    "audit": RowsOf("audit", "id", "at", "FALSE", AUDIT_COLUMNS, _is_written),
}
