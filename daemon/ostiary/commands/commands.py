"""Runs a command once, whoever asks and however often it is delivered."""

from dataclasses import replace

from ostiary.commands.confirmation import check_confirmed
from ostiary.commands.context import Context
from ostiary.commands.handlers import HANDLERS
from ostiary.commands.room import Room
from ostiary.errors import (
    Busy,
    CameraUnavailable,
    CommandUnknown,
    ConfirmationNeeded,
    DatabaseCorrupt,
    DatabaseUnwritable,
    DecoderUnavailable,
    ModelMissing,
    OstiaryError,
    SignatureInvalid,
    TimedOut,
    TooManyAttempts,
    TransactionConflict,
    error_of,
)
from ostiary.messages.commands import COMMANDS, Answer, CommandKind, ErrorDetail, Request
from ostiary.store.command_log import CommandLog

# What may go better next time is not kept as the answer for ever.
_PASSING = (
    Busy,
    CameraUnavailable,
    ConfirmationNeeded,
    DatabaseCorrupt,
    DatabaseUnwritable,
    DecoderUnavailable,
    ModelMissing,
    SignatureInvalid,
    TimedOut,
    TooManyAttempts,
    TransactionConflict,
)

_BEGUN = b""
"""What is kept of a signature from before its command runs: from then on it is used, however the
command ends."""
_OK = b"ok "
_ERROR = b"error "


class Commands:
    """Every method may be called from any thread."""

    def __init__(self, room: Room, command_log: CommandLog) -> None:
        self._room = room
        self._log = command_log

    def run(self, name: str, request: Request, context: Context) -> Answer:
        """Run the command `name`, or give the answer it got when it ran.

        Raises OstiaryError; then the command had no effect.
        """
        kind = COMMANDS.get(name)
        if kind is None:
            raise CommandUnknown(f"There is no such command. These are: {', '.join(COMMANDS)}.")
        self._room.people.check_open()
        answered = self._nonce_answer(context)
        if answered == _BEGUN:  # the door went down while it ran: it had no effect
            answered = None
        if kind.recorded and answered is None and context.key is not None:
            answered = self._log.answer(context.key)
        if kind.recorded and answered is not None:
            return _replayed(kind, answered)
        if context.nonce is not None and not self._log.is_known(context.nonce):
            self._log.record(context.nonce, _BEGUN, self._room.clock())
        try:
            context.check_deadline()
            check_confirmed(self._room, kind, context)
            effect = HANDLERS[name](self._room, request, context)
            context.check_deadline()
            if not kind.recorded:
                answer = effect()
                self._remember(kind, context, _OK)
                return answer
            with self._room.people.changing():
                answer = effect()
                context.also(answer)
                self._remember(kind, context, _OK + answer.model_dump_json().encode())
        except OstiaryError as error:
            if isinstance(error, _PASSING):
                context = replace(context, key=None)
            self._remember(kind, context, _recorded_error(error))
            raise
        return answer

    def _nonce_answer(self, context: Context) -> bytes | None:
        """What was answered to this signature, None where it is new."""
        if context.nonce is None:
            return None
        try:
            answered = self._log.answer(context.nonce)
        except TransactionConflict:
            answered = b""
        if answered is not None and not context.redelivered:
            raise SignatureInvalid("This signature was used already. Sign each command anew.")
        return answered

    def _remember(self, kind: CommandKind, context: Context, outcome: bytes) -> None:
        now = self._room.clock()
        if kind.recorded and context.key is not None:
            self._log.record(context.key, outcome, now)
        if context.nonce is not None:
            self._log.conclude(context.nonce, outcome)


def _recorded_error(error: OstiaryError) -> bytes:
    return _ERROR + ErrorDetail(code=error.code, message=error.message).model_dump_json().encode()


def _replayed(kind: CommandKind, recorded: bytes) -> Answer:
    if recorded.startswith(_OK):
        return kind.answer.model_validate_json(recorded.removeprefix(_OK))
    detail = ErrorDetail.model_validate_json(recorded.removeprefix(_ERROR))
    raise error_of(detail.code)(detail.message)
