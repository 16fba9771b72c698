"""PINs and cards: giving and taking them, and presenting one at a door.

A secret is a `SecretStr`: it stands in no error, no log line and no answer.
"""

from typing import Annotated, Literal, Self

from pydantic import (
    Field,
    PlainSerializer,
    SecretStr,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)

from ostiary.messages.commands.base import Answer, Request
from ostiary.messages.username import Username

_ON_THE_WIRE = PlainSerializer(
    lambda secret: secret.get_secret_value(), return_type=str, when_used="json"
)
Pin = Annotated[
    SecretStr,
    Field(min_length=4, max_length=12),
    _ON_THE_WIRE,
    WithJsonSchema({"type": "string", "pattern": "^[0-9]{4,12}$", "writeOnly": True}),
]
Card = Annotated[
    SecretStr,
    Field(min_length=1, max_length=32),
    _ON_THE_WIRE,
    WithJsonSchema(
        {
            "type": "string",
            "pattern": "^[0-9A-Fa-f]{1,32}$|^[0-9]{1,4},[0-5]?[0-9]{1,4}$|"
            "^[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){1,9}$",
            "writeOnly": True,
        }
    ),
]
DoorName = Annotated[str, StringConstraints(min_length=1, max_length=64)]


class SetPinRequest(Request):
    """Give a person a PIN instead of the one before."""

    username: Username
    pin: Pin = Field(
        description="Four to twelve digits, not all alike, not in a row, and no other person's PIN."
    )
    duress: bool = Field(
        default=False,
        description="true: set the duress PIN, for when the person is forced. It opens as the "
        "other does, and tells `…/duress`.",
    )


class SetPinAnswer(Answer):
    username: str
    duress: bool = Field(description="true: it was the duress PIN.")


class RemovePinRequest(Request):
    """Take a person's PIN away."""

    username: Username
    duress: bool = Field(default=False, description="true: take the duress PIN away.")


class RemovePinAnswer(Answer):
    username: str
    duress: bool


class AddCardRequest(Request):
    """Give a person a card: by its number, or the one that is held to a door's reader next."""

    username: Username
    card: Card | None = Field(
        default=None,
        description="Number as the reader gives it, or as it is printed: `123,45678` (facility "
        "and number), `04:A1:B2:C3`.",
    )
    door: DoorName | None = Field(
        default=None, description="Instead of `card`: name of the camera at the reader's door."
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.card is None) == (self.door is None):
            raise ValueError('Give "card" or "door", and one of them only')
        return self


class AddCardAnswer(Answer):
    username: str
    cards: int = Field(ge=1, description="Number of cards that the person has now.")


class RemoveCardRequest(Request):
    """Take a person's card away, or all of them."""

    username: Username
    card: Card | None = Field(
        default=None, description="Number of the card; unset: all of the person's cards."
    )


class RemoveCardAnswer(Answer):
    username: str
    cards: int = Field(ge=0, description="Number of cards that the person has left.")


class CredentialsRequest(Request):
    """Tell what a person has besides a face. Neither PINs nor numbers are told."""

    username: Username


class CredentialsAnswer(Answer):
    username: str
    pin: bool
    duress: bool = Field(description="true: the person has a duress PIN.")
    cards: int = Field(ge=0)


class CredentialRequest(Request):
    """Present somebody's PIN or card at a door. Send it signed or by TLS, from a keypad that nobody
    can overhear: whoever can read it can open the door with it."""

    door: DoorName | None = Field(
        default=None, description="Name of the door's camera, where there are several."
    )
    pin: Pin | None = None
    card: Card | None = None
    username: Username | None = Field(
        default=None, description="With `pin`: it then counts for this person only."
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.pin is None) == (self.card is None):
            raise ValueError('Give "pin" or "card", and one of them only')
        if self.username is not None and self.pin is None:
            raise ValueError('"username" goes with "pin" only')
        return self


class CredentialAnswer(Answer):
    door: str
    outcome: Literal["granted", "denied", "waiting"] = Field(
        description="`waiting`: it was right, and a face (or what else the rules ask for) has to "
        "follow."
    )
