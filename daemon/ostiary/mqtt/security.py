"""Secrets and certificates: read from files or systemd credentials, never from a command line."""

import os
import ssl
from pathlib import Path

from ostiary.crypto.door_key import DoorKey
from ostiary.errors import ConfigError, StoreLocked
from ostiary.mqtt.signing import SIGNATURE_AGE, Signer, Verifier
from ostiary.settings import CommandSettings, MqttSettings, Settings

STORE_KEY_BYTES = 32


def read_secret(path: Path | None, credential: str) -> bytes | None:
    """Read a secret from `path`, or from systemd's credential of that name, without white space at
    its ends. None: neither is set. Raises ConfigError that names the file."""
    is_optional = path is None
    if path is None:
        folder = os.environ.get("CREDENTIALS_DIRECTORY")
        if folder is None:
            return None
        path = Path(folder) / credential
    try:
        secret = path.read_bytes().strip()
    except OSError as error:
        if is_optional and isinstance(error, FileNotFoundError):
            return None
        raise ConfigError(f"{path}: the secret cannot be read: {error.strerror}.") from error
    if not secret:
        raise ConfigError(f"{path}: the secret is empty.")
    return secret


def read_password(settings: MqttSettings) -> str | None:
    """Read the password for the broker; None: there is none. Raises ConfigError."""
    secret = read_secret(settings.password_file, "mqtt-password")
    try:
        return None if secret is None else secret.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        raise ConfigError(f"{settings.password_file}: the password is not UTF-8.") from None


def command_verifier(settings: CommandSettings) -> Verifier | None:
    """Read all clients' keys; None where commands need no signature. Raises ConfigError."""
    if not settings.signed:
        return None
    keys: dict[str | None, Signer] = {}
    if settings.signing_keys is not None:
        if not settings.signing_keys.is_dir():
            raise ConfigError(f"{settings.signing_keys}: no such folder of clients' keys.")
        for path in sorted(settings.signing_keys.iterdir()):
            if path.is_file() and (key := read_secret(path, path.name)) is not None:
                keys[path.name] = Signer(key, SIGNATURE_AGE, path.name)
    elif (shared := command_signer(settings)) is not None:
        keys[None] = shared
    if not keys:
        raise ConfigError(f"{settings.signing_keys}: no client's key is in it.")
    return Verifier(keys)


def command_signer(settings: CommandSettings) -> Signer | None:
    """Read the key to sign commands with; None where commands need no signature. Raises ConfigError
    where it is missing."""
    if not settings.signed:
        return None
    key = read_secret(settings.signing_key_file, "command-key")
    if key is None:
        raise ConfigError("commands.signed needs commands.signing_key_file or a credential.")
    return Signer(key, SIGNATURE_AGE, settings.signing_client)


def door_key(settings: Settings) -> DoorKey:
    """Read the door's key from device.key_file or systemd's credential door-key. Without either, it
    is made at the first start and kept beside the database. Raises ConfigError."""
    if settings.device.key_file is not None:
        return DoorKey.load(settings.device.key_file)
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    if folder is not None and (credential := Path(folder) / "door-key").exists():
        return DoorKey.load(credential)
    return DoorKey.load_or_make(settings.store.path.with_suffix(".key"))


def store_key(settings: Settings) -> bytes | None:
    """Read the store's key from store.key_file or systemd's credential store-key; None: there is
    none. Raises ConfigError, or StoreLocked where this machine cannot open it."""
    if settings.store.key_file is None and _is_unopened("store-key"):
        raise StoreLocked(
            "This machine cannot open the store's key: the disk is another machine's, or the TPM "
            "was cleared (journalctl -u ostiary-store-key). Back in its own machine it opens; on "
            "this one, restore a backup with the recovery words."
        )
    key = read_secret(settings.store.key_file, "store-key")
    if key is not None and len(key) < STORE_KEY_BYTES:
        raise ConfigError(f"The store's key has {len(key)} bytes; {STORE_KEY_BYTES} are needed.")
    return key


def _is_unopened(credential: str) -> bool:
    """Whether a credential is there and empty: so says open-store-key that it could not open it."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    if folder is None:
        return False
    path = Path(folder) / credential
    return path.is_file() and path.stat().st_size == 0


def checked_store_key(path: Path) -> bytes:
    """Read a new store key and check its length. Raises ConfigError."""
    key = read_secret(path, "store-key")
    if key is None or len(key) < STORE_KEY_BYTES:
        raise ConfigError(f"{path}: a store key has {STORE_KEY_BYTES} bytes or more.")
    return key


def tls_context(settings: MqttSettings) -> ssl.SSLContext | None:
    """The TLS context for the broker; None where TLS is off. Raises ConfigError that names the
    wrong file."""
    if not settings.tls:
        return None
    try:
        context = ssl.create_default_context(cafile=settings.tls_ca)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"{settings.tls_ca}: not a PEM file of a CA: {error}.") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if settings.tls_certificate is not None:
        try:
            context.load_cert_chain(settings.tls_certificate, settings.tls_key)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(
                f"{settings.tls_certificate}: certificate and key do not load: {error}."
            ) from error
    return context
