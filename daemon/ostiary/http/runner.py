"""Runs commands for HTTP: a few at a time, and in time."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from ostiary.commands.registry import A, Command, Context, R
from ostiary.errors import Busy
from ostiary.http.authenticator import Authenticator, Caller
from ostiary.http.parts import ConsoleParts
from ostiary.store.audit import Detail

AT_ONCE = 2
"""Commands that look at images at the same time; more would only slow the door."""


class Turns:
    """What goes over many events: one at a time. A few may wait for it."""

    def __init__(self, waiting: int = 16, within_s: float = 10.0) -> None:
        self._running = threading.Lock()
        self._places = threading.Semaphore(1 + waiting)
        self._within_s = within_s

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Raises Busy."""
        if not self._places.acquire(blocking=False):
            raise Busy("Too many requests are waiting; try again in a moment.")
        try:
            if not self._running.acquire(timeout=self._within_s):
                raise Busy("Too many requests are waiting; try again in a moment.")
            try:
                yield
            finally:
                self._running.release()
        finally:
            self._places.release()


class CommandRunner:
    """The commands, as routes use them."""

    def __init__(self, parts: ConsoleParts, gate: Authenticator) -> None:
        self._parts = parts
        self._gate = gate
        self._running = threading.Semaphore(AT_ONCE)
        self._places = threading.Semaphore(AT_ONCE + parts.commands.limits.waiting)

    def run(
        self, command: Command[R, A], request: R, caller: Caller, detail: Detail | None = None
    ) -> A:
        """Run a command for whoever asks. `detail`: what the audit says besides. Raises
        OstiaryError."""
        with self._place() as deadline:
            context = Context(
                source="http",
                asker=self._gate.asker(caller),
                deadline=deadline,
                operator=caller.knows_people or not command.changes,
                detail=detail or {},
            )
            return self._parts.commands.run(command, request, context)

    @contextmanager
    def _place(self) -> Iterator[float]:
        """Until when it has to be done, in seconds of `time.monotonic()`. Raises Busy when too
        many wait already, or for too long."""
        limit_s = self._parts.settings.commands.time_limit_s
        deadline = time.monotonic() + limit_s
        if not self._places.acquire(blocking=False):
            raise Busy("Too many requests are waiting; try again in a moment.")
        try:
            if not self._running.acquire(timeout=limit_s):
                raise Busy("Too many requests are waiting; try again in a moment.")
            try:
                yield deadline
            finally:
                self._running.release()
        finally:
            self._places.release()
