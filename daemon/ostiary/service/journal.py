"""Log lines as journald's own entries: a text for people, and each field by its name.

So `journalctl -u ostiary OSTIARY_REASON=granted` finds what it says. The protocol is systemd's
"Native Journal Protocol": one datagram an entry.
"""

import os
import re
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

from structlog.typing import EventDict, WrappedLogger

SOCKET = Path("/run/systemd/journal/socket")
PREFIX = "OSTIARY_"
PRIORITIES = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}
"""As syslog numbers them."""
NOT_IN_A_NAME = re.compile("[^A-Z0-9_]")
LONGEST_NAME = 64


def goes_to_journal(stream: TextIO, environment: Mapping[str, str] | None = None) -> bool:
    """Whether systemd connected `stream` to the journal, as it says in JOURNAL_STREAM."""
    told = (os.environ if environment is None else environment).get("JOURNAL_STREAM", "")
    try:
        here = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return told == f"{here.st_dev}:{here.st_ino}"


def render_entry(_logger: WrappedLogger, _method: str, event: EventDict) -> bytes:
    """structlog's last processor: the entry as the journal wants it."""
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


class JournalLogger:
    """What structlog hands rendered entries to. An entry that cannot be sent goes to stderr."""

    def __init__(self, path: Path = SOCKET) -> None:
        self._path = str(path)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)

    def msg(self, entry: bytes) -> None:
        try:
            self._socket.sendto(entry, self._path)
        except OSError:  # the journal is being restarted, or the entry is too large for a datagram
            print(entry.decode("utf-8", errors="replace"), file=sys.stderr)  # noqa: T201

    log = debug = info = warning = error = critical = exception = msg
