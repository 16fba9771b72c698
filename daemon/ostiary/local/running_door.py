"""A running door, as the command line asks it: over MQTT or this machine's socket."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Self, TypeVar

from pydantic import BaseModel

from ostiary.errors import AnswerTooLarge, error_of
from ostiary.messages.commands.base import Answer, ErrorDetail, Request, Transaction
from ostiary.messages.events import AnyEvent

A = TypeVar("A", bound=Answer)

FEWER = 128
"""Items of a list that are asked for where all are too many for the broker; then half as many."""


class Response(BaseModel):
    """Either kind of response, before it is known what its data should be."""

    transaction: Transaction | None = None
    data: dict[str, object] | None = None
    error: ErrorDetail | None = None

    def answer(self, kind: type[A]) -> A:
        """The answer. Raises the door's own error (any OstiaryError, with its code)."""
        if self.error is not None:
            raise error_of(self.error.code)(self.error.message)
        return kind.model_validate(self.data)


class RunningDoor(ABC):
    """Use it as a context manager, from one thread."""

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
        """Events that have a `seq` above `after`, each once: those that are there, and as they
        come, until interrupted."""

    @property
    @abstractmethod
    def packet_limit(self) -> int | None:
        """The largest message that gets there, in bytes; None: nobody says."""

    def pages(self, command: str, request: Request, answer: type[A]) -> Iterator[A]:
        """All of a list, in as many answers as it takes. `request` has `limit` and `cursor`,
        `answer` a `cursor`. Raises as `ask` does."""
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
