"""Answers of commands that were run, so that one delivered twice runs once.

Recorded in the transaction of the command's effect: after a power cut there are both or neither.
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
"""What is kept, with an empty digest, in the place of an answer that named somebody who was deleted
since."""
LONGEST = 256
"""Bytes of a transaction or requester that are kept; of a longer one its digest is."""
_EPOCH_BYTES = 8
SIGNATURE = "signature"
"""The requester of what stands for a signature, which counts once."""


@dataclass(frozen=True, slots=True)
class CommandKey:
    """What makes two deliveries the same command.

    `requester` sets askers apart who count alike (the response topic, or empty);
    `transaction` is the request's transaction text or MQTT 5 correlation data.
    """

    requester: str
    command: str
    transaction: bytes
    digest: bytes  # of the payload
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
        """The key of a request as it came. `secret`: it holds a PIN, which any digest would tell to
        whoever tries all of them: none is kept."""
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
        # What a secret request is compared by is of no use without this, which is kept nowhere.
        self._key = secrets.token_bytes(32)
        self._epoch = secrets.token_bytes(_EPOCH_BYTES)

    def answer(self, key: CommandKey) -> bytes | None:
        """The recorded answer, None where the command is new.

        Raises TransactionConflict where the transaction was used with another payload, UserUnknown
        where the answer named somebody who was deleted since. A secret payload from before this
        process began is compared with nothing.
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
        """Keep the answer. Raises TransactionConflict where there is one already."""
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
        """By what another request of the same key is told."""
        if not key.secret:
            return key.digest
        return self._epoch + hmac.digest(self._key, key.transaction + key.digest, "sha256")

    def is_known(self, key: CommandKey) -> bool:
        """Whether it was recorded, with whatever payload."""
        with self._database.reading() as connection:
            row = connection.execute(
                "SELECT 1 FROM commands WHERE requester = ? AND command = ? AND transaction_id = ?",
                (key.requester, key.command, key.transaction),
            ).fetchone()
        return row is not None

    def conclude(self, key: CommandKey, answer: bytes) -> None:
        """Keep the answer of a command that was recorded when it began."""
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
        """Forget answers older than `keep_for` (None: the clock is not trusted) and, oldest first,
        more than `keep_at_most`; how many. Signatures (of requester SIGNATURE) younger than
        `signed_for` stay in any case."""
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
