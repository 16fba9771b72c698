"""The rows of a person's PINs. In a sealed database whoever has one PIN has both rows, so that the
file does not tell who has a duress PIN. The row of a missing PIN is filled with zeros."""

import secrets
import sqlite3
from contextlib import suppress
from dataclasses import dataclass, field

from ostiary.crypto.seal import Seal
from ostiary.errors import SealBroken
from ostiary.store.person import PERSON_COLUMNS, PersonRow, opened_person
from ostiary.store.sealed_rows import opened_hint, sealed_hint

KINDS = ("pin", "duress")
HINTS = 64
"""A PIN's hint is below this: a few bits, by which the candidates are found among all PINs."""


@dataclass(frozen=True, slots=True)
class PinRow:
    """An opened row. `hint`: as `hint_text` gives it. `secret`: the hash of the PIN; zeros or empty
    where there is no such PIN, or the row does not open."""

    id: int | None
    kind: str
    hint: str
    secret: bytes = field(repr=False)

    @property
    def is_real(self) -> bool:
        return any(self.secret)


def hint_text(hint: int) -> str:
    """The text by which PINs of that hint are found."""
    return f"pin {hint}"


def pin_rows(
    connection: sqlite3.Connection, seal: Seal, person: PersonRow
) -> tuple[dict[str, PinRow], tuple[int, ...]]:
    """A person's rows by kind, and the numbers of the rows that were altered."""
    rows = connection.execute(
        "SELECT id, kind, lookup, secret FROM credentials WHERE user_id = ? AND kind != 'card'",
        (person.id,),
    ).fetchall()
    found, broken = {}, []
    for number, kind, lookup, secret in rows:
        try:
            plain = seal.opened_value(secret, *person.credential(number, kind))
            found[kind] = PinRow(number, kind, opened_hint(number, lookup, seal), plain)
        except SealBroken:
            found[kind] = PinRow(number, kind, _some_hint(), b"")
            broken.append(number)
    return found, tuple(broken)


def write_pins(
    connection: sqlite3.Connection,
    seal: Seal,
    person: PersonRow,
    rows: dict[str, PinRow],
    at: str,
) -> None:
    """Write both rows anew, whichever PIN was changed; none where there is no PIN. In a plain
    database a missing PIN has no row."""
    real = [each for each in rows.values() if each.is_real]
    if not real:
        connection.execute(
            "DELETE FROM credentials WHERE user_id = ? AND kind != 'card'", (person.id,)
        )
        return
    empty = bytes(len(real[0].secret))
    for kind in KINDS:
        row = rows.get(kind) or PinRow(None, kind, _some_hint(), b"")
        if not row.is_real and not seal.is_sealing:
            connection.execute(
                "DELETE FROM credentials WHERE user_id = ? AND kind = ?", (person.id, kind)
            )
            continue
        number = row.id
        if number is None:
            number = connection.execute(
                "INSERT INTO credentials (user_id, kind, lookup, secret, created_at)"
                " VALUES (?, ?, '', x'', ?)",
                (person.id, kind, at),
            ).lastrowid
        secret = row.secret if row.is_real else empty
        connection.execute(
            "UPDATE credentials SET lookup = ?, secret = ? WHERE id = ?",
            (
                sealed_hint(number, row.hint, seal),
                seal.value(secret, *person.credential(number, kind)),
                number,
            ),
        )


def complete_pins(connection: sqlite3.Connection, seal: Seal) -> None:
    """Give everybody with one row the other, too. Call it inside a transaction."""
    rows = connection.execute(
        f"SELECT {PERSON_COLUMNS}, MIN(credentials.created_at) FROM credentials"
        " JOIN users ON users.id = user_id WHERE kind != 'card'"
        " GROUP BY user_id HAVING COUNT(*) = 1"
    ).fetchall()
    for *row, at in rows:
        with suppress(SealBroken):
            person = opened_person(seal, row)
            found, broken = pin_rows(connection, seal, person)
            if not broken:
                write_pins(connection, seal, person, found, at)


def _some_hint() -> str:
    return hint_text(secrets.randbelow(HINTS))
