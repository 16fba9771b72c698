"""What may be asked, and what is answered: one request and one answer model a command.

The same models serve MQTT, HTTP and the command line; the schema and the pages in docs/ are made
from them.
"""

from dataclasses import dataclass

from ostiary.messages.commands.base import (
    Answer,
    Base64Image,
    FirstVersionAnswer,
    Request,
    Transaction,
)
from ostiary.messages.commands.credentials import (
    AddCardAnswer,
    AddCardRequest,
    CredentialAnswer,
    CredentialRequest,
    CredentialsAnswer,
    CredentialsRequest,
    RemoveCardAnswer,
    RemoveCardRequest,
    RemovePinAnswer,
    RemovePinRequest,
    SetPinAnswer,
    SetPinRequest,
)
from ostiary.messages.commands.decisions import (
    EventsAnswer,
    EventsRequest,
    LoginAnswer,
    LoginRequest,
)
from ostiary.messages.commands.device import (
    PingAnswer,
    PingRequest,
    ReloadAnswer,
    ReloadRequest,
    SnapshotAnswer,
    SnapshotRequest,
)
from ostiary.messages.commands.doors import (
    ContactAnswer,
    ContactRequest,
    DoorAnswer,
    DoorRequest,
    DoorsAnswer,
    DoorsRequest,
)
from ostiary.messages.commands.envelope import ErrorDetail, ErrorResponse, OkResponse
from ostiary.messages.commands.people import (
    LOOKS,
    AddTemplateAnswer,
    AddTemplateRequest,
    DeleteAnswer,
    DeleteRequest,
    PicturesRequest,
    RegisterAnswer,
    RegisterRequest,
    RemoveTemplateAnswer,
    RemoveTemplateRequest,
    RenameAnswer,
    RenameRequest,
    Scope,
    ShareAnswer,
    ShareRequest,
    TemplateRecord,
    UserRecord,
    UsersAnswer,
    UsersRequest,
)
from ostiary.messages.commands.rules import (
    AccessAnswer,
    AccessRequest,
    DeleteGroupAnswer,
    DeleteGroupRequest,
    DeleteRuleAnswer,
    DeleteRuleRequest,
    PutPersonAnswer,
    PutPersonRequest,
    RulesAnswer,
    RulesRequest,
    SetAccessRequest,
    SetGroupAnswer,
    SetGroupRequest,
    SetHolidaysAnswer,
    SetHolidaysRequest,
    SetRuleAnswer,
    SetRuleRequest,
)

__all__ = [
    "COMMANDS",
    "LOOKS",
    "AccessAnswer",
    "AccessRequest",
    "AddCardAnswer",
    "AddCardRequest",
    "AddTemplateAnswer",
    "AddTemplateRequest",
    "Answer",
    "Base64Image",
    "CommandKind",
    "ContactAnswer",
    "ContactRequest",
    "CredentialAnswer",
    "CredentialRequest",
    "CredentialsAnswer",
    "CredentialsRequest",
    "DeleteAnswer",
    "DeleteGroupAnswer",
    "DeleteGroupRequest",
    "DeleteRequest",
    "DeleteRuleAnswer",
    "DeleteRuleRequest",
    "DoorAnswer",
    "DoorRequest",
    "DoorsAnswer",
    "DoorsRequest",
    "ErrorDetail",
    "ErrorResponse",
    "EventsAnswer",
    "EventsRequest",
    "FaceRequest",
    "FirstVersionAnswer",
    "LoginAnswer",
    "LoginRequest",
    "OkResponse",
    "PicturesRequest",
    "PingAnswer",
    "PingRequest",
    "PutPersonAnswer",
    "PutPersonRequest",
    "RegisterAnswer",
    "RegisterRequest",
    "ReloadAnswer",
    "ReloadRequest",
    "RemoveCardAnswer",
    "RemoveCardRequest",
    "RemovePinAnswer",
    "RemovePinRequest",
    "RemoveTemplateAnswer",
    "RemoveTemplateRequest",
    "RenameAnswer",
    "RenameRequest",
    "Request",
    "RulesAnswer",
    "RulesRequest",
    "Scope",
    "SetAccessRequest",
    "SetGroupAnswer",
    "SetGroupRequest",
    "SetHolidaysAnswer",
    "SetHolidaysRequest",
    "SetPinAnswer",
    "SetPinRequest",
    "SetRuleAnswer",
    "SetRuleRequest",
    "ShareAnswer",
    "ShareRequest",
    "SnapshotAnswer",
    "SnapshotRequest",
    "TemplateRecord",
    "Transaction",
    "UserRecord",
    "UsersAnswer",
    "UsersRequest",
]


@dataclass(frozen=True, slots=True)
class CommandKind:
    """A command's name and models. `recorded`: it changes something, so that its answer is kept
    and a second delivery is answered from there. `secret`: what it says must not be guessed from
    what is kept of it. `admits`: it gives somebody a way in, or a wider one."""

    name: str
    request: type[Request]
    answer: type[Answer]
    recorded: bool = False
    secret: bool = False
    admits: bool = False


COMMANDS: dict[str, CommandKind] = {
    kind.name: kind
    for kind in (
        CommandKind("ping", PingRequest, PingAnswer),
        CommandKind("users", UsersRequest, UsersAnswer),
        CommandKind("register", RegisterRequest, RegisterAnswer, recorded=True, admits=True),
        CommandKind("login", LoginRequest, LoginAnswer, recorded=True),
        CommandKind("delete", DeleteRequest, DeleteAnswer, recorded=True),
        CommandKind(
            "add_template", AddTemplateRequest, AddTemplateAnswer, recorded=True, admits=True
        ),
        CommandKind("remove_template", RemoveTemplateRequest, RemoveTemplateAnswer, recorded=True),
        CommandKind("rename", RenameRequest, RenameAnswer, recorded=True),
        CommandKind("share", ShareRequest, ShareAnswer, recorded=True, admits=True),
        CommandKind("credential", CredentialRequest, CredentialAnswer, recorded=True, secret=True),
        CommandKind("credentials", CredentialsRequest, CredentialsAnswer),
        CommandKind(
            "set_pin", SetPinRequest, SetPinAnswer, recorded=True, secret=True, admits=True
        ),
        CommandKind("remove_pin", RemovePinRequest, RemovePinAnswer, recorded=True),
        CommandKind(
            "add_card", AddCardRequest, AddCardAnswer, recorded=True, secret=True, admits=True
        ),
        CommandKind("remove_card", RemoveCardRequest, RemoveCardAnswer, recorded=True, secret=True),
        CommandKind("doors", DoorsRequest, DoorsAnswer),
        CommandKind("door", DoorRequest, DoorAnswer, recorded=True),
        CommandKind("contact", ContactRequest, ContactAnswer),
        CommandKind("events", EventsRequest, EventsAnswer),
        CommandKind("snapshot", SnapshotRequest, SnapshotAnswer),
        CommandKind("reload", ReloadRequest, ReloadAnswer, recorded=True),
        CommandKind("rules", RulesRequest, RulesAnswer),
        CommandKind("set_group", SetGroupRequest, SetGroupAnswer, recorded=True),
        CommandKind("delete_group", DeleteGroupRequest, DeleteGroupAnswer, recorded=True),
        CommandKind("set_rule", SetRuleRequest, SetRuleAnswer, recorded=True, admits=True),
        CommandKind("delete_rule", DeleteRuleRequest, DeleteRuleAnswer, recorded=True, admits=True),
        CommandKind(
            "set_holidays", SetHolidaysRequest, SetHolidaysAnswer, recorded=True, admits=True
        ),
        CommandKind("access", AccessRequest, AccessAnswer),
        CommandKind("set_access", SetAccessRequest, AccessAnswer, recorded=True, admits=True),
        CommandKind("put_person", PutPersonRequest, PutPersonAnswer, recorded=True, admits=True),
    )
}
