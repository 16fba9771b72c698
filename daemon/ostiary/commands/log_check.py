"""Check the log of a database or a backup, as an auditor does."""

import base64
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from pydantic import ValidationError

from ostiary.crypto.door_key import DoorKey
from ostiary.crypto.keyring import seal_of
from ostiary.crypto.seal import Seal
from ostiary.errors import ConfigError, DatabaseVersion
from ostiary.messages.events import LogHead
from ostiary.store import schema
from ostiary.store.audit import Audit
from ostiary.store.backup import verify
from ostiary.store.chain import ACCEPTED
from ostiary.store.database import Database
from ostiary.store.log_check import LogReport, check_log
from ostiary.store.own_entries import CHAIN
from ostiary.store.sqlite_file import read_only


def told_heads(files: Iterable[Path]) -> list[LogHead]:
    """Heads that somebody kept. Raises ConfigError that names the file that is none."""
    heads = []
    for path in files:
        try:
            heads.append(LogHead.model_validate_json(path.read_bytes()))
        except OSError as error:
            raise ConfigError(f"{path}: cannot be read: {error.strerror}.") from error
        except ValidationError:
            raise ConfigError(f"{path}: not a head as the door publishes it on …/log.") from None
    return heads


def accept_log(database: Database, now: datetime) -> None:
    """What is here is the record from now on, whatever head the door told before."""
    Audit(database).add(actor="cli", action=ACCEPTED, subject="", address="local", now=now)


def check(
    path: Path,
    public_key: str,
    told: Iterable[LogHead] = (),
    store_key: bytes | None = None,
    door_key: DoorKey | None = None,
) -> LogReport:
    """Check the log in the database at `path`, which is only read. `public_key` is 32 bytes in
    base64; with its private half, the `door_key`, each entry has to be that door's. Raises
    ConfigError for another one, DatabaseCorrupt, DatabaseVersion, StoreLocked."""
    try:
        public = base64.b64decode(public_key, validate=True)
    except ValueError:
        public = b""
    if len(public) != 32:
        raise ConfigError("The public key is not 32 bytes in base64, as `ostiary door-key` shows.")
    path = path.absolute()
    if verify(path).schema < schema.CHAINED_SINCE:
        raise DatabaseVersion(f"{path}: older than the chained log; start the door once.")
    with read_only(path) as connection:
        seal = Seal()
        if schema.version(connection) >= schema.SEALED_SINCE:
            seal = seal_of(connection, store_key)
        is_doors = door_key is not None and door_key.public == public
        chain_key = door_key.secret(CHAIN) if door_key is not None and is_doors else b""
        return check_log(connection, public, tuple(told), seal, chain_key)
