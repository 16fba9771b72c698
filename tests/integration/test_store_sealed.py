"""A copied disk tells nobody's name, face or deeds; the key's owner loses nothing."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mnemonic import Mnemonic

from ostiary import timestamps
from ostiary.commands.log_check import check
from ostiary.crypto.door_key import DoorKey
from ostiary.crypto.seal import KeyedSeal
from ostiary.errors import (
    LogAltered,
    RecoveryWordsWrong,
    SealBroken,
    StoreLocked,
    TransactionConflict,
    UserExists,
)
from ostiary.messages.decision import Decision
from ostiary.messages.words import Reason
from ostiary.store.audit import Audit
from ostiary.store.backup import backup, verify
from ostiary.store.chain import Chain
from ostiary.store.command_log import CommandKey, CommandLog
from ostiary.store.credentials import Credentials
from ostiary.store.database import Database
from ostiary.store.events import EventFilter, Events
from ostiary.store.restore import restore
from ostiary.store.sealing import (
    Rotation,
    change_key,
    decrypt,
    encrypt,
    make_recovery,
    rotate,
)
from ostiary.store.snapshots import Snapshots
from ostiary.store.users import Users

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
KEY = b"k" * 32
OTHER_KEY = b"o" * 32
NAME = "Ada Lovelace-Xyzzy"
SECOND = "Grace Hopper-Xyzzy"
JPEG = b"\xff\xd8\xff" + b"a small picture of the moment" * 20 + b"\xff\xd9"
SUBJECT = "the subject of a deed"


@pytest.fixture(scope="module")
def door_key(tmp_path_factory: pytest.TempPathFactory) -> DoorKey:
    return DoorKey.load_or_make(tmp_path_factory.mktemp("key") / "door.key")


def some_descriptor(number: int) -> np.ndarray:
    return np.random.default_rng(number).normal(size=128).astype(np.float32)


def fill(database: Database) -> None:
    """Two people with a template each, an event, a picture, a deed, and a command's answer."""
    users, events = Users(database), Events(database)
    users.add(NAME, [some_descriptor(1)], NOW, recognizer="dlib", source="cli")
    users.add(SECOND, [some_descriptor(2)], NOW, recognizer="dlib", source="cli")
    event = events.append_login(
        Decision(Reason.GRANTED, NAME, distance=0.3, liveness=0.99), source="front", now=NOW
    )
    events.append_login(Decision(Reason.UNKNOWN_FACE), source="front", now=NOW)
    events.append_user(
        action="renamed", username=SECOND, previous_username=NAME, source="c", now=NOW
    )
    Snapshots(database).keep(event.seq, JPEG, NOW)
    Audit(database).add(actor=NAME, action="deleted", subject=SUBJECT, address="::1", now=NOW)
    CommandLog(database).record(a_key(), b"ok " + NAME.encode(), NOW)


def a_key(payload: bytes = NAME.encode()) -> CommandKey:
    return CommandKey.of("register", "t-1", payload)


def check_filled(database: Database) -> None:
    """Everything of `fill` reads as it was written."""
    users, events = Users(database), Events(database)
    assert [user.username for user in users.list()] == [NAME, SECOND]
    by_name = {name: descriptor for name, _, descriptor in users.templates()}
    assert np.array_equal(by_name[NAME], some_descriptor(1))
    assert np.array_equal(by_name[SECOND], some_descriptor(2))
    assert [event.seq for event in events.page(EventFilter(username=NAME)).events] == [1]
    (renamed,) = events.page(EventFilter(kind="user")).events
    assert NAME in str(renamed)
    login = events.page(EventFilter(reason="granted")).events[0]
    assert login.username == NAME
    assert NAME in str(login)
    assert Snapshots(database).get(1) == JPEG
    deeds = [row for row in Audit(database).newest(9) if row.action == "deleted"]
    assert [(row.actor, row.subject) for row in deeds] == [(NAME, SUBJECT)]
    assert CommandLog(database).answer(a_key()) == b"ok " + NAME.encode()
    with pytest.raises(TransactionConflict):
        CommandLog(database).answer(a_key(b"another payload"))


NEEDLES = (
    NAME.encode(),
    SECOND.encode(),
    b"Xyzzy",
    some_descriptor(1).tobytes()[:32],
    some_descriptor(1).astype("<f8").tobytes()[:32],
    some_descriptor(2).tobytes()[:32],
    JPEG[3:40],
    SUBJECT.encode(),
)


def found_in(folder: Path) -> list[bytes]:
    """What of all that must not be told stands in any file of the folder."""
    contents = [file.read_bytes() for file in folder.iterdir() if file.is_file()]
    return [needle for needle in NEEDLES if any(needle in each for each in contents)]


def test_a_copied_disk_shows_no_name_descriptor_or_picture(path: Path) -> None:
    with Database.open(path, KEY) as database:
        fill(database)
        check_filled(database)
        assert found_in(path.parent) == []  # with its WAL, while it is open
    assert found_in(path.parent) == []
    with Database.open(path, KEY) as database:
        check_filled(database)


def test_an_unsealed_database_shows_them_which_the_search_sees(path: Path) -> None:
    with Database.open(path) as database:
        fill(database)
        assert set(found_in(path.parent)) == set(NEEDLES)


def test_a_plain_database_is_sealed_and_opened_again(path: Path, door_key: DoorKey) -> None:
    with Database.open(path, None, door_key) as database:
        fill(database)
        Chain(database).sign(door_key, "front", NOW)
    assert encrypt(path, KEY, door_key, "front", NOW)
    assert not encrypt(path, KEY, door_key, "front", NOW)
    assert found_in(path.parent) == []
    assert check(path, door_key.public_text, store_key=KEY).findings == ()
    with Database.open(path, KEY, door_key) as database:
        check_filled(database)
        Users(database).delete(SECOND)
        Users(database).add(SECOND, [some_descriptor(2)], NOW, recognizer="dlib", source="cli")
        Chain(database).sign(door_key, "front", NOW)
    assert decrypt(path, KEY, door_key, "front", NOW)
    assert check(path, door_key.public_text).findings == ()
    with Database.open(path, None, door_key) as database:
        check_filled(database)


def test_the_face_of_somebody_whose_name_nobody_could_read_is_not_left_plain(
    path: Path, door_key: DoorKey
) -> None:
    face = some_descriptor(9).astype("<f8").tobytes()
    with Database.open(path) as database, database.transaction() as connection:
        connection.execute(
            "INSERT INTO users (username, encoding, created_at) VALUES (?, ?, '')", (b"\xff", face)
        )
    encrypt(path, KEY, door_key, "front", NOW)
    assert face not in path.read_bytes()


def test_a_log_that_was_altered_is_not_sealed_over(path: Path, door_key: DoorKey) -> None:
    with Database.open(path, None, door_key) as database:
        fill(database)
        with database.transaction() as connection:
            connection.execute("UPDATE events SET reason = 'granted' WHERE seq = 2")
    with pytest.raises(LogAltered, match="event 2"):
        encrypt(path, KEY, door_key, "front", NOW)
    with Database.open(path, None, door_key) as database:
        assert not database.seal.is_sealing
        assert Users(database).count() == 2


@pytest.mark.parametrize("key", [None, OTHER_KEY])
def test_without_the_right_key_nobody_is_known_and_nothing_is_lost(
    path: Path, key: bytes | None
) -> None:
    with Database.open(path, KEY) as database:
        fill(database)
    with Database.open(path, key) as database:
        assert database.is_locked
        assert Users(database).templates() == ()
        events = Events(database)
        denied = events.append_login(Decision(Reason.UNKNOWN_FACE), source="front", now=NOW)
        # What names nobody goes out; the rest waits for the key.
        assert [event.seq for event in events.pending(0, 10)] == [2, denied.seq]
        with pytest.raises(StoreLocked):
            Users(database).add("Eve", [some_descriptor(3)], NOW, recognizer="dlib", source="x")
        with pytest.raises(StoreLocked):
            Users(database).delete(NAME)
    with Database.open(path, KEY) as database:
        check_filled(database)
        assert [event.seq for event in Events(database).pending(0, 10)] == [1, 2, 3, denied.seq]


def test_the_log_of_a_locked_door_still_fits_its_chain(path: Path, door_key: DoorKey) -> None:
    with Database.open(path, KEY, door_key) as database:
        fill(database)
    with Database.open(path, None, door_key) as database:
        Events(database).append_login(Decision(Reason.UNKNOWN_FACE), source="front", now=NOW)
        Chain(database).sign(door_key, "front", NOW)
    assert check(path, door_key.public_text, store_key=KEY).findings == ()
    with pytest.raises(StoreLocked):
        check(path, door_key.public_text)


def test_templates_swapped_between_people_match_nobody(path: Path) -> None:
    with Database.open(path, KEY) as database:
        fill(database)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        (first, second) = [
            data for (data,) in connection.execute("SELECT descriptor FROM templates ORDER BY id")
        ]
        connection.execute("UPDATE templates SET descriptor = ? WHERE id = 1", (second,))
        connection.execute("UPDATE templates SET descriptor = ? WHERE id = 2", (first,))
    with Database.open(path, KEY) as database:
        assert Users(database).templates() == ()
        with pytest.raises(SealBroken):
            Users(database).descriptors_of(NAME)
        assert Users(database).count() == 2


def test_a_template_given_to_another_name_matches_nobody(path: Path) -> None:
    with Database.open(path, KEY) as database:
        fill(database)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        (first, second) = [
            name for (name,) in connection.execute("SELECT user_id FROM templates ORDER BY id")
        ]
        connection.execute("UPDATE templates SET user_id = ? WHERE id = 1", (second,))
        connection.execute("UPDATE templates SET recognizer = 'sface' WHERE id = 2")
    assert first != second
    with Database.open(path, KEY) as database:
        assert Users(database).templates() == ()


@pytest.mark.parametrize("key", ["moved along", "left", "taken out"])
def test_names_swapped_between_people_let_nobody_in(path: Path, key: str) -> None:
    with Database.open(path, KEY) as database:
        fill(database)
        Credentials(database).set_pin(NAME, "pin", "hash", 7, NOW)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        swapped = ["username", "key"] if key == "moved along" else ["username"]
        first, second = connection.execute(f"SELECT {', '.join(swapped)} FROM users ORDER BY id")
        setting = ", ".join(f"{column} = ?" for column in swapped)
        connection.execute("UPDATE users SET username = 'aside' WHERE id = 1")
        connection.execute(f"UPDATE users SET {setting} WHERE id = 2", first)
        connection.execute(f"UPDATE users SET {setting} WHERE id = 1", second)
        if key == "taken out":
            connection.execute("UPDATE users SET key = NULL")
    with Database.open(path, KEY) as database:
        assert Users(database).templates() == ()
        assert not any(pins.pin for pins in Credentials(database).pins_like(7))


def test_a_new_name_is_written_in_one_row(path: Path) -> None:
    of_people = "SELECT * FROM templates", "SELECT * FROM credentials", "SELECT * FROM members"
    with Database.open(path, KEY) as database:
        fill(database)
        Credentials(database).set_pin(NAME, "pin", "hash", 7, NOW)
        with database.reading() as connection:
            before = [connection.execute(query).fetchall() for query in of_people]
        Users(database).rename(NAME, "Augusta")
        with database.reading() as connection:
            assert [connection.execute(query).fetchall() for query in of_people] == before
        assert Credentials(database).pins_of("Augusta").pin == "hash"


def test_one_altered_row_does_not_hold_up_the_others(path: Path) -> None:
    with Database.open(path, KEY) as database:
        fill(database)
        Audit(database).add(actor="Bo", action="renamed", subject="Cy", address="::1", now=NOW)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute("UPDATE users SET username = '1.AAAA' WHERE rowid = 1")
        connection.execute("UPDATE events SET named = zeroblob(92) WHERE seq = 1")
        connection.execute("UPDATE audit SET subject = 'nobody' WHERE id = 1")
    with Database.open(path, KEY) as database:
        assert [user.username for user in Users(database).list()] == [SECOND]
        events = Events(database)
        assert [event.seq for event in events.pending(0, 10)] == [2, 3]
        page = events.page(limit=2, newest_first=False)
        assert [event.seq for event in page.events] == [2]
        assert [
            event.seq for event in events.page(cursor=page.cursor, newest_first=False).events
        ] == [3]
        assert [row.actor for row in Audit(database).newest(5)] == ["Bo"]


def test_every_altered_byte_of_a_sealed_value_is_noticed() -> None:
    seal = KeyedSeal(b"l" * 32, {1: b"d" * 32})
    sealed = seal.value(b"a template", "template", 7)
    assert seal.opened_value(sealed, "template", 7) == b"a template"
    for at in range(len(sealed)):
        altered = bytearray(sealed)
        altered[at] ^= 1
        with pytest.raises(SealBroken):
            seal.opened_value(bytes(altered), "template", 7)
    for length in range(len(sealed)):
        with pytest.raises(SealBroken):
            seal.opened_value(sealed[:length], "template", 7)


@given(st.text(), st.text(), st.lists(st.one_of(st.text(), st.integers()), min_size=1, max_size=3))
@settings(max_examples=50)
def test_what_was_sealed_opens_in_its_place_only(
    name: str, text: str, place: list[str | int]
) -> None:
    seal = KeyedSeal(b"l" * 32, {1: b"d" * 32})
    assert seal.opened_name(seal.name(name)) == name
    assert seal.name(name) == seal.name(name)
    sealed = seal.text(text, *place)
    assert seal.opened_text(sealed, *place) == text
    with pytest.raises(SealBroken):
        seal.opened_text(sealed, *place, "")


def test_people_keep_their_templates_when_they_are_renamed(path: Path) -> None:
    with Database.open(path, KEY) as database:
        fill(database)
        Users(database).rename(NAME, "Augusta")
        by_name = {name: descriptor for name, _, descriptor in Users(database).templates()}
        assert np.array_equal(by_name["Augusta"], some_descriptor(1))
        with pytest.raises(UserExists):
            Users(database).rename("Augusta", SECOND)


def test_the_data_key_is_changed_while_the_door_works(path: Path) -> None:
    with Database.open(path, KEY) as database:
        fill(database)
        events = Events(database)
        for number in range(450):  # more than two steps' rows
            events.append_login(
                Decision(Reason.GRANTED, NAME if number % 2 else SECOND), source="front", now=NOW
            )
        rotation = Rotation(database)
        assert not rotation.step()
        assert rotate(path, KEY, NOW) == 2  # another process, as the command line is
        Users(database).add("Third", [some_descriptor(3)], NOW, recognizer="dlib", source="cli")
        steps = 0
        while rotation.step():
            steps += 1
            with pytest.raises(UserExists):  # found, by whichever key its name is sealed
                Users(database).add(NAME, [some_descriptor(9)], NOW, recognizer="dlib", source="c")
            found = {name for name, _, _ in Users(database).templates()}
            assert found == {NAME, SECOND, "Third"}
            assert len(events.page(EventFilter(username=NAME), limit=500).events) == 226
        assert steps > 6
        with database.reading() as connection:
            numbers = connection.execute("SELECT number FROM seals ORDER BY number").fetchall()
        assert numbers == [(0,), (2,)]
    with Database.open(path, KEY) as database:
        assert {name for name, _, _ in Users(database).templates()} == {NAME, SECOND, "Third"}


def test_a_rotation_that_was_cut_off_goes_on_after_a_restart(path: Path, door_key: DoorKey) -> None:
    with Database.open(path, KEY, door_key) as database:
        fill(database)
    rotate(path, KEY, NOW)
    with Database.open(path, KEY, door_key) as database:
        Rotation(database).step()
        Rotation(database).step()
    with Database.open(path, KEY, door_key) as database:
        rotation = Rotation(database)
        while rotation.step():
            pass
        check_filled(database)
        Chain(database).sign(door_key, "front", NOW)
    assert check(path, door_key.public_text, store_key=KEY).findings == ()


def test_another_store_key_takes_the_place_of_the_old(path: Path) -> None:
    with Database.open(path, KEY) as database:
        fill(database)
        change_key(path, KEY, OTHER_KEY)
    with Database.open(path, KEY) as database:
        assert database.is_locked
    with Database.open(path, OTHER_KEY) as database:
        check_filled(database)
    with pytest.raises(StoreLocked):
        change_key(path, KEY, OTHER_KEY)


def test_a_backup_opens_on_another_machine_with_the_recovery_words(
    path: Path, tmp_path: Path
) -> None:
    with Database.open(path, KEY) as database:
        fill(database)
    words = make_recovery(path, KEY, NOW)
    assert len(words.split()) == 12
    copy, elsewhere = tmp_path / "backup.db", tmp_path / "elsewhere" / "ostiary.db"
    elsewhere.parent.mkdir()
    assert backup(path, copy).opens_with == "recovery_words"
    assert found_in(tmp_path) == []
    restored = restore(
        copy, elsewhere, NOW, store_key=OTHER_KEY, words=lambda: f"  {words.upper()}\n"
    )
    assert restored.words_of is not None
    assert restored.words_lost is None
    with Database.open(elsewhere, OTHER_KEY) as database:
        check_filled(database)
    with Database.open(elsewhere, KEY) as database:
        assert database.is_locked


def test_what_was_restored_opens_with_the_words_that_it_says(path: Path, tmp_path: Path) -> None:
    """And so do its own backups, on a third machine."""
    with Database.open(path, KEY) as database:
        fill(database)
    earlier, copy = tmp_path / "earlier.db", tmp_path / "copy.db"
    assert backup(path, earlier).opens_with == "store_key"
    words = make_recovery(path, KEY, NOW)
    backup(path, copy)
    later = NOW + timedelta(days=1)
    make_recovery(path, KEY, later)

    restored = restore(copy, path, later, store_key=KEY)
    assert (restored.words_of, restored.words_lost) == (
        timestamps.to_text(NOW),
        timestamps.to_text(later),
    )
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA wal_checkpoint")
    third, target = tmp_path / "third.db", tmp_path / "third" / "ostiary.db"
    target.parent.mkdir()
    assert backup(path, third).opens_with == "recovery_words"
    restore(third, target, later, store_key=OTHER_KEY, words=lambda: words)
    with Database.open(target, OTHER_KEY) as database:
        check_filled(database)

    restored = restore(earlier, path, later + timedelta(seconds=1), store_key=KEY)
    assert (restored.words_of, restored.words_lost) == (None, timestamps.to_text(NOW))


def test_wrong_recovery_words_say_what_is_wrong_and_change_nothing(
    path: Path, tmp_path: Path
) -> None:
    with Database.open(path, KEY) as database:
        fill(database)
    earlier = make_recovery(path, KEY, NOW)
    words = make_recovery(path, KEY, NOW).split()
    copy, elsewhere = tmp_path / "backup.db", tmp_path / "elsewhere.db"
    backup(path, copy)

    def refused(given: str, match: str) -> None:
        with pytest.raises(RecoveryWordsWrong, match=match) as told:
            restore(copy, elsewhere, NOW, store_key=OTHER_KEY, words=lambda: given)
        assert not any(word in str(told.value).split() for word in words if len(word) > 5)
        assert not elsewhere.exists()

    refused(" ".join(["ostiary", *words[1:]]), "number 1")
    refused(" ".join(words[:-1]), "twelve")
    refused(earlier, "not this backup's")
    with pytest.raises(StoreLocked):
        restore(copy, elsewhere, NOW, words=lambda: " ".join(words))


@given(st.integers(0, 11), st.integers(0, 2047))
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_single_wrong_word_is_taken(sealed_copy: tuple[Path, str], at: int, other: int) -> None:
    copy, right = sealed_copy
    words = right.split()
    wrong = Mnemonic("english").wordlist[other]
    if words[at] == wrong:
        return
    words[at] = wrong
    target = copy.with_name("never.db")
    with pytest.raises(RecoveryWordsWrong):
        restore(copy, target, NOW, store_key=OTHER_KEY, words=lambda: " ".join(words))
    assert not target.exists()


@pytest.fixture(scope="module")
def sealed_copy(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("sealed")
    with Database.open(folder / "ostiary.db", KEY) as database:
        fill(database)
    words = make_recovery(folder / "ostiary.db", KEY, NOW)
    backup(folder / "ostiary.db", folder / "backup.db")
    return folder / "backup.db", words


def test_a_damaged_envelope_locks_and_destroys_nothing(path: Path) -> None:
    with Database.open(path, KEY) as database:
        fill(database)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        (sealed,) = connection.execute("SELECT sealed FROM seals WHERE number = 1").fetchone()
        connection.execute("UPDATE seals SET sealed = ? WHERE number = 1", (sealed[::-1],))
    with Database.open(path, KEY) as database:
        assert database.is_locked
        assert Users(database).count() == 2
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE seals SET sealed = ? WHERE number = 1", (sealed,))
    with Database.open(path, KEY) as database:
        check_filled(database)


def test_the_deleted_do_not_come_back_with_a_backup_unless_asked_for(
    path: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "backup.db"
    with Database.open(path, KEY) as database:
        fill(database)
        backup(path, copy)
        Users(database).delete(NAME)
    restored = restore(copy, path, NOW, store_key=KEY)
    assert restored.deleted_since == (NAME,)
    with Database.open(path, KEY) as database:
        assert [user.username for user in Users(database).list()] == [SECOND]
        assert len(Users(database).templates()) == 1
        Users(database).delete(SECOND)
    restored = restore(copy, path, NOW + timedelta(seconds=1), store_key=KEY, bring_back=True)
    assert restored.deleted_since == (NAME, SECOND)
    with Database.open(path, KEY) as database:
        assert Users(database).count() == 2


def test_a_killed_encryption_leaves_all_plain_or_all_sealed(path: Path, tmp_path: Path) -> None:
    key_file = tmp_path / "door.key"
    with Database.open(path, None, DoorKey.load_or_make(key_file)) as database:
        fill(database)
    script = (
        "import sys, os, threading, time\n"
        "from pathlib import Path\nfrom datetime import UTC, datetime\n"
        "from ostiary.crypto.door_key import DoorKey\nfrom ostiary.store.sealing import encrypt\n"
        "threading.Thread(target=lambda: (time.sleep(float(sys.argv[3])), os._exit(9)),"
        " daemon=True).start()\n"
        "encrypt(Path(sys.argv[1]), b'k' * 32, DoorKey.load_or_make(Path(sys.argv[2])), 'front',"
        " datetime.now(UTC))\n"
    )
    sealed = 0
    for number in range(12):
        wait = f"{number * 0.004:.3f}"
        subprocess.run([sys.executable, "-c", script, path, key_file, wait], check=False)
        assert verify(path).users == 2
        with Database.open(path, KEY) as database:
            check_filled(database)
            sealed += database.seal.is_sealing
        if sealed:
            break
    encrypt(path, KEY, DoorKey.load_or_make(key_file), "front", NOW)
    assert found_in(path.parent) == []
