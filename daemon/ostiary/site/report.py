"""What a door says of itself to the others, inside the seal."""

from typing import Annotated

from pydantic import Field

from ostiary.messages.events import Message, Timestamp


class DoorReport(Message):
    """`digest` is of the roster it has (`merge.digest_of`), in hex: it confirms what it has."""

    device: str = Field(description="Its topic's second level.")
    name: str
    version: str = Field(description="Of Ostiary.")
    recognizer: str
    digest: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    newest: str = Field(description="The newest version among what it has; empty: none.")
    people: Annotated[int, Field(ge=0)]
    pending: Annotated[int, Field(ge=0)] = Field(description="Changes the broker has not got yet.")
    keys: Annotated[int, Field(ge=1)] = Field(description="Version of the list of members it has.")
    queue: Annotated[int, Field(ge=0)] = Field(description="Events the broker has not got yet.")
    problems: tuple[str, ...] = ()
    at: Timestamp
