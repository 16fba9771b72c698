"""Finds the person's key under which a row that names somebody is sealed."""

import sqlite3
from contextlib import suppress

import structlog

from ostiary.errors import SealBroken
from ostiary.store.chain import Chain
from ostiary.store.database import Database
from ostiary.store.person import id_of
from ostiary.store.person_keys import PersonKey, key_of, make_key, new_number

log = structlog.get_logger(__name__)


class Naming:
    """Finds, makes and retires people's keys by name. Call every method inside a transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._chain = Chain(database)

    def key(
        self, connection: sqlite3.Connection, name: str, *, is_removal: bool = False
    ) -> PersonKey:
        """The key of the person who has that name. Where nobody has it any more, or where the
        person's removal is recorded (`is_removal`), it is the key of the last person who had it.
        Where there is no such key, or it does not open, a new one is made. Raises StoreLocked."""
        database = self._database
        database.seal.check()
        known = database.memo.keys
        if not is_removal and name in known:
            return known[name]
        person, left = id_of(connection, database.seal, name), database.left.get(name)
        found = None
        if person is None or is_removal:
            found = self._of_who_left(connection, left)
        if found is None and person is not None:
            found = self._of(connection, person)
        if found is None:
            found = self._of_nobody(connection, name)
        if not is_removal:
            known[name] = found
        return found

    def leave(self, connection: sqlite3.Connection, person: int, name: str) -> None:
        """Take note that a person was removed from `users`. An entry of the chain says so, and the
        key is destroyed once the broker has all that is under it (`ostiary.store.forgetting`)."""
        sealed = None
        with suppress(SealBroken):
            sealed = self._own(connection, person).sealed([name], "leaving", b"")
        position = self._chain.person_removed(connection, person)
        connection.execute(
            "UPDATE person_keys SET leaving = ?, name = ? WHERE person = ?",
            (position, sealed, person),
        )
        self._database.left[name] = person
        self.changed(name)

    def changed(self, *names: str) -> None:
        """Forget the keys that were found for these names: other people may have the names now."""
        for name in names:
            self._database.memo.keys.pop(name, None)

    def _own(self, connection: sqlite3.Connection, person: int) -> PersonKey:
        database = self._database
        return key_of(connection, database.seal, person) or make_key(
            connection, database.seal, database.chain_key, person
        )

    def _of(self, connection: sqlite3.Connection, person: int) -> PersonKey | None:
        try:
            return self._own(connection, person)
        except SealBroken as error:  # a finding of `ostiary verify-log`; the door goes on meanwhile
            log.error("person_key_not_opened", person=person, code=error.code)
            return None

    def _of_who_left(self, connection: sqlite3.Connection, person: int | None) -> PersonKey | None:
        is_registered = connection.execute("SELECT 1 FROM users WHERE id = ?", (person,)).fetchone()
        if person is None or is_registered is not None:
            return None
        with suppress(SealBroken):
            return key_of(connection, self._database.seal, person)
        return None

    def _of_nobody(self, connection: sqlite3.Connection, name: str) -> PersonKey:
        """A new key that belongs to nobody. It goes once the broker has what is under it."""
        database = self._database
        key = make_key(connection, database.seal, database.chain_key, new_number(connection))
        self.leave(connection, key.person, name)
        return key
