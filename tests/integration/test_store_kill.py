"""`kill -9` at any write: the file stays whole, and what was acknowledged is there."""

import multiprocessing
import random
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import pytest

from ostiary.messages.events import UserEvent
from ostiary.store.command_log import CommandKey, CommandLog
from ostiary.store.database import Database
from ostiary.store.events import Events
from ostiary.store.users import Users

NOW = datetime(2025, 3, 1, 12, 0, tzinfo=UTC)
KILLS = 200
IMPORTED_ONCE = [
    "pytest",
    "ostiary.store.command_log",
    "ostiary.store.events",
    "ostiary.store.users",
]


def register_until_killed(path: Path, run: int, acknowledge: Connection) -> None:
    """Every third person is deleted again; a second thread marks events delivered meanwhile."""
    database = Database.open(path)
    users, events, log = Users(database), Events(database), CommandLog(database)
    face = np.random.default_rng(run).normal(0, 0.1, 128)
    with database.transaction() as connection:  # so that some kills hit a checkpoint
        connection.execute(f"PRAGMA wal_autocheckpoint = {1 + run % 40}")

    def publish() -> None:
        while True:
            events.mark_delivered([event.seq for event in events.pending(0, 5)], NOW)

    threading.Thread(target=publish, daemon=True).start()
    number = 0
    while True:
        name = f"{run}-{number}"
        with database.transaction():
            users.add(name, [face], NOW, recognizer="dlib", source="image")
            event = events.append_user(action="registered", username=name, source="mqtt", now=NOW)
            log.record(CommandKey.of("register", name, b""), name.encode(), NOW)
        acknowledge.send(("registered", name, event.seq))
        if number % 3 == 0:
            with database.transaction():
                users.delete(name)
                event = events.append_user(action="deleted", username=name, source="mqtt", now=NOW)
            acknowledge.send(("deleted", name, event.seq))
        number += 1


def acknowledged(receive: Connection) -> Iterator[tuple[str, str, int]]:
    with suppress(EOFError, ConnectionResetError):
        while True:
            yield receive.recv()


def kill_a_writer(path: Path, run: int, chance: random.Random) -> list[tuple[str, str, int]]:
    """What a writer acknowledged before it was killed, at a random moment after some of it."""
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(IMPORTED_ONCE)
    receive, send = processes.Pipe(duplex=False)
    writer = processes.Process(target=register_until_killed, args=(path, run, send))
    writer.start()
    send.close()
    first: list[tuple[str, str, int]] = []
    for _ in range(chance.randint(1, 6)):
        assert receive.poll(timeout=60), "the writer stands still"
        first.append(receive.recv())
    time.sleep(chance.uniform(0, 0.02))
    writer.kill()
    writer.join(timeout=60)
    assert writer.exitcode == -9
    return [*first, *acknowledged(receive)]


@pytest.mark.long
def test_after_200_kills_the_file_is_whole_and_nothing_acknowledged_is_missing(
    tmp_path: Path,
) -> None:
    path = tmp_path / "ostiary.db"
    chance = random.Random(4)
    told: list[tuple[str, str, int]] = []
    for run in range(KILLS):
        told += kill_a_writer(path, run, chance)
        with Database.open(path) as database:
            with database.reading() as connection:
                assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
                assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
            assert Events(database).last_seq() >= told[-1][2]

    with Database.open(path) as database:
        trail = Events(database).page(newest_first=False, limit=1_000_000).events
        kept = {user.username for user in Users(database).list()}
        matchable = [name for name, _, _ in Users(database).templates()]
        log = CommandLog(database)
        answered = [log.answer(CommandKey.of("register", name, b"")) for name in sorted(kept)]
    changes = [
        (event.action, event.username, event.seq) for event in trail if isinstance(event, UserEvent)
    ]
    assert set(told) <= set(changes), "something acknowledged is missing"
    assert len(changes) - len(told) <= KILLS, "at most the one in flight was not acknowledged"
    assert [event.seq for event in trail] == list(range(1, len(trail) + 1))
    registered = {name for action, name, _ in changes if action == "registered"}
    deleted = {name for action, name, _ in changes if action == "deleted"}
    assert kept == registered - deleted, "users and events tell the same"
    assert sorted(matchable) == sorted(kept)
    assert answered == [name.encode() for name in sorted(kept)]
    assert len(told) > 2 * KILLS
