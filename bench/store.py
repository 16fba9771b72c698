"""What sealing costs: a start with many templates, and an event, beside one bare row of it."""

import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from uuid_utils.compat import uuid7

from bench.harness import Line, Measure, medians_ms
from ostiary.messages.reason import Reason
from ostiary.store import moment
from ostiary.store.database import Database
from ostiary.store.events import Events, login_event
from ostiary.store.users import Users

KEY = b"a key of the bench, 32 bytes or so"
TEMPLATES = 100_000
EVENTS_A_ROUND, ROUNDS = 200, 15
NOW = datetime(2026, 11, 24, tzinfo=UTC)


def run() -> Iterator[Line | Measure]:
    with tempfile.TemporaryDirectory() as folder:
        yield _start(Path(folder) / "start.db")
        yield from _events(Path(folder))


def _start(path: Path) -> Measure:
    random = np.random.default_rng(1)
    with Database.open(path, KEY) as database, database.transaction():
        users = Users(database)
        for number in range(TEMPLATES // 2):
            two = random.standard_normal((2, 128), dtype=np.float32)
            users.add(f"person {number}", list(two), NOW, recognizer="dlib", source="bench")
    begun = time.perf_counter()
    with Database.open(path, KEY) as database:
        assert len(Users(database).templates()) == TEMPLATES
        taken = time.perf_counter() - begun
    return Measure("start_with_100000_sealed_templates", taken, "s", 3.0)


def _events(folder: Path) -> Iterator[Line]:
    with (
        Database.open(folder / "sealed.db", KEY) as sealed,
        Database.open(folder / "plain.db") as plain,
        Database.open(folder / "bare.db") as bare,
    ):
        times = medians_ms(
            (lambda: _append(sealed), lambda: _append(plain), lambda: _bare(bare)), ROUNDS
        )
    ours, unsealed, reference = (each / EVENTS_A_ROUND for each in times)
    yield Line("event_sealed_and_chained_vs_bare", ours, reference, reference / ours, None)
    yield Line("event_sealed_vs_plain", ours, unsealed, unsealed / ours, None)


def _append(database: Database) -> None:
    events = Events(database)
    for number in range(EVENTS_A_ROUND):
        events.append_login(
            success=True,
            reason=Reason.GRANTED,
            message="Welcome, somebody.",
            source="front",
            now=NOW,
            username=f"person {number}",
            distance=0.31,
            liveness=0.99,
            threshold=0.5,
            recognizer="sface",
        )


def _bare(database: Database) -> None:
    """The same row without chain and seal, checked as much: what an event cost before both."""
    for number in range(EVENTS_A_ROUND):
        with database.transaction() as connection:
            row = connection.execute(
                "INSERT INTO events (event_id, kind, timestamp, username, message, source,"
                " success, reason, distance, liveness, threshold, recognizer)"
                " VALUES (?, 'login', ?, ?, ?, 'front', 1, 'granted', ?, ?, ?, 'sface')"
                " RETURNING seq, event_id, kind, timestamp, username, message, source, success,"
                " reason, distance, liveness, threshold, recognizer, action, previous_username",
                (
                    uuid7().bytes,
                    moment.to_text(NOW),
                    f"person {number}",
                    "Welcome, somebody.",
                    0.31,
                    0.99,
                    0.5,
                ),
            ).fetchone()
            login_event(row)
