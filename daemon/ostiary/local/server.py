"""The commands on this machine, without a broker: a Unix socket that root and the daemon's group
may use.

One command a connection: a line `<command> <request as JSON>` there, a line with the response as
over MQTT back. Whoever is slow, silent, large or many costs a few threads for some seconds, and
holds up neither the door nor other users.
"""

import os
import pwd
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import structlog

from ostiary.commands.commands import COMMANDS, Commands, named
from ostiary.commands.registry import LOCAL, Asker, Context, check_size, failed, most_bytes
from ostiary.errors import (
    Busy,
    ConfigError,
    OstiaryError,
    RequestLate,
    RequestMalformed,
)
from ostiary.messages.commands.base import OkResponse
from ostiary.settings import Settings
from ostiary.store.command_log import CommandKey

log = structlog.get_logger(__name__)

MODE = 0o660
"""The daemon's user and its group; and root, of course."""
_CREDENTIALS = struct.Struct("3i")  # struct ucred: pid, uid, gid
_PROBE_S = 1.0
CONNECTIONS = 12
"""Open at the same time; and of one user:"""
CONNECTIONS_PER_USER = 4
COMMANDS_PER_USER = 3
"""That can wait: one place more is for a command that cannot."""
BACKLOG = 16
READ_S = 10.0
"""How long a request may take to come, and an answer to be taken."""
PACE_S = 0.01
"""The pause between connections: a client that asks without end does not take the processor."""
LONGEST_NAME = 64
_PIECE = 64 * 1024
_STOP_WITHIN_S = 1.0
_NOBODY = 65534  # the overflow user of a user namespace


def bound(path: Path) -> socket.socket:
    """Bind a Unix socket, which does not listen yet. A file that a killed process left is replaced,
    so that there is one at every moment.

    Raises OSError, also where another process listens there, or the file is no socket.
    """
    if path.exists() and not path.is_socket():
        raise OSError(f"there is something at {path} that is no socket")
    if _is_listening(path):
        raise OSError(f"somebody listens at {path} already")
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    new = path.with_name(f".{os.getpid()}.sock")
    try:
        new.unlink(missing_ok=True)
        listener.bind(str(new))
        new.chmod(MODE)  # nobody gets in before it listens
        new.replace(path)
    except OSError:
        listener.close()
        new.unlink(missing_ok=True)
        raise
    return listener


def peer_uid(connection: socket.socket) -> int:
    """The user whose process connected, as the kernel says. In a user namespace (systemd's
    PrivateUsers=) everybody but root and the daemon's own user is the overflow user."""
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _, uid, _ = _CREDENTIALS.unpack(raw)
    return int(uid)


def _is_listening(path: Path) -> bool:
    if not path.is_socket():
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(_PROBE_S)
        with suppress(ConnectionRefusedError, FileNotFoundError):
            with suppress(BlockingIOError):  # so many wait already
                probe.connect(str(path))
            return True
    return False


class LocalServer:
    """Serves the commands at the socket: start it, stop it. A thread takes connections, and each
    has a thread of its own. Commands run one at a time, except those that cannot wait."""

    def __init__(self, commands: Commands, settings: Settings) -> None:
        self._commands = commands
        self._most_bytes = commands.limits.images.bytes
        self._time_limit_s = settings.commands.time_limit_s
        self._path = settings.commands.socket
        self._turn = threading.Lock()
        self._counting = threading.Lock()
        self._open: Counter[int] = Counter()  # by user
        self._waiting: Counter[str] = Counter()  # by whose they are: commands that can wait
        self._running: set[threading.Thread] = set()
        self._listener: socket.socket | None = None
        self._thread = threading.Thread(target=self._run, name="local", daemon=True)
        self._stopping = threading.Event()

    def start(self) -> None:
        """Raises ConfigError where its place cannot be had."""
        try:
            self._listener = bound(self._path)
            self._listener.listen(BACKLOG)
        except OSError as error:
            raise ConfigError(
                f"commands.socket: {self._path}: {error.strerror or error}."
            ) from error
        self._thread.start()

    def stop(self) -> None:
        """A command that runs may end, while the store is open. The file stays: whoever comes
        during a reload waits."""
        self._stopping.set()
        if self._listener is None:
            return
        until = time.monotonic() + _STOP_WITHIN_S
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread
        self._thread.join(_STOP_WITHIN_S)
        self._listener.close()
        with self._counting:
            running = tuple(self._running)
        for each in running:
            each.join(max(0.0, until - time.monotonic()))

    def _run(self) -> None:
        assert self._listener is not None
        while not self._stopping.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError as error:  # no descriptors left, or it is over
                if not self._stopping.wait(READ_S / 10):
                    log.warning("local_connection_failed", reason=str(error))
                continue
            self._take(connection)
            self._stopping.wait(PACE_S)

    def _take(self, connection: socket.socket) -> None:
        uid = peer_uid(connection)
        with self._counting:
            is_free = self._open[uid] < CONNECTIONS_PER_USER and self._open.total() < CONNECTIONS
            if is_free:
                self._open[uid] += 1
        if not is_free:
            connection.setblocking(False)
            with connection, suppress(OSError):
                connection.send(failed(b"", Busy("Too many commands wait.")) + b"\n")
            return
        try:
            threading.Thread(
                target=self._serve, args=(connection, uid), name="local-command", daemon=True
            ).start()
        except RuntimeError as error:  # no thread is to be had
            log.warning("local_connection_failed", reason=str(error))
            self._left(connection, uid)

    def _left(self, connection: socket.socket, uid: int) -> None:
        connection.close()
        with self._counting:
            self._open[uid] -= 1
            self._open += Counter()  # forget who has none
            self._running.discard(threading.current_thread())

    def _begin(self) -> None:
        """Raises Busy where nothing is begun any more."""
        with self._counting:
            if self._stopping.is_set():
                raise Busy("The door stops, or starts anew; try again in a moment.")
            self._running.add(threading.current_thread())

    def _serve(self, connection: socket.socket, uid: int) -> None:
        try:
            response = self._answer(connection, uid)
            connection.settimeout(READ_S)
            with suppress(OSError):  # nobody takes it
                connection.sendall(response + b"\n")
        finally:
            self._left(connection, uid)

    def _answer(self, connection: socket.socket, uid: int) -> bytes:
        payload = b""
        try:
            name, payload = read_command(connection, self._most_bytes)
            self._begin()
            return self._handle(name, payload, time.monotonic(), _asker(uid))
        except OstiaryError as error:
            log.info("command_refused", source="cli", code=error.code)
            return failed(payload, error)
        except Exception:  # one command must not end the daemon's thread without an answer
            log.exception("command_failed", source="cli")
            return failed(payload, OstiaryError("Something failed; see the log."))

    def _handle(self, name: str, payload: bytes, since: float, asker: Asker) -> bytes:
        """Raises OstiaryError."""
        command = named(name)
        request = command.parse(payload)
        key = None
        if (transaction := request.transaction) is not None:
            key = CommandKey.of(name, f"{transaction!r}", payload, "cli", secret=command.secret)
        deadline = since + self._time_limit_s
        context = Context(source="cli", key=key, deadline=deadline, asker=asker)
        if command.urgent:
            answer = self._commands.run(command, request, context)
        else:
            with self._in_turn(asker):
                answer = self._commands.run(command, request, context)
        return OkResponse(data=answer, transaction=request.transaction).to_json()

    @contextmanager
    def _in_turn(self, asker: Asker) -> Iterator[None]:
        """Raises Busy."""
        with self._counting:
            if self._waiting[asker.name or ""] >= COMMANDS_PER_USER:
                raise Busy("Too many commands wait.")
            self._waiting[asker.name or ""] += 1
        try:
            if not self._turn.acquire(timeout=self._time_limit_s):
                raise Busy("Another command takes long; try again in a moment.")
            try:
                yield
            finally:
                self._turn.release()
        finally:
            with self._counting:
                self._waiting[asker.name or ""] -= 1
                self._waiting += Counter()


def read_command(connection: socket.socket, limit: int) -> tuple[str, bytes]:
    """The command's name and its request, of `limit` bytes at most. Raises RequestLate,
    RequestTooLarge, RequestMalformed where the line does not end: then nothing is to be run."""
    until = time.monotonic() + READ_S
    line = bytearray()
    name: str | None = None
    while not line.endswith(b"\n"):
        connection.settimeout(max(0.001, until - time.monotonic()))
        try:
            piece = connection.recv(_PIECE)
        except OSError as error:
            raise RequestLate(f"The command did not come within {READ_S:g} s.") from error
        if not piece:
            raise RequestMalformed("A command is a line: its name, a space, a JSON object.")
        line += piece
        if name is None and (b" " in line or len(line) > LONGEST_NAME):
            name = line[:LONGEST_NAME].partition(b" ")[0].decode("ascii", "replace")
        command = COMMANDS.get(name or "")
        if len(line) > most_bytes(command, limit) + LONGEST_NAME:
            check_size(command, len(line) - LONGEST_NAME, limit)
    words, _, payload = bytes(line).rstrip().partition(b" ")
    return words.decode("ascii", "replace"), payload


def _asker(uid: int) -> Asker:
    """The asker of that user. Root lets people use the socket, so they count as confirmed."""
    name = "group" if uid == _NOBODY else str(uid)
    if uid != _NOBODY:
        with suppress(KeyError):
            name = pwd.getpwuid(uid).pw_name
    return Asker(f"local:{name}", LOCAL, confirmed=True)
