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
from ostiary.store.links import EVENT_COLUMNS, EventRow, append, digest_of
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
    assert house.names() == [ADA, None, ADA, ADA], "the first tells from when on it was her"
    assert [event.username for event in house.events.pending(0, 10)] == [ADA, ADA]
    house.events.mark_delivered([waits], LATER + timedelta(seconds=5))
    house.forget(LATER + timedelta(seconds=30))
    assert house.names() == [ADA, None, ADA, ADA], "the broker may forget, and is told once more"
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
    house.snapshots.forget("Bert")
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
        done = cleaner.submit(house.database.scrub, {"Bert"})
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
    assert house.database.scrub({"Bert"}), "nobody comes: it is done"
    assert house.findings() == ()


def test_while_somebody_stands_at_a_door_no_file_is_written_anew(tmp_path: Path) -> None:
    house = House(tmp_path / "door.db", None)
    house.visit("Bert")
    assert not house.database.scrub({"Bert"}, may_take_long=False)
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
        columns = EVENT_COLUMNS.removesuffix(", salt, forgotten")
        for seq, (action, name) in enumerate(
            (("registered", ADA), ("deleted", ADA), ("registered", "Bert")), start=1
        ):
            row = EventRow(
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
    "a name taken out": "UPDATE events SET username = NULL, message = NULL WHERE seq = 3",
    "also its salt": "UPDATE events SET username = NULL, message = NULL, salt = NULL WHERE seq = 3",
    "as if by the door": "UPDATE events SET username = NULL, message = NULL, salt = NULL,"
    " forgotten = (SELECT forgotten FROM events WHERE seq = 1) WHERE seq = 3",
    "as if unproven": "UPDATE events SET username = NULL, message = NULL, salt = NULL,"
    " forgotten = '' WHERE seq = 3",
    "a name put in": "UPDATE events SET username = 'Eve' WHERE seq = 1",
    "a name put in for good": "UPDATE events SET username = 'Eve', forgotten = NULL WHERE seq = 1",
    "a guess put in": f"UPDATE events SET username = '{ADA}', forgotten = NULL WHERE seq = 1",
    "nobody any more": "UPDATE events SET forgotten = NULL WHERE seq = 1",
    "what was done": "UPDATE events SET action = 'updated' WHERE seq = 1",
    "a salt put in": "UPDATE events SET salt = x'00' WHERE seq = 1",
    "a deed": "UPDATE audit SET subject = 'Eve' WHERE id = 1",
    "whose deed": "UPDATE audit SET actor = 'Eve' WHERE id = 1",
    "a deed of nobody": "UPDATE audit SET subject = '', detail = '{}', salt = NULL,"
    " forgotten = (SELECT forgotten FROM audit WHERE id = 1) WHERE id = 2",
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
