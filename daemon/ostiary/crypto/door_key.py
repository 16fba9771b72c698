"""The door's own key (Ed25519, RFC 8032): who has it can speak for this door."""

import base64
import os
import secrets
from pathlib import Path
from typing import Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from ostiary.crypto.seal import derived
from ostiary.errors import ConfigError


class DoorKey:
    """Signs what a lock or an auditor must be able to believe."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a PEM file (PKCS 8). Raises ConfigError that says what is wrong with it."""
        try:
            key = load_pem_private_key(path.read_bytes(), None)
        except OSError as error:
            reason = f"the door's key cannot be read: {error.strerror}"
            raise ConfigError(f"{path}: {reason}.") from error
        except (ValueError, TypeError) as error:
            raise ConfigError(f"{path}: not a PEM file of a private key.") from error
        if not isinstance(key, Ed25519PrivateKey):
            raise ConfigError(f"{path}: not an Ed25519 key; `openssl genpkey -algorithm ed25519`.")
        return cls(key)

    @classmethod
    def load_or_make(cls, path: Path) -> Self:
        """Read the key, or make one that only its owner may read. Raises ConfigError."""
        if not path.exists():
            made = Ed25519PrivateKey.generate()
            pem = made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            unfinished = path.with_name(f"{path.name}.{secrets.token_hex(8)}.new")
            try:
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
                with os.fdopen(os.open(unfinished, flags, 0o600), "wb") as file:
                    file.write(pem)
                    file.flush()
                    os.fsync(file.fileno())
                os.link(unfinished, path)  # whoever is first has made it
            except FileExistsError:
                pass
            except OSError as error:
                raise ConfigError(f"{path}: the door's key cannot be made: {error}.") from error
            finally:
                unfinished.unlink(missing_ok=True)
        return cls.load(path)

    @property
    def private(self) -> Ed25519PrivateKey:
        """For what needs more of it than `sign`: what is sealed to this door."""
        return self._private

    @property
    def public(self) -> bytes:
        """32 bytes."""
        return self._private.public_key().public_bytes_raw()

    @property
    def public_text(self) -> str:
        """The same in base64, as locks and auditors are given it."""
        return base64.b64encode(self.public).decode("ascii")

    def secret(self, purpose: str) -> bytes:
        """A secret of its own for each purpose, 32 bytes, which only who has this key can make."""
        return derived(self._private.private_bytes_raw(), f"door's {purpose}")

    def sign(self, text: bytes) -> str:
        """The signature in base64: 64 bytes."""
        return base64.b64encode(self._private.sign(text)).decode("ascii")


def is_signed(text: bytes, signature: str, public: bytes) -> bool:
    """Whether `signature` (base64) over `text` is of the key whose public half is given."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(
            base64.b64decode(signature, validate=True), text
        )
    except (InvalidSignature, ValueError):
        return False
    return True
