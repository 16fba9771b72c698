"""What a copied disk must not tell: names, templates, pictures and what was done, sealed.

A value is sealed with AES-256-GCM and bound to its place (table, row, column, model), so that it
opens nowhere else. A name is sealed with AES-SIV (RFC 5297), always alike, so that a row is still
found by it: a copy shows that two rows are of the same person, not of whom.
"""

import base64
import os
import struct
from collections.abc import Mapping
from functools import lru_cache
from typing import NoReturn

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, AESSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from ostiary.errors import SealBroken, StoreLocked

KEY_BYTES = 32
NONCE_BYTES = 12
_NUMBER = struct.Struct(">H")
_LENGTH = struct.Struct(">I")
_NAMES_KEPT = 1000
"""Sealed names that are remembered: the same people come every day."""


def derived(secret: bytes, purpose: str, length: int = KEY_BYTES) -> bytes:
    """A key of its own for each purpose: HKDF-SHA256 (RFC 5869)."""
    return HKDF(SHA256(), length, None, f"ostiary {purpose}".encode()).derive(secret)


class Seal:
    """Of a plain database: every value stays as it is."""

    is_sealing = False

    @property
    def log_key(self) -> bytes:
        """Keys the digests of rows that name somebody; empty: they are plain SHA-256."""
        return b""

    def check(self) -> None:
        """Raises StoreLocked where nothing can be sealed or opened."""

    def name(self, plain: str, /) -> str:
        """As it is stored, alike every time."""
        return plain

    def names(self, plain: str, /) -> tuple[str, ...]:
        """Every form in which it may be stored while keys are changed, the newest first."""
        return (plain,)

    def opened_name(self, stored: str, /) -> str:
        return stored

    def value(self, plain: bytes, /, *_place: object) -> bytes:
        """Bound to `place`: what names the table, the row and the column."""
        return plain

    def opened_value(self, stored: bytes, /, *_place: object) -> bytes:
        return stored

    def text(self, plain: str, /, *_place: object) -> str | bytes:
        return plain

    def opened_text(self, stored: str | bytes, /, *_place: object) -> str:
        if not isinstance(stored, str):
            raise SealBroken("A sealed value in a database that is not sealed. Restore a backup.")
        return stored


class LockedSeal(Seal):
    """Of a sealed database without its key: nobody is let in, and nothing is lost. Everything that
    would seal or open raises StoreLocked."""

    is_sealing = True

    def __init__(self, reason: str) -> None:
        self.reason = reason

    @property
    def log_key(self) -> bytes:
        raise StoreLocked(self.reason)

    def _refuse(self, *_: object) -> NoReturn:
        raise StoreLocked(self.reason)

    check = name = names = opened_name = _refuse
    value = opened_value = text = opened_text = _refuse


class _DataKey:
    def __init__(self, number: int, secret: bytes) -> None:
        self.number = number
        self.values = AESGCM(derived(secret, "values"))
        self._names = AESSIV(derived(secret, "names", 2 * KEY_BYTES))
        self.name = lru_cache(_NAMES_KEPT)(self._sealed_name)

    def _sealed_name(self, plain: str) -> str:
        sealed = self._names.encrypt(plain.encode("utf-8", errors="surrogatepass"), None)
        return f"{self.number}.{base64.urlsafe_b64encode(sealed).decode()}"

    def opened_name(self, sealed: str) -> str:
        return self._names.decrypt(base64.urlsafe_b64decode(sealed), None).decode()


class KeyedSeal(Seal):
    """With the keys of the database: the newest seals, any of them opens."""

    is_sealing = True

    def __init__(self, log_key: bytes, keys: Mapping[int, bytes]) -> None:
        """`keys` are the data keys by number, at least one, 32 bytes each."""
        self._log_key = log_key
        self._keys = {number: _DataKey(number, keys[number]) for number in sorted(keys)}
        self._newest = self._keys[max(keys)]

    @property
    def log_key(self) -> bytes:
        return self._log_key

    def name(self, plain: str) -> str:
        return self._newest.name(plain)

    def names(self, plain: str) -> tuple[str, ...]:
        return tuple(key.name(plain) for key in reversed(self._keys.values()))

    def opened_name(self, stored: str) -> str:
        number, _, sealed = stored.partition(".")
        key = self._keys.get(int(number)) if number.isdecimal() else None
        try:
            if key is None:
                raise InvalidTag
            return key.opened_name(sealed)
        except (InvalidTag, ValueError) as error:
            raise _broken("name") from error

    def value(self, plain: bytes, *place: object) -> bytes:
        nonce = os.urandom(NONCE_BYTES)
        sealed = self._newest.values.encrypt(nonce, plain, _bound(place))
        return _NUMBER.pack(self._newest.number) + nonce + sealed

    def opened_value(self, stored: bytes, *place: object) -> bytes:
        try:
            key = self._keys[_NUMBER.unpack_from(stored)[0]]
            start = _NUMBER.size + NONCE_BYTES
            nonce, sealed = stored[_NUMBER.size : start], stored[start:]
            return key.values.decrypt(nonce, sealed, _bound(place))
        except (InvalidTag, ValueError, KeyError, TypeError, struct.error) as error:
            raise _broken(place[0]) from error

    def text(self, plain: str, *place: object) -> bytes:
        return self.value(plain.encode("utf-8", errors="surrogatepass"), *place)

    def opened_text(self, stored: str | bytes, *place: object) -> str:
        if isinstance(stored, str):
            raise _broken(place[0])
        return self.opened_value(stored, *place).decode("utf-8", errors="surrogatepass")


def _bound(place: tuple[object, ...]) -> bytes:
    """Each part with its length: no two places are written alike."""
    parts = [part if isinstance(part, bytes) else str(part).encode() for part in place]
    return b"".join([_LENGTH.pack(len(part)) + part for part in parts])


def _broken(what: object) -> SealBroken:
    return SealBroken(
        f"A sealed {what} does not open: it was altered, or put in another's place. Restore a "
        "backup; `ostiary verify-log` says what else was changed."
    )
