"""A running door, as the command line asks it: over this machine's socket, or (`cli/remote.py`)
MQTT."""

import socket
import struct
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Self, TypeVar

from pydantic import BaseModel

from ostiary.errors import AnswerTooLarge, DoorNotRunning, NotAllowed, TimedOut, error_of
from ostiary.messages.commands.base import Answer, ErrorDetail, Request, Transaction
from ostiary.messages.commands.decisions import EventsAnswer, EventsRequest
from ostiary.messages.events import AnyEvent

A = TypeVar("A", bound=Answer)

FEWER = 128
"""Items of a list that are asked for where all are too many for the broker; each time half of
it."""
TIMEOUT_S = 40.0
AWAY_S = 5.0
"""How long a door may be away, as when it reads its settings anew."""
TRY_EVERY_S = 0.1
LOOK_EVERY_S = 0.5
_PIECE = 64 * 1024


class Response(BaseModel):
    """A response of either kind, its data not parsed yet."""

    transaction: Transaction | None = None
    data: dict[str, object] | None = None
    error: ErrorDetail | None = None

    def answer(self, kind: type[A]) -> A:
        """The answer. Raises the door's own error (any OstiaryError, with its code)."""
        if self.error is not None:
            raise error_of(self.error.code)(self.error.message)
        return kind.model_validate(self.data)


class RunningDoor(ABC):
    """A running door. Use it as a context manager, from one thread."""

    @abstractmethod
    def __enter__(self) -> Self: ...

    @abstractmethod
    def __exit__(self, *_: object) -> None: ...

    @abstractmethod
    def ask(self, command: str, request: Request, answer: type[A]) -> A:
        """Send one command and wait for its answer. Raises the door's own error, or why it was not
        asked."""

    @abstractmethod
    def follow(self, after: int) -> Iterator[AnyEvent]:
        """Yield events with a `seq` above `after`, each once: those that are there, then as they
        come, until interrupted."""

    @property
    @abstractmethod
    def packet_limit(self) -> int | None:
        """Bytes of the largest message that gets there; None: unknown."""

    def pages(self, command: str, request: Request, answer: type[A]) -> Iterator[A]:
        """Yield all of a list, in as many answers as it takes. `request` has `limit` and `cursor`,
        `answer` a `cursor`. Raises what `ask` raises."""
        given: dict[str, object] = {}
        fewer = FEWER
        while True:
            try:
                page = self.ask(command, request.model_copy(update=given), answer)
            except AnswerTooLarge:
                if fewer < 1:
                    raise
                given["limit"], fewer = fewer, fewer // 2
                continue
            yield page
            given["cursor"] = page.model_dump(include={"cursor"})["cursor"]
            if given["cursor"] is None:
                return


def is_served(path: Path) -> bool:
    """Whether a door has its socket there, whoever may use it."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        pass
    return True


class LocalDoor(RunningDoor):
    """The door on this machine, over its socket; each command has a connection of its own."""

    def __init__(self, path: Path, timeout_s: float = TIMEOUT_S, away_s: float = AWAY_S) -> None:
        self._path = path
        self._timeout_s = timeout_s
        self._away_s = away_s

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    @property
    def packet_limit(self) -> None:
        return None

    def ask(self, command: str, request: Request, answer: type[A]) -> A:
        """Send a command. Raises the door's own error, NotAllowed, DoorNotRunning, TimedOut."""
        asked = request.model_copy(update={"transaction": uuid.uuid4().hex})
        payload = asked.model_dump_json(exclude_unset=True)  # null clears
        with self._connected() as connection:
            connection.settimeout(self._timeout_s)
            with suppress(OSError):  # what it does not take it refuses before all has come
                connection.sendall(f"{command} {payload}\n".encode())
            line = self._line(connection)
        return Response.model_validate_json(line).answer(answer)

    def follow(self, after: int) -> Iterator[AnyEvent]:
        while True:
            request = EventsRequest(cursor=after, newest_first=False)
            for event in self.ask("events", request, EventsAnswer).events:
                after = event.seq
                yield event
            time.sleep(LOOK_EVERY_S)

    def _connected(self) -> socket.socket:
        until = time.monotonic() + self._away_s
        while True:
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            # With a time limit of Python's it would not wait in line where many wait.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _seconds(self._timeout_s))
            try:
                connection.connect(str(self._path))
            except PermissionError:
                connection.close()
                raise NotAllowed(
                    f"Only root and the door's group may use {self._path}: put `sudo` before it."
                ) from None
            except OSError as error:
                connection.close()
                if time.monotonic() > until:
                    raise DoorNotRunning(
                        f"No door answers at {self._path} ({error.strerror or error}). Start it "
                        "(`sudo systemctl start ostiary`), or name a broker by --host."
                    ) from error
                time.sleep(TRY_EVERY_S)
            else:
                return connection

    def _line(self, connection: socket.socket) -> bytes:
        until = time.monotonic() + self._timeout_s
        line = bytearray()
        while not line.endswith(b"\n"):
            connection.settimeout(max(0.001, until - time.monotonic()))
            try:
                piece = connection.recv(_PIECE)
            except TimeoutError:
                raise TimedOut(
                    f"No answer in {self._timeout_s:g} s; see `ostiary doctor`."
                ) from None
            except OSError as error:
                raise DoorNotRunning(f"The door hung up: {error.strerror}.") from error
            if not piece:
                raise DoorNotRunning("The door ended before it answered; see its log.")
            line += piece
        return bytes(line)


def _seconds(seconds: float) -> bytes:
    """As struct timeval."""
    whole = int(seconds)
    return struct.pack("@ll", whole, int((seconds - whole) * 1e6))
