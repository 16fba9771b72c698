"""The rows of a person's PINs. In a sealed database there are always both, so that the file does
not tell who has one for when they are forced; one that there is not is filled with nothing."""

import secrets
import sqlite3
from contextlib import suppress
from dataclasses import dataclass, field

from ostiary.errors import SealBroken
from ostiary.store.seal import Seal
from ostiary.store.sealed_rows import opened_hint, sealed_hint

KINDS = ("pin", "duress")
_HINTS = 64


@dataclass(frozen=True, slots=True)
class PinRow:
    """One of them, opened. `secret`: empty where there is no such PIN, or none that opens."""

    id: int | None
    kind: str
    hint: str
    secret: bytes = field(repr=False)

    @property
    def is_real(self) -> bool:
        return any(self.secret)


def hint_text(hint: int) -> str:
    """By which PINs are found: some bits of them."""
    return f"pin {hint}"


def pin_rows(
    connection: sqlite3.Connection, seal: Seal, stored: str, name: str
) -> tuple[dict[str, PinRow], tuple[int, ...]]:
    """Those of a person, by their kinds; and the numbers of those that were altered."""
    rows = connection.execute(
        "SELECT id, kind, lookup, secret FROM credentials WHERE username = ? AND kind != 'card'",
        (stored,),
    ).fetchall()
    found, broken = {}, []
    for number, kind, lookup, secret in rows:
        try:
            plain = seal.opened_value(secret, *pin_place(number, kind, name))
            found[kind] = PinRow(number, kind, opened_hint(number, lookup, seal), plain)
        except SealBroken:
            found[kind] = PinRow(number, kind, _some_hint(), b"")
            broken.append(number)
    return found, tuple(broken)


def write_pins(
    connection: sqlite3.Connection,
    seal: Seal,
    stored: str,
    name: str,
    rows: dict[str, PinRow],
    at: str,
) -> None:
    """Write both anew, whichever was changed; none where there is no PIN."""
    real = [each for each in rows.values() if each.is_real]
    if not real:
        connection.execute(
            "DELETE FROM credentials WHERE username = ? AND kind != 'card'", (stored,)
        )
        return
    empty = bytes(len(real[0].secret))
    for kind in KINDS:
        row = rows.get(kind) or PinRow(None, kind, _some_hint(), b"")
        if not row.is_real and not seal.is_sealing:
            connection.execute(
                "DELETE FROM credentials WHERE username = ? AND kind = ?", (stored, kind)
            )
            continue
        number = row.id
        if number is None:
            number = connection.execute(
                "INSERT INTO credentials (username, kind, lookup, secret, created_at)"
                " VALUES (?, ?, '', x'', ?)",
                (stored, kind, at),
            ).lastrowid
        secret = row.secret if row.is_real else empty
        connection.execute(
            "UPDATE credentials SET lookup = ?, secret = ? WHERE id = ?",
            (
                sealed_hint(number, row.hint, seal),
                seal.value(secret, *pin_place(number, kind, name)),
                number,
            ),
        )


def complete_pins(connection: sqlite3.Connection, seal: Seal) -> None:
    """Give everybody with one PIN the other row as well. Call it inside a transaction."""
    rows = connection.execute(
        "SELECT username, MIN(created_at) FROM credentials WHERE kind != 'card'"
        " GROUP BY username HAVING COUNT(*) = 1"
    ).fetchall()
    for stored, at in rows:
        with suppress(SealBroken):
            name = seal.opened_name(stored)
            found, broken = pin_rows(connection, seal, stored, name)
            if not broken:
                write_pins(connection, seal, stored, name, found, at)


def pin_place(number: object, kind: str, name: str) -> tuple[object, ...]:
    """What a credential is bound to."""
    return ("credential", number, kind, name)


def _some_hint() -> str:
    return hint_text(secrets.randbelow(_HINTS))
