"""Who widens access confirms it: whoever got hold of a session or of a place on the broker, and of
no more, lets nobody in by it."""

from ostiary.commands.context import Context
from ostiary.commands.registry import AnyCommand
from ostiary.commands.services import CommandServices
from ostiary.errors import ConfirmationNeeded
from ostiary.messages.commands.base import Request
from ostiary.messages.commands.doors import DoorRequest
from ostiary.messages.entrance import Mode
from ostiary.store.accounts import Accounts

SAY_PASSWORD = "Say your password again (POST /api/v1/confirmation), then ask once more."


def check_confirmed(
    services: CommandServices, command: AnyCommand, request: Request, context: Context
) -> None:
    """Raises ConfirmationNeeded, before anything costly."""
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
    """A door that is opened once is not: that is seen, and over."""
    if not isinstance(request, DoorRequest):
        return False
    if request.action == "lock":  # which ends a lockdown as well
        return services.door(request.door).state().mode is Mode.LOCKDOWN
    return request.action in ("unlock", "forgive")


def _signature_needed(services: CommandServices) -> bool:
    """A door without accounts has nobody who could confirm."""
    if services.settings.commands.add_template_needs == "nothing":
        return False
    return Accounts(services.people.database).count() > 0
