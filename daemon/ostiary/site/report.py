"""What a door says of itself to the others, inside the seal."""

from typing import Annotated

from pydantic import Field

from ostiary.messages.events import Message, Timestamp

Shown = Annotated[
    str,
    Field(
        max_length=100, pattern=r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]*$"
    ),
]
"""What a terminal or a page may show as it is: nothing in it is a command to them."""


class DoorReport(Message):
    """`digest` is of the roster it has (`merge.digest_of`), in hex: it confirms what it has."""

    device: Shown = Field(description="Its topic's second level.")
    name: Shown
    version: Shown = Field(description="Of Ostiary.")
    recognizer: Shown
    digest: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    newest: Shown = Field(description="The newest version among what it has; empty: none.")
    people: Annotated[int, Field(ge=0)]
    pending: Annotated[int, Field(ge=0)] = Field(description="Changes the broker has not got yet.")
    keys: Annotated[int, Field(ge=1)] = Field(description="Version of the list of members it has.")
    queue: Annotated[int, Field(ge=0)] = Field(description="Events the broker has not got yet.")
    problems: Annotated[tuple[Shown, ...], Field(max_length=100)] = ()
    at: Timestamp
