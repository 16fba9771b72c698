"""Log lines as the journal gets them, against a real datagram socket as journald's is."""

import io
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from ostiary.service.logging import JournalLogger, goes_to_journal, render_entry
from testing.datagrams import listening


@pytest.fixture
def journald(tmp_path: Path) -> Iterator[socket.socket]:
    with listening(tmp_path / "journal") as listener:
        yield listener


@pytest.fixture
def log(journald: socket.socket) -> structlog.typing.BindableLogger:
    logger: structlog.typing.BindableLogger = structlog.wrap_logger(
        JournalLogger(Path(journald.getsockname())),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.format_exc_info,
            render_entry,
        ],
        wrapper_class=structlog.BoundLogger,
    )
    return logger


def entry(journald: socket.socket) -> dict[str, str]:
    """What came, taken apart as journald does it."""
    data, fields = journald.recv(100_000), {}
    while data:
        line, _, rest = data.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if not equals:
            length = int.from_bytes(rest[:8], "little")
            value, rest = rest[8 : 8 + length], rest[8 + length + 1 :]
        fields[name.decode()] = value.decode()
        data = rest
    return fields


def test_a_line_has_a_text_for_people_and_fields_for_programs(
    log: structlog.BoundLogger, journald: socket.socket
) -> None:
    log.info("decided", camera="front", reason="granted", distance=0.33)
    assert entry(journald) == {
        "MESSAGE": "decided camera=front reason=granted distance=0.33",
        "PRIORITY": "6",
        "SYSLOG_IDENTIFIER": "ostiary",
        "OSTIARY_EVENT": "decided",
        "OSTIARY_CAMERA": "front",
        "OSTIARY_REASON": "granted",
        "OSTIARY_DISTANCE": "0.33",
    }


@pytest.mark.parametrize(
    ("level", "priority"), [("info", "6"), ("warning", "4"), ("error", "3"), ("critical", "2")]
)
def test_a_level_is_a_priority_of_syslog(
    log: structlog.BoundLogger, journald: socket.socket, level: str, priority: str
) -> None:
    getattr(log, level)("camera_lost")
    assert entry(journald)["PRIORITY"] == priority


def test_a_value_of_several_lines_cannot_forge_a_field(
    log: structlog.BoundLogger, journald: socket.socket
) -> None:
    log.info("registered", username="ada\nPRIORITY=0\nOSTIARY_REASON=granted")
    fields = entry(journald)
    assert fields["PRIORITY"] == "6"
    assert "OSTIARY_REASON" not in fields
    assert fields["OSTIARY_USERNAME"].startswith("ada\nPRIORITY=0")


def test_a_name_that_is_none_for_the_journal_is_made_one(
    log: structlog.BoundLogger, journald: socket.socket
) -> None:
    log.info("x", **{"größe-in px": 3})
    assert entry(journald)["OSTIARY_GR_SSE_IN_PX"] == "3"


def test_a_trace_stands_below_its_line(log: structlog.BoundLogger, journald: socket.socket) -> None:
    try:
        _ = 1 / 0
    except ZeroDivisionError:
        log.error("pipeline_failed", exc_info=True)
    message = entry(journald)["MESSAGE"].splitlines()
    assert message[0] == "pipeline_failed"
    assert message[-1] == "ZeroDivisionError: division by zero"


def test_a_line_that_the_journal_does_not_take_is_not_lost(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    JournalLogger(tmp_path / "nobody").msg(b"MESSAGE=camera_lost\n")
    assert "camera_lost" in capsys.readouterr().err


def test_the_journal_is_known_by_what_systemd_says_of_the_stream(tmp_path: Path) -> None:
    with (tmp_path / "stream").open("w") as stream:
        here = os.fstat(stream.fileno())
        told = {"JOURNAL_STREAM": f"{here.st_dev}:{here.st_ino}"}
        assert goes_to_journal(stream, told)
        assert not goes_to_journal(stream, {})
        assert not goes_to_journal(io.StringIO(), told)
    assert not goes_to_journal(sys.__stderr__ or stream, told)
