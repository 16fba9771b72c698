"""Runs commands for HTTP: a few at a time, in time, and with their audit row."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TypeVar

from ostiary.commands.context import Context
from ostiary.errors import Busy
from ostiary.http.gate import Caller, Gate
from ostiary.http.parts import ConsoleParts
from ostiary.messages.commands import AddTemplateAnswer, Answer, RegisterAnswer, Request
from ostiary.store.audit import Detail

AT_ONCE = 2
"""Commands that look at images at the same time; more would only slow the door."""

A = TypeVar("A", bound=Answer)


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


class Work:
    """The commands, as routes use them."""

    def __init__(self, parts: ConsoleParts, gate: Gate) -> None:
        self._parts = parts
        self._gate = gate
        self._running = threading.Semaphore(AT_ONCE)
        self._places = threading.Semaphore(AT_ONCE + parts.settings.commands.queue_limit)

    def ask(self, name: str, request: Request, answer: type[A]) -> A:
        """Run a command that changes nothing. Raises OstiaryError."""
        with self._place() as context:
            result = self._parts.commands.run(name, request, context)
            assert isinstance(result, answer)
            return result

    def change(
        self,
        name: str,
        request: Request,
        answer: type[A],
        caller: Caller,
        action: str,
        subject: str,
        detail: Detail | None = None,
    ) -> A:
        """Run a command that changes something, and write who did it. Raises OstiaryError."""

        def note(told: Answer) -> None:
            said = dict(detail or {})
            if isinstance(told, RegisterAnswer | AddTemplateAnswer):
                said["verified"] = told.verified
            self._gate.note(caller, action, subject, said)

        with self._place() as context:
            noted = replace(
                context,
                operator=caller.knows_people,
                asker=self._gate.asker(caller),
                also=note,
            )
            result = self._parts.commands.run(name, request, noted)
            assert isinstance(result, answer)
            return result

    @contextmanager
    def _place(self) -> Iterator[Context]:
        """Raises Busy when too many wait already, or for too long."""
        limit_s = self._parts.settings.commands.time_limit_s
        deadline = time.monotonic() + limit_s
        if not self._places.acquire(blocking=False):
            raise Busy("Too many requests are waiting; try again in a moment.")
        try:
            if not self._running.acquire(timeout=limit_s):
                raise Busy("Too many requests are waiting; try again in a moment.")
            try:
                yield Context(source="http", deadline=deadline)
            finally:
                self._running.release()
        finally:
            self._places.release()
