"""Physical doors: their modes, and a contact that is told from outside."""

from typing import Literal

from pydantic import Field

from ostiary.messages.commands.base import Answer, Request
from ostiary.messages.commands.credentials import DoorName
from ostiary.messages.state import EntranceState

Action = Literal["lock", "relock", "unlock", "lockdown", "open", "silence", "forgive"]


class DoorsRequest(Request):
    """Give the state of each physical door."""


class DoorsAnswer(Answer):
    doors: tuple[EntranceState, ...]


class DoorRequest(Request):
    """Set a door's mode, open it once, or silence its alarm."""

    door: DoorName | None = Field(
        default=None, description="Name of the door's camera, where there are several."
    )
    action: Action = Field(
        description="`lock`: normal, faces and credentials open. `relock`: `lock`, but a lockdown "
        "stays. `unlock`: open to everybody until `lock`. `lockdown`: nobody is let in, everybody "
        "may leave. `open`: once. `silence`: the alarm was heard. `forgive`: who went in or out "
        "last is forgotten (anti-passback)."
    )


class DoorAnswer(Answer):
    door: EntranceState = Field(description="State of the door after it.")


class ContactRequest(Request):
    """Tell what the contact of a door says, for `contact = "mqtt"`."""

    door: DoorName | None = Field(
        default=None, description="Name of the door's camera, where there are several."
    )
    contact: Literal["open", "closed", "unreadable"]


class ContactAnswer(Answer):
    door: EntranceState = Field(description="State of the door after it.")
