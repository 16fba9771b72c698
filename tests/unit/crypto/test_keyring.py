"""Envelopes of the data keys, which the recovery words open."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime

import pytest

from ostiary.crypto import keyring
from ostiary.crypto.seal import KeyedSeal
from ostiary.errors import RecoveryWordsWrong

NOW = datetime(2026, 11, 29, tzinfo=UTC)
HERE, ELSEWHERE = b"h" * 32, b"e" * 32
WORDS = "abandon amount liar amount expire adjust cage candy arch gather drum buyer"
BEFORE_HPKE = {
    0: "6ccfef46241c2ce642139d20dc62e2c30c62edaa63fc6c8413c260e31753fb3ec7c3d45c9fb1c1cc"
    "ea88497e89b1a25311e78063b8201da38aff75cdd8ae4adebca556640ce8229c9940ef858c8e3c4d",
    1: "36abfca30d8ab1bc6495ee4c68e2fa2b0595d5b0c5e8a7b6a3f151631a637e4392bcd6c47cd1b749"
    "8431decd68b6a483a4765eb8a896798ba647728b4b0dab1cbda27c80c8e16984ca2217c4ab5f3c79",
}
"""Envelopes of bytes([number + 1]) * 32 that the version before HPKE sealed to these words."""


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:")) as made:
        made.execute("CREATE TABLE seals (number INTEGER, sealed BLOB, recoverable BLOB, at TEXT)")
        made.execute("CREATE TABLE recovery (id INTEGER, public_key BLOB, made_at TEXT)")
        yield made


def test_envelopes_from_before_hpke_still_open(connection: sqlite3.Connection) -> None:
    connection.execute("INSERT INTO recovery VALUES (1, '', '')")
    for number, sealed in BEFORE_HPKE.items():
        row = (number, b"by another machine", bytes.fromhex(sealed))
        connection.execute("INSERT INTO seals VALUES (?, ?, ?, '')", row)
    keyring.recover(connection, WORDS, ELSEWHERE)
    seal = keyring.seal_of(connection, ELSEWHERE)
    assert isinstance(seal, KeyedSeal)
    assert seal.log_key == bytes([1]) * 32


def test_the_words_open_what_is_sealed_now_and_others_do_not(
    connection: sqlite3.Connection,
) -> None:
    keyring.begin(connection, HERE, NOW)
    words = keyring.new_recovery(connection, HERE, NOW)
    before = keyring.seal_of(connection, HERE).log_key
    with pytest.raises(RecoveryWordsWrong):
        keyring.recover(connection, WORDS, ELSEWHERE)
    keyring.recover(connection, words, ELSEWHERE)
    assert keyring.seal_of(connection, ELSEWHERE).log_key == before


def test_an_envelope_opens_for_its_own_number_only(connection: sqlite3.Connection) -> None:
    keyring.begin(connection, HERE, NOW)
    words = keyring.new_recovery(connection, HERE, NOW)
    connection.execute("UPDATE seals SET number = 1 - number")
    with pytest.raises(RecoveryWordsWrong):
        keyring.recover(connection, words, ELSEWHERE)


@pytest.mark.parametrize("envelope", [None, "text", 7, b""])
def test_what_is_no_envelope_opens_by_no_words(
    connection: sqlite3.Connection, envelope: object
) -> None:
    keyring.begin(connection, HERE, NOW)
    words = keyring.new_recovery(connection, HERE, NOW)
    connection.execute("UPDATE seals SET recoverable = ?", (envelope,))
    with pytest.raises(RecoveryWordsWrong):
        keyring.recover(connection, words, ELSEWHERE)
