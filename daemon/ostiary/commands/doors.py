"""Commands to the physical doors.

A door acts before the transaction of the answer: it records the deed itself, and must not wait for
a database that waits for the door.
"""

from ostiary.commands.registry import Context, Deed, Effect, command
from ostiary.commands.services import CommandServices
from ostiary.errors import NotAllowed
from ostiary.hardware.physical_door import Contact
from ostiary.messages.commands.doors import (
    ContactAnswer,
    ContactRequest,
    DoorAnswer,
    DoorRequest,
    DoorsAnswer,
    DoorsRequest,
)
from ostiary.messages.words import DoorWhat, Mode

MODES = {"lock": Mode.NORMAL, "unlock": Mode.UNLOCKED, "lockdown": Mode.LOCKDOWN}


@command("doors")
def doors(
    services: CommandServices, _request: DoorsRequest, _context: Context
) -> Effect[DoorsAnswer]:
    return lambda: DoorsAnswer(doors=tuple(each.state() for each in services.doors.values()))


def _door_run(request: DoorRequest, answer: DoorAnswer) -> Deed:
    return Deed("door_run", f"{answer.door.door}: {request.action}")


@command("door", changes=True, urgent=True, acts=True, audit=_door_run)
def door(services: CommandServices, request: DoorRequest, context: Context) -> Effect[DoorAnswer]:
    """Raises NotAllowed for `open` in a lockdown."""
    controller = services.door(request.door)
    if request.action == "open":
        if not controller.released(context.by):
            raise NotAllowed("The door is in lockdown; `lock` (normal) ends that.")
    elif request.action == "silence":
        controller.silence(context.by)
    elif request.action == "relock":
        controller.relock(context.by)
    elif request.action == "forgive":
        controller.tell(DoorWhat.FORGIVEN, context.by)
        services.forgive()
    else:
        controller.set_mode(MODES[request.action], context.by)
    answer = DoorAnswer(door=controller.state())
    return lambda: answer


@command("contact", acts=True)
def contact(
    services: CommandServices, request: ContactRequest, _context: Context
) -> Effect[ContactAnswer]:
    """Raises NotAllowed where the door's contact is not told from outside."""
    name = services.door_name(request.door)
    if services.settings.door(name).contact != "mqtt":
        raise NotAllowed(f'The contact of {name} is not told by MQTT: set contact = "mqtt".')
    controller = services.door(name)
    controller.saw(Contact(request.contact))
    answer = ContactAnswer(door=controller.state())
    return lambda: answer
