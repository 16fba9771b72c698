"""Runs a command once, whoever asks and however often it is delivered."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import replace

from ostiary.commands import credentials, decisions, device, doors, people, rules
from ostiary.commands.registry import A, AnyCommand, Command, Context, Deed, R, commands_of
from ostiary.commands.services import CommandLimits, CommandServices
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
    StoreLocked,
    TimedOut,
    TooManyAttempts,
    TransactionConflict,
    error_of,
)
from ostiary.limits.lock_out import LockOut
from ostiary.messages.commands.base import ErrorDetail, Request
from ostiary.messages.commands.credentials import CredentialRequest
from ostiary.messages.commands.doors import DoorRequest
from ostiary.messages.words import Mode
from ostiary.store.accounts import Accounts
from ostiary.store.audit import Audit
from ostiary.store.command_log import CommandKey, CommandLog

COMMANDS: Mapping[str, AnyCommand] = commands_of(
    device, people, decisions, credentials, doors, rules
)

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

SAY_PASSWORD = "Say your password again (POST /api/v1/confirmation), then ask once more."

_BEGUN = b""
"""Kept of a signature before its command runs: from then on it is used, however the command
ends."""
_OK = b"ok "
_ERROR = b"error "
LONGEST_MESSAGE = 1000
"""Letters of an error that are kept: it may repeat what was sent."""


class Commands:
    """Runs commands. Every method may be called from any thread."""

    def __init__(self, services: CommandServices, command_log: CommandLog) -> None:
        self._services = services
        self._log = command_log
        self._audit = Audit(services.people.database)
        self._repeats = LockOut(services.settings.credentials.tries)

    @property
    def limits(self) -> CommandLimits:
        """How large commands may be and how many may wait."""
        return self._services.limits

    def is_registered(self, username: str) -> bool:
        return self._services.people.has(username)

    def run(self, command: Command[R, A], request: R, context: Context) -> A:
        """Run a command and write its audit row, or give the answer that it got when it ran before.

        Raises OstiaryError; the command then had no effect, unless the error says that it was done.
        """
        try:
            self._services.people.check_open()
        except StoreLocked:
            if not command.while_locked:
                raise
            command = replace(command, changes=False)  # nothing can be written down
        answered = self._nonce_answer(context)
        if answered == _BEGUN:  # the door went down while it ran: it had no effect
            answered = None
        if command.changes and answered is None and context.key is not None:
            answered = self._answer_again(command, request, context.key)
        if command.changes and answered is not None:
            return _replayed(command, answered)
        if context.nonce is not None and not self._log.is_known(context.nonce):
            self._log.record(context.nonce, _BEGUN, self._services.clock())
        try:
            context.check_deadline()
            check_confirmed(self._services, command, request, context)
            effect = command(self._services, request, context)
            if not command.acts:
                context.check_deadline()
            if not command.changes:
                answer = effect()
                self._remember(command, context, _OK)
                return answer
            telling = _it_was_done() if command.acts else nullcontext()
            with telling, self._services.people.changing():
                answer = effect()
                if command.deed is not None:
                    self._note(command.deed(request, answer), context)
                self._remember(command, context, _OK + answer.model_dump_json().encode())
        except OstiaryError as error:
            if isinstance(error, _PASSING):
                context = replace(context, key=None)
            self._remember(command, context, _recorded_error(error))
            raise
        return answer

    def _note(self, deed: Deed, context: Context) -> None:
        self._audit.add(
            actor=context.actor,
            action=deed.action,
            subject=deed.subject,
            address=context.asker.way,
            now=self._services.clock(),
            detail={**deed.detail, **context.detail},
        )

    def _answer_again(self, command: AnyCommand, request: Request, key: CommandKey) -> bytes | None:
        """The answer to this transaction; None: it is new. Sending a known one again with another
        PIN counts as a try of that PIN. Raises TransactionConflict, and always after too many
        tries."""
        if not command.secret or not self._log.is_known(key):
            return self._log.answer(key)
        try:
            answered, conflict = self._log.answer(key), None
        except TransactionConflict as error:
            answered, conflict = None, error
        check, is_same = self._services.credential_check, conflict is None
        if isinstance(request, CredentialRequest) and check is not None:
            door = self._services.door_name(request.door)
            taken = check.again(door, is_same=is_same)
        else:
            taken = self._again(command, is_same=is_same)
        if not taken:
            raise conflict or TransactionConflict(
                f"This transaction was used for another {command.name} request; take a new one."
            )
        return answered

    def _again(self, command: AnyCommand, *, is_same: bool) -> bool:
        try:
            self._repeats.attempt(command.name)
        except TooManyAttempts:
            return False
        if is_same:
            self._repeats.take_back(command.name)
        return is_same

    def _nonce_answer(self, context: Context) -> bytes | None:
        """The answer to this signature; None: it is new. Raises SignatureInvalid where it was used
        before."""
        if context.nonce is None:
            return None
        try:
            answered = self._log.answer(context.nonce)
        except TransactionConflict:
            answered = b""
        if answered is not None and not context.redelivered:
            raise SignatureInvalid("This signature was used already. Sign each command anew.")
        return answered

    def _remember(self, command: AnyCommand, context: Context, outcome: bytes) -> None:
        now = self._services.clock()
        if command.changes and context.key is not None:
            self._log.record(context.key, outcome, now)
        if context.nonce is not None:
            self._log.conclude(context.nonce, outcome)


def named(name: str) -> AnyCommand:
    """The command of that name. Raises CommandUnknown."""
    if name not in COMMANDS:
        raise CommandUnknown(f"There is no such command. These are: {', '.join(COMMANDS)}.")
    return COMMANDS[name]


@contextmanager
def _it_was_done() -> Iterator[None]:
    """Say in the error of a store that fails that the command was done all the same."""
    try:
        yield
    except OstiaryError as error:
        raise type(error)(
            f"{error.message} It was done all the same, and is not recorded."
        ) from error


def _recorded_error(error: OstiaryError) -> bytes:
    detail = ErrorDetail(code=error.code, message=error.message[:LONGEST_MESSAGE])
    return _ERROR + detail.model_dump_json().encode()


def _replayed(command: Command[R, A], recorded: bytes) -> A:
    if recorded.startswith(_OK):
        return command.answer.model_validate_json(recorded.removeprefix(_OK))
    detail = ErrorDetail.model_validate_json(recorded.removeprefix(_ERROR))
    raise error_of(detail.code)(detail.message)


def check_confirmed(
    services: CommandServices, command: AnyCommand, request: Request, context: Context
) -> None:
    """Check that whoever widens access has confirmed it. A stolen session, or access to the broker
    alone, lets nobody in. Raises ConfirmationNeeded, before anything costly."""
    if context.asker.confirmed:
        return
    if context.source == "http" and (command.admits or _widens(services, request)):
        raise ConfirmationNeeded(SAY_PASSWORD)
    if command.name == "add_template" and _signature_needed(services):
        raise ConfirmationNeeded(
            "A further template is taken from signed commands only, because the console has "
            "accounts. Sign it (commands.signed), add it in the console, or set "
            'commands.add_template_needs = "nothing".'
        )


def _widens(services: CommandServices, request: Request) -> bool:
    """Whether a door command widens access. Opening once does not: it is seen, and over."""
    if not isinstance(request, DoorRequest):
        return False
    if request.action == "lock":  # which ends a lockdown as well
        return services.door(request.door).state().mode is Mode.LOCKDOWN
    return request.action in ("unlock", "forgive")


def _signature_needed(services: CommandServices) -> bool:
    """Whether further templates need a signature; a door without accounts asks for none."""
    if services.settings.commands.add_template_needs == "nothing":
        return False
    return Accounts(services.people.database).count() > 0
