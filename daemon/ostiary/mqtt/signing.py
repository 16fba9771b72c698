"""Signed commands: whoever has the key may ask, and each signature counts once.

A signed command is an envelope {"payload", "timestamp", "nonce", "signature"}. `payload` is the
request as JSON text. `signature` is HMAC-SHA256 in hex over topic, timestamp, nonce and payload,
with a line feed between each, in UTF-8.
"""

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated

from pydantic import AwareDatetime, Field, TypeAdapter, ValidationError

from ostiary.errors import ConfigError, SignatureInvalid
from ostiary.messages.events import Message, rfc3339
from ostiary.settings import describe_validation

SHORTEST_KEY = 32
SIGNATURE_AGE = timedelta(minutes=1)
"""A signed command that is older, or newer, by more than this is refused."""

_MOMENT: TypeAdapter[datetime] = TypeAdapter(AwareDatetime)


class SignedCommand(Message):
    """The envelope of a signed command."""

    payload: str = Field(description="The request, as JSON text.")
    client: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")] | None = Field(
        default=None, description="Whose key it is, where each client has one of its own."
    )
    timestamp: Annotated[str, Field(max_length=40, pattern=r"^\S+$")] = Field(
        description="When it was signed: RFC 3339, with a time zone."
    )
    nonce: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{16,64}$")] = Field(
        description="A text never used before."
    )
    signature: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] = Field(
        description="HMAC-SHA256 in hex."
    )


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs and verifies with one shared key."""

    key: bytes
    age: timedelta
    client: str | None = None

    def __post_init__(self) -> None:
        if len(self.key) < SHORTEST_KEY:
            raise ConfigError(
                f"The key for signed commands needs {SHORTEST_KEY} bytes, white space not counted."
            )

    def sign(self, topic: str, payload: str, now: datetime) -> SignedCommand:
        """Sign a request, as clients do."""
        timestamp, nonce = rfc3339(now), secrets.token_urlsafe(24)
        return SignedCommand(
            payload=payload,
            client=self.client,
            timestamp=timestamp,
            nonce=nonce,
            signature=self._signature(topic, timestamp, nonce, payload),
        )

    def verify(self, topic: str, data: bytes, now: datetime) -> SignedCommand:
        """Read the command in `data`, if its signature is right and fresh. Whether its nonce is
        new, the caller has to check. Raises SignatureInvalid."""
        return self.check(topic, read_command(data), now)

    def check(self, topic: str, command: SignedCommand, now: datetime) -> SignedCommand:
        """Check a command that was read, as `verify` does."""
        expected = self._signature(topic, command.timestamp, command.nonce, command.payload)
        if not hmac.compare_digest(expected, command.signature):
            raise SignatureInvalid("The signature is wrong: another key, topic or content.")
        try:
            signed_at = _MOMENT.validate_python(command.timestamp)
        except ValidationError:
            raise SignatureInvalid("The timestamp is not RFC 3339 with a time zone.") from None
        if abs(now - signed_at) > self.age:
            raise SignatureInvalid(
                "The signature is stale, or the clocks differ. Sign the command again."
            )
        return command

    def _signature(self, topic: str, timestamp: str, nonce: str, payload: str) -> str:
        text = "\n".join((topic, timestamp, nonce, payload))
        return hmac.new(self.key, text.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()


@dataclass(frozen=True, slots=True)
class Verifier:
    """Verifies with the keys of all clients. `signers`: by client's name; None: the one key that
    all share."""

    signers: Mapping[str | None, Signer]

    def client_of(self, verified: SignedCommand) -> str | None:
        """The client whose key signed it; None where all share one key, as a name proves
        nothing."""
        return None if None in self.signers else verified.client

    def verify(self, topic: str, data: bytes, now: datetime) -> SignedCommand:
        """Verify with the key of the client that the command names, as `Signer.verify` does."""
        command = read_command(data)
        signer = self.signers.get(None if None in self.signers else command.client)
        if signer is None:
            raise SignatureInvalid(
                "No key of that client is here. Name yourself in `client` as the door's operator "
                "named your key."
            )
        return signer.check(topic, command, now)


def read_command(data: bytes) -> SignedCommand:
    """Read the envelope without verifying it. Raises SignatureInvalid."""
    try:
        return SignedCommand.model_validate_json(data)
    except ValidationError as error:
        raise SignatureInvalid(
            f"Commands must be signed here: {describe_validation(error)}"
        ) from None
