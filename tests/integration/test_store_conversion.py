"""A record from before people's keys becomes one of today, once; what was changed in it is found as
before."""

import hmac
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from ostiary.store import schema
from ostiary.store.database import Database
from ostiary.store.links import append
from ostiary.store.old_rows import (
    OLD_AUDIT_COLUMNS,
    OLD_EVENT_COLUMNS,
    OldEvent,
    forgotten_text,
    old_digest,
)
from ostiary.store.own_entries import CHAIN
from testing.record import ADA, House

AT = "2026-04-01T00:00:00.000Z"
BEFORE = schema.PERSON_KEYS_SINCE - 1


class Former:
    """A plain database of the version before, and its door's key."""

    def __init__(self, path: Path) -> None:
        self.house = House(path, None)  # which makes the key
        self.house.database.close()
        path.unlink()
        self.connection = sqlite3.connect(path, isolation_level=None)
        for script in schema.migrations()[:BEFORE]:
            self.connection.executescript(script)
        self.connection.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
        self.connection.execute(f"PRAGMA user_version = {BEFORE}")
        self.key = self.house.key
        self.secret = self.key.secret(CHAIN)
        self._seq = self._deed = 0

    def event(self, kind: str, name: str | None, *, is_chained: bool = True, **more: object) -> int:
        self._seq += 1
        row = OldEvent(
            self._seq, bytes([self._seq] * 16), kind, AT, name, None, "front", salt=b"s" * 16
        )._replace(**more)  # type: ignore[arg-type]
        marks = ", ".join("?" * len(row))
        self.connection.execute(f"INSERT INTO events ({OLD_EVENT_COLUMNS}) VALUES ({marks})", row)
        self.connection.execute("UPDATE events SET delivered_at = ?", (AT,))
        if is_chained:
            digest = old_digest("event", row, self.house.database.seal)
            append(self.connection, "event", self._seq, digest, key=self.secret)
        return self._seq

    def user(self, action: str, name: str, former: str | None = None, **more: bool) -> int:
        return self.event("user", name, action=action, previous_username=former, **more)

    def visit(self, name: str, **more: object) -> int:
        granted = {"success": 1, "reason": "granted", "recognizer": "sface"}
        return self.event("login", name, **{**granted, **more})  # type: ignore[arg-type]

    def deed(self, action: str, subject: str, detail: str = "{}") -> None:
        self._deed += 1
        row = (self._deed, AT, "anna", action, subject, detail, "::1", b"s" * 16, None)
        marks = ", ".join("?" * len(row))
        self.connection.execute(f"INSERT INTO audit ({OLD_AUDIT_COLUMNS}) VALUES ({marks})", row)
        digest = old_digest("audit", row, self.house.database.seal)
        append(self.connection, "audit", self._deed, digest, key=self.secret)

    def people(self, *names: str) -> None:
        for name in names:
            self.connection.execute(
                "INSERT INTO users (username, key) VALUES (?, randomblob(32))", (name,)
            )

    def opened(self) -> House:
        self.connection.close()
        self.house.open()
        return self.house


@pytest.fixture
def former(tmp_path: Path) -> Iterator[Former]:
    made = Former(tmp_path / "door.db")
    yield made
    made.connection.close()
    made.house.database.close()


def test_each_row_is_of_who_had_the_name_then(former: Former) -> None:
    former.visit("Bert")  # of somebody before all that is recorded
    former.user("registered", "Bert")
    former.deed("user_registered", "Bert")
    former.visit("Bert")
    former.user("renamed", ADA, "Bert")
    former.deed("user_renamed", "Bert", f'{{"new_username": "{ADA}"}}')
    former.user("registered", "Bert")
    former.visit("Bert")
    former.user("deleted", "Bert")
    former.deed("user_deleted", "Bert")
    former.visit("Bert")  # it was under way
    former.user("registered", "Bert")
    former.visit("Bert")
    former.visit(ADA)
    former.people(ADA, "Bert")
    house = former.opened()
    assert house.findings() == ()
    named = ["Bert", "Bert", "Bert", ADA, *["Bert"] * 6, ADA]
    assert house.names() == named
    with house.database.reading() as connection:
        persons = [each for (each,) in connection.execute("SELECT person FROM events")]
        deeds = [each for (each,) in connection.execute("SELECT person FROM audit")]
        living = dict(connection.execute("SELECT username, id FROM users"))
    before, ada, gone, bert = persons[0], living[ADA], persons[4], living["Bert"]
    assert persons == [before, *[ada] * 3, *[gone] * 4, *[bert] * 2, ada]
    assert deeds == [ada, ada, gone]
    assert len({before, ada, gone, bert}) == 4
    house.forget()
    assert house.findings() == ()
    assert house.names() == [*named[:4], *[None] * 4, *named[8:]]
    assert [row.forgotten for row in house.audit.newest(10)] == [True, False, False]


def test_who_was_removed_without_an_event_is_forgotten_by_the_doors_word_only(
    former: Former,
) -> None:
    """As another door of the site does."""
    for name in ("Ada", "Bert", "Cy"):
        former.visit(name)
    former.people("Cy")
    add = "INSERT INTO leaving (name, events_from, events_until, audit_until, mac) VALUES "
    for name, mac in (("Ada", word(former, 1, "Ada")), ("Bert", None), ("Cy", b"m" * 32)):
        former.connection.execute(f"{add} (?, 0, 3, 0, ?)", (name, mac))
    house = former.opened()
    house.forget()
    assert house.names() == [None, "Bert", "Cy"]
    assert house.findings() == ()


def test_an_answer_is_forgotten_that_alone_names_who_was_removed(former: Former) -> None:
    former.visit("Bert")
    former.people("Bert")
    former.connection.execute(
        "INSERT INTO leaving (name, events_from, events_until, audit_until, mac)"
        " VALUES ('Ada', 0, 3, 0, ?)",
        (word(former, 1, "Ada"),),
    )
    former.connection.execute(
        "INSERT INTO commands VALUES ('', 'access', x'61', zeroblob(32), ?, ?)",
        (b'ok {"username":"Ada"}', AT),
    )
    house = former.opened()
    house.forget()
    assert not house.holds("Ada")
    assert house.findings() == ()


def word(former: Former, number: int, name: str) -> bytes:
    text = "\n".join(("ostiary-leaving-1", *map(str, (number, name, 0, 3, 0, 0))))
    return hmac.digest(former.secret, text.encode(), "sha256")


def test_what_was_changed_before_is_found_after(former: Former) -> None:
    former.user("registered", "Bert")
    for _ in range(6):
        former.visit("Bert")
    former.deed("pin_set", "Bert")
    former.deed("account_added", "olga")
    former.visit("Bert", is_chained=False)
    edit = former.connection.execute
    edit("UPDATE events SET source = 'back' WHERE seq = 2")
    edit("DELETE FROM events WHERE seq = 3")
    edit("UPDATE events SET username = NULL, salt = NULL, forgotten = 'x' WHERE seq = 4")
    edit("UPDATE audit SET actor = 'nobody' WHERE id = 2")
    append(former.connection, "removed", 3, bytes(32), "event 3")
    former.people("Bert")
    before = former.house.findings()
    assert len(before) == 6
    house = former.opened()
    assert sorted(house.findings()) == sorted(before)
    house.visit("Bert")
    house.database.close()
    house.open()
    assert sorted(house.findings()) == sorted(before)


@pytest.mark.parametrize("action", ["deleted", "registered", "renamed"])
def test_a_change_of_people_that_was_put_in_decides_nothing(former: Former, action: str) -> None:
    former.user("registered", "Bert")
    former.visit("Bert")
    former.user(action, "Bert", "Ada" if action == "renamed" else None, is_chained=False)
    former.people("Bert")
    former.visit("Bert")
    house = former.opened()
    house.forget()
    with house.database.reading() as connection:
        assert connection.execute("SELECT DISTINCT person FROM events").fetchall() == [(1,)]
    assert house.names() == ["Bert"] * 4


def test_whose_name_was_taken_out_stays_nameless(former: Former) -> None:
    seq = former.visit("Eve")
    former.visit("Bert")
    (row,) = former.connection.execute(f"SELECT {OLD_EVENT_COLUMNS} FROM events WHERE seq = 1")
    seal = former.house.database.seal
    emptied = (*row[:4], None, *row[5:15], None, None)
    text = forgotten_text(
        "event", seq, old_digest("event", row, seal), old_digest("event", emptied, seal)
    )
    former.connection.execute(
        "UPDATE events SET username = NULL, salt = NULL, forgotten = ? WHERE seq = 1",
        (former.key.sign(text),),
    )
    house = former.opened()
    assert house.findings() == ()
    first, second = house.events.page(newest_first=False).events
    assert (first.username, first.forgotten) == (None, True)
    assert (second.username, second.forgotten) == ("Bert", False)


def test_who_was_forced_is_told_as_before(former: Former) -> None:
    seqs = [former.visit("Bert", action=action) for action in ("duress", None)]
    former.event("door", None, action="mode", message="lockdown")
    house = former.opened()
    assert house.events.forced(seqs[0]) is not None
    assert house.events.forced(seqs[1]) is None
    assert house.events.locked_down_after(2, "front")


def test_the_door_says_how_much_it_converts_and_does_it_once(former: Former) -> None:
    former.visit("Bert")
    former.deed("account_added", "olga")
    with capture_logs() as logs:
        house = former.opened()
    assert {"event": "record_converting", "events": 1, "deeds": 1, "log_level": "info"} in logs
    house.database.close()
    with capture_logs() as logs:
        house.open()
    assert logs == []
    assert b"Bert" not in house.path.read_bytes()


def test_without_the_doors_key_nothing_is_converted(former: Former) -> None:
    former.visit("Bert")
    former.connection.close()
    Database.open(former.house.path).close()
    assert former.house.findings() == ()
    house = former.opened()
    assert house.names() == ["Bert"]
    assert house.findings() == ()
