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
from ostiary.messages.commands.envelope import ErrorDetail, ErrorResponse, OkResponse
from ostiary.messages.commands.people import (
    LOOKS,
    AddTemplateAnswer,
    AddTemplateRequest,
    DeleteAnswer,
    DeleteRequest,
    RegisterAnswer,
    RegisterRequest,
    RemoveTemplateAnswer,
    RemoveTemplateRequest,
    RenameAnswer,
    RenameRequest,
    TemplateRecord,
    UserRecord,
    UsersAnswer,
    UsersRequest,
)

__all__ = [
    "COMMANDS",
    "LOOKS",
    "AddTemplateAnswer",
    "AddTemplateRequest",
    "Answer",
    "Base64Image",
    "CommandKind",
    "DeleteAnswer",
    "DeleteRequest",
    "ErrorDetail",
    "ErrorResponse",
    "EventsAnswer",
    "EventsRequest",
    "FirstVersionAnswer",
    "LoginAnswer",
    "LoginRequest",
    "OkResponse",
    "PingAnswer",
    "PingRequest",
    "RegisterAnswer",
    "RegisterRequest",
    "ReloadAnswer",
    "ReloadRequest",
    "RemoveTemplateAnswer",
    "RemoveTemplateRequest",
    "RenameAnswer",
    "RenameRequest",
    "Request",
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
    and a second delivery is answered from there."""

    name: str
    request: type[Request]
    answer: type[Answer]
    recorded: bool = False


COMMANDS: dict[str, CommandKind] = {
    kind.name: kind
    for kind in (
        CommandKind("ping", PingRequest, PingAnswer),
        CommandKind("users", UsersRequest, UsersAnswer),
        CommandKind("register", RegisterRequest, RegisterAnswer, recorded=True),
        CommandKind("login", LoginRequest, LoginAnswer, recorded=True),
        CommandKind("delete", DeleteRequest, DeleteAnswer, recorded=True),
        CommandKind("add_template", AddTemplateRequest, AddTemplateAnswer, recorded=True),
        CommandKind("remove_template", RemoveTemplateRequest, RemoveTemplateAnswer, recorded=True),
        CommandKind("rename", RenameRequest, RenameAnswer, recorded=True),
        CommandKind("events", EventsRequest, EventsAnswer),
        CommandKind("snapshot", SnapshotRequest, SnapshotAnswer),
        CommandKind("reload", ReloadRequest, ReloadAnswer, recorded=True),
    )
}
