"""What is old in the settings, who else may read the door's keys, and is the clock right?"""

import stat
import time
from collections.abc import Iterator
from pathlib import Path

from ostiary.service.doctor.check import Check, green, red, yellow
from ostiary.service.machine import BUILT_AFTER, is_synchronised
from ostiary.settings import Settings


def check_settings(settings: Settings) -> Iterator[Check]:
    """Keys of the settings that have another name now, or are no settings; nothing without any."""
    if settings.retired:
        advice = "Take them out, or write the file anew: `ostiary config` says it as it is read."
        yield yellow("settings", "; ".join(settings.retired), advice)


def check_secrets(settings: Settings) -> Iterator[Check]:
    """Whether others may read the files of secrets; nothing where there is none."""
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
    """Whether others than its owner may write the file."""
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


def check_clock() -> Iterator[Check]:
    now = time.time()
    told = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(now))
    advice = (
        "timedatectl set-ntp true; without a network, fit a real-time clock (RTC) and set "
        'clock.trust = "always". Until then whoever has hours or an end is denied.'
    )
    if now < BUILT_AFTER:
        yield red("clock", f"{told}: in the past", advice)
    elif is_synchronised():
        yield green("clock", f"{told}, synchronised")
    else:
        yield yellow("clock", f"{told}, not synchronised", advice)
