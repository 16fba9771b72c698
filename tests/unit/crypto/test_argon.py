"""Hashes of what people know by heart."""

import pytest
from argon2 import PasswordHasher, extract_parameters
from argon2.exceptions import VerifyMismatchError

from ostiary.crypto.argon import decoy
from ostiary.http.authenticator import Passwords


def test_a_decoy_is_checked_like_a_real_hash_and_never_matches() -> None:
    hasher = PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1)
    made = decoy(hasher)
    assert extract_parameters(made) == extract_parameters(hasher.hash("three blue doors"))
    with pytest.raises(VerifyMismatchError):  # InvalidHash would be raised at once
        hasher.verify(made, "three blue doors")


def test_two_decoys_differ() -> None:
    assert decoy(PasswordHasher()) != decoy(PasswordHasher())


def test_who_has_no_hash_is_nobody() -> None:
    passwords = Passwords()
    assert not passwords.verify(None, "three blue doors")
    assert passwords.verify(passwords.hash("three blue doors"), "three blue doors")
