"""PINs and cards. Nothing here shows one: PINs come as argon2 hashes, and none is ever listed."""

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

import structlog

from ostiary.errors import CardTaken, CredentialUnknown, SealBroken, UserUnknown
from ostiary.messages.username import same_name
from ostiary.store import moment
from ostiary.store.database import Database, next_number
from ostiary.store.pin_rows import PinRow, hint_text, pin_place, pin_rows, write_pins
from ostiary.store.sealed_rows import opened_hint
from ostiary.store.stored_names import known_name, marks

log = structlog.get_logger(__name__)

PinKind = Literal["pin", "duress"]


@dataclass(frozen=True, slots=True)
class Pins:
    """One person's hashes; None where there is none."""

    username: str
    pin: str | None = field(default=None, repr=False)
    duress: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Holding:
    """What a person has, without telling it."""

    pin: bool
    duress: bool
    cards: int


class Credentials:
    """The table `credentials`. Each change is one transaction, or joins the caller's."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def set_pin(
        self, username: str, kind: PinKind, pin_hash: str, hint: int, now: datetime
    ) -> None:
        """Give a person a PIN instead of the one before. `hint`: some bits of it, by which it is
        found without a name. Raises UserUnknown."""
        row = PinRow(None, kind, hint_text(hint), pin_hash.encode())
        with self._database.transaction() as connection:
            stored = known_name(connection, self._database.seal, username)
            self._put_pin(connection, stored, same_name(username), row, now)

    def remove_pin(self, username: str, kind: PinKind) -> None:
        """Raises UserUnknown, CredentialUnknown."""
        name, seal = same_name(username), self._database.seal
        with self._database.transaction() as connection:
            stored = known_name(connection, seal, username)
            rows, _ = pin_rows(connection, seal, stored, name)
            if kind not in rows or not rows[kind].is_real:
                what = "PIN" if kind == "pin" else "duress PIN"
                raise CredentialUnknown(f"{name} has no {what}.")
            rows[kind] = replace(rows[kind], secret=b"")
            write_pins(connection, seal, stored, name, rows, "")

    def _put_pin(
        self, connection: sqlite3.Connection, stored: str, name: str, row: PinRow, now: datetime
    ) -> None:
        rows, _ = pin_rows(connection, self._database.seal, stored, name)
        before = rows.get(row.kind)
        rows[row.kind] = replace(row, id=None if before is None else before.id)
        write_pins(connection, self._database.seal, stored, name, rows, moment.to_text(now))

    def add_card(self, username: str, number: str, now: datetime) -> None:
        """Raises UserUnknown, or CardTaken where it is anybody's already."""
        with self._database.transaction() as connection:
            if self._card_rows(connection, number):
                raise CardTaken("This card is somebody's already; remove it there first.")
            lookup = self._database.seal.name(_card(number))
            self._insert(connection, same_name(username), "card", lookup, b"card", now)

    def remove_card(self, username: str, number: str) -> None:
        """Raises UserUnknown, CredentialUnknown."""
        with self._database.transaction() as connection:
            stored = known_name(connection, self._database.seal, username)
            mine = [row[0] for row in self._card_rows(connection, number) if row[1] == stored]
            connection.executemany("DELETE FROM credentials WHERE id = ?", [(id,) for id in mine])
        if not mine:
            raise CredentialUnknown(f"{same_name(username)} has no such card.")

    def remove_cards(self, username: str) -> int:
        """All of a person's; how many. Raises UserUnknown."""
        with self._database.transaction() as connection:
            stored = known_name(connection, self._database.seal, username)
            return connection.execute(
                "DELETE FROM credentials WHERE username = ? AND kind = 'card'", (stored,)
            ).rowcount

    def holding(self, username: str) -> Holding:
        """Raises UserUnknown."""
        with self._database.reading() as connection:
            stored = known_name(connection, self._database.seal, username)
            rows = connection.execute(
                "SELECT kind, COUNT(*) FROM credentials WHERE username = ? GROUP BY kind", (stored,)
            ).fetchall()
            pins = self._pins(connection, stored)
        cards = dict(rows).get("card", 0)
        return Holding(pins.pin is not None, pins.duress is not None, cards)

    def holders(self) -> Mapping[str, frozenset[str]]:
        """Who has what, of everybody who has anything: `pin`, `duress`, `card`. What was altered
        counts for nothing."""
        seal = self._database.seal
        with self._database.reading() as connection:
            if self._database.is_locked:
                return {}
            rows = connection.execute(
                "SELECT id, username, kind, secret FROM credentials"
            ).fetchall()
        found: dict[str, set[str]] = {}
        for number, stored, kind, secret in rows:
            with suppress(SealBroken):
                name = seal.opened_name(stored)
                if any(seal.opened_value(secret, *pin_place(number, kind, name))):
                    found.setdefault(name, set()).add(kind)
        return {name: frozenset(kinds) for name, kinds in found.items()}

    def pins_of(self, username: str) -> Pins:
        """Without any for who has none, or is not registered."""
        with self._database.reading() as connection:
            try:
                stored = known_name(connection, self._database.seal, username)
            except UserUnknown:
                return Pins(same_name(username))
            return self._pins(connection, stored)

    def pins_like(self, hint: int) -> tuple[Pins, ...]:
        """Of everybody with a PIN of that hint."""
        seal, wanted = self._database.seal, hint_text(hint)
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT id, username, lookup FROM credentials WHERE kind != 'card'"
            ).fetchall()
            found = {}
            for number, stored, lookup in rows:
                with suppress(SealBroken):
                    if opened_hint(number, lookup, seal) == wanted:
                        found[stored] = self._pins(connection, stored)
        return tuple(sorted(found.values(), key=lambda each: each.username))

    def owner_of(self, number: str) -> str | None:
        """Whose card it is; None where it is nobody's, or its row was altered."""
        with self._database.reading() as connection:
            rows = self._card_rows(connection, number)
        for number_of_row, stored, secret in rows:
            try:
                name = self._database.seal.opened_name(stored)
                self._database.seal.opened_value(secret, *pin_place(number_of_row, "card", name))
            except SealBroken as error:
                log.error("credential_not_opened", id=number_of_row, code=error.code)
                continue
            return name
        return None

    def rename(self, old: str, new: str) -> None:
        """Bind a person's credentials to the new name, in the transaction that changes it: after
        the rows of `users` did."""
        before, after = same_name(old), same_name(new)
        seal = self._database.seal
        with self._database.transaction() as connection:
            stored = known_name(connection, self._database.seal, after)
            rows = connection.execute(
                "SELECT id, kind, secret FROM credentials WHERE username = ?", (stored,)
            ).fetchall()
            connection.executemany(
                "UPDATE credentials SET secret = ? WHERE id = ?",
                [
                    (
                        seal.value(
                            seal.opened_value(secret, *pin_place(number, kind, before)),
                            *pin_place(number, kind, after),
                        ),
                        number,
                    )
                    for number, kind, secret in rows
                ],
            )

    def _insert(
        self,
        connection: sqlite3.Connection,
        name: str,
        kind: str,
        lookup: str,
        secret: bytes,
        now: datetime,
    ) -> None:
        number = next_number(connection, "credentials")
        sealed = self._database.seal.value(secret, *pin_place(number, kind, name))
        connection.execute(
            "INSERT INTO credentials (id, username, kind, lookup, secret, created_at)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (
                number,
                known_name(connection, self._database.seal, name),
                kind,
                lookup,
                sealed,
                moment.to_text(now),
            ),
        )

    def _pins(self, connection: sqlite3.Connection, stored: str) -> Pins:
        """Of a row of `users`; a hash that was altered is none."""
        seal = self._database.seal
        name = seal.opened_name(stored)
        rows, broken = pin_rows(connection, seal, stored, name)
        for number in broken:
            log.error("credential_not_opened", id=number)
        found = {kind: row.secret.decode() for kind, row in rows.items() if row.is_real}
        return Pins(name, found.get("pin"), found.get("duress"))

    def _card_rows(
        self, connection: sqlite3.Connection, number: str
    ) -> Sequence[tuple[int, str, bytes]]:
        lookups = self._database.seal.names(_card(number))
        return connection.execute(
            "SELECT id, username, secret FROM credentials"
            f" WHERE kind = 'card' AND lookup IN ({marks(lookups)})",
            lookups,
        ).fetchall()


def _card(number: str) -> str:
    return f"card {number}"
