"""Who asks, and under which conditions."""

import time
from dataclasses import dataclass, field
from typing import Literal

from ostiary.errors import TimedOut
from ostiary.messages.entrance import by_whom
from ostiary.store.audit import Detail
from ostiary.store.command_log import CommandKey

MQTT = "mqtt"
MQTT_SIGNED = "mqtt, signed"
LOCAL = "local"


@dataclass(frozen=True, slots=True)
class Asker:
    """Somebody who asks. `name`: an account, `token:…`, `client:…` or `local:…`, a user of this
    machine; None where nobody can tell. `way`: by which they came: a network address for HTTP,
    MQTT, MQTT_SIGNED, or LOCAL for the command line. `confirmed`: by more than a session's cookie
    or a place on the broker."""

    name: str | None
    way: str
    confirmed: bool = False


@dataclass(frozen=True, slots=True)
class Context:
    """`key` makes two deliveries the same command (None: each runs). `deadline` is in seconds of
    `time.monotonic()`; a command that is not done by then has no effect, unless it acts at once.
    `nonce` stands for a signature, which counts once, unless `redelivered` says that it is the same
    delivery again. `operator`: whether they may be told who is registered. `detail`: what the audit
    says besides of what they change."""

    source: Literal["mqtt", "http", "cli"]
    asker: Asker
    key: CommandKey | None = None
    deadline: float | None = None
    nonce: CommandKey | None = None
    redelivered: bool = False
    operator: bool = True
    detail: Detail = field(default_factory=dict)

    @property
    def actor(self) -> str:
        """Who it was, for the audit."""
        return self.asker.name or self.source

    @property
    def by(self) -> str:
        """Who asks, as it is recorded of a door."""
        return by_whom(self.source, self.asker.name)

    def check_deadline(self) -> None:
        """Raises TimedOut."""
        if self.deadline is not None and time.monotonic() > self.deadline:
            raise TimedOut("The command was not done in time and had no effect.")
