"""The command log: answers of commands that ran, so that one that comes twice runs once.

An answer is written in the transaction of its command's effect: after a power cut there are both or
neither.
"""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self

from ostiary import timestamps
from ostiary.errors import TransactionConflict, UserUnknown
from ostiary.store.database import Database
from ostiary.store.sealed_rows import command_place

FORGOTTEN_ANSWER = b"forgotten"
"""Kept, with an empty digest, in the place of an answer that named a person who was deleted."""
LONGEST = 256
"""Bytes of a transaction or requester that are kept; a longer one is replaced by its SHA-256."""
_EPOCH_BYTES = 8
SIGNATURE = "signature"
"""The requester in the key of a signature: each signature counts once."""


@dataclass(frozen=True, slots=True)
class CommandKey:
    """The key by which a second delivery of the same command is told.

    `requester` keeps apart clients that may use the same transaction (the response topic, or
    empty); `transaction` is the request's transaction text or MQTT 5 correlation data.
    """

    requester: str
    command: str
    transaction: bytes
    digest: bytes  # SHA-256 of the payload
    secret: bool = False

    @classmethod
    def of(
        cls,
        command: str,
        transaction: str | bytes,
        payload: bytes,
        requester: str = "",
        *,
        secret: bool = False,
    ) -> Self:
        """The key of a request as it came. `secret`: it holds a PIN, and its digest is not stored,
        since trying all PINs on it would find that one."""
        if isinstance(transaction, str):
            transaction = transaction.encode("utf-8", errors="surrogatepass")
        if len(transaction) > LONGEST:
            transaction = b"sha256 " + hashlib.sha256(transaction).digest()
        asker = requester.encode("utf-8", errors="surrogatepass")
        if len(asker) > LONGEST:
            requester = f"sha256 {hashlib.sha256(asker).hexdigest()}"
        return cls(requester, command, transaction, hashlib.sha256(payload).digest(), secret)


class CommandLog:
    """The table `commands`. Each change is one transaction, or joins the caller's."""

    def __init__(self, database: Database) -> None:
        self._database = database
        # Secret requests are compared by a MAC of this key, which is never stored.
        self._key = secrets.token_bytes(32)
        self._epoch = secrets.token_bytes(_EPOCH_BYTES)

    def answer(self, key: CommandKey) -> bytes | None:
        """The recorded answer; None where the command is new, empty while it runs.

        Raises TransactionConflict where the transaction was used with another payload, UserUnknown
        where the answer named a person who was deleted since, StoreLocked, SealBroken. A secret
        payload recorded before this process began counts as the same: nothing tells it.
        """
        with self._database.reading() as connection:
            row = connection.execute(
                "SELECT digest, answer FROM commands"
                " WHERE requester = ? AND command = ? AND transaction_id = ?",
                (key.requester, key.command, key.transaction),
            ).fetchone()
        if row is None:
            return None
        if not row[0]:
            raise UserUnknown(
                "This command ran when it first came. Whom it was about has been deleted since."
            )
        seal = self._database.seal
        digest, answer = (
            seal.opened_value(value, *_place(key, column)) if value else value
            for column, value in zip(("digest", "answer"), row, strict=True)
        )
        is_same = digest == key.digest
        if key.secret:
            is_older = not digest.startswith(self._epoch)
            is_same = is_older or hmac.compare_digest(digest, self._kept(key))
        if not is_same:
            raise TransactionConflict(
                f"This transaction was used for another {key.command} request; take a new one."
            )
        return answer

    def record(self, key: CommandKey, answer: bytes, now: datetime) -> None:
        """Record an answer, or that a command begins (an empty one). Raises TransactionConflict
        where one is recorded already, StoreLocked."""
        seal = self._database.seal
        with self._database.transaction() as connection:
            changed = connection.execute(
                "INSERT OR IGNORE INTO commands VALUES (?, ?, ?, ?, ?, ?)",
                (
                    key.requester,
                    key.command,
                    key.transaction,
                    seal.value(self._kept(key), *_place(key, "digest")),
                    seal.value(answer, *_place(key, "answer")) if answer else answer,
                    timestamps.to_text(now),
                ),
            ).rowcount
        if not changed:
            raise TransactionConflict(f"This {key.command} request was answered already.")

    def _kept(self, key: CommandKey) -> bytes:
        """The bytes by which another payload of the same transaction is told."""
        if not key.secret:
            return key.digest
        return self._epoch + hmac.digest(self._key, key.transaction + key.digest, "sha256")

    def is_known(self, key: CommandKey) -> bool:
        """Whether the command was recorded, with whatever payload."""
        with self._database.reading() as connection:
            row = connection.execute(
                "SELECT 1 FROM commands WHERE requester = ? AND command = ? AND transaction_id = ?",
                (key.requester, key.command, key.transaction),
            ).fetchone()
        return row is not None

    def conclude(self, key: CommandKey, answer: bytes) -> None:
        """Record the answer of a command that was recorded as begun. Raises StoreLocked."""
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE commands SET answer = ?"
                " WHERE requester = ? AND command = ? AND transaction_id = ? AND answer = x''",
                (
                    self._database.seal.value(answer, *_place(key, "answer")),
                    key.requester,
                    key.command,
                    key.transaction,
                ),
            )

    def prune(
        self,
        now: datetime,
        *,
        keep_for: timedelta | None,
        keep_at_most: int,
        signed_for: timedelta,
    ) -> int:
        """Remove answers older than both `keep_for` (None: the clock is not trusted) and
        `signed_for`, and the oldest of more than `keep_at_most`; how many. Signatures (of requester
        SIGNATURE) younger than `signed_for` stay in any case."""
        with self._database.transaction() as connection:
            old = 0
            if keep_for is not None:
                over = timestamps.to_text(now - max(keep_for, signed_for))
                is_older = timestamps.older("commands", "rowid", "answered_at")
                old = connection.execute(
                    f"DELETE FROM commands WHERE {is_older}", (over, over, timestamps.to_text(now))
                ).rowcount
            (count,) = connection.execute("SELECT COUNT(*) FROM commands").fetchone()
            many = connection.execute(
                "DELETE FROM commands WHERE rowid IN (SELECT rowid FROM commands"
                " WHERE requester != ? OR answered_at < ? ORDER BY answered_at, rowid LIMIT ?)",
                (SIGNATURE, timestamps.to_text(now - signed_for), max(0, count - keep_at_most)),
            ).rowcount
        return old + many


def _place(key: CommandKey, column: str) -> tuple[object, ...]:
    return command_place(key.requester, key.command, key.transaction, column)
