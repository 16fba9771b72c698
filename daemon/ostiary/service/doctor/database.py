"""Is the database whole, ours, and has it room to grow?"""

import os
import shutil
from collections.abc import Iterator

from ostiary.config import StoreSettings
from ostiary.errors import OstiaryError
from ostiary.service.doctor.check import Check, green, red, yellow
from ostiary.store.backup import verify
from ostiary.store.schema import migrations

MEGABYTE = 1_000_000
LOW_MB, LITTLE_MB = 50, 500


def check_database(settings: StoreSettings) -> Iterator[Check]:
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
    places = [place for place in (folder, path) if place.exists()]
    denied = [str(place) for place in places if not os.access(place, os.W_OK)]
    if denied:
        yield red(
            "database access",
            f"{', '.join(denied)}: this user may not write",
            "Run the doctor as the daemon's user (sudo -u ostiary), or correct the owner.",
        )
    yield _room(folder)


def _room(folder: os.PathLike[str]) -> Check:
    free = shutil.disk_usage(folder).free // MEGABYTE
    found = f"{free} MB free at {os.fspath(folder)}"
    advice = "Free some space; store.keep_events_days bounds the events."
    if free < LOW_MB:
        return red("disk", found, advice)
    if free < LITTLE_MB:
        return yellow("disk", found, advice)
    return green("disk", found)
