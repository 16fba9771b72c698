"""A database with its record and its door's key: people come, go and are forgotten."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from ostiary.crypto.door_key import DoorKey
from ostiary.crypto.keyring import seal_of
from ostiary.messages.decision import Decision
from ostiary.messages.words import Reason
from ostiary.store.audit import Audit
from ostiary.store.command_log import CommandLog
from ostiary.store.database import Database
from ostiary.store.events import Events
from ostiary.store.forgetting import Forgetting
from ostiary.store.log_check import check_log
from ostiary.store.own_entries import CHAIN
from ostiary.store.snapshots import Snapshots
from ostiary.store.sqlite_file import read_only
from ostiary.store.users import Users

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
LATER = NOW + timedelta(minutes=1)
SETTLED = timedelta(seconds=30)
KEY = b"the key of a store, 32 bytes long"
DOOR = "ostiary/test"
ADA = "Ada Xyzzy Lovelace"


class House:
    """A database with its record, and its door's key."""

    def __init__(self, path: Path, store_key: bytes | None) -> None:
        self.path = path
        self.key = DoorKey.load_or_make(path.with_suffix(".key"))
        self.store_key = store_key
        self.open()

    def open(self) -> None:
        self.database = Database.open(self.path, self.store_key, self.key)
        self.events, self.users = Events(self.database), Users(self.database)
        self.snapshots = Snapshots(self.database)
        self.audit, self.answers = Audit(self.database), CommandLog(self.database)
        self.forgetting = Forgetting(self.database, SETTLED)

    def register(self, name: str, now: datetime = NOW) -> None:
        with self.database.transaction():
            self.users.add(name, [np.full(128, 0.1)], now, recognizer="dlib", source="test")
            self.events.append_user(action="registered", username=name, source="http", now=now)
            self.audit.add(
                actor="anna", action="user_registered", subject=name, address="::1", now=now
            )

    def rename(self, old: str, new: str, now: datetime = NOW) -> None:
        with self.database.transaction():
            self.users.rename(old, new)
            self.events.append_user(
                action="renamed", username=new, previous_username=old, source="http", now=now
            )
            self.audit.add(
                actor="anna",
                action="user_renamed",
                subject=old,
                detail={"name": new},
                address="::1",
                now=now,
            )

    def visit(self, name: str, now: datetime = NOW) -> int:
        return self.events.append_login(
            Decision(Reason.GRANTED, name, distance=0.3, liveness=1.0), source="front", now=now
        ).seq

    def delete(self, name: str, now: datetime = NOW) -> None:
        with self.database.transaction():
            self.users.delete(name)
            self.events.append_user(action="deleted", username=name, source="http", now=now)
            self.audit.add(
                actor="anna", action="user_deleted", subject=name, address="::1", now=now
            )

    def deliver(self, now: datetime = NOW) -> None:
        self.events.mark_delivered(range(1, self.events.last_seq() + 1), now)

    def forget(self, now: datetime = LATER) -> None:
        for _ in range(1000):
            if not self.forgetting.step(now):
                return
        raise AssertionError("it never ends")

    def findings(self) -> tuple[str, ...]:
        with read_only(self.path) as connection:
            seal = seal_of(connection, self.store_key)
            secret = self.key.secret(CHAIN)
            return check_log(connection, self.key.public, (), seal, secret).findings

    def names(self) -> list[str | None]:
        page = self.events.page(newest_first=False, limit=1000)
        return [event.username for event in page.events]

    def holds(self, name: str) -> bool:
        """In any page, used or free, and any form that a search of the bytes would find."""
        stored = [each.encode() for each in self.database.seal.names(name)]
        files = [self.path, self.path.with_name(self.path.name + "-wal")]
        content = b"".join(file.read_bytes() for file in files if file.exists())
        return any(needle in content for needle in (name.encode(), *stored))
