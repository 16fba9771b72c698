"""An invitation: one code, typed once, by which a door and the key-holder find and trust each
other.

The code has 75 random bits, which no broker guesses; each message between the two is sealed by a
key that is stretched from it (scrypt, RFC 7914).
"""

import os
import secrets
from dataclasses import dataclass
from typing import Annotated, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from pydantic import Field

from ostiary.crypto.identity import derived
from ostiary.messages.events import Message
from ostiary.site.members import Key32, Refusal, Refused

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's: no I, L, O, U
_READ_AS = str.maketrans("ILO", "110")
_RANDOM = 15
_GROUP = 4
_NONCE_BYTES = 12


class JoinAsk(Message):
    """A door's request to be admitted."""

    name: Annotated[str, Field(min_length=1, max_length=64)]
    public: Key32
    box: Key32


class JoinAnswer(Message):
    """The key-holder's answer: the door is admitted."""

    authority: Key32
    members: str = Field(description="The signed list, as it is published.")


def new_code() -> str:
    """Make a code such as `7RX4-9K2M-…`; its last character checks the others."""
    return grouped("".join(secrets.choice(ALPHABET) for _ in range(_RANDOM)))


def grouped(random: str) -> str:
    """Write a code: its random characters and the check character, in groups of four."""
    whole = random + _check(random)
    return "-".join(whole[at : at + _GROUP] for at in range(0, len(whole), _GROUP))


def read_code(text: str) -> str:
    """Read a code and give its random characters. Raises ValueError that says what is wrong."""
    plain = "".join(text.upper().translate(_READ_AS).replace("-", " ").split())
    strange = sorted(set(plain) - set(ALPHABET))
    if strange:
        raise ValueError(f"An invitation has no {' '.join(strange)}.")
    if len(plain) != _RANDOM + 1:
        raise ValueError(f"An invitation has {_RANDOM + 1} characters; this has {len(plain)}.")
    if _check(plain[:_RANDOM]) != plain[_RANDOM]:
        raise ValueError("A character of the invitation is wrong. Read it again.")
    return plain[:_RANDOM]


@dataclass(frozen=True, slots=True)
class Invitation:
    """The keys that follow from a code. `tag` names the topics; neither the tag nor a sealed
    message reveals the code."""

    tag: str
    key: bytes

    @classmethod
    def of(cls, code: str, site: str) -> Self:
        """Stretch a code for a site. Raises ValueError as `read_code` does."""
        stretched = Scrypt(b"ostiary site " + site.encode(), 32, 2**14, 8, 1)
        secret = stretched.derive(read_code(code).encode())
        return cls(derived(secret, "invitation tag", 8).hex(), derived(secret, "invitation"))

    def sealed(self, message: Message, topic: str) -> bytes:
        nonce = os.urandom(_NONCE_BYTES)
        content = message.model_dump_json().encode()
        return nonce + AESGCM(self.key).encrypt(nonce, content, topic.encode())

    def opened(self, payload: bytes, topic: str) -> bytes:
        """Open a message. Raises Refused where its sender has not got the code."""
        nonce, content = payload[:_NONCE_BYTES], payload[_NONCE_BYTES:]
        try:
            return AESGCM(self.key).decrypt(nonce, content, topic.encode())
        except (InvalidTag, ValueError) as error:
            raise Refused(Refusal.SEAL_BROKEN) from error


def _check(random: str) -> str:
    """The check character: any single wrong character is seen."""
    total = sum((2 * place + 1) * ALPHABET.index(each) for place, each in enumerate(random))
    return ALPHABET[total % len(ALPHABET)]
