"""Are the doors' contacts, buttons, keypads and readers there?"""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from ostiary.errors import RelayUnavailable
from ostiary.hardware.relay import line_in_use_by
from ostiary.service.doctor.check import Check, green, red
from ostiary.settings import RelaySettings, Settings
from ostiary.settings.entrance import Line


def check_inputs(settings: Settings) -> Iterator[Check]:
    """Says nothing of a door without any. They are only looked at, not taken."""
    for door in settings.doors:
        lines = {
            "contact": door.contact_line,
            "exit button": door.exit_line,
            "alarm": door.alarm_line,
        }
        for what, line in lines.items():
            if line is not None:
                yield _line(f"{what} of {door.camera}", door.chip, line)
    for reader in settings.readers:
        if reader.device is not None:
            yield _device(f"reader of {reader.door}", reader.device)
        for wire, line in (("D0", reader.d0), ("D1", reader.d1)):
            if line is not None:
                yield _line(f"reader of {reader.door}, {wire}", reader.chip, line)


def _line(name: str, chip: Path, line: Line) -> Check:
    try:
        user = line_in_use_by(RelaySettings(chip=chip, line=line))
    except RelayUnavailable as error:
        found = error.message.removeprefix("relay: ")
        return red(name, found, "Correct [[doors]] or [[readers]]; permission: gpio.conf.")
    state = "free" if user is None else f"in use by {user}"
    return green(name, f"line {line} of {chip}: {state}")


def _device(name: str, device: Path) -> Check:
    advice = (
        "`ls -l /dev/input/by-id` lists what is plugged in; see keypad.conf for the permission."
    )
    try:
        mode = device.stat().st_mode
    except OSError as error:
        return red(name, f"{device}: {error.strerror}", advice)
    if not stat.S_ISCHR(mode):
        return red(name, f"{device} is no device", advice)
    if not os.access(device, os.R_OK):
        return red(name, f"{device} is not for this user to read", advice)
    return green(name, f"{device} is there")
