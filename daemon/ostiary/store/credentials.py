"""PINs and cards of people. PINs come as argon2 hashes; no method gives a card's number."""

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

import structlog

from ostiary import timestamps
from ostiary.errors import CardTaken, CredentialUnknown, SealBroken, UserUnknown
from ostiary.messages.username import same_name
from ostiary.store.database import Database
from ostiary.store.person import (
    PERSON_COLUMNS,
    PersonRow,
    known_id,
    known_person,
    marks,
    opened_person,
)
from ostiary.store.pin_rows import PinRow, hint_text, pin_rows, write_pins
from ostiary.store.sealed_rows import opened_hint
from ostiary.store.sqlite_file import next_number

log = structlog.get_logger(__name__)

PinKind = Literal["pin", "duress"]


@dataclass(frozen=True, slots=True)
class Pins:
    """A person's PINs as argon2 hashes; None where there is none."""

    username: str
    pin: str | None = field(default=None, repr=False)
    duress: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Holding:
    """Whether a person has a PIN and a duress PIN, and how many cards."""

    pin: bool
    duress: bool
    cards: int


class Credentials:
    """The table `credentials`. Each change is one transaction, or joins the caller's. Every method
    but `holders` may raise StoreLocked."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def set_pin(
        self, username: str, kind: PinKind, pin_hash: str, hint: int, now: datetime
    ) -> None:
        """Give a person a PIN, in the place of the one before. `hint`: some bits of the PIN, by
        which it is found without a name. Raises UserUnknown, SealBroken."""
        row = PinRow(None, kind, hint_text(hint), pin_hash.encode())
        with self._database.transaction() as connection:
            person = known_person(connection, self._database.seal, username)
            rows, _ = pin_rows(connection, self._database.seal, person)
            before = rows.get(kind)
            rows[kind] = replace(row, id=None if before is None else before.id)
            write_pins(connection, self._database.seal, person, rows, timestamps.to_text(now))

    def remove_pin(self, username: str, kind: PinKind) -> None:
        """Remove a person's PIN. Raises UserUnknown, CredentialUnknown, SealBroken."""
        seal = self._database.seal
        with self._database.transaction() as connection:
            person = known_person(connection, seal, username)
            rows, _ = pin_rows(connection, seal, person)
            if kind not in rows or not rows[kind].is_real:
                what = "PIN" if kind == "pin" else "duress PIN"
                raise CredentialUnknown(f"{person.name} has no {what}.")
            rows[kind] = replace(rows[kind], secret=b"")
            write_pins(connection, seal, person, rows, "")

    def add_card(self, username: str, number: str, now: datetime) -> None:
        """Give a person a card. Raises UserUnknown, SealBroken, or CardTaken: somebody has it."""
        with self._database.transaction() as connection:
            if self._card_rows(connection, number):
                raise CardTaken("This card is somebody's already; remove it there first.")
            seal = self._database.seal
            person = known_person(connection, seal, username)
            row = next_number(connection, "credentials")
            connection.execute(
                "INSERT INTO credentials (id, user_id, kind, lookup, secret, created_at)"
                " VALUES (?, ?, 'card', ?, ?, ?)",
                (
                    row,
                    person.id,
                    seal.name(_card(number)),
                    seal.value(b"card", *person.credential(row, "card")),
                    timestamps.to_text(now),
                ),
            )

    def remove_card(self, username: str, number: str) -> None:
        """Take a card from a person. Raises UserUnknown, CredentialUnknown."""
        with self._database.transaction() as connection:
            user_id = known_id(connection, self._database.seal, username)
            mine = [row[0] for row in self._card_rows(connection, number) if row[2] == user_id]
            connection.executemany("DELETE FROM credentials WHERE id = ?", [(id,) for id in mine])
        if not mine:
            raise CredentialUnknown(f"{same_name(username)} has no such card.")

    def remove_cards(self, username: str) -> int:
        """Remove all cards of a person; how many. Raises UserUnknown."""
        with self._database.transaction() as connection:
            user_id = known_id(connection, self._database.seal, username)
            return connection.execute(
                "DELETE FROM credentials WHERE user_id = ? AND kind = 'card'", (user_id,)
            ).rowcount

    def holding(self, username: str) -> Holding:
        """What a person has. A PIN that does not open does not count. Raises UserUnknown."""
        with self._database.reading() as connection:
            (cards,) = connection.execute(
                "SELECT COUNT(*) FROM credentials WHERE user_id = ? AND kind = 'card'",
                (known_id(connection, self._database.seal, username),),
            ).fetchone()
            pins = self.pins_of(username)
        return Holding(pins.pin is not None, pins.duress is not None, cards)

    def holders(self) -> Mapping[str, frozenset[str]]:
        """The kinds of credentials (`pin`, `duress`, `card`) by person, of all who have any. What
        does not open does not count; in a locked store nobody has any."""
        seal = self._database.seal
        with self._database.reading() as connection:
            if self._database.is_locked:
                return {}
            rows = connection.execute(
                f"SELECT credentials.id, kind, secret, {PERSON_COLUMNS} FROM credentials"
                " JOIN users ON users.id = user_id"
            ).fetchall()
        found: dict[str, set[str]] = {}
        for number, kind, secret, *row in rows:
            with suppress(SealBroken):
                person = opened_person(seal, row)
                if any(seal.opened_value(secret, *person.credential(number, kind))):
                    found.setdefault(person.name, set()).add(kind)
        return {name: frozenset(kinds) for name, kinds in found.items()}

    def pins_of(self, username: str) -> Pins:
        """A person's PINs; none for a name that nobody has, or where they do not open."""
        with self._database.reading() as connection, suppress(UserUnknown, SealBroken):
            return self._pins(connection, known_person(connection, self._database.seal, username))
        return Pins(same_name(username))

    def pins_like(self, hint: int) -> tuple[Pins, ...]:
        """The PINs of each person with a PIN of that hint, by name."""
        seal, wanted = self._database.seal, hint_text(hint)
        with self._database.reading() as connection:
            rows = connection.execute(
                f"SELECT credentials.id, kind, lookup, {PERSON_COLUMNS} FROM credentials"
                " JOIN users ON users.id = user_id WHERE kind != 'card'"
            ).fetchall()
            found = {}
            for number, kind, lookup, *row in rows:
                with suppress(SealBroken):
                    if opened_hint(number, lookup, seal) == wanted:
                        person = opened_person(seal, row)
                        pins = self._pins(connection, person)
                        if getattr(pins, kind) is not None:  # not filled, and opens
                            found[person] = pins
        return tuple(sorted(found.values(), key=lambda each: each.username))

    def owner_of(self, number: str) -> str | None:
        """The person with that card; None where nobody has it, or its row does not open."""
        with self._database.reading() as connection:
            rows = self._card_rows(connection, number)
        for number_of_row, secret, *row in rows:
            try:
                person = opened_person(self._database.seal, row)
                place = person.credential(number_of_row, "card")
                self._database.seal.opened_value(secret, *place)
            except SealBroken as error:
                log.error("credential_not_opened", id=number_of_row, code=error.code)
                continue
            return person.name
        return None

    def _pins(self, connection: sqlite3.Connection, person: PersonRow) -> Pins:
        """A person's PINs that open; the others are logged."""
        rows, broken = pin_rows(connection, self._database.seal, person)
        for number in broken:
            log.error("credential_not_opened", id=number)
        found = {kind: row.secret.decode() for kind, row in rows.items() if row.is_real}
        return Pins(person.name, found.get("pin"), found.get("duress"))

    def _card_rows(
        self, connection: sqlite3.Connection, number: str
    ) -> Sequence[tuple[int, bytes, int, str, bytes | None]]:
        """The rows of a card: their number, sealed value, and person in PERSON_COLUMNS."""
        lookups = self._database.seal.names(_card(number))
        return connection.execute(
            f"SELECT credentials.id, secret, {PERSON_COLUMNS} FROM credentials"
            " JOIN users ON users.id = user_id"
            f" WHERE kind = 'card' AND lookup IN ({marks(lookups)})",
            lookups,
        ).fetchall()


def _card(number: str) -> str:
    return f"card {number}"
