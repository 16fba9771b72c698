"""Does every rule open, and is it about a door that is there?"""

import json
from collections.abc import Iterator
from typing import Any

from ostiary.crypto.keyring import seal_of
from ostiary.errors import OstiaryError, SealBroken
from ostiary.mqtt.security import store_key
from ostiary.service.doctor.check import Check, green, red, yellow
from ostiary.settings import Settings
from ostiary.store.database import read_only


def check_rules(settings: Settings) -> Iterator[Check]:
    """Says nothing of a door without any, nor of a database that `check_database` finds bad."""
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
    """What each rule says, and how many do not open."""
    found, broken = [], 0
    with read_only(settings.store.path.absolute()) as connection:
        seal = seal_of(connection, store_key(settings))
        known = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'rules'").fetchone()
        if known is None:
            return [], 0  # it is of before there were rules
        for number, sealed in connection.execute("SELECT id, content FROM rules ORDER BY id"):
            try:
                found.append(json.loads(seal.opened_text(sealed, "rule", number)))
            except (SealBroken, ValueError):
                broken += 1
    return found, broken
