"""Who was deleted loses the name in what was recorded; any other change is still found."""

import sqlite3
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from ostiary.errors import UserUnknown
from ostiary.messages.events import LoginEvent, UserEvent
from ostiary.messages.words import Reason
from ostiary.store import schema
from ostiary.store.backup import backup
from ostiary.store.chain import Chain
from ostiary.store.command_log import CommandKey
from ostiary.store.events import EventFilter
from ostiary.store.links import append, digest_of
from ostiary.store.old_rows import OLD_EVENT_COLUMNS, OldEvent
from ostiary.store.restore import restore
from ostiary.store.sealing import decrypt, encrypt, rotate
from testing.record import ADA, DOOR, KEY, LATER, NOW, SETTLED, House


@pytest.fixture(params=[None, KEY], ids=["plain", "sealed"])
def house(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path / "door.db", request.param)
    yield made
    made.database.close()


def test_a_deleted_person_is_named_in_no_byte_and_the_record_still_fits_its_chain(
    house: House,
) -> None:
    house.register(ADA)
    house.register("Bert")
    visits = [house.visit(ADA) for _ in range(300)]
    house.visit("Bert")
    key = CommandKey.of("register", "1", b"{}")
    house.answers.record(key, f'ok {{"username":"{ADA}"}}'.encode(), NOW)
    kept = CommandKey.of("register", "2", b"{}")
    house.answers.record(kept, b'ok {"username":"Bert"}', NOW)
    house.delete(ADA)
    house.deliver()
    assert house.holds(ADA)

    house.forget()
    assert not house.holds(ADA)
    assert house.findings() == ()
    assert house.names() == [None, "Bert", *[None] * 300, "Bert", None]
    found = {event.seq: event for event in house.events.page(limit=1000).events}
    visit = found[visits[0]]
    assert isinstance(visit, LoginEvent)
    assert (visit.forgotten, visit.reason, visit.distance) == (True, Reason.GRANTED, 0.3)
    assert ADA not in visit.message
    assert [event.forgotten for event in found.values()].count(True) == 302
    deleted, _, registered = house.audit.newest(10)
    assert (deleted.action, deleted.actor, deleted.subject) == ("user_deleted", "anna", "")
    assert (deleted.forgotten, registered.forgotten) == (True, True)
    with pytest.raises(UserUnknown):
        house.answers.answer(key)
    assert house.answers.answer(kept) == b'ok {"username":"Bert"}'

    house.visit("Bert", LATER)
    backup(house.path, house.path.with_name("later.db"))
    assert ADA.encode() not in house.path.with_name("later.db").read_bytes()
    assert house.findings() == ()


def test_an_event_keeps_its_name_until_it_is_not_sent_again(house: House) -> None:
    house.register(ADA)
    house.visit(ADA)
    house.deliver(NOW - SETTLED)
    waits = house.visit(ADA)
    house.delete(ADA)
    house.forget()
    assert house.names() == [ADA] * 4, "one key opens them all"
    assert [event.username for event in house.events.pending(0, 10)] == [ADA, ADA]
    house.events.mark_delivered([waits], LATER + timedelta(seconds=5))
    house.forget(LATER + timedelta(seconds=30))
    assert house.names() == [ADA] * 4, "the broker may forget, and is told once more"
    house.deliver(LATER)
    house.forget(LATER + timedelta(seconds=62))
    assert house.names() == [None] * 4
    assert not house.holds(ADA)
    assert house.findings() == ()


def test_a_restart_on_the_way_forgets_nobody_less(house: House) -> None:
    house.register(ADA)
    house.delete(ADA)
    house.database.close()
    house.open()
    house.deliver()
    house.forget()
    assert not house.holds(ADA)


def test_whoever_got_the_name_since_is_still_named(house: House) -> None:
    house.register(ADA)
    house.visit(ADA)
    house.delete(ADA)
    house.register(ADA)
    house.visit(ADA)
    house.deliver()
    house.forget()
    assert house.names() == [None, None, None, ADA, ADA]
    assert [row.subject for row in house.audit.newest(10)] == [ADA, "", ""]
    house.delete(ADA)
    house.deliver()
    house.forget(LATER + timedelta(minutes=1))
    assert house.names() == [None] * 6
    assert not house.holds(ADA)
    assert house.findings() == ()


def test_former_names_go_with_the_person_and_nobody_elses(house: House) -> None:
    house.register("Bert")
    house.visit("Bert")
    house.rename("Bert", ADA)
    house.register("Bert", LATER)  # another one
    house.visit("Bert", LATER)
    house.visit(ADA)
    house.delete(ADA)
    house.deliver()
    house.forget(LATER + timedelta(minutes=1))
    assert house.names() == [None, None, None, "Bert", "Bert", None, None]
    renamed = house.events.page(EventFilter(kind="user"), newest_first=False).events[1]
    assert isinstance(renamed, UserEvent)
    assert (renamed.action, renamed.previous_username) == ("renamed", None)
    assert not house.holds(ADA)
    assert house.findings() == ()


def test_the_pictures_of_former_names_go_before_the_broker_has_the_events(house: House) -> None:
    house.register("Bert")
    visits = [house.visit("Bert")]
    house.rename("Bert", ADA)
    visits.append(house.visit(ADA))
    house.register("Bert", LATER)  # another one
    others = house.visit("Bert", LATER)
    for seq in (*visits, others):
        house.snapshots.keep(seq, b"a picture", NOW)
    house.delete(ADA, LATER)
    house.forget()
    assert house.snapshots.present([*visits, others]) == {others}

    house.snapshots.keep(visits[0], b"a picture", LATER)  # it was about to be stored
    house.deliver()
    house.forget(LATER + timedelta(minutes=1))
    house.snapshots.keep(visits[1], b"a picture", LATER)
    assert house.snapshots.present([*visits, others]) == {others}


def test_the_pictures_of_somebody_who_had_the_name_before_stay(house: House) -> None:
    house.register("Bert")
    visit = house.visit("Bert")
    house.rename("Bert", ADA)
    house.register("Bert", LATER)  # another one
    another = house.visit("Bert", LATER)
    for seq in (visit, another):
        house.snapshots.keep(seq, b"a picture", NOW)
    house.delete("Bert")
    assert house.snapshots.present([visit, another]) == {visit}


def test_what_was_under_way_when_somebody_was_deleted_does_not_keep_the_name(house: House) -> None:
    house.register(ADA)
    house.delete(ADA)
    house.deliver()
    house.forget()
    house.visit(ADA, LATER)  # somebody had been waited for
    assert house.names()[-1] == ADA
    house.deliver(LATER)
    house.forget(LATER + timedelta(minutes=1))
    assert not house.holds(ADA)


def test_what_is_told_late_takes_no_other_persons_former_name_along(house: House) -> None:
    house.register(ADA)
    house.visit(ADA)
    house.rename(ADA, "Eve")
    house.register(ADA, LATER)  # another one
    house.deliver(NOW - SETTLED)
    waits = house.visit(ADA, LATER)
    house.delete(ADA, LATER)
    house.forget()
    house.visit(ADA, LATER)
    house.events.mark_delivered([waits], LATER)
    house.forget(LATER + timedelta(minutes=1))
    house.deliver(LATER)
    house.forget(LATER + timedelta(minutes=2))
    house.visit(ADA, LATER)  # by what was under way for very long
    house.deliver(LATER)
    house.forget(LATER + timedelta(minutes=3))
    assert house.names() == [ADA, ADA, "Eve", *[None] * 5]
    subjects = [row.subject for row in house.audit.newest(10)]
    assert subjects == ["", "", ADA, ADA]
    assert house.findings() == ()


def test_a_deletion_is_of_who_was_deleted_though_another_has_the_name_by_then(
    house: House,
) -> None:
    """As where a name is free again for somebody of the site."""
    house.register(ADA)
    house.register("Bert")
    with house.database.transaction():
        house.users.delete(ADA)
        house.users.rename("Bert", ADA)
        house.events.append_user(action="deleted", username=ADA, source="http", now=NOW)
        house.audit.add(actor="anna", action="user_deleted", subject=ADA, address="::1", now=NOW)
    house.visit(ADA)
    house.deliver()
    house.forget()
    assert house.names() == [None, "Bert", None, ADA]
    assert [row.forgotten for row in house.audit.newest(10)] == [True, False, True]
    assert house.findings() == ()


def test_events_of_a_transaction_that_was_undone_leave_no_key(house: House) -> None:
    def register_and_fail() -> None:
        with house.database.transaction():
            house.register(ADA)
            house.visit("Somebody")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        register_and_fail()
    house.register("Bert")
    house.register(ADA)
    house.visit("Bert")
    house.visit(ADA)
    house.visit("Somebody")
    house.delete("Bert")
    house.deliver()
    house.forget()
    assert house.names() == [None, ADA, None, ADA, None, None]
    assert house.findings() == ()


def test_a_name_in_a_longer_one_stays(house: House) -> None:
    house.register("Ada")
    house.register("Adaline")
    house.delete("Ada")
    house.deliver()
    house.forget()
    assert house.names() == [None, "Adaline", None]
    assert [row.subject for row in house.audit.newest(10)] == ["", "Adaline", ""]


@pytest.fixture
def written_anew(tmp_path: Path) -> Iterator[tuple[House, Future[bool]]]:
    """A door whose file is being written anew, slowly, as if Bert had left; and whether that is
    done."""
    house, begun = House(tmp_path / "door.db", None), threading.Event()
    with house.database.transaction():
        for _ in range(2000):
            house.visit("Bert")

    def slowly() -> int:
        begun.set()
        time.sleep(0.01)
        return 0

    house.database._writer.set_progress_handler(slowly, 100)
    with ThreadPoolExecutor(1) as cleaner:
        done = cleaner.submit(house.database.scrub, {b"front"})
        assert begun.wait(60)
        yield house, done
    house.database.close()


def test_whoever_wants_to_write_does_not_wait_for_a_file_that_is_written_anew(
    written_anew: tuple[House, Future[bool]],
) -> None:
    house, done = written_anew
    house.visit("Ada")
    assert not done.result(60)
    house.database._writer.set_progress_handler(None, 0)
    assert house.findings() == ()
    assert house.database.scrub({b"front"}), "nobody comes: it is done"
    assert house.findings() == ()


def test_while_somebody_stands_at_a_door_no_file_is_written_anew(tmp_path: Path) -> None:
    house = House(tmp_path / "door.db", None)
    house.visit("Bert")
    assert not house.database.scrub({b"front"}, may_take_long=False)
    for name in (ADA, f"{ADA} the younger"):  # whose name holds the other's
        house.register(name)
    house.delete(ADA)
    house.deliver()
    for _ in range(1000):
        if not house.forgetting.step(LATER, is_quiet=False):
            break
    at = (house.database._writer.total_changes, house.path.stat().st_mtime_ns)
    assert not house.forgetting.step(LATER, is_quiet=True), "it is not due again at once"
    assert at == (house.database._writer.total_changes, house.path.stat().st_mtime_ns)
    house.forgetting.step(LATER + timedelta(seconds=10), is_quiet=True)
    assert house.path.stat().st_mtime_ns != at[1]
    assert house.findings() == ()
    house.database.close()


def test_a_database_is_closed_though_its_file_is_being_written_anew(
    written_anew: tuple[House, Future[bool]],
) -> None:
    house, done = written_anew
    house.database.close()
    assert not done.result(60)
    assert house.findings() == ()


def test_rows_of_an_older_version_are_forgotten_too(tmp_path: Path) -> None:
    """Chained without a salt; and somebody who was deleted while names still stayed."""
    path = tmp_path / "door.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as old:
        for script in schema.migrations()[: schema.FORGETTING_SINCE - 1]:
            old.executescript(script)
        old.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
        old.execute(f"PRAGMA user_version = {schema.FORGETTING_SINCE - 1}")
        columns = OLD_EVENT_COLUMNS.removesuffix(", salt, forgotten")
        for seq, (action, name) in enumerate(
            (("registered", ADA), ("deleted", ADA), ("registered", "Bert")), start=1
        ):
            row = OldEvent(
                seq,
                bytes([seq] * 16),
                "user",
                "2026-04-01T00:00:00.000Z",
                name,
                None,
                "http",
                action=action,
            )[:-2]
            old.execute(f"INSERT INTO events ({columns}) VALUES ({', '.join('?' * 15)})", row)
            append(old, "event", seq, digest_of(row))
    house = House(path, None)
    assert house.findings() == ()
    house.deliver()
    house.forget()
    assert house.names() == [None, None, "Bert"]
    assert house.findings() == ()
    assert not house.holds(ADA)
    house.database.close()


def test_sealing_opening_and_new_keys_keep_what_was_forgotten(tmp_path: Path) -> None:
    house = House(tmp_path / "door.db", None)
    house.register(ADA)
    house.register("Bert")
    house.delete(ADA)
    house.deliver()
    house.forget()
    for turn in (encrypt, decrypt, encrypt):
        house.database.close()
        assert turn(house.path, KEY, house.key, DOOR, LATER)
        house.store_key = KEY if turn is encrypt else None
        house.open()
        assert house.findings() == ()
        assert house.names() == [None, "Bert", None]
    rotate(house.path, KEY, LATER)
    house.delete("Bert")
    house.deliver()
    house.forget(LATER + timedelta(minutes=1))
    assert house.findings() == ()
    assert house.names() == [None] * 4
    house.database.close()


def test_who_is_left_out_of_a_backup_is_named_in_it_no_longer(house: House, tmp_path: Path) -> None:
    house.register(ADA)
    seq = house.visit(ADA)
    house.snapshots.keep(seq, b"a picture", NOW)
    house.deliver()
    backup(house.path, tmp_path / "before.db")
    house.delete(ADA)
    house.database.close()
    found = restore(
        tmp_path / "before.db",
        house.path,
        LATER,
        store_key=house.store_key,
        door_key=house.key,
    )
    assert found.deleted_since == (ADA,)
    house.open()
    house.forget()
    assert house.names() == [None, None]
    assert not house.snapshots.present([seq])
    assert not house.holds(ADA)
    assert house.findings() == ()


TAMPERING = {
    "nobody": "UPDATE events SET person = NULL, named = NULL WHERE seq = 3",
    "who was forgotten": "UPDATE events SET person = 1 WHERE seq = 3",
    "as if forgotten": "UPDATE events SET person = 1, named = x'' WHERE seq = 3",
    "a name that opens nowhere": "UPDATE events SET named = x'00' WHERE seq = 3",
    "another in their place": "UPDATE events SET person = 2 WHERE seq = 1",
    "another by their name": "UPDATE events SET person = 2,"
    " named = (SELECT named FROM events WHERE seq = 3) WHERE seq = 1",
    "what was done": "UPDATE events SET action = 'updated' WHERE seq = 1",
    "a deed": "UPDATE audit SET subject = 'Eve' WHERE id = 1",
    "whose deed": "UPDATE audit SET actor = 'Eve' WHERE id = 1",
    "a deed of nobody": "UPDATE audit SET person = 1, named = x'' WHERE id = 2",
}


@pytest.mark.parametrize("edit", TAMPERING.values(), ids=TAMPERING)
def test_only_the_door_can_take_a_name_out_and_nobody_puts_one_in(house: House, edit: str) -> None:
    house.register(ADA)
    house.register("Bert")
    house.visit("Bert")
    house.delete(ADA)
    house.deliver()
    house.forget()
    Chain(house.database).sign(house.key, DOOR, LATER)
    assert house.findings() == ()
    with closing(sqlite3.connect(house.path)) as connection, connection:
        assert connection.execute(edit).rowcount == 1
    assert [finding for finding in house.findings() if "was altered" in finding]


KEYS = {
    "DELETE FROM person_keys WHERE person = 2": "the key of person 2 was taken away",
    "UPDATE person_keys SET mac = NULL WHERE person = 2": "the key of person 2 was put in",
    "UPDATE person_keys SET key = (SELECT key FROM person_keys WHERE person = 3),"
    " mac = (SELECT mac FROM person_keys WHERE person = 3) WHERE person = 2": "the key of person 2",
    "UPDATE person_keys SET person = 9 WHERE person = 2": "the key of person 2 was taken away",
}


@pytest.mark.parametrize(("edit", "said"), KEYS.items(), ids=["gone", "no MAC", "swapped", "moved"])
def test_a_key_that_the_door_did_not_take_away_or_give_is_found(
    house: House, edit: str, said: str
) -> None:
    for name in (ADA, "Bert", "Cy"):
        house.register(name)
    house.delete(ADA)
    house.deliver()
    house.forget()
    assert house.findings() == ()
    with closing(sqlite3.connect(house.path)) as connection, connection:
        assert connection.execute(edit).rowcount == 1
    assert any(finding.startswith(said) for finding in house.findings())
    house.visit("Bert")  # a door goes on; what the key was of is not named any more
    assert any(finding.startswith("the key of person 2") for finding in house.findings()) or any(
        "does not open" in finding for finding in house.findings()
    )


def test_what_names_somebody_and_does_not_open_is_found(tmp_path: Path) -> None:
    house = House(tmp_path / "door.db", None)
    house.register("Bert")
    with closing(sqlite3.connect(house.path)) as connection, connection:
        connection.execute("UPDATE person_keys SET key = randomblob(32)")
    assert "event 1 names somebody by what does not open" in house.findings()
    assert "audit 1 names somebody by what does not open" in house.findings()
    house.database.close()


@pytest.mark.parametrize("position", ["1", "(SELECT MAX(position) FROM chain)"])
def test_nobody_is_forgotten_whom_the_door_did_not_remove(house: House, position: str) -> None:
    house.register("Bert")
    house.register(ADA)
    house.delete(ADA)  # the newest entries are of that
    with closing(sqlite3.connect(house.path, isolation_level=None)) as connection:
        append(connection, "removed", 1, digest_of(()), "person 1")  # it has not the door's key
        connection.execute(f"UPDATE person_keys SET leaving = {position} WHERE person = 1")
    house.deliver()
    house.forget()
    assert house.names() == ["Bert", None, None]


def test_no_row_of_the_record_is_changed_when_somebody_is_forgotten(house: House) -> None:
    def recorded() -> list[list[tuple[object, ...]]]:
        with house.database.reading() as connection:
            tables = ("events", "audit", "chain")
            return [connection.execute(f"SELECT * FROM {each}").fetchall() for each in tables]

    house.register(ADA)
    house.visit(ADA)
    house.delete(ADA)
    house.deliver()
    before = recorded()
    house.forget()
    assert not house.holds(ADA)
    assert recorded() == before


def test_the_key_of_who_was_forgotten_is_in_no_byte(house: House) -> None:
    house.register(ADA)
    house.register("Bert")
    with house.database.reading() as connection:
        (key, kept) = [key for (key,) in connection.execute("SELECT key FROM person_keys")]
    house.delete(ADA)
    house.deliver()
    house.forget()
    backup(house.path, house.path.with_name("later.db"))
    files = [file.read_bytes() for file in house.path.parent.glob("*.db*")]
    assert not any(key in content for content in files)
    assert any(kept in content for content in files)


def test_a_name_is_also_taken_out_of_a_row_that_was_altered_and_that_is_still_found(
    house: House,
) -> None:
    house.register(ADA)
    with closing(sqlite3.connect(house.path)) as connection, connection:
        connection.execute("UPDATE events SET source = 'cli' WHERE seq = 1")
    house.delete(ADA)
    house.deliver()
    house.forget()
    assert not house.holds(ADA)
    assert house.findings() == ("event 1 was altered",)
