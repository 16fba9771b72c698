"""Runs a command once, whoever asks and however often it is delivered."""

from collections.abc import Callable

from ostiary.commands.context import Context
from ostiary.commands.handlers import HANDLERS
from ostiary.commands.room import Room
from ostiary.errors import (
    Busy,
    CameraUnavailable,
    CommandUnknown,
    DatabaseCorrupt,
    DatabaseUnwritable,
    ModelMissing,
    OstiaryError,
    TimedOut,
    TransactionConflict,
    error_of,
)
from ostiary.messages.commands import COMMANDS, Answer, CommandKind, ErrorDetail, Request
from ostiary.store.command_log import CommandLog

# What may go better next time is not kept as the answer for ever.
_PASSING = (
    Busy,
    CameraUnavailable,
    DatabaseCorrupt,
    DatabaseUnwritable,
    ModelMissing,
    TimedOut,
    TransactionConflict,
)

_OK = b"ok "
_ERROR = b"error "


class Commands:
    """`committed` is called after each command that changed something: wake the publisher."""

    def __init__(
        self, room: Room, command_log: CommandLog, committed: Callable[[], object]
    ) -> None:
        self._room = room
        self._log = command_log
        self._committed = committed

    def run(self, name: str, request: Request, context: Context) -> Answer:
        """Run the command `name`, or give the answer it got when it ran.

        Raises OstiaryError; then the command had no effect.
        """
        kind = COMMANDS.get(name)
        if kind is None:
            raise CommandUnknown(f"There is no such command. These are: {', '.join(COMMANDS)}.")
        key = context.key if kind.recorded else None
        recorded = self._log.answer(key) if key is not None else None
        if recorded is not None:
            return _replayed(kind, recorded)
        try:
            context.check_deadline()
            effect = HANDLERS[name](self._room, request, context)
            context.check_deadline()
            if not kind.recorded:
                return effect()
            with self._room.people.changing():
                answer = effect()
                if key is not None:
                    self._log.record(key, _recorded_answer(answer), self._room.clock())
        except OstiaryError as error:
            if key is not None and not isinstance(error, _PASSING):
                self._log.record(key, _recorded_error(error), self._room.clock())
            raise
        self._committed()
        return answer


def _recorded_answer(answer: Answer) -> bytes:
    return _OK + answer.model_dump_json().encode()


def _recorded_error(error: OstiaryError) -> bytes:
    return _ERROR + ErrorDetail(code=error.code, message=error.message).model_dump_json().encode()


def _replayed(kind: CommandKind, recorded: bytes) -> Answer:
    if recorded.startswith(_OK):
        return kind.answer.model_validate_json(recorded.removeprefix(_OK))
    detail = ErrorDetail.model_validate_json(recorded.removeprefix(_ERROR))
    raise error_of(detail.code)(detail.message)
