"""Nothing is removed for its age by a clock that is not trusted: that is ahead, or was behind."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ostiary.crypto.door_key import DoorKey
from ostiary.http.snapshot_keeper import SnapshotKeeper
from ostiary.messages.decision import Decision
from ostiary.messages.words import Reason
from ostiary.mqtt.publisher import Publisher
from ostiary.mqtt.topics import Topics
from ostiary.settings import Settings
from ostiary.store.accounts import Accounts, Role, Sessions
from ostiary.store.audit import Audit
from ostiary.store.command_log import CommandKey, CommandLog
from ostiary.store.database import Database
from ostiary.store.events import Events
from ostiary.store.snapshots import Snapshots
from testing.waiting import wait_until

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
AHEAD = NOW + timedelta(days=5 * 365)
BEHIND = NOW - timedelta(days=5 * 365)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with Database.open(tmp_path / "ostiary.db") as opened:
        yield opened


def happens(database: Database, at: datetime, number: int = 0) -> int:
    """An event with its picture, a deed and a command at that time; the event's number."""
    event = Events(database).append_login(Decision(Reason.UNKNOWN_FACE), source="front", now=at)
    Events(database).mark_delivered([event.seq], at)
    Snapshots(database).keep(event.seq, b"jpeg", at)
    Audit(database).add(actor="ann", action="x", subject="y", address="", now=at)
    key = CommandKey.of("delete", f"{number}", b"{}")
    CommandLog(database).record(key, b"done", at)
    return event.seq


def left(database: Database) -> list[int]:
    tables = ("events", "snapshots", "audit", "commands")
    with database.reading() as connection:
        return [connection.execute(f"SELECT COUNT(*) FROM {each}").fetchone()[0] for each in tables]


@pytest.mark.parametrize(("trusted", "kept"), [(False, 1), (True, 0)])
def test_events_deeds_and_answers_are_removed_for_their_age_only_by_a_trusted_clock(
    database: Database, *, trusted: bool, kept: int
) -> None:
    happens(database, NOW)
    settings = Settings.model_construct()
    events, answers = Events(database), CommandLog(database)
    publisher = Publisher(
        events,
        answers,
        Topics.of(settings),
        settings,
        DoorKey(Ed25519PrivateKey.generate()),
        lambda: AHEAD,
        lambda: None,
        lambda: trusted,
    )
    publisher.start()
    # Signed after what is old was removed.
    wait_until(lambda: events.chain.newest_head() is not None, "the log to be signed")
    publisher.stop(10)
    assert [left(database)[each] for each in (0, 2, 3)] == [kept] * 3


@pytest.mark.parametrize(("trusted", "kept"), [(False, 1), (True, 0)])
def test_pictures_are_removed_for_their_age_only_by_a_trusted_clock(
    database: Database, *, trusted: bool, kept: int
) -> None:
    happens(database, NOW - timedelta(days=5 * 365))
    settings = Settings.model_validate({"store": {"keep_snapshots_days": 30}})
    keeping = SnapshotKeeper(database, {}, settings, lambda: trusted)
    keeping.start()
    keeping.stop()
    assert left(database)[1] == kept


@pytest.mark.parametrize("trusted", [True, False])
def test_pictures_that_are_not_to_be_kept_go_by_any_clock(
    database: Database, *, trusted: bool
) -> None:
    happens(database, NOW)
    keeping = SnapshotKeeper(database, {}, Settings.model_construct(), lambda: trusted)
    keeping.start()
    keeping.stop()
    assert left(database)[1] == 0


def test_what_was_written_while_the_clock_was_behind_stays_as_long_as_what_came_before_it(
    database: Database,
) -> None:
    happens(database, NOW, 0)
    happens(database, BEHIND, 1)  # the power was off, and the clock has no battery
    happens(database, NOW + timedelta(hours=1), 2)
    events, keep_for = Events(database), timedelta(days=30)

    def prune(now: datetime) -> None:
        events.prune(now, keep_for=keep_for, keep_at_most=1000, queue_limit=1000)
        Snapshots(database).prune(now, keep_for=keep_for)
        Audit(database).prune(now, keep_for=keep_for)
        CommandLog(database).prune(
            now, keep_for=keep_for, keep_at_most=1000, signed_for=timedelta(minutes=1)
        )

    prune(NOW + timedelta(days=1))
    assert left(database) == [3, 3, 3, 3]
    prune(NOW + keep_for + timedelta(minutes=30))
    assert left(database) == [1, 1, 1, 1]
    prune(NOW + keep_for + timedelta(hours=2))
    assert left(database) == [0, 0, 0, 0]


def test_a_sign_in_by_a_clock_that_is_ahead_ends_nobody_elses_session(database: Database) -> None:
    Accounts(database).add("ann", "hash", Role.OPERATOR, NOW)
    sessions, lasting = Sessions(database), timedelta(hours=12)
    cookie = sessions.open("ann", NOW, lasting)
    sessions.open("ann", AHEAD, lasting, clock_trusted=False)
    assert sessions.find(cookie, NOW) is not None
    sessions.open("ann", AHEAD, lasting)
    assert sessions.find(cookie, NOW) is None
