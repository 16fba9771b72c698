"""A member's own key: it signs, and opens what is sealed to it."""

import base64
import hashlib
from dataclasses import dataclass
from typing import Self

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_BYTES = 32


def derived(secret: bytes, purpose: str, length: int = KEY_BYTES) -> bytes:
    """A key of its own for each purpose: HKDF-SHA256 (RFC 5869)."""
    return HKDF(SHA256(), length, None, f"ostiary site {purpose}".encode()).derive(secret)


def member_id(public: bytes) -> str:
    """How a member is called in versions and topics: 16 hex digits of its public key's SHA-256."""
    return hashlib.sha256(public).hexdigest()[:16]


def fingerprint(public: bytes) -> str:
    """What two people compare: 80 bits of a public key's SHA-256, in groups of four."""
    text = hashlib.sha256(public).hexdigest()[:20]
    return " ".join(text[start : start + 4] for start in range(0, len(text), 4))


@dataclass(frozen=True, slots=True)
class Identity:
    """Made of an Ed25519 key, from which an X25519 key for what is sealed to it is derived."""

    signing: Ed25519PrivateKey
    opening: X25519PrivateKey

    @classmethod
    def of(cls, signing: Ed25519PrivateKey) -> Self:
        secret = derived(signing.private_bytes_raw(), "opening key")
        return cls(signing, X25519PrivateKey.from_private_bytes(secret))

    @property
    def id(self) -> str:
        return member_id(self.public)

    @property
    def public(self) -> bytes:
        """32 bytes, for signatures."""
        return self.signing.public_key().public_bytes_raw()

    @property
    def box(self) -> bytes:
        """32 bytes, for what is sealed to this member."""
        return self.opening.public_key().public_bytes_raw()

    def sign(self, text: bytes) -> bytes:
        """64 bytes."""
        return self.signing.sign(text)

    def opened(self, sealed: bytes, purpose: str) -> bytes:
        """What `sealed_to` sealed. Raises ValueError where it is another's, or altered."""
        theirs, content = sealed[:KEY_BYTES], sealed[KEY_BYTES:]
        try:
            shared = self.opening.exchange(X25519PublicKey.from_public_bytes(theirs))
            key = derived(shared + theirs + self.box, purpose)
            return AESGCM(key).decrypt(bytes(12), content, purpose.encode())
        except InvalidTag as error:
            raise ValueError("sealed to somebody else, or altered") from error


def sealed_to(box: bytes, secret: bytes, purpose: str) -> bytes:
    """Only the owner of `box` opens it."""
    once = X25519PrivateKey.generate()
    mine = once.public_key().public_bytes_raw()
    shared = once.exchange(X25519PublicKey.from_public_bytes(box))
    key = derived(shared + mine + box, purpose)
    # The key is used once: a fixed nonce never meets it again.
    return mine + AESGCM(key).encrypt(bytes(12), secret, purpose.encode())


def is_signed(text: bytes, signature: bytes, public: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, text)
    except (InvalidSignature, ValueError):
        return False
    return True


def to_text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def from_text(text: str) -> bytes:
    """Raises ValueError."""
    return base64.b64decode(text, validate=True)
