"""Who else may read the door's keys?"""

import stat
from collections.abc import Iterator
from pathlib import Path

from ostiary.service.doctor.check import Check, green, red
from ostiary.settings import Settings


def check_secrets(settings: Settings) -> Iterator[Check]:
    """Nothing where no secret is in a file of its own."""
    files = [path for path in _secrets(settings) if path.exists()]
    for path in files:
        if path.stat().st_mode & (stat.S_IROTH | stat.S_IWOTH):
            yield red(
                "secrets",
                f"{path}: everybody on this machine may read it",
                f"chmod o-rw {path}, and take a new key: this one may be known.",
            )
            return
    if files:
        yield green("secrets", f"{len(files)} file(s), closed to others")


def is_open_to_others(path: Path) -> bool:
    """Whether somebody besides its owner may write the file."""
    return bool(path.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH))


def _secrets(settings: Settings) -> Iterator[Path]:
    named = (
        settings.mqtt.password_file,
        settings.mqtt.tls_key,
        settings.commands.signing_key_file if settings.commands.signed else None,
        settings.http.tls_key if settings.http.enabled else None,
        settings.store.key_file,
    )
    yield from (path for path in named if path is not None)
