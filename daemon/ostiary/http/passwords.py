"""Passwords and set-up codes of the console."""

import secrets

from ostiary.crypto.argon import Hasher
from ostiary.errors import PasswordWeak
from ostiary.http.connections import neighbourhood

SHORTEST = 10
LONGEST = 200
CODE_ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"  # no 0 O 1 I
CODE_LENGTH = 12  # 60 bits


class Passwords(Hasher):
    """The parameters that RFC 9106 recommends for little memory."""

    def __init__(self) -> None:
        super().__init__(time_cost=3, memory_cost=64 * 1024, parallelism=4)


def check_strength(password: str, account: str) -> None:
    """Raises PasswordWeak. Length is what counts (NIST SP 800-63B, 5.1.1.2)."""
    if len(password) < SHORTEST:
        raise PasswordWeak(f"A password has at least {SHORTEST} characters.")
    if len(password) > LONGEST:
        raise PasswordWeak(f"A password has at most {LONGEST} characters.")
    if password.casefold() == account.casefold() or len(set(password)) < 4:
        raise PasswordWeak("This password is too easy to guess.")


def guesses_of(account: str, address: str) -> tuple[str, str]:
    """Under what wrong passwords are counted. Not the account alone: whoever guesses it would lock
    its owner out elsewhere. `address` stands for its neighbourhood, all of which one host has."""
    address = neighbourhood(address)
    return f"account:{account.casefold()}@{address}", f"address:{address}"


def new_code() -> str:
    """A one-time set-up code to be read from the journal: ABCD-EFGH-JKLM."""
    letters = "".join(secrets.choice(CODE_ALPHABET) for _ in range(CODE_LENGTH))
    return "-".join(letters[at : at + 4] for at in range(0, CODE_LENGTH, 4))


def same_code(given: str, code: str) -> bool:
    """Whether somebody typed the code, however they wrote it."""
    typed = "".join(letter for letter in given.upper() if letter.isalnum())
    return secrets.compare_digest(
        typed.encode("utf-8", "replace"), code.replace("-", "").encode("ascii")
    )
