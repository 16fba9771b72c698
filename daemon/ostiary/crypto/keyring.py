"""The keys of a sealed database: each in an envelope that the store's key opens, and, where there
is a recovery key, in a second one that its words open."""

import os
import sqlite3
from datetime import datetime

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from mnemonic import Mnemonic

from ostiary import timestamps
from ostiary.crypto.seal import KEY_BYTES, NONCE_BYTES, KeyedSeal, LockedSeal, Seal, derived
from ostiary.errors import RecoveryWordsWrong, SealBroken, StoreLocked

LOG_KEY = 0
"""The number of the key that is never changed: the chain of the log hangs on it."""

_WORDS = Mnemonic("english")
_RECOVERY_BITS = 128
_SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
_HPKE_1 = b"hpke1:"
"""How an envelope begins that is sealed to the recovery key by HPKE (RFC 9180)."""

MISSING = (
    "The people in this database are sealed, and the key is not here: set store.key_file, or give "
    "systemd's credential store-key. On another machine than theirs: `ostiary restore` with the "
    "recovery words."
)
WRONG = (
    "The store's key does not open this database: it is another one's, or the envelope was "
    "damaged. Give the right key, or restore a backup with the recovery words."
)


def seal_of(connection: sqlite3.Connection, store_key: bytes | None) -> Seal:
    """What the database is sealed with, opened by the store's key where that fits."""
    rows = connection.execute("SELECT number, sealed FROM seals ORDER BY number").fetchall()
    if not rows:
        return Seal()
    if store_key is None:
        return LockedSeal(MISSING)
    try:
        keys = {number: _opened(store_key, number, sealed) for number, sealed in rows}
        return KeyedSeal(keys.pop(LOG_KEY), keys)
    except (InvalidTag, ValueError, KeyError, TypeError):
        return LockedSeal(WRONG)


def mark_of(connection: sqlite3.Connection) -> tuple[int, int]:
    """Changes when another process has changed the keys."""
    row: tuple[int, int] = connection.execute(
        "SELECT COUNT(*), COALESCE(MAX(number), 0) FROM seals"
    ).fetchone()
    return row


def begin(connection: sqlite3.Connection, store_key: bytes, now: datetime) -> None:
    """Give a plain database its first keys."""
    _put(connection, store_key, LOG_KEY, os.urandom(KEY_BYTES), now)
    _put(connection, store_key, 1, os.urandom(KEY_BYTES), now)


def add_key(connection: sqlite3.Connection, store_key: bytes, now: datetime) -> int:
    """A new data key, by which everything is sealed from now on; its number. Raises StoreLocked,
    SealBroken."""
    seal_of(connection, store_key).check()
    number = mark_of(connection)[1] + 1
    _put(connection, store_key, number, os.urandom(KEY_BYTES), now)
    return number


def data_keys(connection: sqlite3.Connection) -> list[int]:
    """Their numbers, oldest first; more than one while the data is being sealed anew."""
    rows = connection.execute("SELECT number FROM seals WHERE number > 0 ORDER BY number")
    return [number for (number,) in rows.fetchall()]


def change_store_key(connection: sqlite3.Connection, old: bytes, new: bytes) -> None:
    """Put the same keys into new envelopes. Raises StoreLocked where `old` does not fit."""
    seal_of(connection, old).check()
    for number, sealed in connection.execute("SELECT number, sealed FROM seals").fetchall():
        _reseal(connection, new, number, _opened(old, number, sealed))


def new_recovery(connection: sqlite3.Connection, store_key: bytes, now: datetime) -> str:
    """Make a recovery key and put all keys into envelopes to it; its twelve words (BIP 39), which
    are kept nowhere. The words of an earlier one open only earlier backups from then on."""
    words: str = _WORDS.generate(_RECOVERY_BITS)
    public = _recovery_key(words).public_key()
    raw = public.public_bytes(Encoding.Raw, PublicFormat.Raw)
    seal_of(connection, store_key).check()
    connection.execute(
        "INSERT OR REPLACE INTO recovery VALUES (1, ?, ?)", (raw, timestamps.to_text(now))
    )
    for number, sealed in connection.execute("SELECT number, sealed FROM seals").fetchall():
        connection.execute(
            "UPDATE seals SET recoverable = ? WHERE number = ?",
            (_sealed_to(public, number, _opened(store_key, number, sealed)), number),
        )
    return words


def has_recovery(connection: sqlite3.Connection) -> bool:
    return recovery_key(connection) is not None


def recovery_key(connection: sqlite3.Connection) -> tuple[bytes, str] | None:
    """The public half of the recovery key in force, and when its words were made."""
    row: tuple[bytes, str] | None = connection.execute(
        "SELECT public_key, made_at FROM recovery"
    ).fetchone()
    return row


def recover(connection: sqlite3.Connection, words: str, store_key: bytes) -> None:
    """Open the keys with the recovery words, and seal them by this machine's store key.

    Raises RecoveryWordsWrong, which says whether a word is wrong or they are another backup's, or
    StoreLocked where the database has no recovery key.
    """
    private = _recovery_key(words)
    if not has_recovery(connection):
        raise StoreLocked("This database has no recovery key: only its machine's key opens it.")
    rows = connection.execute("SELECT number, recoverable FROM seals").fetchall()
    for number, recoverable in rows:
        try:
            secret = _opened_from(private, number, recoverable)
        except (InvalidTag, ValueError, TypeError, AttributeError) as error:  # or NULL
            raise RecoveryWordsWrong(
                "These words are not this backup's. Look for those that were shown when its "
                "recovery key was made."
            ) from error
        _reseal(connection, store_key, number, secret)


def _recovery_key(words: str) -> X25519PrivateKey:
    plain = " ".join(words.lower().split())
    unknown = [word for word in plain.split() if word not in _WORDS.wordlist]
    if unknown:
        places = ", ".join(str(plain.split().index(word) + 1) for word in unknown)
        raise RecoveryWordsWrong(f"Not among the recovery words that there are: number {places}.")
    if len(plain.split()) != _RECOVERY_BITS * 3 // 32 or not _WORDS.check(plain):
        raise RecoveryWordsWrong(
            "A recovery word is wrong or out of place: there are twelve, and the last checks the "
            "others. Read them again."
        )
    entropy = bytes(_WORDS.to_entropy(plain))
    return X25519PrivateKey.from_private_bytes(derived(entropy, "recovery"))


def _put(
    connection: sqlite3.Connection, store_key: bytes, number: int, secret: bytes, now: datetime
) -> None:
    row = connection.execute("SELECT public_key FROM recovery").fetchone()
    public = X25519PublicKey.from_public_bytes(row[0]) if row else None
    connection.execute(
        "INSERT INTO seals VALUES (?, ?, ?, ?)",
        (
            number,
            _sealed(store_key, number, secret),
            _sealed_to(public, number, secret) if public else None,
            timestamps.to_text(now),
        ),
    )


def _reseal(connection: sqlite3.Connection, store_key: bytes, number: int, secret: bytes) -> None:
    connection.execute(
        "UPDATE seals SET sealed = ? WHERE number = ?",
        (_sealed(store_key, number, secret), number),
    )


def _sealed(store_key: bytes, number: int, secret: bytes) -> bytes:
    nonce = os.urandom(NONCE_BYTES)
    envelope = AESGCM(derived(store_key, "envelope"))
    return nonce + envelope.encrypt(nonce, secret, f"key {number}".encode())


def _opened(store_key: bytes, number: int, sealed: bytes) -> bytes:
    envelope = AESGCM(derived(store_key, "envelope"))
    nonce, content = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
    return envelope.decrypt(nonce, content, f"key {number}".encode())


def _sealed_to(public: X25519PublicKey, number: int, secret: bytes) -> bytes:
    """Raises SealBroken for a key that anybody would open (RFC 9180, 7.1.4)."""
    try:
        return _HPKE_1 + _SUITE.encrypt(secret, public, f"ostiary recovery key {number}".encode())
    except ValueError as error:
        raise SealBroken(
            "The recovery key in this database was altered. Make new words: `ostiary store "
            "recovery`."
        ) from error


def _opened_from(private: X25519PrivateKey, number: int, sealed: bytes) -> bytes:
    if sealed.startswith(_HPKE_1):
        info = f"ostiary recovery key {number}".encode()
        return _SUITE.decrypt(sealed.removeprefix(_HPKE_1), private, info)
    # An envelope of a version before HPKE: 32 bytes of a key that was used once, then the content.
    mine = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    theirs = X25519PublicKey.from_public_bytes(sealed[:32])
    key = derived(private.exchange(theirs) + sealed[:32] + mine, "recovery envelope")
    return AESGCM(key).decrypt(bytes(NONCE_BYTES), sealed[32:], f"key {number}".encode())
