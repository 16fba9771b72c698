"""Guessing in parallel gets no more tries than guessing in turn, and locks nobody else out."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
import requests

from ostiary.errors import TooManyAttempts
from ostiary.http.app import SIGN_IN_TRIES
from ostiary.http.authenticator import Passwords, guesses_of
from ostiary.limits.lock_out import REMEMBERED, LockOut
from ostiary.store.audit import Audit
from ostiary.vision.engine import VisionEngine
from testing.console import PASSWORD, ConsoleDoor, console_settings, logged
from testing.waiting import PATIENCE_S


def test_parallel_guesses_are_no_more_than_five(
    tmp_path: Path, engine: VisionEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    verified: list[str] = []
    true_verify = Passwords.verify

    def counting(self: Passwords, password_hash: str | None, password: str) -> bool:
        verified.append(password)
        return true_verify(self, password_hash, password)

    with ConsoleDoor(console_settings(tmp_path), engine) as door:
        door.operator()
        monkeypatch.setattr(Passwords, "verify", counting)
        with ThreadPoolExecutor(40) as guessers:
            statuses = list(guessers.map(partial(guess, door.url), range(80)))
    assert len(verified) <= SIGN_IN_TRIES
    refused = [status for status in statuses if status in (429, None)]
    assert len(refused) >= 75
    assert statuses.count(429) > 60


def guess(url: str, number: int) -> int | None:
    """The status; None where the connection gave way to others of the same address."""
    try:
        return requests.post(
            f"{url}/sign-in",
            data={"name": "anna", "password": f"wrong guess {number}"},
            timeout=60,
        ).status_code
    except requests.ConnectionError:
        return None


def test_the_right_operator_at_another_address_is_not_locked_out() -> None:
    lock_out = LockOut(5)
    for _ in range(5):
        lock_out.attempt("account:anna@192.0.2.66", "address:192.0.2.66")
    lock_out.attempt("account:anna@192.0.2.7", "address:192.0.2.7")


def test_a_host_of_ipv6_does_not_guess_anew_from_each_of_its_addresses() -> None:
    lock_out = LockOut(5)
    for number in range(5):
        lock_out.attempt(*guesses_of("anna", f"2001:db8::{number:x}"))
    with pytest.raises(TooManyAttempts):
        lock_out.attempt(*guesses_of("anna", "2001:db8::ffff"))
    lock_out.attempt(*guesses_of("anna", "2001:db8:0:1::1"))
    assert guesses_of("anna", "::ffff:192.0.2.7") != guesses_of("anna", "::ffff:192.0.2.8")


def test_a_locked_key_is_not_forgotten_for_a_flood_of_others() -> None:
    lock_out = LockOut(5)
    for _ in range(5):
        lock_out.attempt("address:192.0.2.66")
    for _ in range(4):
        lock_out.attempt("address:192.0.2.67")
    for number in range(3 * REMEMBERED):
        lock_out.attempt(f"account:{number}@192.0.2.1")
    with pytest.raises(TooManyAttempts):
        lock_out.attempt("address:192.0.2.66")
    lock_out.attempt("address:192.0.2.67")
    with pytest.raises(TooManyAttempts, match="Wait"):
        lock_out.attempt("address:192.0.2.67")
    assert len(lock_out._known) <= REMEMBERED + 2


def test_the_journal_does_not_name_who_signs_in(tmp_path: Path, engine: VisionEngine) -> None:
    with ConsoleDoor(console_settings(tmp_path), engine) as door, logged() as lines:
        door.operator("anna-of-the-front-desk").sign_in("anna-of-the-front-desk", PASSWORD)
        door.token()
        headers = {"Authorization": f"Bearer {door.token()}"}
        requests.get(
            f"{door.url}/api/v1/users/anna-of-the-front-desk", headers=headers, timeout=PATIENCE_S
        )
        assert [row.action for row in Audit(door.database).newest(1)] == ["signed_in"]
    assert [line for line in lines if line["event"] == "console_signed_in"]
    assert "anna-of-the-front-desk" not in str(lines)


def test_the_right_password_clears_what_went_before(tmp_path: Path, engine: VisionEngine) -> None:
    with ConsoleDoor(console_settings(tmp_path), engine) as door:
        browser = door.operator()
        for _ in range(4):
            browser.sign_in("anna", "not this one")
        assert browser.sign_in("anna", PASSWORD).url == f"{door.url}/"
        for _ in range(4):
            browser.sign_in("anna", "not this one")
        assert browser.sign_in("anna", PASSWORD).url == f"{door.url}/"
