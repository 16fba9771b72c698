"""Structured logs: entries with fields in the journal, text on a terminal, JSON elsewhere.

In systemd's journal each field stands by its name, so that `journalctl -u ostiary
OSTIARY_REASON=granted` finds what it says. The protocol is systemd's "Native Journal Protocol": one
datagram an entry.
"""

import logging
import os
import re
import socket
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TextIO

import structlog
from structlog.dev import plain_traceback
from structlog.processors import ExceptionRenderer
from structlog.tracebacks import ExceptionDictTransformer
from structlog.typing import EventDict, Processor, WrappedLogger

from ostiary.settings import LogSettings

SOCKET = Path("/run/systemd/journal/socket")
PREFIX = "OSTIARY_"
PRIORITIES = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}
"""As syslog numbers them."""
NOT_IN_A_NAME = re.compile("[^A-Z0-9_]")
LONGEST_NAME = 64


def configure_logging(settings: LogSettings, stream: TextIO | None = None) -> None:
    """Set up structlog for the whole process; `stream` is standard error unless given.

    A traceback never shows local variables: they hold images and descriptors.
    """
    out = sys.stderr if stream is None else stream
    chosen = _format_for(out) if settings.format == "auto" else settings.format
    endings: dict[str, tuple[Processor, ...]] = {
        "journal": (structlog.processors.format_exc_info, render_entry),
        "text": (structlog.dev.ConsoleRenderer(exception_formatter=plain_traceback),),
        "json": (
            ExceptionRenderer(ExceptionDictTransformer(show_locals=False)),
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ),
    }
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
            *endings[chosen],
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[settings.level.upper()]
        ),
        logger_factory=_to_journal() if chosen == "journal" else partial(_Printer, out),
        cache_logger_on_first_use=False,
    )


def _to_journal() -> Callable[..., "JournalLogger"]:
    """One socket for all loggers."""
    logger = JournalLogger()
    return lambda *_args: logger


def _format_for(out: TextIO) -> str:
    if goes_to_journal(out):
        return "journal"
    return "text" if out.isatty() else "json"


class _Printer(structlog.PrintLogger):
    """Prints lines; on a full disk they are lost, and no thread ends by it."""

    def __init__(self, out: TextIO, *_args: object) -> None:
        super().__init__(out)

    def msg(self, message: str) -> None:
        with suppress(OSError):
            super().msg(message)

    log = debug = info = warn = warning = fatal = failure = err = error = critical = exception = msg


class JournalLogger:
    """Sends rendered entries to the journal; one that cannot be sent goes to standard error."""

    def __init__(self, path: Path = SOCKET) -> None:
        self._path = str(path)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)

    def msg(self, entry: bytes) -> None:
        try:
            self._socket.sendto(entry, self._path)
        except OSError:  # the journal is being restarted, or the entry is too large for a datagram
            print(entry.decode("utf-8", errors="replace"), file=sys.stderr)  # noqa: T201

    log = debug = info = warning = error = critical = exception = msg


def goes_to_journal(stream: TextIO, environment: Mapping[str, str] | None = None) -> bool:
    """Whether systemd connected `stream` to the journal, as it says in JOURNAL_STREAM."""
    told = (os.environ if environment is None else environment).get("JOURNAL_STREAM", "")
    try:
        here = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return told == f"{here.st_dev}:{here.st_ino}"


def render_entry(_logger: WrappedLogger, _method: str, event: EventDict) -> bytes:
    """The entry in the journal's format; structlog's last processor."""
    fields = {key: value for key, value in event.items() if key not in ("event", "level", "time")}
    lines = str(fields.pop("exception", "")).strip()
    told = [str(event["event"]), *(f"{key}={value}" for key, value in fields.items())]
    entry = [
        _field("MESSAGE", " ".join(told) + (f"\n{lines}" if lines else "")),
        _field("PRIORITY", str(PRIORITIES.get(str(event.get("level")), 6))),
        _field("SYSLOG_IDENTIFIER", "ostiary"),
        _field(PREFIX + "EVENT", str(event["event"])),
    ]
    entry += [_field(_name(key), str(value)) for key, value in fields.items()]
    return b"".join(entry)


def _name(key: str) -> str:
    return (PREFIX + NOT_IN_A_NAME.sub("_", key.upper()))[:LONGEST_NAME]


def _field(name: str, value: str) -> bytes:
    data = value.encode("utf-8", errors="backslashreplace")
    if b"\n" not in data:
        return b"%s=%s\n" % (name.encode(), data)
    return b"%s\n%s%s\n" % (name.encode(), len(data).to_bytes(8, "little"), data)
