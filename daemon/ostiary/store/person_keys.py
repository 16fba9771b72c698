"""People's keys: what names a person in the log is sealed under the person's key.

When a person is deleted the key is destroyed, and with it the name in the log; no row is changed. A
name that is nobody's (what was under way still names a deleted person) gets a key of its own.
"""

import hmac
import json
import os
import sqlite3
from collections.abc import Sequence
from typing import NamedTuple, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ostiary.crypto.seal import KEY_BYTES, NONCE_BYTES, Seal
from ostiary.errors import SealBroken

_PADDED_TO = 64
"""Bytes: what is sealed is filled to a multiple. Its length tells little of the name, and not who
was forced."""


class PersonKey(NamedTuple):
    """A person's key (AES-256-GCM) with the person's id."""

    person: int
    cipher: AESGCM

    @classmethod
    def of(cls, person: int, secret: bytes) -> Self:
        return cls(person, AESGCM(secret))

    def sealed(self, values: Sequence[object], kind: str, row: bytes) -> bytes:
        """Seal what names the person in a row of `kind`, bound to that row."""
        plain = json.dumps(values, ensure_ascii=False).encode("utf-8", "surrogatepass")
        plain = plain.ljust(-(-len(plain) // _PADDED_TO) * _PADDED_TO)
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self.cipher.encrypt(nonce, plain, _bound(kind, row))

    def opened(self, stored: object, kind: str, row: bytes) -> list[object]:
        """Open what `sealed` gave. Raises SealBroken."""
        try:
            if not isinstance(stored, bytes):
                raise InvalidTag
            nonce, sealed = stored[:NONCE_BYTES], stored[NONCE_BYTES:]
            plain = self.cipher.decrypt(nonce, sealed, _bound(kind, row))
            values: list[object] = json.loads(plain.decode("utf-8", "surrogatepass"))
        except (InvalidTag, ValueError) as error:
            raise SealBroken(
                f"What names somebody in the {kind} does not open: it was altered."
            ) from error
        return values


class PersonKeys:
    """People's keys, each read from the database once."""

    def __init__(self, connection: sqlite3.Connection, seal: Seal) -> None:
        self._connection = connection
        self._seal = seal
        self._found: dict[int, PersonKey | None] = {}

    def of(self, person: int) -> PersonKey | None:
        """A person's key; None: the person was forgotten. Raises SealBroken, StoreLocked."""
        if person not in self._found:
            self._found[person] = key_of(self._connection, self._seal, person)
        return self._found[person]


def key_of(connection: sqlite3.Connection, seal: Seal, person: int) -> PersonKey | None:
    """A person's key; None where there is none. Raises SealBroken, StoreLocked."""
    row = connection.execute("SELECT key FROM person_keys WHERE person = ?", (person,)).fetchone()
    return None if row is None else PersonKey.of(person, opened_secret(seal, person, row[0]))


def opened_secret(seal: Seal, person: int, stored: object) -> bytes:
    """Open the 32 bytes of a person's key. Raises SealBroken, StoreLocked."""
    secret = seal.opened_value(stored, *key_place(person)) if isinstance(stored, bytes) else b""
    if len(secret) != KEY_BYTES:
        raise SealBroken("A person's key is none that a door made. Restore a backup.")
    return secret


def key_place(person: int) -> tuple[object, ...]:
    """The place of a person's key, to which its seal is bound."""
    return ("person key", person)


def make_key(
    connection: sqlite3.Connection, seal: Seal, chain_key: bytes, person: int
) -> PersonKey:
    """Make a key for a person who has none. `chain_key`: empty without a door's key."""
    secret = os.urandom(KEY_BYTES)
    connection.execute(
        "INSERT INTO person_keys (person, key, mac) VALUES (?, ?, ?)",
        (person, seal.value(secret, *key_place(person)), key_mac(chain_key, person, secret)),
    )
    return PersonKey.of(person, secret)


def key_mac(chain_key: bytes, person: int, secret: bytes) -> bytes | None:
    """The MAC that shows that the door gave a key to a person; None without the door's key."""
    if not chain_key:
        return None
    return hmac.digest(chain_key, b"ostiary-person-key-1\n%d\n" % person + secret, "sha256")


def is_the_doors(chain_key: bytes, person: int, secret: bytes, mac: object) -> bool:
    """Whether the door gave a key to a person; True for every key without the door's key."""
    wanted = key_mac(chain_key, person, secret)
    return wanted is None or (isinstance(mac, bytes) and hmac.compare_digest(mac, wanted))


def take_over_keys(connection: sqlite3.Connection, seal: Seal, chain_key: bytes) -> None:
    """Give all keys this door's MAC: they are of a backup that an operator restored here."""
    rows = connection.execute("SELECT person, key FROM person_keys").fetchall()
    connection.executemany(
        "UPDATE person_keys SET mac = ? WHERE person = ?",
        [
            (key_mac(chain_key, person, opened_secret(seal, person, stored)), person)
            for person, stored in rows
        ],
    )


def new_number(connection: sqlite3.Connection) -> int:
    """Take a new id of `users` for somebody who is not registered."""
    row = connection.execute(
        "UPDATE sqlite_sequence SET seq = seq + 1 WHERE name = 'users' RETURNING seq"
    ).fetchone()
    if row is None:
        connection.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('users', 1)")
        return 1
    return int(row[0])


def _bound(kind: str, row: bytes) -> bytes:
    return kind.encode() + b"\0" + row
