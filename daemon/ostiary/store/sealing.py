"""Seals a whole database, opens it for good, and changes the keys that it is sealed by."""

import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path

import structlog

from ostiary.crypto import keyring
from ostiary.crypto.door_key import DoorKey
from ostiary.crypto.seal import Seal
from ostiary.errors import LogAltered, StoreLocked
from ostiary.store.audit import Audit
from ostiary.store.chain import Chain
from ostiary.store.database import Database
from ostiary.store.log_check import check_log
from ostiary.store.pin_rows import complete_pins
from ostiary.store.presence import alone
from ostiary.store.sealed_rows import TABLES, chain_anew, reseal
from ostiary.store.sqlite_file import CHECKPOINT, explained

log = structlog.get_logger(__name__)

_ROWS_A_STEP = 200


def encrypt(path: Path, store_key: bytes, door_key: DoorKey, door: str, now: datetime) -> bool:
    """Seal everything in a plain database, in one transaction, and clean the file of what was
    plain; False where it is sealed already.

    The chain goes on from a signed head. Raises DatabaseInUse, LogAltered for a log that does not
    fit its chain, StoreLocked.
    """
    return _turn(path, store_key, door_key, door, now, seal_it=True)


def decrypt(path: Path, store_key: bytes, door_key: DoorKey, door: str, now: datetime) -> bool:
    """Open a sealed database for good; False where nothing is sealed. Raises as `encrypt`."""
    return _turn(path, store_key, door_key, door, now, seal_it=False)


def _turn(
    path: Path, store_key: bytes, door_key: DoorKey, door: str, now: datetime, *, seal_it: bool
) -> bool:
    path = path.absolute()
    with alone(path):
        pass  # nobody has it open; a program that opens it from here on waits
    with Database.open(path, store_key, door_key) as database:
        before = database.seal
        before.check()
        if before.is_sealing == seal_it:
            return False
        with database.transaction() as connection:
            report = check_log(connection, door_key.public, (), before, database.chain_key)
            if report.findings:
                raise LogAltered(
                    f"The log does not fit its chain ({report.findings[0]}), and would look whole "
                    "afterwards. See `ostiary verify-log`; keep a backup of this file first."
                )
            Chain(database).sign(door_key, door, now)
            after = Seal()
            if seal_it:
                keyring.begin(connection, store_key, now)
                after = keyring.seal_of(connection, store_key)
            for table in TABLES:
                reseal(connection, table, before, after)
            if seal_it:
                complete_pins(connection, after)
            chain_anew(connection, after, door_key)
            if not seal_it:
                connection.execute("DELETE FROM seals")
                connection.execute("DELETE FROM recovery")
            database.refresh_seal()
            action = "store_encrypted" if seal_it else "store_decrypted"
            Audit(database).add(
                actor="cli", action=action, subject=path.name, address="local", now=now
            )
    with explained(path), closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute("VACUUM")
        connection.execute(CHECKPOINT)
    log.warning(action, path=str(path))
    return True


def rotate(path: Path, store_key: bytes, now: datetime, door_key: DoorKey | None = None) -> int:
    """Make a new data key, which seals everything that is written from now on; its number. The
    daemon seals the rest anew while it runs (`Rotation`). Raises StoreLocked, SealBroken."""
    with Database.open(path, store_key, door_key) as database, database.transaction() as connection:
        _need_sealed(database)
        return keyring.add_key(connection, store_key, now)


def change_key(path: Path, old: bytes, new: bytes, door_key: DoorKey | None = None) -> None:
    """Let another store key open the database from the next start on. Raises StoreLocked."""
    with Database.open(path, old, door_key) as database, database.transaction() as connection:
        _need_sealed(database)
        keyring.change_store_key(connection, old, new)


def make_recovery(
    path: Path, store_key: bytes, now: datetime, door_key: DoorKey | None = None
) -> str:
    """Make a new recovery key. Returns its words, which are kept nowhere. Raises StoreLocked."""
    with Database.open(path, store_key, door_key) as database, database.transaction() as connection:
        _need_sealed(database)
        return keyring.new_recovery(connection, store_key, now)


def _need_sealed(database: Database) -> None:
    database.seal.check()
    if not database.seal.is_sealing:
        raise StoreLocked("Nothing in this database is sealed: `ostiary store encrypt` does it.")


class Rotation:
    """Seals anew by the newest data key what older ones sealed, some rows a step, and deletes the
    older keys after the last row. After a restart it begins again, which does no harm."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._table = 0
        self._after = -1
        self._newest = 0

    def step(self) -> bool:
        """Seal some rows in one transaction; whether there is more to do. Raises SealBroken,
        DatabaseUnwritable."""
        database = self._database
        if not database.seal.is_sealing or database.is_locked:
            return False
        with database.reading() as connection:
            keys = keyring.data_keys(connection)
        if len(keys) < 2:
            return False
        if keys[-1] != self._newest:  # a further key came meanwhile: from the beginning
            self._table, self._after, self._newest = 0, -1, keys[-1]
        with database.transaction() as connection:
            if self._table == len(TABLES):
                connection.execute(
                    "DELETE FROM seals WHERE number > 0 AND number < ?", (self._newest,)
                )
                self._table = 0
                log.info("store_key_rotated", key=self._newest)
                return False
            table, seal = TABLES[self._table], database.seal
            last = reseal(connection, table, seal, seal, after=self._after, limit=_ROWS_A_STEP)
        if last is None:
            self._table, self._after = self._table + 1, -1
        else:
            self._after = last
        return True
