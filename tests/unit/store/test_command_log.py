"""A command delivered twice runs once."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ostiary.errors import TransactionConflict
from ostiary.store.command_log import SIGNATURE, CommandKey, CommandLog
from ostiary.store.database import Database

NOW = datetime(2025, 3, 1, 12, 0, tzinfo=UTC)
KEY = CommandKey.of("register", "t-1", b'{"username": "Anna"}')


@pytest.fixture
def log(tmp_path: Path) -> Iterator[CommandLog]:
    with Database.open(tmp_path / "ostiary.db") as database:
        yield CommandLog(database)


def test_a_repeated_command_gets_the_same_answer(log: CommandLog) -> None:
    assert log.answer(KEY) is None
    log.record(KEY, b"done", NOW)
    assert log.answer(CommandKey.of("register", "t-1", b'{"username": "Anna"}')) == b"done"


def test_a_transaction_used_for_another_request_is_a_conflict(log: CommandLog) -> None:
    log.record(KEY, b"done", NOW)
    other = CommandKey.of("register", "t-1", b'{"username": "Ben"}')
    with pytest.raises(TransactionConflict):
        log.answer(other)
    with pytest.raises(TransactionConflict):
        log.record(other, b"done too", NOW)
    with pytest.raises(TransactionConflict):
        log.record(KEY, b"done again", NOW)
    assert log.answer(KEY) == b"done"


@pytest.mark.parametrize(
    "key",
    [
        CommandKey.of("delete", "t-1", b'{"username": "Anna"}'),
        CommandKey.of("register", "t-2", b'{"username": "Anna"}'),
        CommandKey.of("register", "t-1", b'{"username": "Anna"}', requester="panel"),
        CommandKey.of("register", b"\xff\x00", b'{"username": "Anna"}'),
        CommandKey.of("register", "\ud800", b'{"username": "Anna"}'),
    ],
)
def test_other_commands_transactions_and_requesters_do_not_meet(
    log: CommandLog, key: CommandKey
) -> None:
    log.record(KEY, b"done", NOW)
    assert log.answer(key) is None
    log.record(key, b"other", NOW)
    assert log.answer(key) == b"other"


def prune(log: CommandLog, after: timedelta, *, keep: int = 1000) -> int:
    return log.prune(
        NOW + after,
        keep_for=timedelta(hours=1),
        keep_at_most=keep,
        signed_for=timedelta(seconds=120),
    )


def test_old_answers_are_forgotten(log: CommandLog) -> None:
    log.record(KEY, b"done", NOW)
    assert prune(log, timedelta(hours=1)) == 0
    assert prune(log, timedelta(hours=2)) == 1
    assert log.answer(KEY) is None


def test_of_too_many_answers_the_oldest_go_but_no_fresh_signature(log: CommandLog) -> None:
    signature = CommandKey.of("delete", "nonce", b"{}", SIGNATURE)
    log.record(signature, b"", NOW)
    for number in range(50):
        log.record(CommandKey.of("ping", f"t{number}", b"{}"), b"ok", NOW + timedelta(seconds=1))
    assert prune(log, timedelta(seconds=60), keep=10) == 41
    assert log.is_known(signature)
    assert log.answer(CommandKey.of("ping", "t49", b"{}")) == b"ok"
    assert log.answer(CommandKey.of("ping", "t40", b"{}")) is None
    assert prune(log, timedelta(seconds=121), keep=9) == 1
    assert not log.is_known(signature)
