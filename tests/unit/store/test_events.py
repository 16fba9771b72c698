"""The audit trail that is also the outbox."""

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ostiary.messages.decision import Decision
from ostiary.messages.events import AnyEvent, LoginEvent
from ostiary.messages.words import Reason
from ostiary.store.audit import Audit
from ostiary.store.database import Database
from ostiary.store.events import EventFilter, Events
from ostiary.store.users import Users

NOW = datetime(2025, 3, 1, 12, 0, tzinfo=UTC)
FOREVER = timedelta(days=36500)


@pytest.fixture
def events(tmp_path: Path) -> Iterator[Events]:
    with Database.open(tmp_path / "ostiary.db") as database:
        yield Events(database)


def register(events: Events, *names: str) -> Users:
    users = Users(events.database)
    for name in names:
        users.add(name, [np.full(128, 0.1)], NOW, recognizer="dlib", source="test")
    return users


def login(
    events: Events,
    username: str | None = "Anna",
    now: datetime = NOW,
    reason: Reason = Reason.GRANTED,
) -> LoginEvent:
    return events.append_login(
        Decision(reason, username, distance=0.25, liveness=0.99), source="front", now=now
    )


def test_an_event_says_the_same_when_it_is_made_and_when_it_is_sent(events: Events) -> None:
    made = login(events, now=datetime(2025, 3, 1, 12, 0, 0, 123456, tzinfo=UTC))
    user = events.append_user(
        action="renamed", username="Ann", source="mqtt", now=NOW, previous_username="Anna"
    )
    assert events.pending(0, 10) == (made, user)
    assert made.similarity == 0.75
    assert made.event_id.version == 7
    assert made.model_dump(mode="json")["timestamp"] == "2025-03-01T12:00:00.123Z"


def test_the_words_of_a_decision_are_made_when_it_is_told(events: Events) -> None:
    assert login(events, "Ada").message == "Welcome, Ada."
    login(events, None, reason=Reason.UNKNOWN_FACE)
    told = [each.message for each in events.pending(0, 10) if isinstance(each, LoginEvent)]
    assert told == ["Welcome, Ada.", "Unknown person."]


@pytest.mark.parametrize("column", ["timestamp", "reason", "distance", "liveness", "recognizer"])
def test_an_event_with_a_value_that_no_door_wrote_holds_up_no_other(
    events: Events, column: str
) -> None:
    altered, whole = login(events), login(events)
    with events.database.transaction() as connection:
        connection.execute(f"UPDATE events SET {column} = x'ff' WHERE seq = ?", (altered.seq,))
    assert events.pending(0, 10) == (whole,)


def test_sequence_numbers_grow_by_one_and_are_never_given_again(tmp_path: Path) -> None:
    with Database.open(tmp_path / "ostiary.db") as database:
        events = Events(database)
        assert events.last_seq() == 0
        assert [login(events).seq for _ in range(3)] == [1, 2, 3]
        events.mark_delivered([1, 2, 3], NOW)
        events.prune(NOW + FOREVER, keep_for=timedelta(0), keep_at_most=0, queue_limit=0)
    with Database.open(tmp_path / "ostiary.db") as database:
        assert login(Events(database)).seq == 4


def test_an_event_whose_transaction_fails_never_happened(events: Events, tmp_path: Path) -> None:
    database = Database.open(tmp_path / "ostiary.db")

    def decide_and_fail() -> None:
        with database.transaction():
            login(Events(database))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        decide_and_fail()
    database.close()
    assert events.queue_length() == 0
    assert login(events).seq == 1


@pytest.mark.parametrize("value", [math.nan, math.inf, -1.0])
def test_a_decision_with_a_distance_that_is_none_is_not_recorded(
    events: Events, value: float
) -> None:
    with pytest.raises(ValueError, match=r"finite|distance"):
        events.append_login(Decision(Reason.GRANTED, distance=value), source="front", now=NOW)
    assert events.queue_length() == 0


def test_delivered_events_leave_the_queue_and_stay_in_the_trail(events: Events) -> None:
    first, second, third = (login(events) for _ in range(3))
    events.mark_delivered([first.seq, third.seq], NOW)
    events.mark_delivered([first.seq, 99], NOW)
    assert events.pending(0, 10) == (second,)
    assert events.pending(second.seq, 10) == ()
    assert events.queue_length() == 1
    assert len(events.page().events) == 3


def test_the_window_in_flight_is_bounded(events: Events) -> None:
    made = [login(events) for _ in range(5)]
    assert events.pending(made[0].seq, 2) == tuple(made[1:3])


def test_old_delivered_events_go_and_undelivered_ones_stay(events: Events) -> None:
    old_sent, old_waiting = login(events), login(events)
    later = NOW + timedelta(days=10)
    new = login(events, now=later)
    events.mark_delivered([old_sent.seq, new.seq], NOW)
    pruned = events.prune(later, keep_for=timedelta(days=5), keep_at_most=1000, queue_limit=1000)
    assert (pruned.deleted, pruned.dropped) == (1, 0)
    assert events.page(newest_first=False).events == (old_waiting, new)
    assert events.dropped() == 0


def test_old_deeds_go_up_to_the_first_that_is_young(events: Events) -> None:
    audit, later = Audit(events.database), NOW + timedelta(days=10)
    deed = partial(audit.add, actor="anna", action="reload", subject="", address="local")
    with events.database.transaction():
        for _ in range(501):
            deed(now=NOW)
        deed(now=later)
        deed(now=NOW)  # by a clock that was behind
    assert audit.prune(later, keep_for=timedelta(days=5)) == 501
    assert [row.id for row in audit.newest(10)] == [503, 502]


def test_more_than_can_be_kept_go_oldest_first(events: Events) -> None:
    made = [login(events) for _ in range(10)]
    events.mark_delivered([event.seq for event in made if event.seq != 2], NOW)
    pruned = events.prune(NOW, keep_for=FOREVER, keep_at_most=4, queue_limit=1000)
    assert (pruned.deleted, pruned.dropped) == (6, 0)
    assert [event.seq for event in events.page(newest_first=False).events] == [2, 8, 9, 10]


def test_events_dropped_undelivered_are_counted_for_good(tmp_path: Path) -> None:
    with Database.open(tmp_path / "ostiary.db") as database:
        events = Events(database)
        for _ in range(10):
            login(events)
        pruned = events.prune(NOW, keep_for=FOREVER, keep_at_most=1000, queue_limit=7)
        assert (pruned.deleted, pruned.dropped) == (3, 3)
        assert [event.seq for event in events.pending(0, 100)] == list(range(4, 11))
    with Database.open(tmp_path / "ostiary.db") as database:
        assert Events(database).dropped() == 3
        Events(database).prune(NOW, keep_for=FOREVER, keep_at_most=1000, queue_limit=0)
        assert Events(database).dropped() == 10


def test_the_trail_can_be_asked_for_a_person_a_reason_a_time(events: Events) -> None:
    users = register(events, "Anna", "Ben")
    granted = login(events)
    denied = login(events, "Ben", NOW + timedelta(hours=1), Reason.UNKNOWN_FACE)
    users.rename("Anna", "Ann")
    renamed = events.append_user(
        action="renamed",
        username="Ann",
        source="mqtt",
        now=NOW + timedelta(hours=2),
        previous_username="Anna",
    )

    def found(**conditions: object) -> tuple[AnyEvent, ...]:
        return events.page(EventFilter(**conditions), newest_first=False).events  # type: ignore[arg-type]

    assert found() == (granted, denied, renamed)
    assert found(username="Ann") == (granted, renamed), "whatever the name was then"
    assert found(username="Anna") == (), "which is nobody's now"
    assert found(kind="user") == (renamed,)
    assert found(success=False) == (denied,)
    assert found(reason=Reason.UNKNOWN_FACE) == (denied,)
    assert found(since=denied.timestamp) == (denied, renamed)
    assert found(until=denied.timestamp) == (granted,)
    assert found(success=True, username="Ben") == ()


@pytest.mark.thorough
@settings(max_examples=40)
@given(
    names=st.lists(st.sampled_from(["Anna", "Ben", None]), max_size=25),
    wanted=st.sampled_from(["Anna", None]),
    limit=st.integers(1, 8),
    newest_first=st.booleans(),
    arrivals=st.integers(0, 3),
)
def test_paging_meets_every_event_once_in_order_whatever_arrives(
    tmp_path_factory: pytest.TempPathFactory,
    names: list[str | None],
    wanted: str | None,
    limit: int,
    newest_first: bool,
    arrivals: int,
) -> None:
    with Database.open(tmp_path_factory.mktemp("page") / "ostiary.db") as database:
        events = Events(database)
        register(events, "Anna", "Ben")
        made = [login(events, name).seq for name in names]
        expected = [
            seq for seq, name in zip(made, names, strict=True) if wanted is None or name == wanted
        ]
        met: list[int] = []
        cursor: int | None = None
        while True:
            page = events.page(
                EventFilter(username=wanted), cursor=cursor, limit=limit, newest_first=newest_first
            )
            assert len(page.events) <= limit
            met += [event.seq for event in page.events]
            cursor = page.cursor
            if cursor is None:
                break
            for _ in range(arrivals if len(met) <= len(expected) else 0):
                login(events, wanted)
        assert met[: len(expected)] == sorted(expected, reverse=newest_first)
        assert len(met) == len(set(met))
        if newest_first:
            assert len(met) == len(expected)


def test_a_page_without_room_is_refused(events: Events) -> None:
    with pytest.raises(ValueError, match="at least one"):
        events.page(limit=0)
