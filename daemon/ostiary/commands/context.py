"""Who asks, and under which conditions."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from ostiary.errors import TimedOut
from ostiary.messages.commands import Answer
from ostiary.messages.entrance import by_whom
from ostiary.store.command_log import CommandKey


def _nothing(_answer: Answer) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Asker:
    """Somebody who asks. `name`: an account, `token:…`, `client:…` or `local:…`; None where nobody
    can tell.
    `confirmed`: by more than a session's cookie or a place on the broker."""

    name: str | None = None
    confirmed: bool = False


@dataclass(frozen=True, slots=True)
class Context:
    """`key` makes two deliveries the same command (None: each runs). `deadline` is in seconds of
    `time.monotonic()`; a command that is not done by then has no effect. `nonce` stands for a
    signature, which counts once, unless `redelivered` says that it is the same delivery again.
    `operator`: whether they may be told who is registered. `asker`: who they are. `also` is called
    with the answer in the transaction of a command that changes something, once it has: both happen
    or neither."""

    source: Literal["mqtt", "http", "cli"]
    key: CommandKey | None = None
    deadline: float | None = None
    nonce: CommandKey | None = None
    redelivered: bool = False
    operator: bool = True
    asker: Asker = Asker()
    also: Callable[[Answer], object] = _nothing

    @property
    def by(self) -> str:
        """Who asks, as it is recorded of a door."""
        return by_whom(self.source, self.asker.name)

    def check_deadline(self) -> None:
        """Raises TimedOut."""
        if self.deadline is not None and time.monotonic() > self.deadline:
            raise TimedOut("The command was not done in time and had no effect.")
