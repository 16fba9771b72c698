"""The columns that are sealed, and how their rows are sealed by other keys."""

import sqlite3
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from ostiary.crypto.door_key import DoorKey
from ostiary.crypto.seal import Seal
from ostiary.errors import SealBroken
from ostiary.store.audit_rows import AUDIT_COLUMNS, opened_audit, sealed_audit
from ostiary.store.links import Row, append, newest_link, number_of
from ostiary.store.person import PERSON_COLUMNS, opened_person
from ostiary.store.person_keys import key_place
from ostiary.store.rows import ROWS, digest_of_row

_HINT_LENGTH = 8


@dataclass(frozen=True, slots=True)
class SealedTable:
    """A table with sealed columns. `columns`: those that are read, the row's number first.
    `sealed`: makes the new values of the columns `changed` from a row, its old seal and the new
    one. `whose`: joins the row's person, where the table is of people."""

    name: str
    columns: str
    changed: tuple[str, ...]
    sealed: Callable[[Row, Seal, Seal], tuple[object, ...]]
    whose: str = ""


def _user(row: Row, old: Seal, new: Seal) -> tuple[object, ...]:
    *whose, encoding = row
    _, username, key = whose
    if not isinstance(username, str):  # a row of the first version that nobody could read
        return username, None if new.is_sealing else encoding, key
    person = opened_person(old, whose)
    if isinstance(encoding, bytes):
        encoding = new.value(old.opened_value(encoding, *person.encoding), *person.encoding)
    if isinstance(person.key, bytes):
        key = new.value(person.key, *person.place)
    return new.name(person.name), encoding, key


def _template(row: Row, old: Seal, new: Seal) -> tuple[object, ...]:
    number, descriptor, recognizer, *whose = row
    assert isinstance(descriptor, bytes)
    # Its person was sealed anew before it: the table of users comes first.
    place = opened_person(new, whose).template(number, recognizer)
    return (new.value(old.opened_value(descriptor, *place), *place),)


def sealed_hint(number: object, hint: str, seal: Seal) -> str | bytes:
    """The hint of a PIN (`pin_rows.hint_text`) as it is stored. Sealed, equal hints do not look
    alike, and all are of one length."""
    if not seal.is_sealing:
        return hint
    return seal.text(hint.ljust(_HINT_LENGTH), *_hint_place(number))


def _hint_place(number: object) -> tuple[object, ...]:
    return ("hint", number)


def _credential(row: Row, old: Seal, new: Seal) -> tuple[object, ...]:
    number, kind, lookup, secret, *whose = row
    assert isinstance(secret, bytes)
    place = opened_person(new, whose).credential(number, kind)
    value = new.value(old.opened_value(secret, *place), *place)
    if kind == "card":
        return new.name(old.opened_name(str(lookup))), value
    return sealed_hint(number, opened_hint(number, lookup, old), new), value


def opened_hint(number: object, lookup: object, seal: Seal) -> str:
    """The hint of a PIN. Raises SealBroken."""
    if isinstance(lookup, bytes):
        return seal.opened_text(lookup, *_hint_place(number)).rstrip()
    return seal.opened_name(str(lookup))  # an older version sealed it as a name


def seal_hints(connection: sqlite3.Connection, seal: Seal) -> None:
    """Seal the hints of PINs anew that an older version sealed alike. Call it inside a
    transaction."""
    pins = connection.execute(
        "SELECT id, lookup FROM credentials WHERE kind != 'card' AND typeof(lookup) = 'text'"
    ).fetchall()
    for number, lookup in pins:
        with suppress(SealBroken):
            sealed = sealed_hint(number, opened_hint(number, lookup, seal), seal)
            connection.execute("UPDATE credentials SET lookup = ? WHERE id = ?", (sealed, number))


def _person_key(row: Row, old: Seal, new: Seal) -> tuple[object, ...]:
    person, key = row
    assert isinstance(key, bytes)
    place = key_place(int(str(person)))
    return (new.value(old.opened_value(key, *place), *place),)


def _audit(row: Row, old: Seal, new: Seal) -> tuple[object, ...]:
    plain = opened_audit(row, old)
    return tuple(sealed_audit(row[0], [str(text) for text in plain[2:7]], new))


def _snapshot(row: Row, old: Seal, new: Seal) -> tuple[object, ...]:
    seq, jpeg = row
    assert isinstance(jpeg, bytes)
    return (new.value(old.opened_value(jpeg, "snapshot", seq), "snapshot", seq),)


def _group(row: Row, old: Seal, new: Seal) -> tuple[object, ...]:
    return (new.name(old.opened_name(str(row[1]))),)


def _rule(row: Row, old: Seal, new: Seal) -> tuple[object, ...]:
    return (_resealed_text(row[1], old, new, "rule", row[0]),)


def _holiday(row: Row, old: Seal, new: Seal) -> tuple[object, ...]:
    return (_resealed_text(row[1], old, new, "holiday", row[0]),)


def _calibration(row: Row, old: Seal, new: Seal) -> tuple[object, ...]:
    return _about_and_value(row, old, new, "calibration", "layer")


def _presentation(row: Row, old: Seal, new: Seal) -> tuple[object, ...]:
    return _about_and_value(row, old, new, "presentation", "content")


def _about_and_value(row: Row, old: Seal, new: Seal, table: str, column: str) -> tuple[object, ...]:
    number, about, value = row
    assert isinstance(value, bytes)
    place = (table, number, column)
    text = _resealed_text(about, old, new, table, number, "about")
    return text, new.value(old.opened_value(value, *place), *place)


def _resealed_text(stored: object, old: Seal, new: Seal, *place: object) -> str | bytes:
    assert isinstance(stored, str | bytes)
    return new.text(old.opened_text(stored, *place), *place)


def command_place(
    requester: str, command: str, transaction: bytes, column: str
) -> tuple[object, ...]:
    """The place that a command's recorded answer, or the digest of its request, is bound to."""
    return (column, requester, command, transaction)


def _command(row: Row, old: Seal, new: Seal) -> tuple[object, ...]:
    _, requester, command, transaction, *values = row
    assert isinstance(transaction, bytes)
    changed: list[object] = []
    for column, value in zip(("digest", "answer"), values, strict=True):
        place = command_place(str(requester), str(command), transaction, column)
        if isinstance(value, bytes) and value:  # an empty answer: its command runs
            value = new.value(old.opened_value(value, *place), *place)
        changed.append(value)
    return tuple(changed)


_WHOSE = "JOIN users ON users.id = user_id"

TABLES = (
    SealedTable("users", f"{PERSON_COLUMNS}, encoding", ("username", "encoding", "key"), _user),
    SealedTable(
        "templates",
        f"templates.id, descriptor, recognizer, {PERSON_COLUMNS}",
        ("descriptor",),
        _template,
        _WHOSE,
    ),
    SealedTable(
        "credentials",
        f"credentials.id, kind, lookup, secret, {PERSON_COLUMNS}",
        ("lookup", "secret"),
        _credential,
        _WHOSE,
    ),
    SealedTable("person_keys", "person, key", ("key",), _person_key),
    SealedTable(
        "audit", AUDIT_COLUMNS, ("actor", "action", "subject", "detail", "address"), _audit
    ),
    SealedTable("groups", "id, name", ("name",), _group),
    SealedTable("rules", "id, content", ("content",), _rule),
    SealedTable("holidays", "id, name", ("name",), _holiday),
    SealedTable("snapshots", "seq, jpeg", ("jpeg",), _snapshot),
    SealedTable("calibrations", "id, about, layer", ("about", "layer"), _calibration),
    SealedTable("presentations", "id, about, content", ("about", "content"), _presentation),
    SealedTable(
        "commands",
        "rowid, requester, command, transaction_id, digest, answer",
        ("digest", "answer"),
        _command,
    ),
)


def reseal(
    connection: sqlite3.Connection,
    table: SealedTable,
    old: Seal,
    new: Seal,
    *,
    after: int = -1,
    limit: int = -1,
) -> int | None:
    """Seal the rows whose number is above `after` by `new`, at most `limit` (-1: all). Returns the
    number of the last; None: there were none. Raises SealBroken."""
    key = table.columns.split(",", 1)[0]
    rows = connection.execute(
        f"SELECT {table.columns} FROM {table.name} {table.whose}"
        f" WHERE {key} > ? ORDER BY {key} LIMIT ?",
        (after, limit),
    ).fetchall()
    assignments = ", ".join(f"{column} = ?" for column in table.changed)
    connection.executemany(
        f"UPDATE {table.name} SET {assignments} WHERE {key} = ?",
        [(*table.sealed(row, old, new), row[0]) for row in rows],
    )
    return rows[-1][0] if rows else None


def chain_anew(connection: sqlite3.Connection, seal: Seal, key: DoorKey) -> None:
    """Begin the chain anew after its newest link, which must be signed: with an entry for each row,
    digested as `seal` does, and for each removed person. All older entries are deleted."""
    newest = newest_link(connection)
    secret = key.secret("chain")
    people = connection.execute(
        "SELECT row, digest, note FROM chain WHERE kind = 'removed' AND note LIKE 'person %'"
    ).fetchall()
    connection.execute("DELETE FROM chain")
    connection.execute("DELETE FROM chain_heads WHERE position < ?", (newest[0],))
    for kind, where in ROWS.items():
        rows = connection.execute(f"SELECT {where.columns} FROM {where.table} ORDER BY 1")
        for row in rows.fetchall():
            plain = row if kind == "event" else opened_audit(row, seal)
            digest = digest_of_row(kind, plain, seal)
            newest = append(connection, kind, number_of(row), digest, newest=newest, key=secret)
    for person, digest, note in people:
        newest = append(connection, "removed", person, digest, note, newest, secret)
        connection.execute(
            "UPDATE person_keys SET leaving = ? WHERE person = ? AND leaving IS NOT NULL",
            (newest[0], person),
        )
