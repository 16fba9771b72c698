"""Which columns are sealed, how a row is opened, and how all rows are sealed by other keys."""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from ostiary.crypto.door_key import DoorKey
from ostiary.crypto.seal import Seal
from ostiary.errors import SealBroken
from ostiary.store.event_rows import (
    event_names_somebody,
    opened_event,
    sealed_action,
    sealed_event,
)
from ostiary.store.links import (
    AUDIT_COLUMNS,
    EVENT_COLUMNS,
    FORGOTTEN,
    EventRow,
    Kind,
    Row,
    append,
    content_of,
    digest_of,
    forgotten_text,
    newest_link,
)
from ostiary.store.person import PERSON_COLUMNS, opened_person

_HINT_LENGTH = 8
_NAMELESS = ("", "{}")
_AUDIT_TEXTS = {2: "actor", 3: "action", 4: "subject", 5: "detail", 6: "address"}


def opened_audit(row: Row, seal: Seal) -> Row:
    """A row in AUDIT_COLUMNS, likewise."""
    if not seal.is_sealing:
        return row
    plain = list(row)
    for column, name in _AUDIT_TEXTS.items():
        text = row[column]
        if isinstance(text, str | bytes):
            plain[column] = seal.opened_text(text, "audit", row[0], name)
    return plain


def sealed_audit(number: int, texts: Sequence[str], seal: Seal) -> list[str | bytes]:
    """Actor, action, subject, detail and address as they are stored in the row `number`."""
    named = zip(texts, _AUDIT_TEXTS.values(), strict=True)
    return [seal.text(text, "audit", number, name) for text, name in named]


def nameless_audit(row: Row) -> Row:
    """An opened row in AUDIT_COLUMNS without whom it names."""
    number, at, actor, action, *_, address, _, forgotten = row
    return number, at, actor, action, *_NAMELESS, address, None, forgotten


def emptied_audit(row: Row, seal: Seal) -> tuple[object, ...]:
    """Subject and detail of such a row as they are stored."""
    texts = zip(_NAMELESS, ("subject", "detail"), strict=True)
    return tuple(seal.text(text, "audit", row[0], column) for text, column in texts)


@dataclass(frozen=True, slots=True)
class RowsOf:
    """Where rows of a kind are kept, in which columns their number and their time are, on what
    condition one must not be removed yet, and how one is opened."""

    table: str
    number: str
    at: str
    waits: str
    columns: str
    opened: Callable[[Row, Seal], Row]


ROWS: Mapping[Kind, RowsOf] = {
    "event": RowsOf(
        *("events", "seq", "timestamp", "delivered_at IS NULL", EVENT_COLUMNS, opened_event)
    ),
    "audit": RowsOf("audit", "id", "at", "FALSE", AUDIT_COLUMNS, opened_audit),
}


def digest_of_row(kind: Kind, row: Row, seal: Seal) -> bytes:
    """Of an opened row, 32 bytes: keyed where the row names somebody."""
    is_named = kind == "audit" or event_names_somebody(EventRow._make(row))
    return digest_of(content_of(row), seal.log_key if is_named else b"")


@dataclass(frozen=True, slots=True)
class SealedTable:
    """`columns` begin with the row's number; `sealed` gives the new values of `changed`. `whose`:
    of whom its rows are, where they are of people."""

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
    """The text by which a PIN is found, as it is stored: equal ones do not look alike, and all are
    of one length."""
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
    """The text by which a PIN is found. Raises SealBroken."""
    if isinstance(lookup, bytes):
        return seal.opened_text(lookup, *_hint_place(number)).rstrip()
    return seal.opened_name(str(lookup))  # as it was sealed before, alike every time


def seal_alike(connection: sqlite3.Connection, seal: Seal) -> None:
    """Seal what a version before this left open or alike: whether somebody was forced, and the
    hints of PINs. Call it inside a transaction."""
    rows = connection.execute(
        f"SELECT {EVENT_COLUMNS} FROM events WHERE kind = 'login' AND success = 1"
        " AND typeof(action) != 'blob'"
    ).fetchall()
    connection.executemany(
        "UPDATE events SET action = ? WHERE seq = ?",
        [(sealed_action(row, seal), row.seq) for row in map(EventRow._make, rows)],
    )
    pins = connection.execute(
        "SELECT id, lookup FROM credentials WHERE kind != 'card' AND typeof(lookup) = 'text'"
    ).fetchall()
    for number, lookup in pins:
        with suppress(SealBroken):
            sealed = sealed_hint(number, opened_hint(number, lookup, seal), seal)
            connection.execute("UPDATE credentials SET lookup = ? WHERE id = ?", (sealed, number))


def _event(row: Row, old: Seal, new: Seal) -> tuple[object, ...]:
    stored = EventRow._make(sealed_event(opened_event(row, old), new))
    return stored.username, stored.message, stored.action, stored.previous_username


def _audit(row: Row, old: Seal, new: Seal) -> tuple[object, ...]:
    plain = opened_audit(row, old)
    number = row[0]
    assert isinstance(number, int)
    return tuple(sealed_audit(number, [str(text) for text in plain[2:7]], new))


def _snapshot(row: Row, old: Seal, new: Seal) -> tuple[object, ...]:
    seq, jpeg = row
    assert isinstance(jpeg, bytes)
    return (new.value(old.opened_value(jpeg, "snapshot", seq), "snapshot", seq),)


def _leaving(row: Row, old: Seal, new: Seal) -> tuple[object, ...]:
    return (new.name(old.opened_name(str(row[1]))),)


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
    """What a recorded answer, or the digest of what it answers, is bound to."""
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
    SealedTable(
        "events", EVENT_COLUMNS, ("username", "message", "action", "previous_username"), _event
    ),
    SealedTable(
        "audit", AUDIT_COLUMNS, ("actor", "action", "subject", "detail", "address"), _audit
    ),
    SealedTable("leaving", "id, name", ("name",), _leaving),
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
    """Seal rows whose number is above `after` by `new`, at most `limit`; the last one's number,
    None where there are no more."""
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
    """Let the chain go on from its newest link with all rows that there are, digested as `seal`
    does; what was before that link is removed. The link must be signed. `key` signs rows without
    their names anew."""
    newest = newest_link(connection)
    secret = key.secret("chain")
    connection.execute("DELETE FROM chain")
    connection.execute("DELETE FROM chain_heads WHERE position < ?", (newest[0],))
    for kind, where in ROWS.items():
        rows = connection.execute(f"SELECT {where.columns} FROM {where.table} ORDER BY 1")
        for row in rows.fetchall():
            digest = digest_of_row(kind, where.opened(row, seal), seal)
            if row[FORGOTTEN] is not None:
                signature = key.sign(forgotten_text(kind, row[0], digest, digest))
                connection.execute(
                    f"UPDATE {where.table} SET forgotten = ? WHERE {where.number} = ?",
                    (signature, row[0]),
                )
            newest = append(connection, kind, row[0], digest, newest=newest, key=secret)
