"""Is the database whole, ours, and has it room to grow? Does every rule open, and fit a door?"""

import json
import os
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any

from ostiary.crypto.keyring import seal_of
from ostiary.crypto.seal import Seal
from ostiary.errors import OstiaryError, SealBroken
from ostiary.mqtt.security import store_key
from ostiary.service.doctor.check import Check, green, red, yellow
from ostiary.settings import Settings
from ostiary.store.backup import Contents, verify
from ostiary.store.person import PERSON_COLUMNS, opened_person
from ostiary.store.schema import IDS_SINCE, migrations, version
from ostiary.store.sqlite_file import read_only

MEGABYTE = 1_000_000
LOW_MB, LITTLE_MB = 50, 500


def check_database(configured: Settings) -> Iterator[Check]:
    settings = configured.store
    path = settings.path.absolute()
    folder = path.parent
    if not folder.is_dir():
        yield red("database", f"{folder}: no such folder", f"Make it: mkdir -p {folder}")
        return
    if not path.exists():
        yield yellow("database", f"{path}: not there yet", "It is made when the daemon starts.")
    else:
        try:
            contents = verify(path)
        except OstiaryError as error:
            yield red("database", error.message, "See operations.md: restore a backup.")
        else:
            found = f"{path}: {contents.users} user(s), {contents.events} event(s), whole"
            newest = len(migrations())
            if contents.schema < newest:
                found += f"; schema {contents.schema} becomes {newest} when the daemon starts"
            yield green("database", found)
            yield from _sealed(configured, contents)
    places = [place for place in (folder, path) if place.exists()]
    denied = [str(place) for place in places if not os.access(place, os.W_OK)]
    if denied:
        yield red(
            "database access",
            f"{', '.join(denied)}: this user may not write",
            "Run the doctor as the daemon's user (sudo -u ostiary), or correct the owner.",
        )
    yield _room(folder)


def _sealed(settings: Settings, contents: Contents) -> Iterator[Check]:
    path = settings.store.path.absolute()
    if contents.opens_with == "nothing":
        yield yellow(
            "store key",
            "people, templates and pictures are plain: who copies the disk has them",
            'See operations.md, "What a stolen disk tells": ostiary store encrypt.',
        )
        return
    try:
        key = store_key(settings)
        with read_only(path) as connection:
            seal_of(connection, key).check()
            broken = _broken(connection, key)
    except OstiaryError as error:
        advice = "Until then nobody is let in, and nothing is lost."
        yield red("store key", error.message, advice)
        return
    if broken:
        yield red(
            "store key",
            f"{broken} were altered or put in another's place",
            "Restore a backup, or delete and enrol those people again; ostiary verify-log.",
        )
    elif contents.opens_with == "store_key":
        yield yellow(
            "store key",
            "it fits; a backup opens nowhere else",
            "Make recovery words, and keep them on paper: ostiary store recovery",
        )
    else:
        yield green("store key", "it fits; backups open with the recovery words too")


def _broken(connection: sqlite3.Connection, key: bytes | None) -> str:
    """People and templates that do not open, in words. Such people are in no list; their names are
    given, so that they can be deleted."""
    if version(connection) < IDS_SINCE:
        return ""  # the daemon, as it starts, looks at each
    seal = seal_of(connection, key)
    everyone = connection.execute(
        f"SELECT {PERSON_COLUMNS} FROM users WHERE typeof(username) = 'text'"
    )
    people = [_called(seal, row) for row in everyone if not _opens(seal, row)]
    templates = 0
    rows = connection.execute(
        f"SELECT templates.id, recognizer, descriptor, {PERSON_COLUMNS} FROM templates"
        " JOIN users ON users.id = user_id"
    )
    for number, recognizer, descriptor, *row in rows:
        try:
            place = opened_person(seal, row).template(number, recognizer)
            seal.opened_value(descriptor, *place)
        except SealBroken:
            templates += 1
    found = [f"{len(people)} person(s) ({', '.join(people)})"] if people else []
    return " and ".join(found + ([f"{templates} template(s)"] if templates else []))


def _opens(seal: Seal, row: Sequence[object]) -> bool:
    try:
        opened_person(seal, row)
    except SealBroken:
        return False
    return True


def _called(seal: Seal, row: Sequence[object]) -> str:
    number, username, _ = row
    try:
        return seal.opened_name(str(username))
    except SealBroken:
        return f"number {number}"


def _room(folder: os.PathLike[str]) -> Check:
    free = shutil.disk_usage(folder).free // MEGABYTE
    found = f"{free} MB free at {os.fspath(folder)}"
    advice = "Free some space; store.keep_events_days bounds the events."
    if free < LOW_MB:
        return red("disk", found, advice)
    if free < LITTLE_MB:
        return yellow("disk", found, advice)
    return green("disk", found)


def check_rules(settings: Settings) -> Iterator[Check]:
    """Whether all rules open and name doors that are there; nothing without rules, or where
    `check_database` finds the database bad."""
    try:
        contents, broken = _contents(settings)
    except OstiaryError:
        return
    if broken:
        advice = "They let nobody pass. Restore a backup, or delete and set them again."
        yield red("rules", f"{broken} rule(s) were altered", advice)
    cameras = {camera.name for camera in settings.cameras}
    absent = {
        rule["name"]: gone
        for rule in contents
        if (gone := sorted(set(rule.get("doors") or ()) - cameras))
    }
    for name, gone in absent.items():
        yield yellow(
            "rules",
            f"{name} is about {', '.join(gone)}: no camera of that name",
            "Nobody passes there by it. Name the camera so again, or change the rule.",
        )
    if contents and not absent and not broken:
        yield green("rules", f"{len(contents)}, each about doors that are there")


def _contents(settings: Settings) -> tuple[list[dict[str, Any]], int]:
    """The contents of the rules, and how many do not open."""
    found, broken = [], 0
    with read_only(settings.store.path.absolute()) as connection:
        seal = seal_of(connection, store_key(settings))
        known = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'rules'").fetchone()
        if known is None:
            return [], 0  # from before there were rules
        for number, sealed in connection.execute("SELECT id, content FROM rules ORDER BY id"):
            try:
                found.append(json.loads(seal.opened_text(sealed, "rule", number)))
            except (SealBroken, ValueError):
                broken += 1
    return found, broken
