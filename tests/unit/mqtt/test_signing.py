"""Signed commands: only the right key, once, and not later."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostiary.errors import ConfigError, SignatureInvalid
from ostiary.mqtt.security import command_verifier
from ostiary.mqtt.signing import SignedCommand, Signer, Verifier
from ostiary.settings import CommandSettings

KEY = b"k" * 32
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
TOPIC = "ostiary/door/request/delete"
SIGNER = Signer(KEY, timedelta(seconds=60))


def wire(command: SignedCommand) -> bytes:
    return command.model_dump_json().encode()


def test_a_signed_command_is_taken() -> None:
    signed = SIGNER.sign(TOPIC, '{"username": "张三"}', NOW)
    assert SIGNER.verify(TOPIC, wire(signed), NOW).payload == '{"username": "张三"}'


def test_the_signature_is_hmac_sha256_as_documented() -> None:
    """The digest was made with `printf … | openssl dgst -sha256 -hmac KEY`."""
    signed = SignedCommand(
        payload="{}",
        timestamp="2026-01-02T03:04:05Z",
        nonce="0123456789abcdef",
        signature="269aa1c5a33bf677bf9ac0a4633b0b5bdb505ad30f566558dc03f7f4e92decc4",
    )
    assert SIGNER.verify(TOPIC, wire(signed), NOW).payload == "{}"


@pytest.mark.parametrize("field", ["payload", "nonce", "timestamp"])
def test_a_changed_field_is_refused(field: str) -> None:
    signed = SIGNER.sign(TOPIC, "{}", NOW)
    changed = {"payload": "[]", "nonce": "A" * 20, "timestamp": "2026-01-02T03:04:06.000Z"}
    forged = signed.model_copy(update={field: changed[field]})
    with pytest.raises(SignatureInvalid, match="wrong"):
        SIGNER.verify(TOPIC, wire(forged), NOW)


def test_a_command_for_another_door_is_refused() -> None:
    signed = SIGNER.sign("ostiary/back/request/delete", "{}", NOW)
    with pytest.raises(SignatureInvalid, match="wrong"):
        SIGNER.verify(TOPIC, wire(signed), NOW)


def test_another_key_is_refused() -> None:
    signed = Signer(b"x" * 32, timedelta(seconds=60)).sign(TOPIC, "{}", NOW)
    with pytest.raises(SignatureInvalid, match="wrong"):
        SIGNER.verify(TOPIC, wire(signed), NOW)


@pytest.mark.parametrize("seconds", [-61, 61])
def test_a_stale_or_early_command_is_refused(seconds: int) -> None:
    signed = SIGNER.sign(TOPIC, "{}", NOW + timedelta(seconds=seconds))
    with pytest.raises(SignatureInvalid, match="stale"):
        SIGNER.verify(TOPIC, wire(signed), NOW)


def test_an_unsigned_command_is_refused() -> None:
    with pytest.raises(SignatureInvalid, match="must be signed"):
        SIGNER.verify(TOPIC, b'{"username": "Ada"}', NOW)


def test_a_short_key_is_refused() -> None:
    with pytest.raises(ConfigError):
        Signer(b"short", timedelta(seconds=60))


@given(st.binary(max_size=300))
def test_no_bytes_are_taken_by_chance(data: bytes) -> None:
    with pytest.raises(SignatureInvalid):
        SIGNER.verify(TOPIC, data, NOW)


@given(st.text(max_size=60), st.text(max_size=60))
def test_fields_of_any_text_are_refused_without_a_crash(timestamp: str, nonce: str) -> None:
    envelope = SignedCommand.model_construct(
        payload="{}", timestamp=timestamp, nonce=nonce, signature="0" * 64
    )
    with pytest.raises(SignatureInvalid):
        SIGNER.verify(TOPIC, envelope.model_dump_json().encode("utf-8", "replace"), NOW)


def test_each_client_has_a_key_of_its_own_that_can_be_withdrawn() -> None:
    age = timedelta(seconds=60)
    ann = Signer(b"a key that only ann has, 32 bytes!", age, "ann")
    bo = Signer(b"a key that only bo has, 32 bytes!!", age, "bo")
    verifier = Verifier({"ann": ann, "bo": bo})
    assert verifier.verify(TOPIC, wire(ann.sign(TOPIC, "{}", NOW)), NOW).client == "ann"
    as_bo = ann.sign(TOPIC, "{}", NOW).model_copy(update={"client": "bo"})
    with pytest.raises(SignatureInvalid, match="another key"):
        verifier.verify(TOPIC, wire(as_bo), NOW)
    with pytest.raises(SignatureInvalid, match="No key of that client"):
        Verifier({"bo": bo}).verify(TOPIC, wire(ann.sign(TOPIC, "{}", NOW)), NOW)
    unnamed = ann.sign(TOPIC, "{}", NOW).model_copy(update={"client": None})
    with pytest.raises(SignatureInvalid, match="No key of that client"):
        verifier.verify(TOPIC, wire(unnamed), NOW)
    shared = Signer(ann.key, age)
    assert Verifier({None: shared}).verify(TOPIC, wire(shared.sign(TOPIC, "{}", NOW)), NOW)


def test_a_folder_of_keys_is_one_key_a_client(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    folder.mkdir()
    settings = CommandSettings(signed=True, signing_keys=folder)
    with pytest.raises(ConfigError, match="no client's key"):
        command_verifier(settings)
    (folder / "ann").write_bytes(b"a key that only ann has, 32 bytes!\n")
    verifier = command_verifier(settings)
    assert verifier is not None
    assert list(verifier.signers) == ["ann"]
    with pytest.raises(ConfigError, match="no such folder"):
        command_verifier(CommandSettings(signed=True, signing_keys=tmp_path / "none"))
