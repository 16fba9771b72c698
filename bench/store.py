"""Measures what sealing and chaining cost: a start with many templates, and an event's way into the
database and to the broker, beside a door that neither seals nor chains."""

import statistics
import tempfile
import time
from base64 import b64encode
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from sqlite3 import Connection

import numpy as np
from uuid_utils.compat import uuid7

from bench.beside import beside, has
from bench.harness import MODELS, Line, Measure, medians_ms
from ostiary import timestamps
from ostiary.crypto.door_key import DoorKey
from ostiary.messages.decision import Decision
from ostiary.messages.words import Reason
from ostiary.settings import VisionSettings
from ostiary.store.chain import Chain
from ostiary.store.database import Database
from ostiary.store.event_rows import Named, login_event
from ostiary.store.events import Events
from ostiary.store.links import EVENT_COLUMNS, EventRow
from ostiary.store.users import Users
from ostiary.vision.engine import VisionEngine
from testing.broker import Mosquitto
from testing.doorway import Doorway, door_settings

BEFORE = "7578a0e"
"""The last commit whose events were neither chained nor sealed."""
KEY = b"a key of the bench, 32 bytes or so"
TEMPLATES = 100_000
PEOPLE, KEPT_EVENTS, EVENTS_A_TRANSACTION, MOMENTS = 10_000, 500_000, 1000, 12
EVENTS_A_ROUND, ROUNDS = 200, 15
DELIVERED_A_ROUND, DELIVERED_ROUNDS = 200, 25
NOW = datetime(2026, 11, 24, tzinfo=UTC)


def run() -> Iterator[Line | Measure]:
    with tempfile.TemporaryDirectory() as folder:
        yield _start(Path(folder) / "start.db")
        yield from _forgetting(Path(folder) / "forgetting.db")
        yield from _events(Path(folder))
        yield _delivered(Path(folder))
    if has(BEFORE):
        yield replace(beside(BEFORE), bench="event_rate_vs_before_chain_and_seal")


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


def _forgetting(path: Path) -> Iterator[Measure]:
    """What a deletion costs a large door that has to write its file anew: how long that takes while
    nobody comes, and how long an event waits at most that comes at any moment of it."""
    random = np.random.default_rng(1)
    with Database.open(path) as database:
        users, events = Users(database), Events(database)
        with database.transaction():
            for number in range(PEOPLE):
                some = random.standard_normal((TEMPLATES // PEOPLE, 128), dtype=np.float32)
                users.add(f"person {number}", list(some), NOW, recognizer="dlib", source="bench")
        for first in range(0, KEPT_EVENTS, EVENTS_A_TRANSACTION):
            with database.transaction():
                for number in range(first, first + EVENTS_A_TRANSACTION):
                    _decide(events, number % PEOPLE)
            seqs = range(first + 1, first + EVENTS_A_TRANSACTION + 1)
            events.mark_delivered(seqs, NOW)
        begun = time.perf_counter()
        assert database.scrub({b"person 1"})
        whole = time.perf_counter() - begun
        waits = []
        with ThreadPoolExecutor(1) as cleaner:
            for part in range(MOMENTS):
                done = cleaner.submit(database.scrub, {b"person 1"})
                time.sleep(whole * part / MOMENTS)
                begun = time.perf_counter()
                _decide(events, 1)
                waits.append(time.perf_counter() - begun)
                done.result()
        yield Measure("file_of_500000_events_written_anew", whole, "s", 60.0)
        yield Measure("event_waits_for_that_at_most", max(waits), "s", 3.0)


def _events(folder: Path) -> Iterator[Line]:
    door_key = DoorKey.load_or_make(folder / "door.key")
    with (
        Database.open(folder / "sealed.db", KEY, door_key) as sealed,
        Database.open(folder / "plain.db") as plain,
        Database.open(folder / "bare.db") as bare,
    ):
        for database in (sealed, plain):
            _register(database, EVENTS_A_ROUND)
        times = medians_ms(
            (lambda: _append(sealed), lambda: _append(plain), lambda: _bare(bare)), ROUNDS
        )
    ours, unsealed, reference = (each / EVENTS_A_ROUND for each in times)
    yield Line("event_sealed_and_chained_vs_bare", ours, reference, reference / ours, None)
    yield Line("event_sealed_vs_plain", ours, unsealed, unsealed / ours, None)


def _register(database: Database, people: int) -> None:
    face = np.full(128, 0.1)
    with database.transaction():
        for number in range(people):
            name = f"person {number}"
            Users(database).add(name, [face], NOW, recognizer="dlib", source="bench")


class _Unchained(Chain):
    """What events were before there was a chain."""

    def event(self, connection: Connection, row: Sequence[object]) -> None:
        pass


def _delivered(folder: Path) -> Line:
    """From the first decision's commit until the last one's PUBACK is marked, for two doors on one
    broker in turns: one sealed and chained, one neither. Today's publisher runs on both sides."""
    engine = VisionEngine.load(VisionSettings(models=MODELS))
    key = folder / "store.key"
    key.write_bytes(b64encode(KEY))
    key.chmod(0o600)
    with Mosquitto(folder / "broker") as broker, ExitStack() as closing:
        doors = []
        for name, store in (("sealed", {"key_file": key}), ("plain", {})):
            (home := folder / name).mkdir()
            settings = door_settings(
                home,
                broker.port,
                device={"id": name},
                store={"path": home / "ostiary.db", **store},
            )
            doors.append(closing.enter_context(Doorway(settings, engine)))
        sealed, plain = doors
        for door in doors:
            _register(door.database, DELIVERED_A_ROUND)
        plain.events.chain = _Unchained(plain.database)
        turns = [_turn(sealed, plain, number) for number in range(DELIVERED_ROUNDS + 2)][2:]
    ours, reference = (
        1000 * statistics.median(each) / DELIVERED_A_ROUND for each in zip(*turns, strict=True)
    )
    ratio = statistics.median(without / with_both for with_both, without in turns)
    return Line("event_rate_sealed_and_chained_vs_plain", ours, reference, ratio, None)


def _turn(sealed: Doorway, plain: Doorway, number: int) -> tuple[float, float]:
    """What each took, in s. The first has the quieter machine, so they change places."""
    if number % 2:
        return _until_delivered(sealed), _until_delivered(plain)
    without = _until_delivered(plain)
    return _until_delivered(sealed), without


def _until_delivered(door: Doorway) -> float:
    begun = time.perf_counter()
    for number in range(DELIVERED_A_ROUND):
        _decide(door.events, number)
    while door.events.queue_length():
        time.sleep(0.001)
    return time.perf_counter() - begun


def _append(database: Database) -> None:
    events = Events(database)
    for number in range(EVENTS_A_ROUND):
        _decide(events, number)


def _decide(events: Events, number: int) -> None:
    events.append_login(
        Decision(
            Reason.GRANTED,
            f"person {number}",
            distance=0.31,
            liveness=0.99,
            threshold=0.5,
            recognizer="sface",
        ),
        source="front",
        now=NOW,
    )


def _bare(database: Database) -> None:
    """The same row without chain and seal, checked as much."""
    for number in range(EVENTS_A_ROUND):
        with database.transaction() as connection:
            name = f"person {number}"
            row = connection.execute(
                "INSERT INTO events (event_id, kind, timestamp, source, success, reason, distance,"
                " liveness, threshold, recognizer, person, named)"
                " VALUES (?, 'login', ?, 'front', 1, 'granted', ?, ?, ?, 'sface', ?, ?)"
                f" RETURNING {EVENT_COLUMNS}",
                (uuid7().bytes, timestamps.to_text(NOW), 0.31, 0.99, 0.5, number, name.encode()),
            ).fetchone()
            login_event(EventRow(*row), Named(name))
