"""All doors' events in PostgreSQL, each once, however often the archive is killed."""

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from uuid_utils.compat import uuid7

from ostiary.archive.keeper import ArchiveKeeper, record_of
from ostiary.errors import ArchiveUnavailable
from ostiary.messages.decision import Decision
from ostiary.messages.words import Reason
from ostiary.vision.engine import VisionEngine
from testing.broker import Mosquitto
from testing.doorway import Doorway, door_settings
from testing.postgres import Postgres
from testing.probe import Probe
from testing.waiting import wait_until

DOORS, EVENTS, KILLS = 5, 5000, 20


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with Postgres() as running:
        yield running


@pytest.fixture
def empty(postgres: Postgres) -> Iterator[psycopg.Connection]:
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS events, refused, migrations")
        yield connection


def start_archive(broker: int, postgres: Postgres, log: Path) -> subprocess.Popen[bytes]:
    environment = {
        **os.environ,
        "OSTIARY_MQTT__PORT": str(broker),
        "OSTIARY_MQTT__RECONNECT_AT_MOST_S": "0.5",
        "OSTIARY_ARCHIVE__DATABASE": postgres.url,
    }
    with log.open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "ostiary.cli.main", "archive"],
            env=environment,
            stdout=output,
            stderr=output,
        )


def count(connection: psycopg.Connection, what: str = "*", table: str = "events") -> int:
    (there,) = connection.execute("SELECT to_regclass(%s)", (table,)).fetchone() or (None,)
    if there is None:  # the archive has not made it yet
        return 0
    row = connection.execute(f"SELECT count({what}) FROM {table}".encode()).fetchone()
    assert row is not None
    return int(row[0])


def wait_for(connection: psycopg.Connection, events: int) -> None:
    wait_until(lambda: count(connection) >= events, f"{events} events in the archive", 180)


@pytest.mark.long
def test_killed_twenty_times_it_keeps_each_of_5000_events_once(
    tmp_path: Path, postgres: Postgres, empty: psycopg.Connection, engine: VisionEngine
) -> None:
    chance = random.Random(3)
    with ExitStack() as stack:
        broker = stack.enter_context(Mosquitto(tmp_path / "broker"))
        log = tmp_path / "archive.log"
        archive = start_archive(broker.port, postgres, log)

        def end() -> None:  # whichever runs then
            archive.kill()
            archive.wait()

        stack.callback(end)
        broker.wait_for_listener("ostiary/+/event/+")  # from then on it is kept for it
        doors = []
        for number in range(DOORS):
            folder = tmp_path / f"door{number}"
            folder.mkdir()
            settings = door_settings(folder, broker.port, device={"id": f"door{number}"})
            doors.append(stack.enter_context(Doorway(settings, engine)))
        for kill in range(KILLS):
            for door in doors:
                append(door, EVENTS // DOORS // KILLS)
            time.sleep(chance.uniform(0.1, 0.6))
            archive.kill()
            archive.wait()
            for door in doors if kill % 4 == 0 else ():
                assert door.mqtt.is_connected
            archive = start_archive(broker.port, postgres, log)
            time.sleep(chance.uniform(0.0, 1.5))
        wait_for(empty, EVENTS)
        time.sleep(1)
        expected = {
            str(event.event_id)
            for door in doors
            for event in door.events.page(limit=2000, newest_first=False).events
        }
    kept = [str(row[0]) for row in empty.execute("SELECT event_id FROM events").fetchall()]
    assert len(expected) == EVENTS
    assert len(kept) == EVENTS
    assert set(kept) == expected
    assert count(empty, table="refused") == 0
    assert count(empty, "DISTINCT door") == DOORS


def append(door: Doorway, events: int) -> None:
    with door.database.transaction():
        for _ in range(events):
            door.events.append_login(
                Decision(Reason.GRANTED, "Ada", distance=0.3, liveness=0.9),
                source="front",
                now=datetime.now(UTC),
            )


def test_while_postgresql_is_away_the_broker_keeps_what_is_said(
    tmp_path: Path, postgres: Postgres, empty: psycopg.Connection
) -> None:
    with Mosquitto(tmp_path / "broker") as broker, Probe(broker.port) as said:
        archive = start_archive(broker.port, postgres, tmp_path / "archive.log")
        try:
            broker.wait_for_listener("ostiary/+/event/+")  # from then on it is kept for it
            say(said, an_event(1))
            wait_for(empty, 1)
            empty.close()
            postgres.stop()
            for seq in range(2, 20):
                say(said, an_event(seq))
            say(said, b"no event")
            time.sleep(0.5)
            postgres.start()
            with psycopg.connect(postgres.url, autocommit=True) as again:
                wait_for(again, 19)
                wait_until(lambda: count(again, table="refused") == 1, "what was refused")
                row = again.execute("SELECT topic, payload FROM refused").fetchone()
                assert row == ("ostiary/door/event/login", b"no event")
        finally:
            archive.kill()
            archive.wait()


def say(probe: Probe, payload: bytes) -> None:
    probe.send("ostiary/door/event/login", payload)


def an_event(seq: int, at: datetime | None = None, **more: object) -> bytes:
    moment = (at or datetime.now(UTC)).isoformat()
    event = {"event_id": str(uuid7()), "seq": seq, "timestamp": moment, "username": "Ada"}
    return json.dumps({**event, **more}).encode()


def test_months_go_when_they_are_old_and_a_repeated_event_is_one_row(
    postgres: Postgres, empty: psycopg.Connection
) -> None:
    now = datetime.now(UTC)
    days = (800, 790, 400, 30, 0)
    topic = "ostiary/door/event/login"
    moments = [now - timedelta(days=age) for age in days]
    records = [record_of(topic, an_event(seq, at)) for seq, at in enumerate(moments, 1)]
    keeper = ArchiveKeeper.connect(postgres.url)
    try:
        assert keeper.keep(records, []) == 5
        assert keeper.keep(records * 3, []) == 0
        assert count(empty) == 5
        assert keeper.forget(now, 730)
        assert count(empty) == 3
        assert ArchiveKeeper.connect(postgres.url).keep(records[2:], []) == 0
    finally:
        keeper.close()


@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        ("ostiary/door/event/login", b""),
        ("ostiary/door/event/login", b"[]"),
        ("ostiary/door/event/login", b"\xff\xfe"),
        ("ostiary/door/event/login", b"[" * 5000),
        ("ostiary/door/event/login", an_event(0)),
        ("ostiary/door/event/login", an_event(1, username="a\0b")),
        ("ostiary/door/event/login/more", an_event(1)),
    ],
)
def test_what_is_no_event_is_set_apart(topic: str, payload: bytes) -> None:
    with pytest.raises(ValueError, match=r"event|character"):
        record_of(topic, payload)


def test_a_database_that_is_not_there_is_said() -> None:
    with pytest.raises(ArchiveUnavailable, match="archive's database"):
        ArchiveKeeper.connect("postgresql://ostiary@127.0.0.1:1/nothing")
